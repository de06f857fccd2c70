// The search for a directory table's newest version, from any version that was one, or in a list of all names.
#include <algorithm>
#include <set>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "catalog/directory_catalog.h"
#include "catalog/history.h"
#include "catalog/version_names.h"

namespace datashard::catalog {
namespace {

// Versions are looked at one by one this far before the search starts to leap, so that a stray file just beyond a gap
// is not taken for the head.
constexpr int64_t kLinearLooks = 16;

/// The numbers to be looked at together, given that `known` is there and `missing` is not (0: nothing is known to be missing).
std::vector<int64_t> NextLooks(int64_t known, int64_t missing) {
  constexpr int64_t kLooksMax = 7;
  std::vector<int64_t> looks;
  if (missing == 0) {
    for (const int64_t ahead : {1, 2, 3, 4, 6, 8, 16, 64, 512, 4096}) looks.push_back(known + ahead);
    return looks;
  }
  const int64_t step = std::max<int64_t>(1, (missing - known) / (kLooksMax + 1));
  for (int64_t number = known + step; number < missing; number += step) looks.push_back(number);
  return looks;
}

}  // namespace

Result<std::optional<ObjectInfo>> DirectoryCatalog::Find(int64_t number) const {
  return FindVersion(*store_, number, remote_ && !gzip_seen_ ? Spellings::kPlain : Spellings::kBoth);
}

Result<bool> DirectoryCatalog::Exists(int64_t number) const {
  DS_ASSIGN_OR_RETURN(const std::optional<ObjectInfo> info, Find(number));
  return info.has_value();
}

/// Few round trips instead of few looks: the next number alone, which mostly is all, then several at a time.
Result<int64_t> DirectoryCatalog::RemoteHeadFrom(int64_t number) const {
  int64_t known = number;
  int64_t missing = 0;
  for (std::vector<int64_t> looks = {number + 1}; missing != known + 1; looks = NextLooks(known, missing)) {
    std::vector<std::string> keys;
    for (const int64_t look : looks) keys.push_back(VersionKey(look));
    const std::vector<Result<ObjectInfo>> found = store_->HeadMany(keys);
    for (size_t i = 0; i < looks.size(); ++i) {
      if (!found[i].ok() && found[i].kind() != ErrorKind::kNotFound) return found[i].error();
      if (!found[i].ok()) {
        missing = looks[i];
        break;
      }
      known = looks[i];
    }
  }
  return known;
}

Result<int64_t> DirectoryCatalog::HeadFrom(int64_t number) const {
  if (remote_ && !gzip_seen_) return RemoteHeadFrom(number);
  int64_t known = number;
  for (int64_t step = 0; step < kLinearLooks; ++step) {
    DS_ASSIGN_OR_RETURN(const bool exists, Exists(known + 1));
    if (!exists) return known;
    ++known;
  }
  // Existence is monotone along the run, so leap until a name is missing, then halve the gap.
  int64_t leap = kLinearLooks;
  int64_t missing = 0;
  while (missing == 0) {
    DS_ASSIGN_OR_RETURN(const bool exists, Exists(known + leap));
    if (exists) {
      known += leap;
      leap *= 2;
    } else {
      missing = known + leap;
    }
  }
  while (missing - known > 1) {
    const int64_t middle = known + (missing - known) / 2;
    DS_ASSIGN_OR_RETURN(const bool exists, Exists(middle));
    (exists ? known : missing) = middle;
  }
  return known;
}

Result<std::optional<int64_t>> DirectoryCatalog::HeadByList() const {
  DS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, store_->List("metadata/"));
  std::vector<int64_t> numbers;
  std::set<int64_t> dropped;
  for (const ObjectInfo& object : objects) {
    const std::optional<int64_t> number = NumberOfKey(object.key);
    if (!number) continue;
    numbers.push_back(*number);
    if (IsTombstone(object)) dropped.insert(*number);
  }
  if (numbers.empty()) return std::optional<int64_t>();
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  // The table is the longest run that ends in a body, the first one of equals. Its start may have been removed; other runs
  // are strays: of a writer that created an old number after that was removed and was killed before it took it back, of
  // names whose removal a power failure undid, or beyond a gap.
  std::vector<int64_t> ends;  // of runs that end in a body
  int64_t best = numbers.back();
  size_t best_length = 0;
  for (size_t start = 0, end = 0; start < numbers.size(); start = end) {
    for (end = start + 1; end < numbers.size() && numbers[end] == numbers[end - 1] + 1;) ++end;
    if (dropped.contains(numbers[end - 1])) continue;
    ends.push_back(numbers[end - 1]);
    if (end - start > best_length) std::tie(best, best_length) = std::pair(numbers[end - 1], end - start);
  }
  for (const int64_t end : ends) {
    if (end > best && GoesOnFrom(best, end)) best = end;
  }
  return std::optional(best);
}

/// A power failure may have taken names out of the middle: of versions whose body was just being dropped, or whose sync had
/// failed before others built on them. Then what follows the gap has the snapshots of what precedes it, and more.
bool DirectoryCatalog::GoesOnFrom(int64_t before_gap, int64_t after_gap) const {
  const Result<VersionPtr> before = Read(before_gap);
  const Result<VersionPtr> after = Read(after_gap);
  if (!before.ok() || !after.ok() || (*before)->metadata.table_uuid != (*after)->metadata.table_uuid) return false;
  // Its last bases are named, whatever became of their snapshots since.
  const std::string before_name = fmt::format("{}/{}", store_->root_uri(), (*before)->key);
  for (const iceberg::MetadataLogEntry& base : (*after)->metadata.metadata_log) {
    if (base.metadata_file == before_name) return true;
  }
  if ((*after)->metadata.last_sequence_number <= (*before)->metadata.last_sequence_number) return false;
  const Snapshot* const last = (*before)->metadata.current_snapshot();
  if (last == nullptr) return true;
  const auto found = FindSnapshotById(*store_, (*after)->metadata, last->snapshot_id);
  if (found.ok() && found->has_value()) return true;
  const auto archive = iceberg::HistoryOf((*after)->metadata);
  return archive.ok() && archive->has_expired();  // so it may have had it
}

}  // namespace datashard::catalog
