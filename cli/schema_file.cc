// Schemas from JSON files. The JSON library parses without recursion; our own walk is bounded by kDepthMax.
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/columns.h"
#include "cli/text.h"

namespace datashard::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kSizeBytesMax = 1 << 20;
constexpr int32_t kDepthMax = 32;

class Reader {
 public:
  explicit Reader(std::string_view origin) : origin_(origin) {}

  Result<Schema> Read(const Json& root) {
    if (!root.is_object() || !root.contains("fields"))
      return Fail("", R"(expected an object with "fields": [{"name": …, "type": …, "required": …}, …])");
    Schema schema;
    DS_ASSIGN_OR_RETURN(schema.fields, ReadFields(root["fields"], "", 0));
    if (given_ids_ && missing_ids_)
      return Fail("", "some fields have an id and some have none; give all of them or none");
    DS_RETURN_IF_ERROR(schema.Validate());
    return schema;
  }

 private:
  Result<std::vector<Field>> ReadFields(const Json& json, const std::string& path, int32_t depth) {
    if (!json.is_array()) return Fail(path, R"("fields" must be a list)");
    // Ids are given out level by level, as Iceberg's own writers do, so that a table's top-level ids are 1, 2, 3, …
    std::vector<Field> fields;
    for (const Json& item : json) {
      if (!item.is_object()) return Fail(path, "a field must be an object");
      const auto name = item.find("name");
      if (name == item.end() || !name->is_string()) return Fail(path, R"(a field needs a "name" (text))");
      Field field;
      field.name = name->get<std::string>();
      DS_ASSIGN_OR_RETURN(field.id, ReadId(item, "id", path + "." + field.name));
      DS_ASSIGN_OR_RETURN(field.required, ReadFlag(item, "required", path + "." + field.name));
      const auto doc = item.find("doc");
      if (doc != item.end() && doc->is_string()) field.doc = doc->get<std::string>();
      fields.push_back(std::move(field));
    }
    for (size_t i = 0; i < fields.size(); ++i) {
      DS_ASSIGN_OR_RETURN(fields[i].type, ReadType(json[i], "type", path + "." + fields[i].name, depth));
    }
    return fields;
  }

  Result<Type> ReadType(const Json& owner, const char* key, const std::string& path, int32_t depth) {
    if (depth >= kDepthMax) return Fail(path, fmt::format("types nest deeper than {} levels", kDepthMax));
    const auto found = owner.find(key);
    if (found == owner.end()) return Fail(path, fmt::format(R"("{}" is missing)", key));
    const Json& json = *found;
    if (json.is_string()) {
      Result<Type> type = Type::Parse(json.get<std::string>());
      if (!type.ok()) return Fail(path, type.error().message());
      return type;
    }
    const auto named = json.is_object() ? json.find("type") : json.end();
    const std::string word = named != json.end() && named->is_string() ? named->get<std::string>() : "";
    if (word == "struct") {
      if (!json.contains("fields")) return Fail(path, R"(a struct needs "fields")");
      DS_ASSIGN_OR_RETURN(std::vector<Field> fields, ReadFields(json["fields"], path, depth + 1));
      return Type::Struct(std::move(fields));
    }
    if (word == "list") {
      DS_ASSIGN_OR_RETURN(Field element, ReadChild(json, "element", path, depth));
      return Type::List(std::move(element));
    }
    if (word == "map") {
      DS_ASSIGN_OR_RETURN(Field key_field, ReadChild(json, "key", path, depth));
      key_field.required = true;
      DS_ASSIGN_OR_RETURN(Field value, ReadChild(json, "value", path, depth));
      return Type::Map(std::move(key_field), std::move(value));
    }
    return Fail(path, R"(a type is a name such as "long", or an object whose "type" is struct, list or map)");
  }

  // The element of a list, or the key or value of a map: "element-id", "element", "element-required".
  Result<Field> ReadChild(const Json& json, const std::string& name, const std::string& path, int32_t depth) {
    Field child;
    child.name = name;
    DS_ASSIGN_OR_RETURN(child.id, ReadId(json, name + "-id", path + "." + name));
    DS_ASSIGN_OR_RETURN(child.required, ReadFlag(json, name + "-required", path + "." + name));
    DS_ASSIGN_OR_RETURN(child.type, ReadType(json, name.c_str(), path + "." + name, depth + 1));
    return child;
  }

  Result<int32_t> ReadId(const Json& json, const std::string& key, const std::string& path) {
    const auto id = json.find(key);
    if (id == json.end()) {
      missing_ids_ = true;
      return ++last_id_;
    }
    if (!id->is_number_integer() || id->get<int64_t>() < 1 || id->get<int64_t>() > INT32_MAX)
      return Fail(path, fmt::format(R"("{}" must be a whole number from 1 on)", key));
    given_ids_ = true;
    return static_cast<int32_t>(id->get<int64_t>());
  }

  Result<bool> ReadFlag(const Json& json, const std::string& key, const std::string& path) {
    const auto flag = json.find(key);
    if (flag == json.end()) return false;
    if (!flag->is_boolean()) return Fail(path, fmt::format(R"("{}" must be true or false)", key));
    return flag->get<bool>();
  }

  Error Fail(const std::string& path, std::string_view problem) const {
    const std::string place = path.empty() ? "" : fmt::format(", field {}", Printable(path.substr(1)));
    return Error(ErrorKind::kInvalidArgument, fmt::format("schema in {}{}: {}", origin_, place, problem),
                 ErrorSubject::kSchema);
  }

  const std::string origin_;
  int32_t last_id_ = 0;
  bool given_ids_ = false;
  bool missing_ids_ = false;
};

}  // namespace

Result<Schema> ParseSchemaJson(std::string_view json, std::string_view origin) {
  const Json root = Json::parse(json, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (root.is_discarded())
    return Error(ErrorKind::kInvalidArgument, fmt::format("schema in {}: this is not JSON", origin),
                 ErrorSubject::kSchema);
  return Reader(origin).Read(root);
}

Result<Schema> ReadSchemaFile(const std::string& path) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rbe"), std::fclose);
  if (file == nullptr) {
    const ErrorKind kind = errno == EACCES ? ErrorKind::kDenied : ErrorKind::kNotFound;
    return Error(kind, fmt::format("cannot open the schema file {}: {}", Printable(path), std::strerror(errno)));
  }
  std::string text(kSizeBytesMax + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0)
    return Error(ErrorKind::kUnavailable,
                 fmt::format("cannot read the schema file {}: {}", Printable(path), std::strerror(errno)));
  if (text.size() > kSizeBytesMax)
    return Error(ErrorKind::kInvalidArgument, fmt::format("the schema file {} is larger than 1 MiB", Printable(path)),
                 ErrorSubject::kSchema);
  return ParseSchemaJson(text, Printable(path));
}

}  // namespace datashard::cli
