#include "catalog/foreign_writers.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "catalog/version_names.h"

namespace datashard::catalog {
namespace {

constexpr std::string_view kProperty = "datashard.foreign-writers";
constexpr auto kStepFirst = std::chrono::microseconds(500);
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

Result<bool> ForeignWriters::GiveWay(const std::function<void()>& alive) {
  if (watch_ == nullptr) return false;
  DS_RETURN_IF_ERROR(watch_->Matching());
  const NameEvent lost = watch_->Last();
  {
    const auto turn = turn_.Lock();
    if (lost.kind != NameEvent::Kind::kDeleted || lost.number == turn->answered || turn->given) return false;
    *turn = {.answered = lost.number, .given = true};
  }
  outside_.metrics.Add("datashard_foreign_turns_total", 1);
  const auto start = outside_.clock.Monotonic();
  while (watch_->Last().number == lost.number && outside_.clock.Monotonic() - start < kTurn) {
    if (alive) alive();
    outside_.clock.Sleep(kTurnStep);
    DS_RETURN_IF_ERROR(watch_->Matching());
  }
  return true;
}

void ForeignWriters::Won() { turn_.Lock()->given = false; }

Status ForeignWriters::Await(const std::function<void()>& alive) {
  if (watch_ == nullptr) return {};
  DS_ASSIGN_OR_RETURN(std::vector<std::string> keys, watch_->Matching());
  if (keys.empty()) return {};
  {
    const auto litter = litter_.Lock();
    std::erase_if(*litter, [&](const std::string& key) { return !std::ranges::binary_search(keys, key); });
    std::erase_if(keys, [&](const std::string& key) { return litter->contains(key); });
  }
  for (const std::string& key : keys) DS_RETURN_IF_ERROR(AwaitOne(key, alive));
  return {};
}

Status ForeignWriters::AwaitOne(const std::string& key, const std::function<void()>& alive) {
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
      litter_.Lock()->insert(key);
      return {};
    }
    if (!waited) outside_.metrics.Add("datashard_foreign_waits_total", 1);
    if (alive) alive();
    outside_.clock.Sleep(step);
    step = std::min(step * 2, kLookMax);
  }
}

}  // namespace datashard::catalog
