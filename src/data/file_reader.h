// One open data file of a scan: which of its row groups may match, and their columns as the table has them.
#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/data_file.h"
#include "data/file_columns.h"
#include "datashard/result.h"
#include "storage/object_store.h"

namespace datashard::data {

/// A claim on memory, given back when the last copy goes.
using Claim = std::shared_ptr<const void>;

/// Row group and column reads may run on several threads at once.
class FileReader {
 public:
  /// Opens `file` for columns `fields`; row groups that cannot match `filter` (bound; its columns among `fields`) are
  /// left out. In a remote store one request brings the whole file (IsReadWhole), or its end with the footer. Errors name the file: kNotFound (kDataFile); kCorruption (kDataFile) for bytes that are no such Parquet
  /// file and for a size, row count or columns other than the manifest says. `store` must outlive it.
  static Result<std::shared_ptr<FileReader>> Open(ObjectStore& store, const ScanFile& file,
                                                  const std::vector<Field>& fields, const Filter& filter, Verify verify);
  ~FileReader();

  struct RowGroup {
    int index = 0;
    int64_t rows = 0;
    std::vector<int64_t> column_bytes;  // decoded, about; by index into `fields`
    std::vector<ByteRange> to_fetch;    // what Fetch brings; nothing where the bytes are at hand
  };
  const std::vector<RowGroup>& row_groups() const { return row_groups_; }

  /// Brings the columns' bytes of a row group, in one round trip. Once for each row group: concurrent calls wait for the first, and
  /// all get its outcome. `claim` is kept as long as the bytes. Errors: kNotFound, kCorruption (kDataFile): the object is gone,
  /// or was replaced; kUnavailable.
  Status Fetch(const RowGroup& group, Claim claim = nullptr) const;
  /// The row group will not be read any more.
  void Drop(const RowGroup& group) const;

  /// Column `column` (an index into `fields`) of a row group, exactly its rows; fetched first if it is not. Errors: kCorruption
  /// (kDataFile), those of Fetch.
  Result<std::shared_ptr<arrow::ChunkedArray>> ReadColumn(const RowGroup& group, size_t column) const;

 private:
  struct Parquet;
  struct Fetched;
  FileReader(std::string name, std::unique_ptr<Parquet> parquet);
  Result<std::shared_ptr<arrow::ChunkedArray>> Decode(const RowGroup& group, const FileColumn& column) const;
  std::vector<ByteRange> RangesOf(int row_group) const;

  std::string name_;
  std::unique_ptr<Parquet> parquet_;
  std::unique_ptr<Fetched> fetched_;
  std::vector<FileColumn> columns_;
  std::vector<RowGroup> row_groups_;
};

}  // namespace datashard::data
