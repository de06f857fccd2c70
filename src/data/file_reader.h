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

namespace datashard::data {

/// Row group and column reads may run on several threads at once.
class FileReader {
 public:
  /// Opens `file` for columns `fields`; row groups that cannot match `filter` (bound; its columns among `fields`) are
  /// left out. Errors name the file: kNotFound (kDataFile); kCorruption (kDataFile) for bytes that are no such Parquet
  /// file and for a size, row count or columns other than the manifest says.
  static Result<std::shared_ptr<FileReader>> Open(ObjectStore& store, const ScanFile& file,
                                                  const std::vector<Field>& fields, const Filter& filter, Verify verify);
  ~FileReader();

  struct RowGroup {
    int index = 0;
    int64_t rows = 0;
    std::vector<int64_t> column_bytes;  // decoded, about; by index into `fields`
  };
  const std::vector<RowGroup>& row_groups() const { return row_groups_; }

  /// Column `column` (an index into `fields`) of a row group, exactly its rows. Errors: kCorruption (kDataFile).
  Result<std::shared_ptr<arrow::ChunkedArray>> ReadColumn(const RowGroup& group, size_t column) const;

 private:
  struct Parquet;
  FileReader(std::string name, std::unique_ptr<Parquet> parquet);
  Result<std::shared_ptr<arrow::ChunkedArray>> Decode(const RowGroup& group, const FileColumn& column) const;

  std::string name_;
  std::unique_ptr<Parquet> parquet_;
  std::vector<FileColumn> columns_;
  std::vector<RowGroup> row_groups_;
};

}  // namespace datashard::data
