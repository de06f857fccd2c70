#include "catalog/foreign_writers.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "catalog/version_names.h"

namespace datashard::catalog {
namespace {

constexpr std::string_view kProperty = "datashard.foreign-writers";
constexpr auto kStepFirst = std::chrono::microseconds(500);
constexpr auto kStepMax = std::chrono::milliseconds(20);
constexpr auto kTurnStep = std::chrono::milliseconds(1);

}  // namespace

Result<bool> MayHaveForeignWriters(const iceberg::TableMetadata& metadata) {
  const auto found = metadata.properties.find(std::string(kProperty));
  if (found == metadata.properties.end() || found->second == "auto") return true;
  if (found->second == "no") return false;
  return InvalidArgument("table property {} is '{}'; expected 'auto' or 'no'", kProperty, found->second);
}

ForeignWriters::ForeignWriters(ObjectStore& store, Outside outside)
    : store_(store), outside_(outside), watch_(store.WatchNames("metadata", IsHadoopTemporary)) {}

Result<bool> ForeignWriters::GiveWay() {
  if (watch_ == nullptr) return false;
  DS_RETURN_IF_ERROR(watch_->Matching());
  const NameEvent lost = watch_->Last();
  {
    std::lock_guard lock(mutex_);
    if (lost.kind != NameEvent::Kind::kDeleted || lost.number == answered_ || gave_way_) return false;
    answered_ = lost.number;
    gave_way_ = true;
  }
  outside_.metrics.Add("datashard_foreign_turns_total", 1);
  const auto start = outside_.clock.Monotonic();
  while (watch_->Last().number == lost.number && outside_.clock.Monotonic() - start < kTurn) {
    outside_.clock.Sleep(kTurnStep);
    DS_RETURN_IF_ERROR(watch_->Matching());
  }
  return true;
}

void ForeignWriters::Won() {
  std::lock_guard lock(mutex_);
  gave_way_ = false;
}

Status ForeignWriters::Await() {
  if (watch_ == nullptr) return {};
  DS_ASSIGN_OR_RETURN(std::vector<std::string> keys, watch_->Matching());
  if (keys.empty()) return {};
  {
    std::lock_guard lock(mutex_);
    std::erase_if(litter_, [&](const std::string& key) { return !std::ranges::binary_search(keys, key); });
    std::erase_if(keys, [&](const std::string& key) { return litter_.contains(key); });
  }
  for (const std::string& key : keys) DS_RETURN_IF_ERROR(AwaitOne(key));
  return {};
}

Status ForeignWriters::AwaitOne(const std::string& key) {
  // Asked once: on a directory the time costs a file.
  DS_ASSIGN_OR_RETURN(const Instant now, store_.ServerTime());
  const auto start = outside_.clock.Monotonic();
  auto seen_since = start;
  std::optional<Instant> seen;
  std::chrono::microseconds step = kStepFirst;
  for (bool waited = false;; waited = true) {
    const Result<ObjectInfo> info = store_.Head(key);
    if (!info.ok() && info.kind() == ErrorKind::kNotFound) return {};
    if (!info.ok()) return info.error();
    const auto time = outside_.clock.Monotonic();
    if (seen != info->modified) seen_since = time;
    seen = info->modified;
    // The second way to count ends the wait for a file that is stamped in the future.
    if (std::max((now - info->modified) + (time - start), time - seen_since) >= kPatience) {
      std::lock_guard lock(mutex_);
      litter_.insert(key);
      return {};
    }
    if (!waited) outside_.metrics.Add("datashard_foreign_waits_total", 1);
    outside_.clock.Sleep(step);
    step = std::min<std::chrono::microseconds>(step * 2, kStepMax);
  }
}

}  // namespace datashard::catalog
