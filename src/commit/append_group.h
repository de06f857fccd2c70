// The change that a leader publishes for all who wait: their rows in one data file, one snapshot for all plain appends, one
// more for each transaction, and the marks that say whose rows are in. The same change, of one item, is what a writer
// publishes for itself. Where hosts race, groups of others come in with it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "commit/append_files.h"
#include "commit/change.h"
#include "commit/marks.h"
#include "commit/pending_group.h"
#include "ring/ring.h"
#include "storage/object_store.h"

namespace datashard::commit {

/// Label::kind: what a payload is.
enum class PayloadKind : int32_t {
  kRows = 1,         ///< rows as data/row_batch.h encodes them
  kManifest = 2,     ///< a manifest that its owner has written and synced, as EncodeWritten gives it
  kTransaction = 3,  ///< the same, in a snapshot of its own
  kWithdrawal = 4,   ///< nothing: only the mark rises, so that nobody can publish the rows any more
};

/// A written manifest as a payload, and back. Errors: kCorruption.
Result<Bytes> EncodeWritten(const WrittenManifest& written);
Result<WrittenManifest> DecodeWritten(ByteView payload);

/// What is told to those whose rows are in `snapshot`, which came with version `version`.
ring::Reply ReplyFor(int64_t version, const Snapshot& snapshot);

class AppendGroup final : public Change {
 public:
  enum class Outcome {
    kCommitted,  ///< in the version this change was committed in, or in an earlier one
    kReplan,     ///< the schema or the partition spec is another one now
    kBad,        ///< a payload that cannot be read
  };
  struct Answer {
    Outcome outcome = Outcome::kBad;
    bool marked_before = false;  ///< committed, but not here: somebody else was faster
    ring::Reply reply;
  };

  /// \param ring_id  whose slots the items come from. An item whose slot is negative was never seen by others: no marks.
  /// \param registered  a version with marks of that ring exists: a table without them has forgotten the ring.
  /// \param store, group  where data files go; outlive this.
  AppendGroup(std::string ring_id, bool registered, std::vector<ring::Submission> items, ObjectStore& store,
              WriteGroup& group, Random& random);

  /// Errors also: kFenced: the table has forgotten the ring; nothing of the items may be published or retried.
  Status Apply(Draft& draft) override;

  /// Puts the rows of what `base` does not have into the write group, and makes the pending group that names their files, which
  /// any host can append once it is put where all see it. That must not be before those files are synced. They are never removed
  /// here from now on. Items stay this change's own too.
  /// \return null where nothing can be handed over: no slots, another schema.
  Result<PendingPtr> HandOver(const catalog::Version& base, Instant now);
  /// What HandOver has put; null before.
  const PendingPtr& handed_over() const { return handed_over_; }
  /// What other hosts have handed over, for attempts from now on; of what is in the table already nothing is added.
  void TakeIn(std::vector<PendingPtr> groups) { others_ = std::move(groups); }
  /// Groups of others of which nothing is left to be added after the last attempt.
  const std::vector<PendingPtr>& settled() const { return settled_; }

  const std::vector<ring::Submission>& items() const { return items_; }
  /// Did the last attempt find or write marks of the ring?
  bool has_marks() const { return has_marks_; }
  /// One per item, after the commit succeeded.
  const std::vector<Answer>& answers() const { return answers_; }
  /// After a success: removes data files that only lost attempts used.
  void DropUnused();
  /// After a failure whose outcome is certain: removes all.
  void DropAll();

 private:
  using Indexes = std::vector<size_t>;
  struct Part {
    AppendPart content;
    Indexes members;
  };
  /// A manifest that was handed over.
  struct Sealed {
    WrittenManifest manifest;
    Indexes members;
  };
  /// Marks of the rings that have a part in this, by ring id.
  struct RingMarks {
    Marks marks;
    bool raised = false;
  };
  using Rings = std::map<std::string, RingMarks>;
  struct Sorted {
    Indexes plain;
    Indexes transactions;
  };

  Status ReadOwnMarks(const iceberg::TableMetadata& metadata, Rings& rings);
  Sorted Sort(const Draft& draft, Rings& rings);
  std::vector<Part> TakeSealed(Indexes& plain);
  Result<std::vector<Part>> PartsOf(const Indexes& plain, const Draft& draft);
  Result<std::optional<DataFile>> FileOf(Indexes run, const Draft& draft);
  Status AddPlain(std::vector<Part> parts, Rings& rings, Draft& draft);
  Status AddTransactions(const Indexes& transactions, Rings& rings, Draft& draft);
  Status AddSnapshot(std::vector<AppendPart> parts, const std::string& name, const Indexes& members, Draft& draft);
  void RaiseOwn(const Indexes& members, Rings& rings) const;
  void ReadMarksOfOthers(const iceberg::TableMetadata& metadata, Rings& rings) const;
  bool IsWanted(const PendingGroup& group, const PendingPart& part, const Rings& rings, const Draft& draft) const;
  void NoteSettled(const Rings& rings);
  void Drop(bool unused_only);

  struct WrittenFile {
    std::string key;
    DataFile file;
    bool used = false;         // by the newest attempt
    bool handed_over = false;  // so another host may have named it
  };

  const std::string ring_id_;
  const bool registered_;
  const std::vector<ring::Submission> items_;
  ObjectStore& store_;
  WriteGroup& group_;
  Random& random_;
  std::map<std::string, ChangeIds> ids_;    // of a snapshot, by its own members: other members, other manifests
  std::map<Indexes, WrittenFile> written_;  // by the items whose rows they hold
  std::vector<Answer> answers_;
  PendingPtr handed_over_;
  std::vector<Sealed> sealed_;  // of plain items
  std::vector<PendingPtr> others_;
  std::vector<PendingPtr> settled_;
  bool has_marks_ = false;
};

}  // namespace datashard::commit
