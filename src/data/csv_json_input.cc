// ReadRows: CSV, JSON Lines and Parquet files as streams of rows, a block at a time.
#include <arrow/api.h>
#include <arrow/csv/api.h>
#include <arrow/io/file.h>
#include <arrow/io/memory.h>
#include <arrow/json/api.h>
#include <parquet/arrow/reader.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>

#include <algorithm>
#include <cctype>
#include <string>

#include "base/error.h"
#include "data/arrow_support.h"
#include "data/arrow_types.h"
#include "data/data_file.h"
#include "data/iso_time.h"
#include "data/row_input.h"
#include "data/row_source.h"
#include "data/text_column.h"
#include "datashard/rows.h"

namespace datashard {
namespace data {
namespace {

constexpr int32_t kBlockBytes = 1 << 20;
// Types are taken from the first block; one more tells Arrow's readers that it is a whole one.
constexpr int64_t kPeekBytes = 2 * kBlockBytes;
constexpr int64_t kParquetBatchRows = 64 << 10;

// Columns that come as text and are converted here: Arrow's readers have no spelling for them, or a looser one.
using TextColumns = std::map<std::string, Type, std::less<>>;

// Batches of an Arrow reader, with text columns converted, progress told, and the file's name in front of errors.
class ReaderRows final : public RowSource {
 public:
  struct Parts {
    std::string name;
    std::shared_ptr<arrow::RecordBatchReader> reader;
    TextColumns text_columns;
    ErrorKind kind = ErrorKind::kInvalidArgument;
    std::function<void()> after_batch;
  };
  static Result<std::unique_ptr<RowSource>> Make(Parts parts) {
    arrow::FieldVector fields;
    for (const auto& field : parts.reader->schema()->fields()) {
      const auto text = parts.text_columns.find(field->name());
      if (text == parts.text_columns.end()) {
        fields.push_back(field);
        continue;
      }
      DS_ASSIGN_OR_RETURN(auto converted, ArrowFieldOf({.name = field->name(), .type = text->second}));
      fields.push_back(converted->RemoveMetadata()->WithMetadata(IsUuidField(*converted) ? converted->metadata() : nullptr));
    }
    return std::unique_ptr<RowSource>(std::make_unique<ReaderRows>(std::move(parts), arrow::schema(std::move(fields))));
  }
  ReaderRows(Parts parts, std::shared_ptr<arrow::Schema> schema) : parts_(std::move(parts)), schema_(std::move(schema)) {}

  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    auto batch = Guarded(parts_.kind, [&] { return ReadBatch(); });
    if (!batch.ok()) return std::move(batch).error().In(parts_.name);
    if (parts_.after_batch) parts_.after_batch();
    return batch;
  }

 private:
  Result<std::shared_ptr<arrow::RecordBatch>> ReadBatch() {
    std::shared_ptr<arrow::RecordBatch> batch;
    DS_RETURN_IF_ERROR(Lift(parts_.reader->ReadNext(&batch), parts_.kind));
    if (batch == nullptr) return batch;
    DS_RETURN_IF_ERROR(Lift(batch->ValidateFull(), parts_.kind));  // text may be anything, in Parquet above all
    arrow::ArrayVector columns = batch->columns();
    for (size_t i = 0; i < columns.size(); ++i) {
      const std::string& name = batch->schema()->field(static_cast<int>(i))->name();
      const auto text = parts_.text_columns.find(name);
      if (text == parts_.text_columns.end()) continue;
      auto converted = ConvertText(columns[i], text->second, rows_before_);
      if (!converted.ok()) return std::move(converted).error().In(fmt::format("column '{}'", name));
      columns[i] = *std::move(converted);
    }
    rows_before_ += batch->num_rows();
    return arrow::RecordBatch::Make(schema_, batch->num_rows(), std::move(columns));
  }

  Parts parts_;
  std::shared_ptr<arrow::Schema> schema_;
  int64_t rows_before_ = 0;
};

// --- CSV ---

arrow::csv::ReadOptions CsvReadOptions() {
  auto options = arrow::csv::ReadOptions::Defaults();
  options.use_threads = false;  // with threads Arrow cannot say in which row a value fails
  options.block_size = kBlockBytes;
  return options;
}
arrow::csv::ParseOptions CsvParseOptions(const ReadRowsOptions& options) {
  auto parse = arrow::csv::ParseOptions::Defaults();
  parse.delimiter = options.delimiter;
  parse.newlines_in_values = true;
  return parse;
}
arrow::csv::ConvertOptions CsvConvertOptions(const ReadRowsOptions& options) {
  auto convert = arrow::csv::ConvertOptions::Defaults();
  convert.null_values = options.null_values;
  convert.strings_can_be_null = true;
  convert.quoted_strings_can_be_null = false;  // "NA" in quotes is a text of two letters
  return convert;
}

// Does Arrow's CSV reader convert this type as strictly as we do?
bool CsvReads(TypeKind kind) {
  switch (kind) {
    case TypeKind::kUuid:
    case TypeKind::kFixed:
    case TypeKind::kBinary: return false;
    default: return true;
  }
}

Result<std::unique_ptr<RowSource>> OpenCsv(ReaderRows::Parts parts, PeekedInput input, const ReadRowsOptions& options) {
  const auto read = CsvReadOptions();
  const auto parse = CsvParseOptions(options);
  auto convert = CsvConvertOptions(options);
  if (options.schema.has_value()) {
    for (const Field& field : options.schema->fields) {
      DS_ASSIGN_OR_RETURN(auto type, ArrowTypeOf(field.type));
      if (field.type.kind() == TypeKind::kFloat) type = arrow::float64();  // rounding is ConformRows' to judge
      if (!CsvReads(field.type.kind())) {
        parts.text_columns.emplace(field.name, field.type);
        type = arrow::utf8();
      }
      convert.column_types[field.name] = std::move(type);
    }
  }
  const auto open = [&](std::shared_ptr<arrow::io::InputStream> stream) {
    return Lift(arrow::csv::StreamingReader::Make(arrow::io::default_io_context(), std::move(stream), read, parse, convert),
                ErrorKind::kInvalidArgument);
  };
  DS_ASSIGN_OR_RETURN(const auto first, open(std::make_shared<arrow::io::BufferReader>(input.start)));
  for (const auto& field : first->schema()->fields())  // nothing but nulls so far: text can hold whatever comes
    if (field->type()->id() == arrow::Type::NA) convert.column_types[field->name()] = arrow::utf8();
  DS_ASSIGN_OR_RETURN(parts.reader, open(std::move(input.stream)));
  return ReaderRows::Make(std::move(parts));
}

// --- JSON Lines ---

// The type in which Arrow is to read a JSON value that will be of `type`. It takes instants without looking at the
// zone and has no dates, so those come as text.
std::shared_ptr<arrow::DataType> JsonTypeOf(const Type& type) {
  switch (type.kind()) {
    case TypeKind::kBoolean: return arrow::boolean();
    case TypeKind::kInt:
    case TypeKind::kLong: return arrow::int64();
    case TypeKind::kFloat:
    case TypeKind::kDouble: return arrow::float64();
    case TypeKind::kDecimal: return arrow::decimal128(type.precision(), type.scale());
    default: return arrow::utf8();
  }
}

Result<std::shared_ptr<arrow::RecordBatchReader>> JsonReader(std::shared_ptr<arrow::io::InputStream> stream,
                                                             const arrow::FieldVector& known) {
  auto read = arrow::json::ReadOptions::Defaults();
  read.use_threads = false;
  read.block_size = kBlockBytes;
  auto parse = arrow::json::ParseOptions::Defaults();
  if (!known.empty()) parse.explicit_schema = arrow::schema(known);
  DS_ASSIGN_OR_RETURN(auto reader, Lift(arrow::json::StreamingReader::Make(std::move(stream), read, parse),
                                        ErrorKind::kInvalidArgument));
  return std::shared_ptr<arrow::RecordBatchReader>(std::move(reader));
}

// The type of a column Arrow took for timestamps, by the first of its values: it does not look at zones.
Type InstantType(const arrow::Array& text) {
  const auto& values = static_cast<const arrow::StringArray&>(text);
  for (int64_t i = 0; i < values.length(); ++i) {
    if (values.IsNull(i)) continue;
    const auto parsed = ParseTimestamp(values.GetView(i));
    if (!parsed.has_value()) return Type(TypeKind::kString);
    return Type(parsed->has_zone ? TypeKind::kTimestampTz : TypeKind::kTimestamp);
  }
  return Type(TypeKind::kString);
}

// What Arrow is to be told of the columns, from the first block: text where it sees timestamps or nothing at all.
Status InferJson(const PeekedInput& input, arrow::FieldVector& known, TextColumns& text_columns) {
  DS_ASSIGN_OR_RETURN(const auto guess, JsonReader(std::make_shared<arrow::io::BufferReader>(input.start), {}));
  arrow::FieldVector instants;
  for (const auto& field : guess->schema()->fields()) {
    const auto id = field->type()->id();
    if (id == arrow::Type::TIMESTAMP) instants.push_back(arrow::field(field->name(), arrow::utf8()));
    known.push_back(id == arrow::Type::TIMESTAMP || id == arrow::Type::NA ? arrow::field(field->name(), arrow::utf8()) : field);
  }
  if (instants.empty()) return {};
  DS_ASSIGN_OR_RETURN(const auto reader, JsonReader(std::make_shared<arrow::io::BufferReader>(input.start), known));
  std::shared_ptr<arrow::RecordBatch> batch;
  DS_RETURN_IF_ERROR(Lift(reader->ReadNext(&batch), ErrorKind::kInvalidArgument));
  for (const auto& field : instants)
    if (batch != nullptr) text_columns.emplace(field->name(), InstantType(*batch->GetColumnByName(field->name())));
  return {};
}

Result<std::unique_ptr<RowSource>> OpenJson(ReaderRows::Parts parts, PeekedInput input, const ReadRowsOptions& options) {
  if (input.start->size() == 0) return InvalidArgument("{}: the input is empty", parts.name);
  arrow::FieldVector known;
  if (options.schema.has_value()) {
    for (const Field& field : options.schema->fields) {
      auto type = JsonTypeOf(field.type);
      if (type->id() == arrow::Type::STRING) parts.text_columns.emplace(field.name, field.type);
      known.push_back(arrow::field(field.name, std::move(type)));
    }
  } else {
    DS_RETURN_IF_ERROR(InferJson(input, known, parts.text_columns));
  }
  DS_ASSIGN_OR_RETURN(parts.reader, JsonReader(std::move(input.stream), known));
  return ReaderRows::Make(std::move(parts));
}

// --- Parquet ---

Result<std::unique_ptr<RowSource>> OpenParquet(ReaderRows::Parts parts, const ReadRowsOptions& options) {
  DS_ASSIGN_OR_RETURN(const auto file, Lift(arrow::io::ReadableFile::Open(parts.name), ErrorKind::kUnavailable));
  DS_ASSIGN_OR_RETURN(const int64_t size, Lift(file->GetSize(), ErrorKind::kUnavailable));
  parquet::ReaderProperties properties;
  properties.set_page_checksum_verification(true);
  parquet::ArrowReaderProperties arrow_properties(/*use_threads=*/false);
  arrow_properties.set_batch_size(kParquetBatchRows);
  DS_ASSIGN_OR_RETURN(std::shared_ptr<parquet::arrow::FileReader> reader,
                      Lift(parquet::arrow::FileReader::Make(arrow::default_memory_pool(),
                                                            parquet::ParquetFileReader::Open(file, properties), arrow_properties),
                           ErrorKind::kCorruption));
  DS_ASSIGN_OR_RETURN(parts.reader, Lift(reader->GetRecordBatchReader(), ErrorKind::kCorruption));
  const int64_t rows = std::max<int64_t>(reader->parquet_reader()->metadata()->num_rows(), 1);
  parts.kind = ErrorKind::kCorruption;
  // Parquet is not read from front to back: progress is the share of rows, in bytes. Keeps `reader` alive, too.
  parts.after_batch = [reader, size, rows, done = int64_t{0}, progress = options.on_progress]() mutable {
    done = std::min(done + kParquetBatchRows, rows);
    if (progress) progress(static_cast<int64_t>(static_cast<double>(size) * static_cast<double>(done) / static_cast<double>(rows)));
  };
  return ReaderRows::Make(std::move(parts));
}

Result<std::unique_ptr<RowSource>> Open(const std::string& path, RowFormat format, const ReadRowsOptions& options) {
  ReaderRows::Parts parts{.name = path == "-" ? "standard input" : path};
  const auto bytes_read = std::make_shared<std::atomic<int64_t>>(0);
  DS_ASSIGN_OR_RETURN(PeekedInput input, OpenInput(path, format == RowFormat::kParquet ? 4 : kPeekBytes, bytes_read));
  if (format == RowFormat::kParquet) {
    if (path == "-") return InvalidArgument("Parquet cannot be read from standard input; give a file");
    return OpenParquet(std::move(parts), options);
  }
  if (options.on_progress)
    parts.after_batch = [bytes_read, progress = options.on_progress] { progress(bytes_read->load()); };
  return format == RowFormat::kCsv ? OpenCsv(std::move(parts), std::move(input), options)
                                   : OpenJson(std::move(parts), std::move(input), options);
}

}  // namespace
}  // namespace data

Result<RowFormat> RowFormatOfPath(std::string_view path) {
  std::string name(path);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (name.ends_with(".parquet") || name.ends_with(".pq")) return RowFormat::kParquet;
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  if (name.ends_with(".csv") || name.ends_with(".tsv")) return RowFormat::kCsv;
  if (name.ends_with(".jsonl") || name.ends_with(".ndjson") || name.ends_with(".json")) return RowFormat::kJsonLines;
  return InvalidArgument("'{}' ends in none of .csv .tsv .parquet .pq .jsonl .ndjson .json; say which format it has", path);
}

Result<ArrowStream> ReadRows(std::string_view path, RowFormat format, ReadRowsOptions options) {
  DS_RETURN_IF_ERROR(data::StartCompute());
  const ErrorKind kind = format == RowFormat::kParquet ? ErrorKind::kCorruption : ErrorKind::kInvalidArgument;
  auto source = data::Guarded(kind, [&] { return data::Open(std::string(path), format, options); });
  if (source.ok()) return data::ExportRows(*std::move(source));
  Error error = std::move(source).error();
  if (error.message().find(path) == std::string::npos) error = std::move(error).In(path == "-" ? "standard input" : path);
  return error;
}

}  // namespace datashard
