#include "column_builder.h"

#include <bit>
#include <cmath>
#include <limits>

#include "python_error.h"
#include "python_values.h"

namespace datashard::python {
namespace {

// Offsets have 31 bits. A column is called full far below that, so that one large value still fits behind the others.
// It is looked at when the buffer grows, which happens soon after.
constexpr size_t kColumnBytesMax = size_t{256} << 20;

static_assert(std::endian::native == std::endian::little, "values are written as they lie in memory");

/// Values of one width. `Convert` is a struct with `static bool Common(PyObject*, T&)` and a call operator for the rest.
template <typename T, typename Convert>
class FixedBuilder final : public ColumnBuilder {
 public:
  FixedBuilder(const Field& field, int64_t rows_max, Convert convert)
      : ColumnBuilder(field), convert_(std::move(convert)) {
    values_.Reserve(static_cast<size_t>(rows_max) * sizeof(T));
  }

 protected:
  bool Put(PyObject* value) override { return Convert::Common(value, values_.as<T>()[length_]); }
  void PutUncommon(PyObject* value) override {
    const T converted = convert_(value);  // may run Python code, which must not see a half-written row
    values_.as<T>()[length_] = converted;
  }
  void PutNull() override { std::memset(&values_.as<T>()[length_], 0, sizeof(T)); }
  std::vector<RawBuffer> TakeBuffers() override {
    std::vector<RawBuffer> buffers;
    buffers.push_back(std::move(values_));
    return buffers;
  }

 private:
  Convert convert_;
  RawBuffer values_;
};

template <typename T, typename Convert>
std::unique_ptr<ColumnBuilder> Fixed(const Field& field, int64_t rows_max, Convert convert = {}) {
  return std::make_unique<FixedBuilder<T, Convert>>(field, rows_max, std::move(convert));
}

struct ToLong {
  static bool Common(PyObject* value, int64_t& out) {
    if (!PyLong_CheckExact(value)) return false;
    int overflow = 0;
    out = PyLong_AsLongLongAndOverflow(value, &overflow);
    return overflow == 0;
  }
  int64_t operator()(PyObject* value) const { return Int64Of(value, "long"); }
};

struct ToInt {
  static bool Common(PyObject* value, int32_t& out) {
    if (!PyLong_CheckExact(value)) return false;
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    out = static_cast<int32_t>(number);
    return overflow == 0 && number == out;
  }
  int32_t operator()(PyObject* value) const {
    const int64_t number = Int64Of(value, "int");
    if (number != static_cast<int32_t>(number)) throw BadValue{Shown(value) + " cannot be stored as int: it is too large"};
    return static_cast<int32_t>(number);
  }
};

struct ToDouble {
  static bool Common(PyObject* value, double& out) {
    if (!PyFloat_CheckExact(value)) return false;
    out = PyFloat_AS_DOUBLE(value);
    return true;
  }
  double operator()(PyObject* value) const { return DoubleOf(value, "double"); }
};

// A Python float is a double: the nearest float is stored, as everywhere. Integers have to be exact.
struct ToFloat {
  static bool Common(PyObject* value, float& out) {
    if (!PyFloat_CheckExact(value)) return false;
    const double number = PyFloat_AS_DOUBLE(value);
    out = static_cast<float>(number);
    return std::isfinite(out) || !std::isfinite(number);
  }
  float operator()(PyObject* value) const {
    const double number = DoubleOf(value, "float");
    const float rounded = static_cast<float>(number);
    if (std::isfinite(number) && !std::isfinite(rounded)) throw BadValue{Shown(value) + " is too large for float"};
    if (IsInteger(value) && static_cast<double>(rounded) != number) throw BadValue{"no float is equal to " + Shown(value)};
    return rounded;
  }
};

/// Types without a class that is worth an inline path.
struct NothingCommon {
  template <typename T>
  static bool Common(PyObject*, T&) {
    return false;
  }
};
struct ToDate : NothingCommon {
  int32_t operator()(PyObject* value) const { return DateOf(value); }
};
struct ToTime : NothingCommon {
  int64_t operator()(PyObject* value) const { return TimeOf(value); }
};
struct ToTimestamp : NothingCommon {
  int64_t operator()(PyObject* value) const { return TimestampOf(value); }
};
struct ToInstant : NothingCommon {
  int64_t operator()(PyObject* value) const { return InstantOf(value); }
};
struct ToUuid : NothingCommon {
  std::array<uint8_t, 16> operator()(PyObject* value) const { return UuidOf(value); }
};
struct ToDecimal : NothingCommon {
  int32_t precision;
  int32_t scale;
  std::array<char, 16> operator()(PyObject* value) const {
    return std::bit_cast<std::array<char, 16>>(DecimalOf(value, precision, scale));
  }
};

class BoolBuilder final : public ColumnBuilder {
 public:
  BoolBuilder(const Field& field, int64_t rows_max) : ColumnBuilder(field) {
    const size_t bytes = static_cast<size_t>(rows_max + 7) / 8;
    bits_.Reserve(bytes);
    bits_.Clear(bytes);
  }

 protected:
  bool Put(PyObject* value) override {
    if (value == Py_True) {
      bits_.as<uint8_t>()[length_ / 8] |= static_cast<uint8_t>(1U << (length_ % 8));
      return true;
    }
    return value == Py_False;
  }
  void PutUncommon(PyObject* value) override { (void)Put(BoolOf(value) ? Py_True : Py_False); }
  void PutNull() override {}
  std::vector<RawBuffer> TakeBuffers() override {
    std::vector<RawBuffer> buffers;
    buffers.push_back(std::move(bits_));
    return buffers;
  }

 private:
  RawBuffer bits_;
};

/// Values of any length: offsets and bytes.
class VariableBuilder : public ColumnBuilder {
 public:
  VariableBuilder(const Field& field, int64_t rows_max, bool& full) : ColumnBuilder(field), full_(full) {
    offsets_.Reserve(static_cast<size_t>(rows_max + 1) * sizeof(int32_t));
    offsets_.as<int32_t>()[0] = 0;
  }

 protected:
  /// Room for `size` more bytes, which become the value of row `length_`.
  char* Grow(size_t size) {
    if (size > std::numeric_limits<int32_t>::max() - used_) throw BadValue{"a value of over 1.75 GiB cannot be stored"};
    if (used_ + size > bytes_.capacity()) {
      bytes_.Reserve(std::max(used_ + size, 2 * bytes_.capacity() + 256));
      if (used_ + size > kColumnBytesMax) full_ = true;
    }
    char* out = bytes_.as<char>() + used_;
    used_ += size;
    offsets_.as<int32_t>()[length_ + 1] = static_cast<int32_t>(used_);
    return out;
  }
  void PutBytes(std::string_view bytes) {
    char* out = Grow(bytes.size());
    if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
  }
  void PutNull() override { (void)Grow(0); }
  std::vector<RawBuffer> TakeBuffers() override {
    bytes_.Reserve(1);  // Arrow's C interface does not want a null pointer here
    std::vector<RawBuffer> buffers;
    buffers.push_back(std::move(offsets_));
    buffers.push_back(std::move(bytes_));
    return buffers;
  }

 private:
  bool& full_;
  RawBuffer offsets_;
  RawBuffer bytes_;
  size_t used_ = 0;
};

class StringBuilder final : public VariableBuilder {
 public:
  using VariableBuilder::VariableBuilder;

 protected:
  bool Put(PyObject* value) override {
    if (!PyUnicode_CheckExact(value) || !PyUnicode_IS_COMPACT_ASCII(value)) return false;
    PutBytes({reinterpret_cast<const char*>(PyUnicode_1BYTE_DATA(value)), static_cast<size_t>(PyUnicode_GET_LENGTH(value))});
    return true;
  }
  void PutUncommon(PyObject* value) override {
    if (!PyUnicode_Check(value)) throw DoesNotFit(value, "string");
    const size_t size = Utf8Size(value);
    WriteUtf8(value, Grow(size));
  }
};

class BinaryBuilder final : public VariableBuilder {
 public:
  using VariableBuilder::VariableBuilder;

 protected:
  bool Put(PyObject* value) override {
    if (!PyBytes_CheckExact(value)) return false;
    PutBytes({PyBytes_AS_STRING(value), static_cast<size_t>(PyBytes_GET_SIZE(value))});
    return true;
  }
  void PutUncommon(PyObject* value) override { PutBytes(BytesView(value, "binary").view()); }
};

class FixedBytesBuilder final : public ColumnBuilder {
 public:
  FixedBytesBuilder(const Field& field, bool& full)
      : ColumnBuilder(field), width_(static_cast<size_t>(field.type.length())), full_(full) {}

 protected:
  bool Put(PyObject* value) override { return false; }
  void PutUncommon(PyObject* value) override {
    const BytesView view(value, field_.type.ToString());
    if (view.view().size() != width_)
      throw BadValue{fmt::format("{} has {} bytes where {} are wanted", Shown(value), view.view().size(), width_)};
    std::memcpy(Row(), view.view().data(), width_);
  }
  void PutNull() override { std::memset(Row(), 0, width_); }
  std::vector<RawBuffer> TakeBuffers() override {
    bytes_.Reserve(1);
    std::vector<RawBuffer> buffers;
    buffers.push_back(std::move(bytes_));
    return buffers;
  }

 private:
  // Grows as it goes: room for all rows of a wide column could be more than there is memory.
  char* Row() {
    const size_t end = static_cast<size_t>(length_ + 1) * width_;
    if (end > bytes_.capacity()) {
      bytes_.Reserve(std::max(end, 2 * bytes_.capacity()));
      if (end > kColumnBytesMax) full_ = true;
    }
    return bytes_.as<char>() + end - width_;
  }
  size_t width_;
  bool& full_;
  RawBuffer bytes_;
};

/// What an exported array keeps alive.
struct ArrayOwner {
  std::vector<RawBuffer> memory;
  std::vector<const void*> buffers;
  std::vector<ArrowArray> children;
  std::vector<ArrowArray*> child_pointers;
};

void ReleaseArray(ArrowArray* array) {
  const std::unique_ptr<ArrayOwner> owner(static_cast<ArrayOwner*>(array->private_data));
  for (ArrowArray& child : owner->children) {
    if (child.release != nullptr) child.release(&child);
  }
  array->release = nullptr;
}

void Export(std::unique_ptr<ArrayOwner> owner, int64_t length, int64_t null_count, ArrowArray* out) {
  for (ArrowArray& child : owner->children) owner->child_pointers.push_back(&child);
  *out = ArrowArray{.length = length,
                    .null_count = null_count,
                    .n_buffers = static_cast<int64_t>(owner->buffers.size()),
                    .n_children = static_cast<int64_t>(owner->children.size()),
                    .buffers = owner->buffers.data(),
                    .children = owner->child_pointers.data(),
                    .release = ReleaseArray};
  out->private_data = owner.release();
}

struct SchemaOwner {
  std::string format;
  std::string name;
  std::vector<ArrowSchema> children;
  std::vector<ArrowSchema*> child_pointers;
};

void ReleaseSchema(ArrowSchema* schema) {
  const std::unique_ptr<SchemaOwner> owner(static_cast<SchemaOwner*>(schema->private_data));
  for (ArrowSchema& child : owner->children) {
    if (child.release != nullptr) child.release(&child);
  }
  schema->release = nullptr;
}

void Export(std::unique_ptr<SchemaOwner> owner, int64_t flags, ArrowSchema* out) {
  for (ArrowSchema& child : owner->children) owner->child_pointers.push_back(&child);
  *out = ArrowSchema{.format = owner->format.c_str(),
                     .name = owner->name.c_str(),
                     .flags = flags,
                     .n_children = static_cast<int64_t>(owner->children.size()),
                     .children = owner->child_pointers.data(),
                     .release = ReleaseSchema};
  out->private_data = owner.release();
}

}  // namespace

std::unique_ptr<ColumnBuilder> ColumnBuilder::Make(const Field& field, int64_t rows_max, bool& full) {
  switch (field.type.kind()) {
    case TypeKind::kBoolean: return std::make_unique<BoolBuilder>(field, rows_max);
    case TypeKind::kInt: return Fixed<int32_t, ToInt>(field, rows_max);
    case TypeKind::kLong: return Fixed<int64_t, ToLong>(field, rows_max);
    case TypeKind::kFloat: return Fixed<float, ToFloat>(field, rows_max);
    case TypeKind::kDouble: return Fixed<double, ToDouble>(field, rows_max);
    case TypeKind::kDate: return Fixed<int32_t, ToDate>(field, rows_max);
    case TypeKind::kTime: return Fixed<int64_t, ToTime>(field, rows_max);
    case TypeKind::kTimestamp: return Fixed<int64_t, ToTimestamp>(field, rows_max);
    case TypeKind::kTimestampTz: return Fixed<int64_t, ToInstant>(field, rows_max);
    case TypeKind::kUuid: return Fixed<std::array<uint8_t, 16>, ToUuid>(field, rows_max);
    case TypeKind::kDecimal: {
      ToDecimal convert;
      convert.precision = field.type.precision();
      convert.scale = field.type.scale();
      return Fixed<std::array<char, 16>, ToDecimal>(field, rows_max, convert);
    }
    case TypeKind::kString: return std::make_unique<StringBuilder>(field, rows_max, full);
    case TypeKind::kBinary: return std::make_unique<BinaryBuilder>(field, rows_max, full);
    case TypeKind::kFixed: return std::make_unique<FixedBytesBuilder>(field, full);
    default: break;
  }
  throw CoreError(Error(ErrorKind::kUnsupported,
                        fmt::format("column '{}' is of type {}, which records cannot be stored as", field.name,
                                    field.type.ToString()),
                        ErrorSubject::kSchema));
}

std::string ColumnBuilder::FormatOf(const Type& type) {
  switch (type.kind()) {
    case TypeKind::kBoolean: return "b";
    case TypeKind::kInt: return "i";
    case TypeKind::kLong: return "l";
    case TypeKind::kFloat: return "f";
    case TypeKind::kDouble: return "g";
    case TypeKind::kDate: return "tdD";
    case TypeKind::kTime: return "ttu";
    case TypeKind::kTimestamp: return "tsu:";
    case TypeKind::kTimestampTz: return "tsu:UTC";
    case TypeKind::kString: return "u";
    case TypeKind::kBinary: return "z";
    case TypeKind::kUuid: return "w:16";
    case TypeKind::kFixed: return fmt::format("w:{}", type.length());
    case TypeKind::kDecimal: return fmt::format("d:{},{}", type.precision(), type.scale());
    default: return "n";
  }
}

void ColumnBuilder::AppendNull() {
  if (field_.required) throw NoValue();
  null_rows_.push_back(length_);
  PutNull();
  ++length_;
}

void ColumnBuilder::AppendUncommon(PyObject* value) {
  const nb::object held = nb::borrow(value);  // Python code that runs below may drop it from the record
  // A value that is there is told from a missing one first: NaT is a datetime by its class.
  if (IsMissing(value)) {
    AppendNull();
  } else {
    PutUncommon(value);
    ++length_;
  }
}

void ColumnBuilder::Finish(ArrowArray* out) {
  auto owner = std::make_unique<ArrayOwner>();
  owner->memory = TakeBuffers();
  owner->buffers.push_back(nullptr);
  for (const RawBuffer& buffer : owner->memory) owner->buffers.push_back(buffer.as<void>());
  if (!null_rows_.empty()) {
    const size_t size = static_cast<size_t>(length_ + 7) / 8;
    RawBuffer validity;
    validity.Reserve(size);
    std::memset(validity.as<uint8_t>(), 0xFF, size);
    for (const int64_t row : null_rows_) validity.as<uint8_t>()[row / 8] &= static_cast<uint8_t>(~(1U << (row % 8)));
    owner->buffers[0] = validity.as<void>();
    owner->memory.push_back(std::move(validity));
  }
  Export(std::move(owner), length_, static_cast<int64_t>(null_rows_.size()), out);
}

void FinishBatch(std::vector<std::unique_ptr<ColumnBuilder>>& columns, int64_t rows, ArrowArray* out) {
  auto owner = std::make_unique<ArrayOwner>();
  owner->buffers.push_back(nullptr);
  owner->children.resize(columns.size());
  for (size_t i = 0; i < columns.size(); ++i) columns[i]->Finish(&owner->children[i]);
  Export(std::move(owner), rows, 0, out);
}

void ExportFields(const std::vector<Field>& fields, ArrowSchema* out) {
  auto owner = std::make_unique<SchemaOwner>();
  owner->format = "+s";
  owner->children.resize(fields.size());
  for (size_t i = 0; i < fields.size(); ++i) {
    auto child = std::make_unique<SchemaOwner>();
    child->format = ColumnBuilder::FormatOf(fields[i].type);
    child->name = fields[i].name;
    Export(std::move(child), fields[i].required ? 0 : ARROW_FLAG_NULLABLE, &owner->children[i]);
  }
  Export(std::move(owner), 0, out);
}

}  // namespace datashard::python
