// Group commit: appends of all threads and processes of this host meet in a ring; whoever holds the lead publishes one
// version for everything that waits, and answers every slot. Without a ring each append publishes its own version.
// Correctness rests on the committer and on the marks alone: see docs/design/0003-group-commit.md for the invariants.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/outside.h"
#include "catalog/directory_catalog.h"
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

/// What became of a submitted append.
struct Appended {
  bool replan = false;         ///< nothing was committed: the schema is another one now
  bool marked_before = false;  ///< a version had it already; then only the version of the reply is known
  ring::Reply reply;
};

/// Callable from several threads.
class GroupCommitter {
 public:
  /// \param ring  none: every append publishes for itself.
  GroupCommitter(std::shared_ptr<ObjectStore> store, Committer& committer, Outside outside, std::unique_ptr<ring::Ring> ring,
                 GroupSettings settings = {});

  /// Publishes `payload`, or has it published.
  /// \param known  any version of the table; its timeout property counts.
  /// \param interrupted  asked while waiting; its error ends the wait: nothing committed, unless kCommitUnknown says so.
  /// Errors: as Committer::Commit; kConflict after the time-out.
  Result<Appended> Append(const ring::Label& label, const Bytes& payload, const catalog::VersionPtr& known,
                          const std::function<Status()>& interrupted);

  /// Publishes `change`, whose files are in `group`, at once if nobody has the lead (or beside whoever has it, which costs
  /// both of them races); otherwise nothing is done and nothing returned. Errors: as Committer::Commit.
  Result<std::optional<Committed>> TryCommit(Change& change, const catalog::VersionPtr& known, WriteGroup& group,
                                             const std::function<Status()>& interrupted, bool beside_the_leader);

  bool has_ring() const { return ring_ != nullptr && !ring_->closed(); }

  /// The newest version this object has published or heard of; may be null.
  catalog::VersionPtr newest() const;

 private:
  Result<Appended> AppendThrough(ring::Ring& ring, ring::Slot& slot, const ring::Label& label, const Bytes& payload,
                                 const catalog::VersionPtr& known, const std::function<Status()>& interrupted);
  Result<Appended> PublishAlone(const std::string& ring_id, ring::Submission item, const catalog::VersionPtr& known,
                                const std::function<Status()>& interrupted);
  Result<Appended> Withdraw(ring::Ring& ring, ring::Slot& slot, const ring::Label& label, const catalog::VersionPtr& known,
                            Result<Appended> outcome);
  /// Publishes all that waits, and `own` (where there is one), which no slot holds. \return the outcome of
  /// `own`, or at least the version.
  Result<Appended> Lead(ring::Ring& ring, ring::Leadership& lead, const catalog::VersionPtr& known,
                        const ring::Submission* own, const std::function<Status()>& interrupted);
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
  void LeaveBase(ring::Ring& ring, const Committed& committed);

  std::shared_ptr<ObjectStore> store_;
  Committer& committer_;
  const Outside outside_;
  const std::unique_ptr<ring::Ring> ring_;
  const GroupSettings settings_;
  mutable std::mutex mutex_;
  catalog::VersionPtr newest_;
  size_t last_group_size_ = 0;
};

}  // namespace datashard::commit
