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

/// None where they cannot be listed: then a commit is merely less of a help to others.
std::vector<std::string> AcrossHosts::List() {
  std::lock_guard pending_lock(pending_mutex_);
  outside_.metrics.Add("datashard_pending_lists_total", 1);
  Result<std::vector<std::string>> ids = pending_.List();
  if (!ids.ok()) {
    outside_.metrics.Add("datashard_pending_lists_failed_total", 1);
    return {};
  }
  if (ids->size() >= settings_.crowded_groups) NoteCrowd();
  return *std::move(ids);
}

std::vector<PendingPtr> AcrossHosts::Read(const std::vector<std::string>& ids, const catalog::VersionPtr& base) {
  std::lock_guard pending_lock(pending_mutex_);
  std::vector<PendingPtr> groups = pending_.Read(ids, base->metadata.table_uuid);
  const bool waiting = std::ranges::any_of(groups, [&](const PendingPtr& group) {
    return !IsSettledIn(base->metadata, *group);
  });
  std::lock_guard lock(mutex_);
  // Where one waits it will be there again: the next commit looks too.
  commits_since_look_ = waiting ? settings_.look_every : 0;
  looked_ = outside_.clock.Monotonic() - (waiting ? settings_.look_pause : std::chrono::microseconds(0));
  return groups;
}

Result<catalog::VersionPtr> AcrossHosts::HandOver(AppendGroup& change, WriteGroup& group, catalog::VersionPtr base,
                                                  const Until& until, const std::function<void()>& alive) {
  DS_ASSIGN_OR_RETURN(const PendingPtr own, change.HandOver(*base, outside_.clock.Now()));
  if (own == nullptr) return base;
  outside_.metrics.Add("datashard_pending_groups_total", 1);
  DS_ASSIGN_OR_RETURN(const Bytes offer, EncodePending(*own));
  // Whoever sees the offer finds the files: a wave of its own, since one that is cut short has sent any of its objects.
  DS_RETURN_IF_ERROR(group.Sync());
  alive();
  const auto start = outside_.clock.Monotonic();
  DS_RETURN_IF_ERROR(store_.Replace(own->key(), offer));
  const auto round_trip = std::max(outside_.clock.Monotonic() - start, std::chrono::microseconds(1000));
  alive();
  // In this order: a group is only ever looked for after the version it is added to.
  DS_ASSIGN_OR_RETURN(base, committer_.Next(base));
  alive();
  std::vector<std::string> ids = List();
  auto since = outside_.clock.Monotonic();
  const auto is_our_turn = [&] {
    const auto before = std::ranges::count_if(ids, [&](const std::string& id) { return id < own->id; });
    return outside_.clock.Monotonic() - since >= before * settings_.turn_round_trips * round_trip;
  };
  while (!IsSettledIn(base->metadata, *own) && !is_our_turn() && !IsOver(until, outside_.clock)) {
    Pause(round_trip, alive);
    const int64_t number = base->number;
    DS_ASSIGN_OR_RETURN(base, committer_.Next(base));
    alive();
    if (base->number == number) continue;
    if (!IsSettledIn(base->metadata, *own)) ids = List();
    since = outside_.clock.Monotonic();
  }
  if (!IsSettledIn(base->metadata, *own)) change.TakeIn(Read(ids, base));
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
  if (attempt == 1 && (change.handed_over() != nullptr || (!crowded() && !IsTimeToLook()))) return;
  change.TakeIn(Read(List(), base));
}

void AcrossHosts::After(const AppendGroup& change, bool published) {
  {
    std::lock_guard lock(mutex_);
    ++commits_since_look_;
    for (const PendingPtr& group : change.settled()) {
      if (published) settled_.push_back(group->key());
    }
    if (change.handed_over() != nullptr) settled_.push_back(change.handed_over()->key());
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
