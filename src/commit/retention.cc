#include "commit/retention.h"

#include <charconv>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "base/error.h"

namespace datashard::commit {
namespace {

constexpr int64_t kAgeMs = 5LL * 24 * 3600 * 1000;

Result<int64_t> ParseSetting(std::string_view text, std::string_view what) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0)
    return InvalidArgument("{} is '{}'; expected a number that is not negative", what, text);
  return number;
}

Result<int64_t> PropertyOr(const iceberg::TableMetadata& metadata, const std::string& key, int64_t otherwise) {
  const auto found = metadata.properties.find(key);
  if (found == metadata.properties.end()) return otherwise;
  return ParseSetting(found->second, "table property " + key);
}

Result<std::optional<int64_t>> SettingOf(const std::string& name, const iceberg::SnapshotRef& ref, std::string_view key) {
  for (const auto& [found, json] : ref.extra) {
    if (found != key || json == "null") continue;
    DS_ASSIGN_OR_RETURN(const int64_t number, ParseSetting(json, fmt::format("{} of '{}'", key, name)));
    return std::optional(number);
  }
  return std::optional<int64_t>();
}

/// From ids to positions. Most parents stand right before their children, so the table of all ids is rarely made.
class Positions {
 public:
  explicit Positions(const std::vector<SnapshotBrief>& all) : all_(all) {}
  std::optional<size_t> ParentOf(size_t position) {
    const int64_t parent = all_[position].parent_id;
    if (parent < 0) return std::nullopt;
    if (position > 0 && all_[position - 1].snapshot_id == parent) return position - 1;
    return Find(parent);
  }
  std::optional<size_t> Find(int64_t snapshot_id) {
    if (by_id_.empty()) {
      by_id_.reserve(all_.size());
      for (size_t i = 0; i < all_.size(); ++i) by_id_.emplace(all_[i].snapshot_id, i);
    }
    const auto found = by_id_.find(snapshot_id);
    return found == by_id_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  const std::vector<SnapshotBrief>& all_;
  std::unordered_map<int64_t, size_t> by_id_;
};

struct Rules {
  int64_t cutoff_ms = 0;
  int64_t keep = 1;
};

Result<Rules> RulesOf(const iceberg::TableMetadata& metadata, const ExpireOptions& options, int64_t now_ms) {
  if (options.retain_last && *options.retain_last < 1)
    return InvalidArgument("retain_last is {}; the current snapshot always stays, so expected 1 or more", *options.retain_last);
  DS_ASSIGN_OR_RETURN(const int64_t age_ms, PropertyOr(metadata, "history.expire.max-snapshot-age-ms", kAgeMs));
  DS_ASSIGN_OR_RETURN(const int64_t keep, PropertyOr(metadata, "history.expire.min-snapshots-to-keep", 1));
  return Rules{.cutoff_ms = options.older_than_ms.value_or(now_ms - age_ms), .keep = options.retain_last.value_or(keep)};
}

/// Marks what a branch keeps of its line, and in `reached` the whole line.
Status RetainBranch(const std::string& name, const iceberg::SnapshotRef& ref, const Rules& rules, int64_t now_ms,
                    const std::vector<SnapshotBrief>& all, Positions& positions, std::vector<bool>& retained,
                    std::vector<bool>& reached) {
  DS_ASSIGN_OR_RETURN(const std::optional<int64_t> own_keep, SettingOf(name, ref, "min-snapshots-to-keep"));
  DS_ASSIGN_OR_RETURN(const std::optional<int64_t> own_age, SettingOf(name, ref, "max-snapshot-age-ms"));
  const int64_t keep = std::max<int64_t>(own_keep.value_or(rules.keep), 1);
  const int64_t cutoff_ms = own_age ? now_ms - *own_age : rules.cutoff_ms;
  int64_t kept = 0;
  bool keeping = true;
  std::optional<size_t> at = positions.Find(ref.snapshot_id);
  for (size_t steps = 0; at && steps < all.size(); ++steps) {
    keeping = keeping && (kept < keep || all[*at].timestamp_ms >= cutoff_ms);
    if (keeping) {
      retained[*at] = true;
      ++kept;
    }
    reached[*at] = true;
    at = positions.ParentOf(*at);
  }
  return {};
}

Result<Retention> RetainAllBut(const std::vector<int64_t>& ids, const iceberg::TableMetadata& metadata,
                               const std::vector<SnapshotBrief>& all) {
  Retention result{.retained = std::vector<bool>(all.size(), true), .old_refs = {}};
  Positions positions(all);
  for (const int64_t id : ids) {
    const std::optional<size_t> at = positions.Find(id);
    if (!at) {
      return InvalidArgument("the table at {} has no snapshot {}; snapshots() lists those it has", metadata.location, id)
          .About(ErrorSubject::kSnapshot);
    }
    for (const auto& [name, ref] : metadata.refs) {
      if (ref.snapshot_id != id) continue;
      return InvalidArgument("snapshot {} of {} is what {} '{}' names, so it cannot be expired", id, metadata.location,
                             ref.type, name).About(ErrorSubject::kSnapshot);
    }
    result.retained[*at] = false;
  }
  return result;
}

}  // namespace

Result<Retention> Retain(const iceberg::TableMetadata& metadata, const std::vector<SnapshotBrief>& all,
                         const ExpireOptions& options, int64_t now_ms) {
  if (!options.snapshot_ids.empty()) {
    if (options.older_than_ms || options.retain_last)
      return InvalidArgument("snapshots are expired by id or by age and number, not by both: leave out one of them");
    return RetainAllBut(options.snapshot_ids, metadata, all);
  }
  DS_ASSIGN_OR_RETURN(const Rules rules, RulesOf(metadata, options, now_ms));
  Retention result{.retained = std::vector<bool>(all.size()), .old_refs = {}};
  std::vector<bool> reached(all.size());
  Positions positions(all);
  for (const auto& [name, ref] : metadata.refs) {
    const std::optional<size_t> at = positions.Find(ref.snapshot_id);
    DS_ASSIGN_OR_RETURN(const std::optional<int64_t> age, SettingOf(name, ref, "max-ref-age-ms"));
    if (age && at && name != "main" && now_ms - all[*at].timestamp_ms > *age) {
      result.old_refs.insert(name);
    } else if (ref.type == "branch") {
      DS_RETURN_IF_ERROR(RetainBranch(name, ref, rules, now_ms, all, positions, result.retained, reached));
    } else if (at) {
      result.retained[*at] = true;
    }
  }
  // What no branch leads to (staged, rolled back) has no rule but age.
  for (size_t i = 0; i < all.size(); ++i) {
    if (!reached[i] && all[i].timestamp_ms >= rules.cutoff_ms) result.retained[i] = true;
  }
  return result;
}

}  // namespace datashard::commit
