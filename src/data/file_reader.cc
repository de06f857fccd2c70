#include "data/file_reader.h"

#include <arrow/api.h>
#include <arrow/io/interfaces.h>
#include <parquet/arrow/reader.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>

#include <algorithm>

#include "base/error.h"
#include "data/arrow_support.h"
#include "data/column_stats.h"
#include "data/object_file.h"
#include "data/prune.h"
#include "iceberg/value.h"

namespace datashard::data {

struct FileReader::Parquet {
  std::unique_ptr<parquet::arrow::FileReader> reader;
};

namespace {

// What a footer may take at most, whatever it claims.
constexpr int32_t kThriftStringBytesMax = 64 << 20;
constexpr int32_t kThriftElementsMax = 4 << 20;
constexpr int64_t kChunkBytesMax = int64_t{1} << 40;

Result<std::unique_ptr<parquet::arrow::FileReader>> OpenParquet(ObjectStore& store, const ScanFile& file, Verify verify) {
  DS_ASSIGN_OR_RETURN(auto object, store.OpenReader(file.key));
  if (object->size_bytes() != file.file.file_size_in_bytes)
    return Corruption("{} bytes, where the manifest says {}", object->size_bytes(), file.file.file_size_in_bytes);
  DS_ASSIGN_OR_RETURN(auto input, OpenObjectFile(std::move(object)));
  parquet::ReaderProperties properties;
  properties.set_page_checksum_verification(verify == Verify::kPage);
  properties.set_thrift_string_size_limit(kThriftStringBytesMax);
  properties.set_thrift_container_size_limit(kThriftElementsMax);
  auto parquet_reader = parquet::ParquetFileReader::Open(std::move(input), properties);
  parquet::ArrowReaderProperties arrow_properties(/*use_threads=*/false);
  arrow_properties.set_coerce_int96_timestamp_unit(arrow::TimeUnit::MICRO);
  return Lift(parquet::arrow::FileReader::Make(arrow::default_memory_pool(), std::move(parquet_reader), arrow_properties),
              ErrorKind::kCorruption);
}

ColumnRange RangeOf(const parquet::FileMetaData& footer, int row_group, const FileColumn& column) {
  const int64_t rows = footer.RowGroup(row_group)->num_rows();
  if (!column.leaf.has_value()) return {.values = rows, .nulls = rows};
  const auto chunk = footer.RowGroup(row_group)->ColumnChunk(*column.leaf);
  const ChunkStats stats = StatsOfChunk(*chunk, *footer.schema()->Column(*column.leaf), column.field.type);
  ColumnRange range{.values = stats.values, .nulls = stats.nulls};
  if (!stats.lower.has_value()) return range;
  auto lower = iceberg::DecodeValue(*stats.lower, column.field.type);
  auto upper = iceberg::DecodeValue(*stats.upper, column.field.type);
  if (lower.ok() && upper.ok()) {
    range.lower = *std::move(lower);
    range.upper = *std::move(upper);
  }
  return range;
}

// A footer has no checksum. Where the manifest has the metrics of a file of one row group, the file was pruned by them
// already and its footer could only say the same, or be damaged and lose rows without a word.
bool RowGroupMayMatch(const parquet::FileMetaData& footer, int row_group, const std::vector<FileColumn>& columns,
                      const Filter& filter, const DataFile& file) {
  return std::all_of(filter.all_of.begin(), filter.all_of.end(), [&](const Predicate& predicate) {
    const auto column = std::find_if(columns.begin(), columns.end(),
                                     [&](const FileColumn& c) { return c.field.name == predicate.column; });
    if (column == columns.end()) return true;
    if (footer.num_row_groups() == 1 && file.value_counts.contains(column->field.id)) return true;
    return RangeMayMatch(predicate, column->field.type, RangeOf(footer, row_group, *column));
  });
}

Status CheckRowCounts(const parquet::FileMetaData& footer, int64_t wanted) {
  int64_t rows = 0;
  for (int i = 0; i < footer.num_row_groups(); ++i) {
    const int64_t here = footer.RowGroup(i)->num_rows();
    if (here < 0 || here > wanted - rows)
      return Corruption("row group {} claims {} rows of a file that has {} in the manifest", i, here, wanted);
    rows += here;
  }
  if (rows != wanted || footer.num_rows() != rows)
    return Corruption("{} rows in {} row groups, where its footer says {} and the manifest {}", rows, footer.num_row_groups(),
                      footer.num_rows(), wanted);
  return {};
}

// What the footer says, kept to what can be added up: it only steers how the work is divided.
int64_t DecodedBytes(const parquet::ColumnChunkMetaData& chunk) {
  return std::clamp<int64_t>(chunk.total_uncompressed_size(), 0, kChunkBytesMax);
}

Error Named(Error error, const std::string& name) {
  const bool about_file = error.kind() == ErrorKind::kCorruption || error.kind() == ErrorKind::kNotFound;
  if (about_file && error.subject() == ErrorSubject::kNone) error = std::move(error).About(ErrorSubject::kDataFile);
  return std::move(error).In(fmt::format("data file {}", name));
}

}  // namespace

FileReader::FileReader(std::string name, std::unique_ptr<Parquet> parquet)
    : name_(std::move(name)), parquet_(std::move(parquet)) {}
FileReader::~FileReader() = default;

Result<std::shared_ptr<FileReader>> FileReader::Open(ObjectStore& store, const ScanFile& file,
                                                     const std::vector<Field>& fields, const Filter& filter, Verify verify) {
  auto opened = Guarded(ErrorKind::kCorruption, [&]() -> Result<std::shared_ptr<FileReader>> {
    auto parquet_file = std::make_unique<Parquet>();
    DS_ASSIGN_OR_RETURN(parquet_file->reader, OpenParquet(store, file, verify));
    std::shared_ptr<FileReader> self(new FileReader(file.key, std::move(parquet_file)));
    const parquet::arrow::FileReader& reader = *self->parquet_->reader;
    const parquet::FileMetaData& footer = *reader.parquet_reader()->metadata();
    DS_RETURN_IF_ERROR(CheckRowCounts(footer, file.file.record_count));
    DS_ASSIGN_OR_RETURN(self->columns_, MapColumns(reader, fields, file.name_mapping, file.file));
    for (int i = 0; i < footer.num_row_groups(); ++i) {
      RowGroup group{.index = i, .rows = footer.RowGroup(i)->num_rows()};
      if (group.rows == 0 || !RowGroupMayMatch(footer, i, self->columns_, filter, file.file)) continue;
      for (const FileColumn& column : self->columns_)
        group.column_bytes.push_back(column.leaf.has_value() ? DecodedBytes(*footer.RowGroup(i)->ColumnChunk(*column.leaf)) : 0);
      self->row_groups_.push_back(std::move(group));
    }
    return self;
  });
  if (!opened.ok()) return Named(std::move(opened).error(), file.key);
  return opened;
}

Result<std::shared_ptr<arrow::ChunkedArray>> FileReader::Decode(const RowGroup& group, const FileColumn& column) const {
  if (!column.leaf.has_value()) {
    DS_ASSIGN_OR_RETURN(auto nulls, Lift(arrow::MakeArrayOfNull(column.type, group.rows), ErrorKind::kInternal));
    return std::make_shared<arrow::ChunkedArray>(std::move(nulls));
  }
  std::shared_ptr<arrow::ChunkedArray> read;
  DS_RETURN_IF_ERROR(Lift(parquet_->reader->RowGroup(group.index)->Column(*column.leaf)->Read(&read), ErrorKind::kCorruption));
  if (read->length() != group.rows)
    return Corruption("{} values in a row group of {} rows", read->length(), group.rows);
  arrow::ArrayVector chunks;
  for (const auto& chunk : read->chunks()) {
    DS_ASSIGN_OR_RETURN(auto array, ReadAs(column, chunk));
    chunks.push_back(std::move(array));
  }
  return std::make_shared<arrow::ChunkedArray>(std::move(chunks), column.type);
}

Result<std::shared_ptr<arrow::ChunkedArray>> FileReader::ReadColumn(const RowGroup& group, size_t index) const {
  auto column = Guarded(ErrorKind::kCorruption, [&] { return Decode(group, columns_[index]); });
  if (column.ok()) return column;
  Error error = std::move(column).error();
  // A value that does not fit is the file's fault here, not the caller's.
  if (error.kind() == ErrorKind::kInvalidArgument || error.kind() == ErrorKind::kUnsupported)
    error = Error(ErrorKind::kCorruption, error.message());
  return Named(std::move(error).In(fmt::format("row group {}, column '{}'", group.index, columns_[index].field.name)), name_);
}

}  // namespace datashard::data
