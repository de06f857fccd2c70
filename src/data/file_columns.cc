#include "data/file_columns.h"

#include <arrow/api.h>
#include <arrow/compute/api.h>
#include <arrow/util/utf8.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/schema.h>

#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "data/arrow_support.h"
#include "data/arrow_types.h"
#include "data/cast_column.h"

namespace datashard::data {
namespace {

// Names of the top-level fields by field id. Source: Iceberg spec, "Name Mapping Serialization".
Result<std::map<int32_t, std::vector<std::string>>> ParseNameMapping(const std::string& json) {
  const auto parsed = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_array()) return Corruption("schema.name-mapping.default is no JSON array").About(ErrorSubject::kMetadata);
  std::map<int32_t, std::vector<std::string>> names;
  for (const auto& entry : parsed) {
    if (!entry.is_object() || !entry.contains("names") || !entry["names"].is_array())
      return Corruption("schema.name-mapping.default has an entry without names").About(ErrorSubject::kMetadata);
    const auto id = entry.find("field-id");
    if (id == entry.end()) continue;  // names that map to nothing
    if (!id->is_number_integer())
      return Corruption("schema.name-mapping.default has a field-id that is no integer").About(ErrorSubject::kMetadata);
    for (const auto& name : entry["names"])
      if (name.is_string()) names[id->get<int32_t>()].push_back(name.get<std::string>());
  }
  return names;
}

class Matcher {
 public:
  Matcher(const parquet::schema::GroupNode& root, std::map<int32_t, std::vector<std::string>> names)
      : root_(root), names_(std::move(names)) {
    for (int i = 0; i < root.field_count(); ++i) has_ids_ = has_ids_ || root.field(i)->field_id() >= 0;
  }

  // The index of the top-level column for `field`; nothing where the file has none, an error where it has two.
  Result<std::optional<int>> Find(const Field& field) const {
    std::optional<int> found;
    for (int i = 0; i < root_.field_count(); ++i) {
      const auto& node = *root_.field(i);
      if (!(has_ids_ ? node.field_id() == field.id : IsNamed(field, node.name()))) continue;
      if (found.has_value()) return Corruption("column '{}' (field id {}) is there twice", field.name, field.id);
      found = i;
    }
    return found;
  }

 private:
  bool IsNamed(const Field& field, const std::string& name) const {
    const auto names = names_.find(field.id);
    if (names == names_.end()) return name == field.name;
    return std::find(names->second.begin(), names->second.end(), name) != names->second.end();
  }

  const parquet::schema::GroupNode& root_;
  std::map<int32_t, std::vector<std::string>> names_;
  bool has_ids_ = false;
};

bool IsTimestamp(const arrow::DataType& type, bool with_zone) {
  return type.id() == arrow::Type::TIMESTAMP &&
         static_cast<const arrow::TimestampType&>(type).timezone().empty() != with_zone;
}

// Can a file of this table hold the field so? The types it may have had before it was promoted, and other spellings of
// the same values by other writers.
bool CanHold(const arrow::DataType& type, bool is_int96, const Type& field) {
  const auto id = type.id();
  switch (field.kind()) {
    case TypeKind::kInt: return id == arrow::Type::INT32 || id == arrow::Type::INT16 || id == arrow::Type::INT8;
    case TypeKind::kLong:
      return id == arrow::Type::INT64 || id == arrow::Type::INT32 || id == arrow::Type::INT16 || id == arrow::Type::INT8;
    case TypeKind::kFloat: return id == arrow::Type::FLOAT;
    case TypeKind::kDouble: return id == arrow::Type::FLOAT || id == arrow::Type::DOUBLE;
    case TypeKind::kDecimal:
      return arrow::is_decimal(id) && static_cast<const arrow::DecimalType&>(type).scale() == field.scale() &&
             static_cast<const arrow::DecimalType&>(type).precision() <= field.precision();
    case TypeKind::kDate: return id == arrow::Type::DATE32;
    case TypeKind::kTimestamp: return IsTimestamp(type, /*with_zone=*/false);
    case TypeKind::kTimestampTz: return IsTimestamp(type, /*with_zone=*/true) || is_int96;  // Spark's old instants
    case TypeKind::kString:
      return id == arrow::Type::STRING || id == arrow::Type::LARGE_STRING || id == arrow::Type::BINARY;
    case TypeKind::kBinary: return id == arrow::Type::BINARY || id == arrow::Type::LARGE_BINARY;
    case TypeKind::kUuid:  // text in files of the package's releases before 0.11.2
      return id == arrow::Type::STRING || id == arrow::Type::LARGE_STRING ||
             (id == arrow::Type::FIXED_SIZE_BINARY &&
              static_cast<const arrow::FixedSizeBinaryType&>(type).byte_width() == 16);
    case TypeKind::kFixed:
      return id == arrow::Type::FIXED_SIZE_BINARY &&
             static_cast<const arrow::FixedSizeBinaryType&>(type).byte_width() == field.length();
    case TypeKind::kBoolean: return id == arrow::Type::BOOL;
    case TypeKind::kTime: return id == arrow::Type::TIME64 || id == arrow::Type::TIME32;
    default: return false;
  }
}

// Parquet does not promise that text is UTF-8. The bytes are checked as one piece, then no value may begin inside a
// character; both are much faster than value by value.
Status CheckUtf8(const arrow::StringArray& text) {
  if (text.length() == 0 || text.value_data() == nullptr) return {};
  const int32_t begin = text.value_offset(0);
  const int32_t end = text.value_offset(text.length());
  const uint8_t* bytes = text.value_data()->data();
  arrow::util::InitializeUTF8();
  bool good = arrow::util::ValidateUTF8(bytes + begin, end - begin);
  for (int64_t i = 0; i < text.length() && good; ++i) {
    const int32_t start = text.value_offset(i);
    good = start >= end || (bytes[start] & 0xC0) != 0x80;
  }
  if (!good) return Corruption("text that is not UTF-8");
  return {};
}

}  // namespace

Result<std::vector<FileColumn>> MapColumns(const parquet::arrow::FileReader& reader, const std::vector<Field>& fields,
                                           const std::optional<std::string>& name_mapping, const DataFile& file) {
  const auto& descriptor = *reader.parquet_reader()->metadata()->schema();
  std::map<int32_t, std::vector<std::string>> names;
  if (name_mapping.has_value()) {
    DS_ASSIGN_OR_RETURN(names, ParseNameMapping(*name_mapping));
  }
  const Matcher matcher(*descriptor.group_node(), std::move(names));
  std::vector<FileColumn> columns;
  for (const Field& field : fields) {
    DS_ASSIGN_OR_RETURN(auto type, ArrowTypeOf(field.type));
    FileColumn column{.field = field, .type = std::move(type)};
    DS_ASSIGN_OR_RETURN(const std::optional<int> top, matcher.Find(field));
    if (!top.has_value()) {
      const auto counted = file.value_counts.find(field.id);
      if (field.required || (counted != file.value_counts.end() && counted->second > 0))
        return Corruption("column '{}' (field id {}) is missing", field.name, field.id);
      columns.push_back(std::move(column));
      continue;
    }
    const auto& node = *descriptor.group_node()->field(*top);
    const auto& found = reader.manifest().schema_fields[static_cast<size_t>(*top)];
    const bool is_int96 = node.is_primitive() && static_cast<const parquet::schema::PrimitiveNode&>(node).physical_type() ==
                                                     parquet::Type::INT96;
    if (!found.is_leaf() || !CanHold(*ValueType(found.field->type()), is_int96, field.type))
      return Corruption("column '{}' (field id {}) is {}, where the table has {}", field.name, field.id,
                        found.field->type()->ToString(), field.type.ToString());
    column.leaf = found.column_index;
    columns.push_back(std::move(column));
  }
  return columns;
}

Result<std::shared_ptr<arrow::Array>> ReadAs(const FileColumn& column, std::shared_ptr<arrow::Array> array) {
  if (!array->type()->Equals(*column.type)) {
    DS_ASSIGN_OR_RETURN(array, PlainColumn(std::move(array)));
    if (array->type_id() == arrow::Type::TIMESTAMP) {
      // Another name of the zone, or none in INT96: the same instants.
      const auto unit = static_cast<const arrow::TimestampType&>(*array->type()).unit();
      const auto& zone = static_cast<const arrow::TimestampType&>(*column.type).timezone();
      DS_ASSIGN_OR_RETURN(array, Lift(array->View(arrow::timestamp(unit, zone)), ErrorKind::kCorruption));
    }
    if (column.field.type.kind() == TypeKind::kUuid && array->type_id() != arrow::Type::FIXED_SIZE_BINARY) {
      DS_ASSIGN_OR_RETURN(array, CastColumn(array, column.field.type, /*first_row=*/0));
    } else if (!array->type()->Equals(*column.type)) {
      DS_ASSIGN_OR_RETURN(array, Lift(arrow::compute::Cast(*array, column.type), ErrorKind::kCorruption));
    }
  }
  if (column.field.required && array->null_count() > 0) return Corruption("a required column has a null");
  if (array->type_id() == arrow::Type::STRING)
    DS_RETURN_IF_ERROR(CheckUtf8(static_cast<const arrow::StringArray&>(*array)));
  return array;
}

}  // namespace datashard::data
