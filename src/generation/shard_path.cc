#include "generation/shard_path.h"

#include <algorithm>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/uri.h"
#include "storage/keys.h"

namespace datashard::generation {
namespace {

constexpr std::string_view kAttempt = "attempt=";
constexpr size_t kDeletedAtOnce = 1000;
constexpr std::chrono::milliseconds kPauseFirst{200};
constexpr std::chrono::milliseconds kPauseMax{5'000};

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
      const std::optional<std::string> number = end == std::string_view::npos ? std::nullopt : Formatted(rest.substr(kField.size(), end - kField.size()), db_id);
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

Status DeleteKeys(ObjectStore& store, const std::vector<std::string>& keys, int max_retries, const Outside& outside) {
  for (size_t done = 0; done < keys.size(); done += kDeletedAtOnce) {
    const std::span<const std::string> some = std::span(keys).subspan(done, std::min(kDeletedAtOnce, keys.size() - done));
    std::chrono::milliseconds pause = kPauseFirst;
    for (int attempt = 0;; ++attempt) {
      const Status deleted = store.DeleteMany(some);
      if (deleted.ok()) break;
      // Deleting again what is gone is no error, so that it does not matter what became of the first try.
      const bool again = deleted.kind() == ErrorKind::kUnavailable || deleted.kind() == ErrorKind::kCommitUnknown;
      if (!again || attempt >= max_retries) return deleted;
      outside.clock.Sleep(pause);
      pause = std::min(pause * 2, kPauseMax);
    }
  }
  return {};
}

Result<int64_t> RemoveAttempt(SnapshotPlace& place, const std::string& db_url, int max_retries, const Outside& outside) {
  const std::optional<std::string> key = place.KeyOf(db_url);
  const std::string directory = key.value_or("") + "/";
  if (!key || AttemptOf(directory) != *key) return InvalidArgument("{} is no attempt's directory below {}; nothing was removed", db_url, place.url());
  DS_ASSIGN_OR_RETURN(const std::shared_ptr<ObjectStore> store, place.ToRead());
  DS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, store->List(directory));
  std::vector<std::string> keys;
  for (const ObjectInfo& object : objects) keys.push_back(object.key);
  DS_RETURN_IF_ERROR(DeleteKeys(*store, keys, max_retries, outside));
  return static_cast<int64_t>(keys.size());
}

}  // namespace datashard::generation
