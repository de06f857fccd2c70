#include "one_row.h"

#include <array>
#include <memory>
#include <type_traits>
#include <utility>

namespace bench {
namespace {

struct Column {
  const char* name;
  const char* format;  // of the Arrow C interface: l is int64, g is double, u is UTF-8
  int64_t flags;
};
constexpr std::array<Column, 5> kColumns = {{
    {"id", "l", 0}, {"user", "u", 0}, {"status", "u", 0}, {"amount", "g", ARROW_FLAG_NULLABLE}, {"started_at", "l", 0},
}};

// Children belong to their parent's private data; a consumer releases the parent, or moves a child out and releases it.
struct SchemaBody {
  std::array<ArrowSchema, kColumns.size()> columns{};
  std::array<ArrowSchema*, kColumns.size()> pointers{};
};
struct ColumnBody {
  std::array<const void*, 3> buffers{};
  std::array<int32_t, 2> offsets{};
  std::string text;
  int64_t integer = 0;
  double number = 0;
  uint8_t validity = 0;
};
struct ArrayBody {
  std::array<ArrowArray, kColumns.size()> columns{};
  std::array<ArrowArray*, kColumns.size()> pointers{};
  std::array<const void*, 1> buffers{};
};
struct StreamBody {
  Record record;
  bool done = false;
};

void FreeSchema(ArrowSchema* schema) {
  auto* body = static_cast<SchemaBody*>(schema->private_data);
  if (body != nullptr) {
    for (ArrowSchema& column : body->columns) {
      if (column.release != nullptr) column.release(&column);
    }
  }
  delete body;
  schema->release = nullptr;
}

template <typename Body>
void FreeArray(ArrowArray* array) {
  std::unique_ptr<Body> body(static_cast<Body*>(array->private_data));
  if constexpr (std::is_same_v<Body, ArrayBody>) {
    for (ArrowArray& column : body->columns) {
      if (column.release != nullptr) column.release(&column);
    }
  }
  array->release = nullptr;
}

int GetSchema(ArrowArrayStream*, ArrowSchema* out) {
  auto body = std::make_unique<SchemaBody>();
  for (size_t i = 0; i < kColumns.size(); ++i) {
    body->columns[i] = {kColumns[i].format, kColumns[i].name, nullptr, kColumns[i].flags, 0, nullptr, nullptr, &FreeSchema, nullptr};
    body->pointers[i] = &body->columns[i];
  }
  ArrowSchema** children = body->pointers.data();
  *out = {"+s", "", nullptr, 0, kColumns.size(), children, nullptr, &FreeSchema, body.release()};
  return 0;
}

ArrowArray MakeColumn(std::unique_ptr<ColumnBody> body, int64_t buffers, bool valid) {
  body->validity = valid ? 1 : 0;
  body->buffers[0] = valid ? nullptr : &body->validity;
  const void** pointers = body->buffers.data();
  return {1, valid ? 0 : 1, 0, buffers, 0, pointers, nullptr, nullptr, &FreeArray<ColumnBody>, body.release()};
}

ArrowArray Integer(int64_t value) {
  auto body = std::make_unique<ColumnBody>();
  body->integer = value;
  body->buffers[1] = &body->integer;
  return MakeColumn(std::move(body), 2, true);
}

ArrowArray Number(double value, bool valid) {
  auto body = std::make_unique<ColumnBody>();
  body->number = value;
  body->buffers[1] = &body->number;
  return MakeColumn(std::move(body), 2, valid);
}

ArrowArray Text(const std::string& value) {
  auto body = std::make_unique<ColumnBody>();
  body->text = value;
  body->offsets = {0, static_cast<int32_t>(value.size())};
  body->buffers[1] = body->offsets.data();
  body->buffers[2] = body->text.data();
  return MakeColumn(std::move(body), 3, true);
}

int GetNext(ArrowArrayStream* stream, ArrowArray* out) {
  auto* source = static_cast<StreamBody*>(stream->private_data);
  if (source->done) {
    *out = {};
    return 0;
  }
  source->done = true;
  const Record& record = source->record;
  auto body = std::make_unique<ArrayBody>();
  body->columns = {Integer(record.id), Text(record.user), Text(record.status), Number(record.amount, record.has_amount),
                   Integer(record.started_at)};
  for (size_t i = 0; i < kColumns.size(); ++i) body->pointers[i] = &body->columns[i];
  ArrowArray** children = body->pointers.data();
  const void** buffers = body->buffers.data();
  *out = {1, 0, 0, 1, kColumns.size(), buffers, children, nullptr, &FreeArray<ArrayBody>, body.release()};
  return 0;
}

const char* LastError(ArrowArrayStream*) { return nullptr; }

void FreeStream(ArrowArrayStream* stream) {
  std::unique_ptr<StreamBody> body(static_cast<StreamBody*>(stream->private_data));
  stream->release = nullptr;
}

}  // namespace

datashard::ArrowStream OneRow(const Record& record) {
  ArrowArrayStream stream{&GetSchema, &GetNext, &LastError, &FreeStream, std::make_unique<StreamBody>(StreamBody{record}).release()};
  return datashard::ArrowStream(&stream);
}

}  // namespace bench
