// Group commit: appends of all threads and processes of this host meet in a ring; whoever holds the lead publishes one
// version for everything that waits, and answers every slot. Without a ring each append publishes its own version.
// Correctness rests on the committer and on the marks alone: see docs/design/0003-group-commit.md for the invariants.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/outside.h"
#include "catalog/directory_catalog.h"
#include "commit/across_hosts.h"
#include "commit/append_group.h"
#include "commit/base_blob.h"
#include "commit/committer.h"
#include "ring/ring.h"
#include "storage/object_store.h"

namespace datashard::commit {

struct GroupSettings {
  /// A wait looks for signals this often.
  std::chrono::microseconds signal_interval = std::chrono::milliseconds(50);
  /// A leader that publishes nothing for this long is deposed: others lead beside it, which is safe.
  std::chrono::microseconds patience = std::chrono::seconds(2);
  /// A leader that sees fewer waiters than the last group had waits this long for the rest. With 12 writers on 2 cores, 100 us
  /// gave groups of 9.4 and 0.4 ms groups of 11.5, and a quarter more appends; a writer on its own never waits.
  std::chrono::microseconds gather = std::chrono::microseconds(400);
  /// Who finds all slots taken looks again after at most this long.
  std::chrono::microseconds room_interval = std::chrono::milliseconds(10);
  /// And publishes for itself after this long, or where nobody publishes anything for `patience`. 200 writers with room for 64
  /// made 64 appends a second when each raced with the leader at once, and kept the leader from its own.
  std::chrono::microseconds room_patience = std::chrono::seconds(10);
  bool operator==(const GroupSettings&) const = default;
};

// A leader that lives shows it more often than others lose their patience, also while it waits seconds for a foreign writer.
static_assert(GroupSettings{}.patience >= 20 * std::max(catalog::ForeignWriters::kLookMax, CommitSettings{}.backoff_max));
static_assert(GroupSettings{}.patience >= 20 * GroupSettings{}.signal_interval);

/// How much longer than its time-out an append may take: to make certain that an append that was given up will not be published
/// by somebody who holds a copy of its rows. After that its outcome is unknown.
inline constexpr std::chrono::microseconds kWithdrawalMax = std::chrono::seconds(5);

/// Joins the ring of a table, or makes it. Errors: of ring::Ring::Open.
using OpenRing = std::function<Result<std::unique_ptr<ring::Ring>>()>;

/// Work that one process of the host does at a time, and the ring that says so.
struct HeldChores {
  std::shared_ptr<ring::Ring> ring;
  ring::Chores chores;
};

/// What became of a submitted append.
struct Appended {
  bool replan = false;         ///< nothing was committed: the schema is another one now
  bool marked_before = false;  ///< a version had it already; then only the version of the reply may be known
  bool crowded = false;        ///< nothing was committed: hosts are many, and it is to be submitted in a slot
  ring::Reply reply;
};

/// Callable from several threads. A fork child makes one of its own.
class GroupCommitter {
 public:
  /// \param open_ring  called here, and again when the ring was closed; none, or once it has failed: every append publishes
  /// for itself.
  /// \param across_hosts  whether groups of other hosts are met, on a remote store.
  GroupCommitter(std::shared_ptr<ObjectStore> store, Committer& committer, Outside outside, OpenRing open_ring,
                 bool across_hosts = true, GroupSettings settings = {});

  /// Publishes `payload`, or has it published.
  /// \param known  any version of the table.
  /// \param until  its end, at most kWithdrawalMax late: nothing committed, unless kCommitUnknown says so.
  /// Errors: as Committer::Commit; kConflict after the time-out.
  Result<Appended> Append(const ring::Label& label, const Bytes& payload, const catalog::VersionPtr& known, const Until& until);

  /// Publishes `payload`, of any size, at once if nobody has the lead and there is no crowd of hosts; otherwise nothing is done
  /// and nothing returned. Errors: as Append.
  Result<std::optional<Appended>> TryAppend(const ring::Label& label, const Bytes& payload, const catalog::VersionPtr& known,
                                            const Until& until);

  /// Publishes `change`, whose files are in `group`, at once if nobody has the lead (or beside whoever has it, which costs
  /// both of them races); otherwise nothing is done and nothing returned. Errors: as Committer::Commit.
  Result<std::optional<Committed>> TryCommit(Change& change, const catalog::VersionPtr& known, WriteGroup& group,
                                             const Until& until, bool beside_the_leader);

  bool has_ring() { return UsableRing() != nullptr; }
  /// The chores of the ring; nothing where another has them, or there is no ring.
  std::optional<HeldChores> TryChores();

  /// The newest version this object has published or heard of; may be null.
  catalog::VersionPtr newest() const;

 private:
  using RingPtr = std::shared_ptr<ring::Ring>;
  /// Null where there is none to be had.
  RingPtr UsableRing();
  RingPtr JoinRing() const;
  /// Leads and publishes `own`, which is in no slot, with what waits. Nothing where another leads, or to be put in a slot.
  Result<std::optional<Appended>> TryLeadWith(ring::Ring& ring, const ring::Submission& own, const catalog::VersionPtr& known,
                                              const Until& until);
  Result<Appended> AppendThrough(ring::Ring& ring, ring::Slot& slot, const ring::Label& label, const Bytes& payload,
                                 const catalog::VersionPtr& known, const Until& until);
  /// \param ring  null: none; that of the item's slot, where it has one.
  Result<Appended> PublishAlone(ring::Ring* ring, ring::Submission item, const catalog::VersionPtr& known, const Until& until);
  Result<Appended> Withdraw(ring::Ring& ring, ring::Slot& slot, const ring::Label& label, const catalog::VersionPtr& known,
                            const Until& until, Result<Appended> outcome);
  /// Publishes all that waits, and `own` (where there is one), which no slot holds. \return the outcome of
  /// `own`, or at least the version.
  Result<Appended> Lead(ring::Ring& ring, ring::Leadership& lead, const catalog::VersionPtr& known,
                        const ring::Submission* own, const Until& until);
  /// The commit of a leader; where there is a crowd of hosts, through what they hand over to each other.
  Result<Committed> Publish(AppendGroup& change, ring::Ring& ring, ring::Leadership& lead, WriteGroup& group,
                            const catalog::VersionPtr& known, const Until& until);
  bool IsCrowded() { return across_hosts_ != nullptr && across_hosts_->crowded(); }
  void Gather(ring::Leadership& lead, size_t own);
  Result<Appended> OutcomeOf(const AppendGroup::Answer& answer) const;
  /// The base the next version is most likely built on, and whether it is worth a try without a look.
  struct BaseGuess {
    catalog::VersionPtr version;
    bool is_newest = false;
  };
  BaseGuess GuessBase(ring::Ring& ring, const catalog::VersionPtr& known);
  bool IsInPlace(DecodedBase& base, ByteView blob) const;
  void Remember(const catalog::VersionPtr& version);
  /// What every commit leaves behind for the next one.
  void Leave(ring::Ring* ring, const Committed& committed, bool has_marks);

  std::shared_ptr<ObjectStore> store_;
  Committer& committer_;
  const Outside outside_;
  const OpenRing open_ring_;
  const GroupSettings settings_;
  mutable std::mutex mutex_;
  RingPtr ring_;
  catalog::VersionPtr newest_;
  size_t last_group_size_ = 0;
  std::unique_ptr<AcrossHosts> across_hosts_;  // null where there are none to be met
};

}  // namespace datashard::commit
