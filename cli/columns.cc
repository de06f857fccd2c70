// Names and the one-line schema language of columns.h; schema files are in schema_file.cc.
#include "cli/columns.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/text.h"

namespace datashard::cli {
namespace {

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

Error BadSchema(std::string message) {
  return Error(ErrorKind::kInvalidArgument, std::move(message), ErrorSubject::kSchema);
}

// Pieces of `text` between `separator`s that stand outside of double quotes and brackets.
Result<std::vector<std::string_view>> Split(std::string_view text, char separator) {
  std::vector<std::string_view> pieces;
  bool quoted = false;
  int32_t depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if (c == '(' || c == '[') ++depth;
    if (c == ')' || c == ']') --depth;
    if (c == separator && depth == 0) {
      pieces.push_back(text.substr(begin, i - begin));
      begin = i + 1;
    }
  }
  if (quoted)
    return Error(ErrorKind::kInvalidArgument, fmt::format("'{}': a double quote is never closed", Printable(text)));
  pieces.push_back(text.substr(begin));
  return pieces;
}

// The name that stands in `text`, with or without quotes.
Result<std::string> Unquote(std::string_view text) {
  text = Trim(text);
  std::string name;
  if (text.empty() || text.front() != '"') {
    name = text;
  } else {
    size_t i = 1;
    while (i < text.size()) {
      const bool quote = text[i] == '"';
      const bool doubled = quote && i + 1 < text.size() && text[i + 1] == '"';
      if (!quote || doubled) name += text[i];
      i += doubled ? 2 : 1;
      if (quote && !doubled) break;
    }
    if (i < text.size())
      return Error(ErrorKind::kInvalidArgument,
                   fmt::format("'{}': text after the closing quote of a name", Printable(text)));
  }
  if (name.empty())
    return Error(ErrorKind::kInvalidArgument,
                 "a column name is empty; names with special characters stand in double quotes");
  return name;
}

Result<Type> ParseType(std::string_view text, std::string_view column) {
  Result<Type> type = Type::Parse(Trim(text));
  if (type.ok()) return type;
  return BadSchema(fmt::format(
      "column {}: unknown type '{}'; known: boolean, int, long, float, double, decimal(P,S), date, time, timestamp, "
      "timestamptz, string, uuid, fixed[N], binary (nested types need --schema-file)",
      Printable(column), Printable(Trim(text))));
}

}  // namespace

Result<const Field*> FindColumn(const Schema& schema, std::string_view name) {
  if (const Field* field = schema.Find(name)) return field;
  std::vector<std::string> names;
  for (const Field& field : schema.fields) names.push_back(field.name);
  std::string message = fmt::format("there is no column '{}'", Printable(name));
  if (const std::optional<std::string> nearest = NearestName(name, names)) {
    message += fmt::format("; did you mean '{}'?", Printable(*nearest));
  } else {
    constexpr size_t kNamesShown = 20;
    const size_t hidden = names.size() > kNamesShown ? names.size() - kNamesShown : 0;
    names.resize(names.size() - hidden);
    for (std::string& shown : names) shown = Printable(shown);
    message += fmt::format("; the columns are {}{}", fmt::join(names, ", "),
                           hidden > 0 ? fmt::format(" and {} more", hidden) : "");
  }
  return Error(ErrorKind::kInvalidArgument, std::move(message), ErrorSubject::kColumn);
}

Result<std::vector<std::string>> ParseNames(std::string_view text) {
  DS_ASSIGN_OR_RETURN(const std::vector<std::string_view> pieces, Split(text, ','));
  std::vector<std::string> names;
  for (const std::string_view piece : pieces) {
    DS_ASSIGN_OR_RETURN(std::string name, Unquote(piece));
    names.push_back(std::move(name));
  }
  return names;
}

Result<Schema> ParseSchemaText(std::string_view text) {
  DS_ASSIGN_OR_RETURN(const std::vector<std::string_view> pieces, Split(text, ','));
  Schema schema;
  for (const std::string_view piece : pieces) {
    DS_ASSIGN_OR_RETURN(const std::vector<std::string_view> halves, Split(piece, ':'));
    if (halves.size() != 2)
      return BadSchema(
          fmt::format("--schema: '{}' is not name:type; an example is 'id:long!,name:string'", Printable(Trim(piece))));
    Field field;
    DS_ASSIGN_OR_RETURN(field.name, Unquote(halves[0]));
    std::string_view type = Trim(halves[1]);
    field.required = type.ends_with('!');
    if (field.required) type.remove_suffix(1);
    DS_ASSIGN_OR_RETURN(field.type, ParseType(type, field.name));
    field.id = static_cast<int32_t>(schema.fields.size()) + 1;
    schema.fields.push_back(std::move(field));
  }
  DS_RETURN_IF_ERROR(schema.Validate());
  return schema;
}

Result<std::pair<std::string, Type>> ParseTypeOverride(std::string_view text) {
  DS_ASSIGN_OR_RETURN(const std::vector<std::string_view> halves, Split(text, '='));
  if (halves.size() != 2)
    return Error(ErrorKind::kInvalidArgument,
                 fmt::format("--type: '{}' is not column=type; an example is time_hour=timestamptz", Printable(text)));
  DS_ASSIGN_OR_RETURN(std::string name, Unquote(halves[0]));
  DS_ASSIGN_OR_RETURN(Type type, ParseType(halves[1], name));
  return std::pair(std::move(name), std::move(type));
}

}  // namespace datashard::cli
