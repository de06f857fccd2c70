#include "commit/across_hosts.h"

#include <algorithm>

#include "base/error.h"
#include "commit/marks.h"

namespace datashard::commit {
namespace {

constexpr std::string_view kProperty = "datashard.group-commit-across-hosts";
// Removals of what nobody needs any more wait for each other so long.
constexpr auto kRemovalPause = std::chrono::milliseconds(200);
// A leader shows that it lives this often at least (GroupSettings::patience).
constexpr std::chrono::microseconds kSliceMax = std::chrono::milliseconds(50);

bool IsSettledIn(const iceberg::TableMetadata& metadata, const PendingGroup& group) {
  const Result<std::optional<Marks>> marks = Marks::Read(metadata, group.ring_id);
  return marks.ok() && IsSettled(group, marks->value_or(Marks()));
}

/// Why a wait should end, beside its reason.
bool IsOver(const Until& until, Clock& clock) {
  return clock.Monotonic() >= until.deadline || (until.interrupted && !until.interrupted().ok());
}

}  // namespace

Result<bool> MayMeetOtherHosts(const iceberg::TableMetadata& metadata) {
  const auto found = metadata.properties.find(std::string(kProperty));
  if (found == metadata.properties.end() || found->second == "auto") return true;
  if (found->second == "off") return false;
  return InvalidArgument("table property {} is '{}'; expected 'auto' or 'off'", kProperty, found->second);
}

AcrossHosts::AcrossHosts(ObjectStore& store, Committer& committer, Outside outside, AcrossHostsSettings settings)
    : store_(store), committer_(committer), outside_(outside), settings_(settings), pending_(store, outside),
      remover_([this](const std::atomic<bool>&) { RemoveSettled(); }, kRemovalPause) {}

bool AcrossHosts::crowded() {
  std::lock_guard lock(mutex_);
  return outside_.clock.Monotonic() < crowded_until_;
}

void AcrossHosts::NoteCrowd() {
  std::lock_guard lock(mutex_);
  crowded_until_ = outside_.clock.Monotonic() + settings_.crowded_for;
}

bool AcrossHosts::IsTimeToLook() {
  std::lock_guard lock(mutex_);
  return commits_since_look_ >= settings_.look_every && outside_.clock.Monotonic() - looked_ >= settings_.look_pause;
}

/// The groups that are not in `base` yet. Without them a commit is merely less of a help to others.
std::vector<PendingPtr> AcrossHosts::Look(const catalog::VersionPtr& base) {
  std::lock_guard look_lock(look_mutex_);
  outside_.metrics.Add("datashard_pending_looks_total", 1);
  Result<std::vector<PendingPtr>> found = pending_.Look(base->metadata.table_uuid);
  if (!found.ok()) {
    outside_.metrics.Add("datashard_pending_looks_failed_total", 1);
    return {};
  }
  const auto waiting = static_cast<size_t>(
      std::ranges::count_if(*found, [&](const PendingPtr& group) { return !IsSettledIn(base->metadata, *group); }));
  if (waiting >= settings_.crowded_groups) NoteCrowd();
  std::lock_guard lock(mutex_);
  looked_ = outside_.clock.Monotonic();
  // Where one waits it will be there again: the next commit looks too.
  commits_since_look_ = waiting > 0 ? settings_.look_every : 0;
  if (waiting > 0) looked_ -= settings_.look_pause;
  return *std::move(found);
}

Result<catalog::VersionPtr> AcrossHosts::HandOver(AppendGroup& change, WriteGroup& group, catalog::VersionPtr base,
                                                  const Until& until, const std::function<void()>& alive) {
  DS_ASSIGN_OR_RETURN(const PendingPtr own, change.HandOver(*base, outside_.clock.Now()));
  if (own == nullptr) return base;
  outside_.metrics.Add("datashard_pending_groups_total", 1);
  const auto start = outside_.clock.Monotonic();
  DS_RETURN_IF_ERROR(group.Sync());
  const auto round_trip = std::max(outside_.clock.Monotonic() - start, std::chrono::microseconds(1000));
  alive();
  // In this order: a group is only ever looked for after the version it is added to.
  DS_ASSIGN_OR_RETURN(base, committer_.Next(base));
  alive();
  std::vector<PendingPtr> found = Look(base);
  alive();
  auto may_go = [&, since = outside_.clock.Monotonic(), number = base->number]() mutable {
    const auto now = outside_.clock.Monotonic();
    if (base->number != number) {
      number = base->number;
      since = now;
    }
    const int64_t before = std::ranges::count_if(found, [&](const PendingPtr& other) {
      return other->id < own->id && !IsSettledIn(base->metadata, *other);
    });
    return now - since >= before * settings_.turn_round_trips * round_trip || IsSettledIn(base->metadata, *own);
  };
  bool waited = false;
  while (!may_go() && !IsOver(until, outside_.clock)) {
    waited = true;
    Pause(round_trip, alive);
    DS_ASSIGN_OR_RETURN(base, committer_.Next(base));
    alive();
  }
  if (waited && !IsSettledIn(base->metadata, *own)) found = Look(base);
  change.TakeIn(std::move(found));
  return base;
}

/// Between a half and one `round_trip`.
void AcrossHosts::Pause(std::chrono::microseconds round_trip, const std::function<void()>& alive) {
  auto left = std::chrono::microseconds(
      static_cast<int64_t>((0.5 + RandomUnit(outside_.random) / 2) * static_cast<double>(round_trip.count())));
  for (; left.count() > 0; left -= kSliceMax) {
    outside_.clock.Sleep(std::min(left, kSliceMax));
    alive();
  }
}

void AcrossHosts::TakeIn(AppendGroup& change, const catalog::VersionPtr& base, int64_t attempt) {
  if (attempt == 1 && (change.handed_over() || (!crowded() && !IsTimeToLook()))) return;
  change.TakeIn(Look(base));
}

void AcrossHosts::After(const AppendGroup& change) {
  {
    std::lock_guard lock(mutex_);
    ++commits_since_look_;
    for (const PendingPtr& group : change.settled()) settled_.push_back(group->key());
    if (settled_.empty()) return;
  }
  remover_.Wake();
}

/// Those that stay for a failure, or for the end of this process, grow too old to be taken in, and are collected.
void AcrossHosts::RemoveSettled() {
  std::vector<std::string> keys;
  {
    std::lock_guard lock(mutex_);
    keys = std::exchange(settled_, {});
  }
  const Status removed = store_.DeleteMany(keys);
  if (!removed.ok()) outside_.metrics.Add("datashard_pending_removals_failed_total", 1);
}

}  // namespace datashard::commit
