#include "cli/shardy/render.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "cli/text.h"

namespace datashard::cli::shardy {
namespace {

std::string Cell(const Json& value) {
  if (value.is_null()) return "-";
  return Printable(value.is_string() ? value.get<std::string>() : value.dump());
}

// Columns as wide as their widest cell; the last one is not padded.
std::string Columns(const std::vector<std::vector<std::string>>& rows) {
  std::vector<int32_t> widths(rows.front().size(), 0);
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], DisplayWidth(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(static_cast<size_t>(widths[i] - DisplayWidth(row[i]) + 2), ' ');
    }
    text += '\n';
  }
  return text;
}

std::string Listing(const Json& items, std::vector<std::string> titles, const std::vector<const char*>& keys) {
  std::vector<std::vector<std::string>> rows = {std::move(titles)};
  for (const Json& item : items) {
    std::vector<std::string> row;
    for (const char* key : keys) row.push_back(item.contains(key) ? Cell(item[key]) : "-");
    rows.push_back(std::move(row));
  }
  return Columns(rows);
}

std::string KeyValueText(const Json& result, const std::string& null_repr) {
  return Cell(result["key"]) + "=" + (result.contains("value") ? Cell(result["value"]) : null_repr) + "\n";
}

// NAME: VALUE lines of everything but the op.
std::string Fields(const Json& answer) {
  std::string text;
  for (const auto& [name, value] : answer.items()) {
    if (name != "op") text += name + ": " + Cell(value) + "\n";
  }
  return text;
}

std::string Table(const Json& answer, const std::string& op, const std::string& null_repr) {
  if (op == "multiget") {
    Json results = answer["results"];
    for (Json& result : results) {
      if (!result.contains("value")) result["value"] = null_repr;
    }
    return Listing(results, {"KEY", "VALUE"}, {"key", "value"});
  }
  if (op == "get") return Listing(Json::array({answer}), {"KEY", "VALUE"}, {"key", "value"});
  if (op == "shards") {
    return Listing(answer["shards"], {"DB_ID", "ROWS", "MIN_KEY", "MAX_KEY", "URL"}, {"db_id", "row_count", "min_key", "max_key", "db_url"});
  }
  if (op == "history") return Listing(answer["manifests"], {"#", "PUBLISHED_AT", "RUN_ID"}, {"offset", "published_at", "run_id"});
  if (op == "route") return Listing(Json::array({answer}), {"KEY", "DB_ID"}, {"key", "db_id"});
  return Fields(answer);
}

std::string Text(const Json& answer, const std::string& op, const std::string& null_repr) {
  std::string text;
  if (op == "get") return KeyValueText(answer, null_repr);
  if (op == "multiget") {
    for (const Json& result : answer["results"]) text += KeyValueText(result, null_repr);
    return text;
  }
  if (op == "route") return fmt::format("{} -> shard {}\n", Cell(answer["key"]), Cell(answer["db_id"]));
  if (op == "shards") return Table(answer, op, null_repr);
  if (op == "history") {
    for (const Json& item : answer["manifests"]) {
      text += fmt::format("[{}] {}  run_id={}\n", item["offset"].dump(), Cell(item["published_at"]), Cell(item["run_id"]));
    }
    return text;
  }
  if (op == "refresh") return answer["changed"] ? "changed\n" : "unchanged\n";
  return Fields(answer);
}

}  // namespace

std::string JsonText(const Json& json, int indent) {
  return TerminalSafeJson(json.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace));
}

std::string Render(const Json& answer, Format format, const std::string& null_repr) {
  const std::string op = answer.value("op", "");
  const bool is_error = answer.contains("error");
  if (format == Format::kJson) return JsonText(answer, 2) + "\n";
  if (format == Format::kJsonLines) return JsonText(answer) + "\n";
  if (is_error) return "error: " + Cell(answer["error"]) + "\n";
  return format == Format::kTable ? Table(answer, op, null_repr) : Text(answer, op, null_repr);
}

}  // namespace datashard::cli::shardy
