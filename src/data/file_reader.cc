#include "data/file_reader.h"

#include <arrow/api.h>
#include <arrow/io/interfaces.h>
#include <parquet/arrow/reader.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>

#include "base/error.h"
#include "base/interrupt.h"
#include "data/arrow_support.h"
#include "data/column_stats.h"
#include "data/fetch_plan.h"
#include "data/object_file.h"
#include "data/prune.h"
#include "iceberg/value.h"

namespace datashard::data {

struct FileReader::Parquet {
  std::unique_ptr<parquet::arrow::FileReader> reader;
  std::shared_ptr<ObjectFile> remote;  // null where all bytes are at hand
  ObjectStore& store;
};

/// The row groups whose fetching has begun.
struct FileReader::Fetched {
  struct Group {
    bool done = false;
    Status outcome;
    Claim claim;
  };
  std::mutex mutex;
  std::condition_variable changed;
  std::map<int, Group> groups;
};

namespace {

// What a footer may take at most, whatever it claims.
constexpr int32_t kThriftStringBytesMax = 64 << 20;
constexpr int32_t kThriftElementsMax = 4 << 20;
constexpr int64_t kChunkBytesMax = int64_t{1} << 40;

Status CheckSize(int64_t size_bytes, const DataFile& file) {
  if (size_bytes == file.file_size_in_bytes) return {};
  return Corruption("{} bytes, where the manifest says {}", size_bytes, file.file_size_in_bytes);
}

/// The bytes of a file; `remote` is set where they are not all at hand.
Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenBytes(ObjectStore& store, const ScanFile& file, bool whole,
                                                               std::shared_ptr<ObjectFile>& remote) {
  if (store.is_remote() && whole) {
    DS_ASSIGN_OR_RETURN(Bytes bytes, store.Get(file.key));
    DS_RETURN_IF_ERROR(CheckSize(static_cast<int64_t>(bytes.size()), file.file));
    return FileOf(std::move(bytes));
  }
  DS_ASSIGN_OR_RETURN(auto object, store.OpenReader(file.key));
  DS_RETURN_IF_ERROR(CheckSize(object->size_bytes(), file.file));
  if (!store.is_remote()) return OpenLocalFile(std::move(object));
  remote = std::make_shared<ObjectFile>(std::move(object));
  return std::shared_ptr<arrow::io::RandomAccessFile>(remote);
}

Result<std::unique_ptr<parquet::arrow::FileReader>> OpenParquet(std::shared_ptr<arrow::io::RandomAccessFile> input, Verify verify) {
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

/// Where a column chunk lies; nothing where that cannot be in a file of so many bytes (reading it will say so).
ByteRange RangeOf(const parquet::ColumnChunkMetaData& chunk, int64_t file_bytes) {
  const int64_t dictionary = chunk.has_dictionary_page() ? chunk.dictionary_page_offset() : 0;
  const int64_t data = chunk.data_page_offset();
  const ByteRange range{.offset_bytes = dictionary > 0 ? std::min(dictionary, data) : data, .size_bytes = chunk.total_compressed_size()};
  const bool possible = range.offset_bytes >= 0 && range.size_bytes >= 0 && range.offset_bytes <= file_bytes &&
                        range.size_bytes <= file_bytes - range.offset_bytes;
  return possible ? range : ByteRange();
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

/// The error of the data file `key`; a damaged one is not to come from a copy again.
Error Named(Error error, ObjectStore& store, const std::string& key) {
  if (error.kind() == ErrorKind::kCorruption) store.Forget(key);
  const bool about_file = error.kind() == ErrorKind::kCorruption || error.kind() == ErrorKind::kNotFound;
  if (about_file && error.subject() == ErrorSubject::kNone) error = std::move(error).About(ErrorSubject::kDataFile);
  return std::move(error).In(fmt::format("data file {}", key));
}

}  // namespace

FileReader::FileReader(std::string name, std::unique_ptr<Parquet> parquet)
    : name_(std::move(name)), parquet_(std::move(parquet)), fetched_(std::make_unique<Fetched>()) {}
FileReader::~FileReader() = default;

Result<std::shared_ptr<FileReader>> FileReader::Open(ObjectStore& store, const ScanFile& file,
                                                     const std::vector<Field>& fields, const Filter& filter, Verify verify) {
  auto opened = Guarded(ErrorKind::kCorruption, [&]() -> Result<std::shared_ptr<FileReader>> {
    auto parquet_file = std::make_unique<Parquet>(Parquet{.store = store});
    const bool whole = IsReadWhole(file.file, fields, filter);
    DS_ASSIGN_OR_RETURN(auto bytes, OpenBytes(store, file, whole, parquet_file->remote));
    DS_ASSIGN_OR_RETURN(parquet_file->reader, OpenParquet(std::move(bytes), verify));
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
      if (self->parquet_->remote != nullptr) group.to_fetch = self->RangesOf(i);
      self->row_groups_.push_back(std::move(group));
    }
    return self;
  });
  if (!opened.ok()) return Named(std::move(opened).error(), store, file.key);
  return opened;
}

std::vector<ByteRange> FileReader::RangesOf(int row_group) const {
  const auto group = parquet_->reader->parquet_reader()->metadata()->RowGroup(row_group);
  const int64_t file_bytes = parquet_->remote->GetSize().ValueOr(0);
  std::vector<ByteRange> ranges;
  for (const FileColumn& column : columns_) {
    if (column.leaf.has_value()) ranges.push_back(RangeOf(*group->ColumnChunk(*column.leaf), file_bytes));
  }
  return Coalesced(std::move(ranges));
}

Status FileReader::Fetch(const RowGroup& group, Claim claim) const {
  if (group.to_fetch.empty()) return {};
  std::unique_lock lock(fetched_->mutex);
  const auto [entry, is_first] = fetched_->groups.try_emplace(group.index);
  Fetched::Group& state = entry->second;
  if (is_first) {
    lock.unlock();
    Status outcome = Guarded(ErrorKind::kCorruption, [&] { return parquet_->remote->Fetch(group.index, group.to_fetch); });
    lock.lock();
    if (!outcome.ok()) outcome = Named(std::move(outcome).error().In(fmt::format("row group {}", group.index)), parquet_->store, name_);
    state.outcome = std::move(outcome);
    state.claim = std::move(claim);
    state.done = true;
    fetched_->changed.notify_all();
  }
  while (!fetched_->changed.wait_for(lock, kAskInterruptedEvery, [&] { return state.done; })) {
    lock.unlock();
    DS_RETURN_IF_ERROR(AskInterrupted());
    lock.lock();
  }
  return state.outcome;
}

void FileReader::Drop(const RowGroup& group) const {
  if (group.to_fetch.empty()) return;
  const std::lock_guard lock(fetched_->mutex);
  // Remembered as fetched, so that nobody brings it again.
  Fetched::Group& state = fetched_->groups[group.index];
  state.done = true;
  state.claim.reset();
  parquet_->remote->Drop(group.index);
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
  DS_RETURN_IF_ERROR(Fetch(group));
  auto column = Guarded(ErrorKind::kCorruption, [&] { return Decode(group, columns_[index]); });
  if (column.ok()) return column;
  Error error = std::move(column).error();
  // A value that does not fit is the file's fault here, not the caller's.
  if (error.kind() == ErrorKind::kInvalidArgument || error.kind() == ErrorKind::kUnsupported)
    error = Error(ErrorKind::kCorruption, error.message());
  return Named(std::move(error).In(fmt::format("row group {}, column '{}'", group.index, columns_[index].field.name)), parquet_->store,
               name_);
}

}  // namespace datashard::data
