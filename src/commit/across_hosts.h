// What a host does where several race for the versions of one table in a bucket: it hands its group over, lets those go first
// that did so before, and takes in what others have handed over, so that one version serves many hosts. Nothing here is needed
// for correctness. Source: docs/design/0010-group-commit-across-hosts.md.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/background_thread.h"
#include "base/outside.h"
#include "commit/append_group.h"
#include "commit/committer.h"
#include "commit/pending_group.h"
#include "storage/object_store.h"

namespace datashard::commit {

/// Property datashard.group-commit-across-hosts: "auto" (the default) is true, "off" is false. Errors: kInvalidArgument.
Result<bool> MayMeetOtherHosts(const iceberg::TableMetadata& metadata);

struct AcrossHostsSettings {
  /// A commit that lost this many races says that hosts are many. Two hosts get on better without a meeting.
  int64_t crowded_losses = 2;
  /// So many groups that wait do, too.
  size_t crowded_groups = 4;
  /// Once that was seen, for so long.
  std::chrono::microseconds crowded_for = std::chrono::seconds(10);
  /// A host that wins all races never meets those that lose them, so it looks for their groups after so many commits, if they
  /// took it at least so long: one request.
  int64_t look_every = 8;
  std::chrono::microseconds look_pause = std::chrono::seconds(1);
  /// The turn of each host that is before ours, in round trips.
  int64_t turn_round_trips = 3;
};

/// Of one handle. Callable from several threads. Borrows all but the settings.
class AcrossHosts {
 public:
  AcrossHosts(ObjectStore& store, Committer& committer, Outside outside, AcrossHostsSettings settings = {});

  /// Were there many hosts lately?
  bool crowded();
  void NoteCrowd();
  /// Races to be lost before that is a crowd.
  int64_t races_max() const { return settings_.crowded_losses; }

  /// Hands `change` over, whose files are in `group`, and waits for its turn, or until another host has committed it. Its ring
  /// was told before (Ring::NoteExposure).
  /// \return the version to go on from. Errors: of storage; the group is useless then.
  Result<catalog::VersionPtr> HandOver(AppendGroup& change, WriteGroup& group, catalog::VersionPtr base, const Until& until,
                                       const std::function<void()>& alive);
  /// To be called before each attempt to commit `change` on `base`: gives it the groups of others where that is due.
  void TakeIn(AppendGroup& change, const catalog::VersionPtr& base, int64_t attempt);
  /// After a commit, whatever its outcome: what was handed over is not on offer any more, and if it is `published`, neither is
  /// what of others is settled by it.
  void After(const AppendGroup& change, bool published);

 private:
  std::vector<std::string> List();
  std::vector<PendingPtr> Read(const std::vector<std::string>& ids, const catalog::VersionPtr& base);
  void Pause(std::chrono::microseconds round_trip, const std::function<void()>& alive);
  bool IsTimeToLook();
  void RemoveSettled();

  ObjectStore& store_;
  Committer& committer_;
  const Outside outside_;
  const AcrossHostsSettings settings_;
  std::mutex mutex_;
  std::chrono::microseconds crowded_until_{0};
  std::chrono::microseconds looked_{0};
  int64_t commits_since_look_ = 0;
  std::mutex pending_mutex_;  // held for round trips
  PendingGroups pending_;
  std::vector<std::string> settled_;
  BackgroundThread remover_;  // last, so that it ends first
};

}  // namespace datashard::commit
