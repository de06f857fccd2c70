// Columns of record batches, read straight from the Arrow C data interface: keys, values, and what rules and JSON are made of.
// Source: Arrow documentation, "The Arrow C data interface", "Arrow Columnar Format".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "datashard/arrow_c.h"
#include "datashard/result.h"
#include "datashard/sharding.h"

namespace datashard::shardwrite {

/// Rows [first, first + count) of an array beside its own offset.
struct ArrowRows {
  int64_t first = 0;
  int64_t count = 0;
};

/// One column of a batch, whose rows count from 0. Borrows the batch. What the interface lets one check is checked when it is made: buffers that are
/// there, lengths, offsets that ascend, views within their buffers, indexes within their dictionary.
class ArrowColumn {
 public:
  enum class Kind { kNull, kBool, kSigned, kUnsigned, kFloat, kText, kBytes, kList, kStruct };

  /// \param path  what messages call it. Errors: kInvalidArgument: damaged; kUnsupported: a type that is none of the kinds, named.
  static Result<ArrowColumn> Make(std::string path, const ArrowSchema& schema, const ArrowArray& array, ArrowRows rows);

  const std::string& path() const { return path_; }
  Kind kind() const { return dictionary_ == nullptr ? kind_ : dictionary_->kind_; }
  int64_t row_count() const { return rows_.count; }
  bool IsNull(int64_t row) const;
  /// The first null, if there is one.
  std::optional<int64_t> FirstNull() const;

  // Of a row that is not null, of this kind.
  bool Bool(int64_t row) const;
  int64_t Signed(int64_t row) const;
  uint64_t Unsigned(int64_t row) const;
  double Float(int64_t row) const;
  ByteView Text(int64_t row) const;  ///< also of kBytes
  ArrowRows List(int64_t row) const;  ///< rows of children()[0]
  /// Of a struct its fields, with as many rows; of a list its items.
  const std::vector<ArrowColumn>& children() const { return dictionary_ == nullptr ? children_ : dictionary_->children_; }
  const std::vector<std::string>& child_names() const { return dictionary_ == nullptr ? child_names_ : dictionary_->child_names_; }
  /// The column itself, and the row in it, behind a dictionary.
  const ArrowColumn& values() const { return dictionary_ == nullptr ? *this : *dictionary_; }
  int64_t ValueRow(int64_t row) const { return dictionary_ == nullptr ? row : Index(row); }

 private:
  enum class Layout { kFixed, kBits, kOffsets32, kOffsets64, kViews, kFixedBytes, kNone };

  ArrowColumn() = default;
  Status TakeType(const ArrowSchema& schema);
  Status TakeBuffers(const ArrowArray& array);
  Status TakeChildren(const ArrowSchema& schema, const ArrowArray& array);
  Status TakeDictionary(const ArrowSchema& schema, const ArrowArray& array);
  template <typename Offset>
  Status CheckOffsets() const;
  Status CheckViews(const ArrowArray& array);
  int64_t Index(int64_t row) const;
  bool IsMasked(int64_t row) const;
  Error Damaged(std::string_view what) const;
  template <typename T>
  T At(int64_t index) const;

  std::string path_;
  Kind kind_ = Kind::kNull;
  Layout layout_ = Layout::kNone;
  int width_ = 0;  // of kFixed and kFixedBytes, in bytes
  ArrowRows rows_;  // first: in the buffers
  const uint8_t* valid_ = nullptr;
  const char* data_ = nullptr;  // values, offsets or views
  const char* bytes_ = nullptr;  // what offsets point into
  const void* const* view_buffers_ = nullptr;
  std::vector<ArrowColumn> children_;
  std::vector<std::string> child_names_;
  std::shared_ptr<const ArrowColumn> dictionary_;
};

/// A record batch with its schema. Borrows both.
class ArrowBatch {
 public:
  /// Errors: kInvalidArgument: not a batch, rows that are null as a whole.
  static Result<ArrowBatch> Make(const ArrowSchema& schema, const ArrowArray& array);
  int64_t row_count() const { return array_->length; }
  /// None where it has no such column. Errors: also kInvalidArgument, where it has two.
  Result<std::optional<ArrowColumn>> Column(std::string_view name) const;
  /// In its own order.
  std::vector<std::string> column_names() const;

 private:
  ArrowBatch(const ArrowSchema& schema, const ArrowArray& array) : schema_(&schema), array_(&array) {}
  const ArrowSchema* schema_;
  const ArrowArray* array_;
};

/// Errors: kInvalidArgument where the rows of `column` are no keys (its type, or a null, with its row counted from `first_row`).
Status CheckKeys(const ArrowColumn& column, int64_t first_row);
/// Of a column that was checked.
KeyView KeyAt(const ArrowColumn& column, int64_t row);
/// A row as a rule's column of `type`. Errors: kInvalidArgument: another type, or out of its range.
Result<CelValue> CelAt(const ArrowColumn& column, int64_t row, CelType type);

}  // namespace datashard::shardwrite
