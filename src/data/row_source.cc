#include "data/row_source.h"

#include <arrow/api.h>
#include <arrow/c/bridge.h>

#include <cerrno>
#include <optional>
#include <string>

#include "base/error.h"
#include "data/arrow_support.h"

namespace datashard::data {
namespace {

// What private_data of our streams points to.
struct Exported {
  std::unique_ptr<RowSource> source;
  std::optional<Error> error;
  bool ended = false;
};

Exported& ExportedOf(ArrowArrayStream* stream) { return *static_cast<Exported*>(stream->private_data); }

int ErrnoOf(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidArgument: return EINVAL;
    case ErrorKind::kUnsupported: return ENOSYS;
    case ErrorKind::kNotFound: return ENOENT;
    case ErrorKind::kDenied: return EACCES;
    default: return EIO;
  }
}

int Fail(Exported& exported, Error error) {
  exported.error = std::move(error);
  exported.source.reset();  // stops its threads now, not when the consumer gets round to releasing the stream
  return ErrnoOf(exported.error->kind());
}

int GetSchema(ArrowArrayStream* stream, ArrowSchema* out) {
  Exported& exported = ExportedOf(stream);
  if (exported.source == nullptr) return ErrnoOf(exported.error->kind());
  const Status status = Guarded(ErrorKind::kInternal, [&] {
    return Lift(arrow::ExportSchema(*exported.source->schema(), out), ErrorKind::kInternal);
  });
  return status.ok() ? 0 : Fail(exported, status.error());
}

int GetNext(ArrowArrayStream* stream, ArrowArray* out) {
  Exported& exported = ExportedOf(stream);
  out->release = nullptr;
  if (exported.error.has_value()) return ErrnoOf(exported.error->kind());
  if (exported.ended) return 0;
  const Status status = Guarded(ErrorKind::kInternal, [&]() -> Status {
    DS_ASSIGN_OR_RETURN(const auto batch, exported.source->Next());
    if (batch == nullptr) {
      exported.ended = true;
      return {};
    }
    return Lift(arrow::ExportRecordBatch(*batch, out), ErrorKind::kInternal);
  });
  return status.ok() ? 0 : Fail(exported, status.error());
}

const char* GetLastError(ArrowArrayStream* stream) {
  const Exported& exported = ExportedOf(stream);
  return exported.error.has_value() ? exported.error->message().c_str() : nullptr;
}

void Release(ArrowArrayStream* stream) {
  const std::unique_ptr<Exported> owned(static_cast<Exported*>(stream->private_data));
  stream->release = nullptr;
}

class ImportedRows final : public RowSource {
 public:
  ImportedRows(ArrowStream stream, std::shared_ptr<arrow::Schema> schema)
      : stream_(std::move(stream)), schema_(std::move(schema)) {}

  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    ArrowArrayHandle array;
    const int code = stream_->get_next(stream_.get(), array.get());
    if (code != 0) {
      array.get()->release = nullptr;  // the interface leaves it undefined after a failure
      return StreamError(*stream_.get(), code);
    }
    if (array.empty()) return std::shared_ptr<arrow::RecordBatch>();
    DS_ASSIGN_OR_RETURN(auto batch, Lift(arrow::ImportRecordBatch(array.get(), schema_), ErrorKind::kInvalidArgument));
    // In full: a bad offset or index would be read out of bounds, and text that is not UTF-8 written to a file nobody
    // could read again.
    const arrow::Status valid = batch->ValidateFull();
    if (!valid.ok()) return FromArrow(valid, ErrorKind::kInvalidArgument).About(ErrorSubject::kValue);
    return batch;
  }

 private:
  ArrowStream stream_;
  std::shared_ptr<arrow::Schema> schema_;
};

}  // namespace

ArrowStream ExportRows(std::unique_ptr<RowSource> source) {
  ArrowStream stream;
  auto exported = std::make_unique<Exported>();
  exported->source = std::move(source);
  stream->get_schema = GetSchema;
  stream->get_next = GetNext;
  stream->get_last_error = GetLastError;
  stream->release = Release;
  stream->private_data = exported.release();
  return stream;
}

Result<std::unique_ptr<RowSource>> ImportRows(ArrowStream stream) {
  return Guarded(ErrorKind::kInvalidArgument, [&]() -> Result<std::unique_ptr<RowSource>> {
    if (stream.empty()) return InvalidArgument("the stream of rows was already used or released");
    if (stream->release == Release) {
      Exported& exported = ExportedOf(stream.get());
      if (exported.error.has_value()) return *exported.error;
      return std::move(exported.source);
    }
    ArrowSchemaHandle schema;
    const int code = stream->get_schema(stream.get(), schema.get());
    if (code != 0) {
      schema.get()->release = nullptr;
      return StreamError(*stream.get(), code);
    }
    auto imported = arrow::ImportSchema(schema.get());
    if (!imported.ok())
      return FromArrow(imported.status(), ErrorKind::kInvalidArgument).In("a stream of rows must have columns");
    return std::unique_ptr<RowSource>(std::make_unique<ImportedRows>(std::move(stream), *std::move(imported)));
  });
}

Error StreamError(ArrowArrayStream& stream, int code) {
  if (stream.release == Release && ExportedOf(&stream).error.has_value()) return *ExportedOf(&stream).error;
  const char* text = stream.release == nullptr ? nullptr : stream.get_last_error(&stream);
  const std::string message = fmt::format("the stream of rows failed: {}", text != nullptr ? text : "no reason given");
  switch (code) {
    case ENOSYS: return Error(ErrorKind::kUnsupported, message);
    case ENOMEM:
    case EIO: return Error(ErrorKind::kUnavailable, message);
    default: return Error(ErrorKind::kInvalidArgument, message, ErrorSubject::kValue);
  }
}

}  // namespace datashard::data
