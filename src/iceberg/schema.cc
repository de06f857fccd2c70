// Types, fields and schemas: parsing and printing type names, and the checks every schema must pass.
#include "datashard/schema.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <unordered_set>

#include "base/error.h"

namespace datashard {
namespace {

struct NamedKind {
  std::string_view name;
  TypeKind kind;
};
constexpr NamedKind kPlainTypes[] = {
    {"boolean", TypeKind::kBoolean},     {"int", TypeKind::kInt},
    {"long", TypeKind::kLong},           {"float", TypeKind::kFloat},
    {"double", TypeKind::kDouble},       {"date", TypeKind::kDate},
    {"time", TypeKind::kTime},           {"timestamp", TypeKind::kTimestamp},
    {"timestamptz", TypeKind::kTimestampTz}, {"string", TypeKind::kString},
    {"uuid", TypeKind::kUuid},           {"binary", TypeKind::kBinary},
};

std::string_view Trim(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

std::optional<int32_t> ParseInt(std::string_view text) {
  text = Trim(text);
  int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The text between `open` and the final `close`, where `name` is "<prefix><open>…<close>".
std::optional<std::string_view> Parameters(std::string_view name, std::string_view prefix, char open, char close) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name = Trim(name.substr(prefix.size()));
  if (!name.starts_with(open) || !name.ends_with(close) || name.size() < 2) return std::nullopt;
  return name.substr(1, name.size() - 2);
}

Error BadType(std::string_view name, std::string_view why) {
  return InvalidArgument("type '{}': {}", name.substr(0, 80), why).About(ErrorSubject::kSchema);
}

int32_t HighestIdBelow(const std::vector<Field>& fields) {
  int32_t highest = 0;
  for (const Field& field : fields)
    highest = std::max({highest, field.id, HighestIdBelow(field.type.children())});
  return highest;
}

const Field* FindBelow(const std::vector<Field>& fields, int32_t field_id) {
  for (const Field& field : fields) {
    if (field.id == field_id) return &field;
    if (const Field* found = FindBelow(field.type.children(), field_id)) return found;
  }
  return nullptr;
}

Status CheckType(const Field& field) {
  const Type& type = field.type;
  if (type.kind() == TypeKind::kDecimal &&
      (type.precision() < 1 || type.precision() > 38 || type.scale() < 0 || type.scale() > type.precision())) {
    return InvalidArgument("field '{}' (id {}): {} is out of range; the precision is 1 to 38, the scale 0 to the precision",
                           field.name, field.id, type.ToString()).About(ErrorSubject::kSchema);
  }
  if (type.kind() == TypeKind::kFixed && type.length() < 1) {
    return InvalidArgument("field '{}' (id {}): {} has no bytes; use fixed[L] with L of at least 1", field.name, field.id,
                           type.ToString()).About(ErrorSubject::kSchema);
  }
  return {};
}

Status CheckFields(const std::vector<Field>& fields, std::unordered_set<int32_t>& ids) {
  std::set<std::string_view> names;
  for (const Field& field : fields) {
    if (field.name.empty())
      return InvalidArgument("the field with id {} has an empty name", field.id).About(ErrorSubject::kSchema);
    if (field.id < 1)
      return InvalidArgument("field '{}' has id {}; ids start at 1", field.name, field.id).About(ErrorSubject::kSchema);
    if (!ids.insert(field.id).second)
      return InvalidArgument("field '{}': id {} is used twice", field.name, field.id).About(ErrorSubject::kSchema);
    if (!names.insert(field.name).second)
      return InvalidArgument("the name '{}' is used twice", field.name).About(ErrorSubject::kSchema);
    DS_RETURN_IF_ERROR(CheckType(field));
    DS_RETURN_IF_ERROR(CheckFields(field.type.children(), ids));
  }
  return {};
}

}  // namespace

Type Type::Decimal(int32_t precision, int32_t scale) {
  Type type(TypeKind::kDecimal);
  type.a_ = precision;
  type.b_ = scale;
  return type;
}

Type Type::Fixed(int32_t length) {
  Type type(TypeKind::kFixed);
  type.a_ = length;
  return type;
}

struct Type::Nested {
  std::vector<Field> children;
  ExtraKeys extra;
};

Type::Type(TypeKind kind, std::vector<Field> children, ExtraKeys extra)
    : kind_(kind), nested_(std::make_shared<const Nested>(Nested{std::move(children), std::move(extra)})) {}

Type Type::Struct(std::vector<Field> fields, ExtraKeys extra) {
  return Type(TypeKind::kStruct, std::move(fields), std::move(extra));
}

Type Type::List(Field element, ExtraKeys extra) {
  return Type(TypeKind::kList, {std::move(element)}, std::move(extra));
}

Type Type::Map(Field key, Field value, ExtraKeys extra) {
  return Type(TypeKind::kMap, {std::move(key), std::move(value)}, std::move(extra));
}

Type Type::Other(std::string name) {
  Type type(TypeKind::kOther);
  type.name_ = std::move(name);
  return type;
}

Result<Type> Type::Parse(std::string_view name) {
  const std::string_view text = Trim(name);
  for (const NamedKind& plain : kPlainTypes)
    if (plain.name == text) return Type(plain.kind);
  if (const auto parameters = Parameters(text, "decimal", '(', ')')) {
    const size_t comma = parameters->find(',');
    const auto precision = ParseInt(parameters->substr(0, comma));
    const auto scale = ParseInt(comma == std::string_view::npos ? "" : parameters->substr(comma + 1));
    if (!precision || !scale || *precision < 1 || *precision > 38 || *scale < 0 || *scale > *precision)
      return BadType(name, "expected decimal(P, S) with a precision of 1 to 38 and a scale of 0 to the precision");
    return Decimal(*precision, *scale);
  }
  if (const auto parameter = Parameters(text, "fixed", '[', ']')) {
    const auto length = ParseInt(*parameter);
    if (!length || *length < 1) return BadType(name, "expected fixed[L] with a length of at least 1");
    return Fixed(*length);
  }
  if (text == "fixed") return BadType(name, "the length is missing; use fixed[L]");
  return BadType(name, "unknown; known are boolean, int, long, float, double, decimal(P, S), date, time, timestamp, "
                       "timestamptz, string, uuid, fixed[L] and binary");
}

std::string Type::ToString() const {
  switch (kind_) {
    case TypeKind::kDecimal: return fmt::format("decimal({}, {})", a_, b_);
    case TypeKind::kFixed: return fmt::format("fixed[{}]", a_);
    case TypeKind::kOther: return name_;
    case TypeKind::kStruct: {
      std::string text = "struct<";
      for (const Field& field : children()) {
        if (text.back() != '<') text += ", ";
        text += fmt::format("{}: {} {}", field.id, field.name, field.type.ToString());
      }
      return text + ">";
    }
    case TypeKind::kList: return fmt::format("list<{}>", children()[0].type.ToString());
    case TypeKind::kMap:
      return fmt::format("map<{}, {}>", children()[0].type.ToString(), children()[1].type.ToString());
    default: break;
  }
  for (const NamedKind& plain : kPlainTypes)
    if (plain.kind == kind_) return std::string(plain.name);
  return "unknown";
}

bool Type::is_nested() const {
  return kind_ == TypeKind::kStruct || kind_ == TypeKind::kList || kind_ == TypeKind::kMap;
}

const std::vector<Field>& Type::children() const {
  static const std::vector<Field> kNone;
  return nested_ == nullptr ? kNone : nested_->children;
}

const ExtraKeys& Type::extra() const {
  static const ExtraKeys kNone;
  return nested_ == nullptr ? kNone : nested_->extra;
}

bool Type::operator==(const Type& other) const {
  return kind_ == other.kind_ && a_ == other.a_ && b_ == other.b_ && name_ == other.name_ &&
         (nested_ == other.nested_ || (children() == other.children() && extra() == other.extra()));
}

const Field* Schema::Find(std::string_view name) const {
  for (const Field& field : fields)
    if (field.name == name) return &field;
  return nullptr;
}

const Field* Schema::FindById(int32_t field_id) const { return FindBelow(fields, field_id); }

int32_t Schema::HighestFieldId() const { return HighestIdBelow(fields); }

Status Schema::Validate() const {
  std::unordered_set<int32_t> ids;
  return CheckFields(fields, ids);
}

namespace {
bool SameFieldLists(const std::vector<Field>& a, const std::vector<Field>& b);

bool SameType(const Type& a, const Type& b) {
  if (a.is_nested() || b.is_nested()) return a.kind() == b.kind() && SameFieldLists(a.children(), b.children());
  return a == b;
}

bool SameFieldLists(const std::vector<Field>& a, const std::vector<Field>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].id != b[i].id || a[i].name != b[i].name || a[i].required != b[i].required) return false;
    if (!SameType(a[i].type, b[i].type)) return false;
  }
  return true;
}
}  // namespace

bool SameFields(const Schema& a, const Schema& b) { return SameFieldLists(a.fields, b.fields); }

}  // namespace datashard
