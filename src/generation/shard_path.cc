#include "generation/shard_path.h"

#include "base/error.h"
#include "base/uri.h"

namespace datashard::generation {
namespace {

constexpr std::string_view kAttempt = "attempt=";

/// "", ":d", ":5", ":05d" as the number takes them; none for other formats.
std::optional<std::string> Formatted(std::string_view format, int32_t number) {
  std::string digits = std::to_string(number);
  if (format.empty()) return digits;
  if (!format.starts_with(':')) return std::nullopt;
  format.remove_prefix(1);
  if (format.ends_with('d')) format.remove_suffix(1);
  const bool zeros = format.starts_with('0');
  size_t width = 0;
  for (const char c : format) {
    if (c < '0' || c > '9' || width > 100) return std::nullopt;
    width = width * 10 + static_cast<size_t>(c - '0');
  }
  if (digits.size() < width) digits.insert(0, width - digits.size(), zeros ? '0' : ' ');
  return digits;
}

}  // namespace

Result<std::string> FormatDbPath(std::string_view db_path_template, int32_t db_id) {
  const auto refused = [&] { return InvalidArgument("'{}' is no template of a shard's path; expected one like db={{db_id:05d}}", db_path_template); };
  constexpr std::string_view kField = "{db_id";
  std::string path;
  bool has_field = false;
  for (size_t i = 0; i < db_path_template.size();) {
    const std::string_view rest = db_path_template.substr(i);
    if (rest.starts_with("{{") || rest.starts_with("}}")) {
      path += rest.front();
      i += 2;
    } else if (rest.starts_with(kField)) {
      const size_t end = rest.find('}');
      if (end == std::string_view::npos) return refused();
      const std::optional<std::string> number = Formatted(rest.substr(kField.size(), end - kField.size()), db_id);
      if (!number) return refused();
      path += *number;
      has_field = true;
      i += end + 1;
    } else if (rest.front() == '{' || rest.front() == '}') {
      return refused();
    } else {
      path += rest.front();
      ++i;
    }
  }
  if (!has_field || !CheckKey(path).ok()) return refused();
  return path;
}

std::string RunKeyPrefix(std::string_view shard_prefix, std::string_view run_id) { return fmt::format("{}/run_id={}/", shard_prefix, run_id); }

std::string RemovalMarkKey(std::string_view shard_prefix, std::string_view run_id) { return RunKeyPrefix(shard_prefix, run_id) + "_removed"; }

std::string AttemptName(int64_t attempt) { return fmt::format("{}{:02}", kAttempt, attempt); }

std::optional<std::string_view> AttemptOf(std::string_view key) {
  for (size_t start = 0; start < key.size();) {
    const size_t end = key.find('/', start);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view segment = key.substr(start, end - start);
    const bool is_attempt = segment.starts_with(kAttempt) && segment.size() > kAttempt.size() &&
                            segment.find_first_not_of("0123456789", kAttempt.size()) == std::string_view::npos;
    if (is_attempt) return key.substr(0, end);
    start = end + 1;
  }
  return std::nullopt;
}

}  // namespace datashard::generation
