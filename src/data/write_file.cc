// WriteDataFile: a few rows by small_file_writer.cc, more of them straight onto Parquet's column writers. The layer above
// those (parquet::arrow) would choose the Parquet types itself and store the Arrow schema a second time.
#include <arrow/api.h>
#include <arrow/io/interfaces.h>
#include <parquet/column_writer.h>
#include <parquet/file_writer.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>
#include <parquet/schema.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/check.h"
#include "data/arrow_support.h"
#include "data/arrow_types.h"
#include "data/column_encoding.h"
#include "data/column_stats.h"
#include "data/data_file.h"
#include "data/object_file.h"
#include "data/row_source.h"
#include "data/small_file_writer.h"

namespace datashard::data {
namespace {

// Rows looked at before the encodings are chosen.
constexpr int64_t kHeadRows = 4096;

// Source: Iceberg spec, appendix A, "Parquet".
parquet::schema::NodePtr ParquetNode(const Field& field) {
  using parquet::LogicalType;
  using parquet::schema::PrimitiveNode;
  const auto repetition = field.required ? parquet::Repetition::REQUIRED : parquet::Repetition::OPTIONAL;
  const auto node = [&](std::shared_ptr<const LogicalType> logical, parquet::Type::type physical, int length = -1) {
    return PrimitiveNode::Make(field.name, repetition, std::move(logical), physical, length, field.id);
  };
  const auto timestamp = [](bool utc) {
    return LogicalType::Timestamp(/*is_adjusted_to_utc=*/utc, LogicalType::TimeUnit::MICROS);
  };
  switch (field.type.kind()) {
    case TypeKind::kBoolean: return node(LogicalType::None(), parquet::Type::BOOLEAN);
    case TypeKind::kInt: return node(LogicalType::None(), parquet::Type::INT32);
    case TypeKind::kLong: return node(LogicalType::None(), parquet::Type::INT64);
    case TypeKind::kFloat: return node(LogicalType::None(), parquet::Type::FLOAT);
    case TypeKind::kDouble: return node(LogicalType::None(), parquet::Type::DOUBLE);
    case TypeKind::kDecimal: {
      const int32_t precision = field.type.precision();
      auto logical = LogicalType::Decimal(precision, field.type.scale());
      if (precision <= 9) return node(std::move(logical), parquet::Type::INT32);
      if (precision <= 18) return node(std::move(logical), parquet::Type::INT64);
      return node(std::move(logical), parquet::Type::FIXED_LEN_BYTE_ARRAY, arrow::DecimalType::DecimalSize(precision));
    }
    case TypeKind::kDate: return node(LogicalType::Date(), parquet::Type::INT32);
    case TypeKind::kTime:
      return node(LogicalType::Time(/*is_adjusted_to_utc=*/false, LogicalType::TimeUnit::MICROS), parquet::Type::INT64);
    case TypeKind::kTimestamp: return node(timestamp(/*utc=*/false), parquet::Type::INT64);
    case TypeKind::kTimestampTz: return node(timestamp(/*utc=*/true), parquet::Type::INT64);
    case TypeKind::kString: return node(LogicalType::String(), parquet::Type::BYTE_ARRAY);
    case TypeKind::kUuid: return node(LogicalType::UUID(), parquet::Type::FIXED_LEN_BYTE_ARRAY, 16);
    case TypeKind::kFixed: return node(LogicalType::None(), parquet::Type::FIXED_LEN_BYTE_ARRAY, field.type.length());
    default: return node(LogicalType::None(), parquet::Type::BYTE_ARRAY);  // kBinary; ArrowSchemaOf refused the rest
  }
}

std::shared_ptr<parquet::WriterProperties> Properties(const Schema& schema, const std::vector<ColumnEncoding>& encodings,
                                                      const WriteSettings& settings) {
  parquet::WriterProperties::Builder builder;
  builder.compression(parquet::Compression::ZSTD)  // Arrow's own level for it is 1; naming one bars uncompressed columns
      ->disable_dictionary()
      ->enable_page_checksum()
      ->enable_write_page_index()
      ->data_pagesize(settings.page_bytes)
      ->max_row_group_length(settings.row_group_rows);
  for (size_t i = 0; i < encodings.size(); ++i) {
    const std::string& name = schema.fields[i].name;
    if (encodings[i].dictionary) builder.enable_dictionary(name);
    if (encodings[i].encoding != parquet::Encoding::PLAIN) builder.encoding(name, encodings[i].encoding);
    if (!encodings[i].compressed) builder.compression(name, parquet::Compression::UNCOMPRESSED);
  }
  return builder.build();
}

template <typename ArrayType>
int64_t CountNan(const arrow::Array& column) {
  const auto& typed = static_cast<const ArrayType&>(column);
  int64_t count = 0;
  for (int64_t i = 0; i < typed.length(); ++i) count += std::isnan(typed.Value(i)) && typed.IsValid(i) ? 1 : 0;
  return count;
}

class FileWriter {
 public:
  FileWriter(const Schema& schema, const WriteSettings& settings, std::vector<ColumnEncoding> encodings,
             const std::shared_ptr<arrow::io::OutputStream>& sink)
      : schema_(schema),
        settings_(settings),
        context_(arrow::default_memory_pool(), parquet::default_arrow_writer_properties().get()),
        nans_(schema.fields.size()) {
    parquet::schema::NodeVector nodes;
    for (const Field& field : schema.fields) nodes.push_back(ParquetNode(field));
    auto root = parquet::schema::GroupNode::Make("table", parquet::Repetition::REQUIRED, nodes);
    writer_ = parquet::ParquetFileWriter::Open(sink, std::static_pointer_cast<parquet::schema::GroupNode>(root),
                                               Properties(schema, encodings, settings));
  }

  Status Write(const arrow::RecordBatch& batch) {
    for (int64_t done = 0; done < batch.num_rows();) {
      if (row_group_ == nullptr || row_group_rows_ == settings_.row_group_rows) {
        row_group_ = writer_->AppendBufferedRowGroup();
        row_group_rows_ = 0;
      }
      const int64_t rows = std::min(batch.num_rows() - done, settings_.row_group_rows - row_group_rows_);
      for (int i = 0; i < batch.num_columns(); ++i)
        DS_RETURN_IF_ERROR(WriteColumn(i, *batch.column(i)->Slice(done, rows)));
      done += rows;
      row_group_rows_ += rows;
      rows_ += rows;
    }
    return {};
  }

  /// Writes the footer. What the file holds, but for its size and name.
  DataFile Close() {
    writer_->Close();
    DataFile file;
    file.record_count = rows_;
    const auto& footer = *writer_->metadata();
    for (int group = 0; group < footer.num_row_groups(); ++group) {
      const auto chunk = footer.RowGroup(group)->ColumnChunk(0);
      file.split_offsets.push_back(chunk->has_dictionary_page() ? chunk->dictionary_page_offset() : chunk->data_page_offset());
    }
    for (size_t i = 0; i < schema_.fields.size(); ++i) Describe(footer, static_cast<int>(i), file);
    return file;
  }

 private:
  Status WriteColumn(int index, const arrow::Array& column) {
    const Field& field = schema_.fields[static_cast<size_t>(index)];
    if (field.required && column.null_count() > 0)
      return InvalidArgument("column '{}' is required and has a null", field.name).About(ErrorSubject::kValue);
    if (field.type.kind() == TypeKind::kFloat) nans_[static_cast<size_t>(index)] += CountNan<arrow::FloatArray>(column);
    if (field.type.kind() == TypeKind::kDouble) nans_[static_cast<size_t>(index)] += CountNan<arrow::DoubleArray>(column);
    const int16_t* levels = field.required ? nullptr : DefinitionLevels(column);
    return Lift(row_group_->column(index)->WriteArrow(levels, /*rep_levels=*/nullptr, column.length(), column, &context_,
                                                      /*leaf_field_nullable=*/!field.required),
                ErrorKind::kInternal);
  }

  // 1 for a value, 0 for a null.
  const int16_t* DefinitionLevels(const arrow::Array& column) {
    const auto rows = static_cast<size_t>(column.length());
    if (column.null_count() == 0) {
      if (all_valid_.size() < rows) all_valid_.resize(rows, 1);
      return all_valid_.data();
    }
    levels_.resize(rows);
    for (size_t i = 0; i < rows; ++i) levels_[i] = column.IsValid(static_cast<int64_t>(i)) ? 1 : 0;
    return levels_.data();
  }

  // Bounds are given only where every row group that holds a value has them.
  void Describe(const parquet::FileMetaData& footer, int index, DataFile& file) const {
    const Field& field = schema_.fields[static_cast<size_t>(index)];
    int64_t bytes = 0;
    int64_t nulls = 0;
    bool bounded = true;
    std::optional<std::string> lower;
    std::optional<std::string> upper;
    for (int group = 0; group < footer.num_row_groups(); ++group) {
      const auto chunk = footer.RowGroup(group)->ColumnChunk(index);
      ChunkStats stats = StatsOfChunk(*chunk, *footer.schema()->Column(index), field.type);
      bytes += chunk->total_compressed_size();
      nulls += stats.nulls.value_or(0);
      if (!stats.lower.has_value()) {
        bounded = bounded && stats.nulls == stats.values;
        continue;
      }
      if (!lower.has_value() || BoundLess(*stats.lower, *lower, field.type)) lower = std::move(stats.lower);
      if (!upper.has_value() || BoundLess(*upper, *stats.upper, field.type)) upper = std::move(stats.upper);
    }
    file.column_sizes[field.id] = bytes;
    file.value_counts[field.id] = rows_;
    file.null_value_counts[field.id] = nulls;
    if (field.type.kind() == TypeKind::kFloat || field.type.kind() == TypeKind::kDouble)
      file.nan_value_counts[field.id] = nans_[static_cast<size_t>(index)];
    if (!bounded || !lower.has_value()) return;
    file.lower_bounds[field.id] = CutLower(*lower, field.type);
    if (auto cut = CutUpper(*upper, field.type)) file.upper_bounds[field.id] = *std::move(cut);
  }

  const Schema& schema_;
  const WriteSettings settings_;
  parquet::ArrowWriteContext context_;
  std::unique_ptr<parquet::ParquetFileWriter> writer_;
  parquet::RowGroupWriter* row_group_ = nullptr;
  int64_t row_group_rows_ = 0;
  int64_t rows_ = 0;
  std::vector<int64_t> nans_;
  std::vector<int16_t> all_valid_;
  std::vector<int16_t> levels_;
};

// The first rows of `source`, at least kHeadRows unless that is all there is; empty batches are left out.
struct Head {
  arrow::RecordBatchVector batches;
  int64_t rows = 0;
  bool is_all = false;
};
Result<Head> ReadHead(RowSource& source) {
  Head head;
  while (head.rows < kHeadRows) {
    DS_ASSIGN_OR_RETURN(auto batch, source.Next());
    if (batch == nullptr) {
      head.is_all = true;
      break;
    }
    if (batch->num_rows() == 0) continue;
    head.rows += batch->num_rows();
    head.batches.push_back(std::move(batch));
  }
  return head;
}

std::vector<ColumnEncoding> ChooseEncodings(const Head& head, const Schema& schema) {
  std::vector<ColumnEncoding> encodings;
  for (size_t i = 0; i < schema.fields.size(); ++i) {
    arrow::ArrayVector column;
    for (const auto& batch : head.batches) column.push_back(batch->column(static_cast<int>(i)));
    encodings.push_back(ChooseEncoding(column, head.is_all));
  }
  return encodings;
}

Result<std::optional<DataFile>> Write(RowSource& source, const Schema& schema, WriteGroup& group, std::string_view key,
                                      const WriteSettings& settings) {
  DS_CHECK(HasFieldsOf(*source.schema(), schema));
  DS_CHECK(settings.row_group_rows > 0);
  if (schema.fields.empty())
    return InvalidArgument("a table without columns can hold no rows; give it a schema").About(ErrorSubject::kSchema);
  DS_ASSIGN_OR_RETURN(Head head, ReadHead(source));
  if (head.batches.empty()) return std::optional<DataFile>();

  if (head.is_all && head.rows <= std::min(settings.small_file_rows, settings.row_group_rows) &&
      FitsOnePage(head.batches, settings.page_bytes)) {
    DS_ASSIGN_OR_RETURN(SmallFile small, EncodeSmallFile(head.batches, schema));
    DS_RETURN_IF_ERROR(group.Put(key, small.bytes));
    return std::optional<DataFile>(std::move(small.file));
  }

  ObjectSink sink(group, std::string(key));
  FileWriter writer(schema, settings, ChooseEncodings(head, schema), sink.stream());
  for (auto& batch : head.batches) {
    DS_RETURN_IF_ERROR(writer.Write(*batch));
    batch.reset();
  }
  while (!head.is_all) {
    DS_ASSIGN_OR_RETURN(const auto batch, source.Next());
    if (batch == nullptr) break;
    DS_RETURN_IF_ERROR(writer.Write(*batch));
  }
  DataFile file = writer.Close();
  file.file_size_in_bytes = sink.size_bytes();
  DS_RETURN_IF_ERROR(sink.Finish());
  return std::optional<DataFile>(std::move(file));
}

}  // namespace

Result<std::optional<DataFile>> WriteDataFile(ArrowStream rows, const Schema& schema, WriteGroup& group,
                                              std::string_view key, std::string uri, const WriteSettings& settings) {
  return Guarded(ErrorKind::kInternal, [&]() -> Result<std::optional<DataFile>> {
    DS_ASSIGN_OR_RETURN(const auto source, ImportRows(std::move(rows)));
    auto file = Write(*source, schema, group, key, settings);
    if (file.ok() && file->has_value()) (*file)->file_path = std::move(uri);
    return file;
  });
}

}  // namespace datashard::data
