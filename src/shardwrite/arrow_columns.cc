#include "shardwrite/arrow_columns.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/error.h"

namespace datashard::shardwrite {
namespace {

constexpr int kNestingMax = 64;
constexpr size_t kViewBytes = 16;
constexpr int32_t kInlineBytesMax = 12;

struct View {
  int32_t size_bytes;
  char prefix[4];
  int32_t buffer;
  int32_t offset;
};
static_assert(sizeof(View) == kViewBytes);

bool IsSet(const uint8_t* bits, int64_t index) { return (bits[index / 8] >> (index % 8) & 1) != 0; }

double HalfToDouble(uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const int fraction = bits & 1023;
  double value = exponent == 31 ? (fraction == 0 ? INFINITY : NAN) : exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(fraction + 1024, exponent - 25);
  return (bits & 0x8000) != 0 ? -value : value;
}

}  // namespace

Error ArrowColumn::Damaged(std::string_view what) const { return InvalidArgument("column {}: a damaged Arrow array: {}", path_, what); }

template <typename T>
T ArrowColumn::At(int64_t index) const {
  T value;
  std::memcpy(&value, data_ + index * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

Status ArrowColumn::TakeType(const ArrowSchema& schema) {
  struct Type {
    std::string_view format;
    Kind kind;
    Layout layout;
    int width;
  };
  static constexpr Type kTypes[] = {
      {"n", Kind::kNull, Layout::kNone, 0},         {"b", Kind::kBool, Layout::kBits, 0},
      {"c", Kind::kSigned, Layout::kFixed, 1},      {"C", Kind::kUnsigned, Layout::kFixed, 1},
      {"s", Kind::kSigned, Layout::kFixed, 2},      {"S", Kind::kUnsigned, Layout::kFixed, 2},
      {"i", Kind::kSigned, Layout::kFixed, 4},      {"I", Kind::kUnsigned, Layout::kFixed, 4},
      {"l", Kind::kSigned, Layout::kFixed, 8},      {"L", Kind::kUnsigned, Layout::kFixed, 8},
      {"e", Kind::kFloat, Layout::kFixed, 2},       {"f", Kind::kFloat, Layout::kFixed, 4},
      {"g", Kind::kFloat, Layout::kFixed, 8},       {"u", Kind::kText, Layout::kOffsets32, 0},
      {"U", Kind::kText, Layout::kOffsets64, 0},    {"vu", Kind::kText, Layout::kViews, 0},
      {"z", Kind::kBytes, Layout::kOffsets32, 0},   {"Z", Kind::kBytes, Layout::kOffsets64, 0},
      {"vz", Kind::kBytes, Layout::kViews, 0},      {"+l", Kind::kList, Layout::kOffsets32, 0},
      {"+L", Kind::kList, Layout::kOffsets64, 0},   {"+s", Kind::kStruct, Layout::kNone, 0},
  };
  const std::string_view format = schema.format == nullptr ? "" : schema.format;
  for (const Type& type : kTypes) {
    if (type.format != format) continue;
    kind_ = type.kind;
    layout_ = type.layout;
    width_ = type.width;
    return {};
  }
  if (format.starts_with("w:")) {
    const auto [end, error] = std::from_chars(format.data() + 2, format.data() + format.size(), width_);
    if (error != std::errc() || end != format.data() + format.size() || width_ < 0) return Damaged("its width");
    kind_ = Kind::kBytes;
    layout_ = Layout::kFixedBytes;
    return {};
  }
  return Unsupported("column {}: the Arrow type with format \"{}\" (a time, a decimal, a map or the like); cast it to a number, text or bytes first",
                     path_, format);
}

template <typename Offset>
Status ArrowColumn::CheckOffsets() const {
  Offset before = At<Offset>(rows_.first);
  if (before < 0) return Damaged("an offset below 0");
  for (int64_t i = rows_.first + 1; i <= rows_.first + rows_.count; ++i) {
    const auto offset = At<Offset>(i);
    if (offset < before) return Damaged("offsets that do not ascend");
    before = offset;
  }
  if (before > 0 && kind_ != Kind::kList && bytes_ == nullptr) return Damaged("offsets, but no bytes");
  return {};
}

Status ArrowColumn::CheckViews(const ArrowArray& array) {
  const int64_t buffer_count = array.n_buffers - 3;
  if (buffer_count < 0) return Damaged("too few buffers for views");
  view_buffers_ = array.buffers + 2;
  const auto* sizes = static_cast<const int64_t*>(array.buffers[array.n_buffers - 1]);
  for (int64_t row = 0; row < rows_.count; ++row) {
    if (IsMasked(row)) continue;
    const auto view = At<View>(rows_.first + row);
    if (view.size_bytes < 0) return Damaged("a view of less than nothing");
    if (view.size_bytes <= kInlineBytesMax) continue;
    if (view.buffer < 0 || view.buffer >= buffer_count || view.offset < 0 || sizes == nullptr || view_buffers_[view.buffer] == nullptr ||
        int64_t{view.offset} + view.size_bytes > sizes[view.buffer]) {
      return Damaged("a view outside of its buffers");
    }
  }
  return {};
}

Status ArrowColumn::TakeBuffers(const ArrowArray& array) {
  const int64_t wanted = layout_ == Layout::kNone ? (kind_ == Kind::kNull ? 0 : 1)
                         : (layout_ == Layout::kOffsets32 || layout_ == Layout::kOffsets64) && kind_ != Kind::kList ? 3 : 2;
  if (array.n_buffers < wanted || (wanted > 0 && array.buffers == nullptr)) return Damaged("too few buffers");
  if (wanted > 0 && array.null_count != 0) valid_ = static_cast<const uint8_t*>(array.buffers[0]);
  if (rows_.count == 0 || layout_ == Layout::kNone) return {};
  data_ = static_cast<const char*>(array.buffers[1]);
  if (data_ == nullptr && !(layout_ == Layout::kFixedBytes && width_ == 0)) return Damaged("no values");
  if (wanted == 3) bytes_ = static_cast<const char*>(array.buffers[2]);
  if (layout_ == Layout::kOffsets32) return CheckOffsets<int32_t>();
  if (layout_ == Layout::kOffsets64) return CheckOffsets<int64_t>();
  if (layout_ == Layout::kViews) return CheckViews(array);
  return {};
}

Status ArrowColumn::TakeChildren(const ArrowSchema& schema, const ArrowArray& array) {
  if (kind_ != Kind::kList && kind_ != Kind::kStruct) return {};
  if (schema.n_children != array.n_children || schema.n_children < 0 || (kind_ == Kind::kList && schema.n_children != 1)) return Damaged("its children");
  if (std::count(path_.begin(), path_.end(), '.') >= kNestingMax) return Unsupported("column {}: more than {} levels of nesting", path_, kNestingMax);
  ArrowRows rows = rows_;
  if (kind_ == Kind::kList) {
    // Its items count from 0 on, so that List() needs nothing subtracted.
    rows = {0, rows_.count == 0 ? 0 : layout_ == Layout::kOffsets32 ? int64_t{At<int32_t>(rows_.first + rows_.count)} : At<int64_t>(rows_.first + rows_.count)};
  }
  for (int64_t i = 0; i < schema.n_children; ++i) {
    const char* name = schema.children[i]->name;
    child_names_.emplace_back(name == nullptr ? "" : name);
    DS_ASSIGN_OR_RETURN(ArrowColumn child, Make(path_ + "." + child_names_.back(), *schema.children[i], *array.children[i], rows));
    children_.push_back(std::move(child));
  }
  return {};
}

Status ArrowColumn::TakeDictionary(const ArrowSchema& schema, const ArrowArray& array) {
  if (schema.dictionary == nullptr) return {};
  if (array.dictionary == nullptr) return Damaged("no dictionary");
  if (kind_ != Kind::kSigned && kind_ != Kind::kUnsigned) return Damaged("a dictionary's indexes are integers");
  if (schema.dictionary->dictionary != nullptr) return Unsupported("column {}: a dictionary of a dictionary", path_);
  DS_ASSIGN_OR_RETURN(ArrowColumn values, Make(path_, *schema.dictionary, *array.dictionary, {0, array.dictionary->length}));
  for (int64_t row = 0; row < rows_.count; ++row) {
    if (IsMasked(row)) continue;
    if (const int64_t index = Index(row); index < 0 || index >= values.row_count()) return Damaged("an index outside of its dictionary");
  }
  dictionary_ = std::make_shared<const ArrowColumn>(std::move(values));
  return {};
}

Result<ArrowColumn> ArrowColumn::Make(std::string path, const ArrowSchema& schema, const ArrowArray& array, ArrowRows rows) {
  ArrowColumn column;
  column.path_ = std::move(path);
  if (array.length < 0 || array.offset < 0 || rows.first < 0 || rows.count < 0 || rows.first > array.length || rows.count > array.length - rows.first) {
    return column.Damaged("fewer rows than its batch");
  }
  column.rows_ = {array.offset + rows.first, rows.count};
  DS_RETURN_IF_ERROR(column.TakeType(schema));
  DS_RETURN_IF_ERROR(column.TakeBuffers(array));
  DS_RETURN_IF_ERROR(column.TakeChildren(schema, array));
  DS_RETURN_IF_ERROR(column.TakeDictionary(schema, array));
  return column;
}

bool ArrowColumn::IsMasked(int64_t row) const {
  return kind_ == Kind::kNull || (valid_ != nullptr && !IsSet(valid_, rows_.first + row));
}

bool ArrowColumn::IsNull(int64_t row) const {
  return IsMasked(row) || (dictionary_ != nullptr && dictionary_->IsMasked(Index(row)));
}

std::optional<int64_t> ArrowColumn::FirstNull() const {
  if (valid_ == nullptr && kind_ != Kind::kNull && (dictionary_ == nullptr || (dictionary_->valid_ == nullptr && dictionary_->kind_ != Kind::kNull))) {
    return std::nullopt;
  }
  for (int64_t row = 0; row < rows_.count; ++row) {
    if (IsNull(row)) return row;
  }
  return std::nullopt;
}

int64_t ArrowColumn::Index(int64_t row) const {
  const int64_t at = rows_.first + row;
  const bool has_sign = kind_ == Kind::kSigned;
  switch (width_) {
    case 1: return has_sign ? At<int8_t>(at) : int64_t{At<uint8_t>(at)};
    case 2: return has_sign ? At<int16_t>(at) : int64_t{At<uint16_t>(at)};
    case 4: return has_sign ? At<int32_t>(at) : int64_t{At<uint32_t>(at)};
    default: return At<int64_t>(at);
  }
}

bool ArrowColumn::Bool(int64_t row) const {
  if (dictionary_ != nullptr) return dictionary_->Bool(Index(row));
  return IsSet(reinterpret_cast<const uint8_t*>(data_), rows_.first + row);
}

int64_t ArrowColumn::Signed(int64_t row) const { return dictionary_ != nullptr ? dictionary_->Signed(Index(row)) : Index(row); }

uint64_t ArrowColumn::Unsigned(int64_t row) const { return static_cast<uint64_t>(Signed(row)); }

double ArrowColumn::Float(int64_t row) const {
  if (dictionary_ != nullptr) return dictionary_->Float(Index(row));
  const int64_t at = rows_.first + row;
  return width_ == 8 ? At<double>(at) : width_ == 4 ? double{At<float>(at)} : HalfToDouble(At<uint16_t>(at));
}

ByteView ArrowColumn::Text(int64_t row) const {
  if (dictionary_ != nullptr) return dictionary_->Text(Index(row));
  const int64_t at = rows_.first + row;
  switch (layout_) {
    case Layout::kOffsets32: {
      const auto begin = At<int32_t>(at);
      return {bytes_ + begin, static_cast<size_t>(At<int32_t>(at + 1) - begin)};
    }
    case Layout::kOffsets64: {
      const auto begin = At<int64_t>(at);
      return {bytes_ + begin, static_cast<size_t>(At<int64_t>(at + 1) - begin)};
    }
    case Layout::kViews: {
      const auto view = At<View>(at);
      const auto size = static_cast<size_t>(view.size_bytes);
      if (view.size_bytes <= kInlineBytesMax) return {data_ + at * static_cast<int64_t>(kViewBytes) + sizeof(int32_t), size};
      return {static_cast<const char*>(view_buffers_[view.buffer]) + view.offset, size};
    }
    default: return {data_ + at * width_, static_cast<size_t>(width_)};
  }
}

ArrowRows ArrowColumn::List(int64_t row) const {
  if (dictionary_ != nullptr) return dictionary_->List(Index(row));
  const int64_t at = rows_.first + row;
  const int64_t begin = layout_ == Layout::kOffsets32 ? int64_t{At<int32_t>(at)} : At<int64_t>(at);
  const int64_t end = layout_ == Layout::kOffsets32 ? int64_t{At<int32_t>(at + 1)} : At<int64_t>(at + 1);
  return {begin, end - begin};
}

Result<ArrowBatch> ArrowBatch::Make(const ArrowSchema& schema, const ArrowArray& array) {
  if (schema.format == nullptr || std::string_view(schema.format) != "+s") return InvalidArgument("rows come as record batches, not as arrays of one type");
  if (array.n_children != schema.n_children || array.length < 0 || array.offset < 0) return InvalidArgument("a damaged Arrow batch: its columns or length");
  if (array.null_count != 0 && array.n_buffers > 0 && array.buffers[0] != nullptr) {
    for (int64_t row = 0; row < array.length; ++row) {
      if (!IsSet(static_cast<const uint8_t*>(array.buffers[0]), array.offset + row)) return InvalidArgument("row {} of a batch is null as a whole", row);
    }
  }
  return ArrowBatch(schema, array);
}

Result<std::optional<ArrowColumn>> ArrowBatch::Column(std::string_view name) const {
  std::optional<int64_t> found;
  for (int64_t i = 0; i < schema_->n_children; ++i) {
    const char* child = schema_->children[i]->name;
    if (name != (child == nullptr ? "" : child)) continue;
    if (found) return InvalidArgument("two columns are called {}", name);
    found = i;
  }
  if (!found) return std::optional<ArrowColumn>();
  DS_ASSIGN_OR_RETURN(ArrowColumn column, ArrowColumn::Make(std::string(name), *schema_->children[*found], *array_->children[*found], {array_->offset, array_->length}));
  return std::optional<ArrowColumn>(std::move(column));
}

std::vector<std::string> ArrowBatch::column_names() const {
  std::vector<std::string> names;
  for (int64_t i = 0; i < schema_->n_children; ++i) names.emplace_back(schema_->children[i]->name == nullptr ? "" : schema_->children[i]->name);
  return names;
}

Status CheckKeys(const ArrowColumn& column, int64_t first_row) {
  using Kind = ArrowColumn::Kind;
  const Kind kind = column.kind();
  if (column.row_count() > 0 && kind != Kind::kSigned && kind != Kind::kUnsigned && kind != Kind::kText && kind != Kind::kBytes) {
    return InvalidArgument("column {}: keys are integers, text or bytes; cast it", column.path());
  }
  if (const std::optional<int64_t> null = column.FirstNull()) {
    return InvalidArgument("column {}: the key of row {} is null; drop such rows or give them a key", column.path(), first_row + *null);
  }
  return {};
}

KeyView KeyAt(const ArrowColumn& column, int64_t row) {
  switch (column.kind()) {
    case ArrowColumn::Kind::kSigned: return KeyView::Int(column.Signed(row));
    case ArrowColumn::Kind::kUnsigned: return KeyView::Unsigned(column.Unsigned(row));
    case ArrowColumn::Kind::kText: return KeyView::Text(column.Text(row));
    default: return KeyView::Bytes(column.Text(row));
  }
}

Result<CelValue> CelAt(const ArrowColumn& column, int64_t row, CelType type) {
  using Kind = ArrowColumn::Kind;
  if (column.IsNull(row)) return CelValue();
  const Kind kind = column.kind();
  const bool is_number = kind == Kind::kSigned || kind == Kind::kUnsigned;
  switch (type) {
    case CelType::kInt:
      if (kind == Kind::kSigned || (kind == Kind::kUnsigned && column.Signed(row) >= 0)) return CelValue(column.Signed(row));
      break;
    case CelType::kUint:
      if (kind == Kind::kUnsigned || (kind == Kind::kSigned && column.Signed(row) >= 0)) return CelValue(column.Unsigned(row));
      break;
    case CelType::kDouble:
      if (kind == Kind::kFloat) return CelValue(column.Float(row));
      if (is_number) return CelValue(kind == Kind::kSigned ? static_cast<double>(column.Signed(row)) : static_cast<double>(column.Unsigned(row)));
      break;
    case CelType::kBool:
      if (kind == Kind::kBool) return CelValue(column.Bool(row));
      break;
    case CelType::kString:
      if (kind == Kind::kText) return CelValue(CelText{column.Text(row)});
      break;
    case CelType::kBytes:
      if (kind == Kind::kBytes || kind == Kind::kText) return CelValue(CelBytes{column.Text(row)});
      break;
  }
  return InvalidArgument("column {}, row {} of its batch: not a value of the type {} that the rule gives the column", column.path(), row, ToString(type));
}

}  // namespace datashard::shardwrite
