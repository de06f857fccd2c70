// The change that a leader publishes for all who wait: their rows in one data file, one snapshot for all plain appends, one
// more for each transaction, and the marks that say whose rows are in. The same change, of one item, is what a writer
// publishes for itself.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "commit/append_files.h"
#include "commit/change.h"
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
  Result<std::vector<AppendPart>> PartsOf(const Indexes& plain, const Draft& draft);
  Result<std::optional<DataFile>> FileOf(Indexes run, const Draft& draft);
  Status AddSnapshot(std::vector<AppendPart> parts, const Indexes& members, Draft& draft);
  void Drop(bool unused_only);

  struct WrittenFile {
    std::string key;
    DataFile file;
    bool used = false;  // by the newest attempt
  };

  const std::string ring_id_;
  const bool registered_;
  const std::vector<ring::Submission> items_;
  ObjectStore& store_;
  WriteGroup& group_;
  Random& random_;
  std::map<Indexes, ChangeIds> ids_;        // of a snapshot, by its members: other members, other manifests
  std::map<Indexes, WrittenFile> written_;  // by the items whose rows they hold
  std::vector<Answer> answers_;
  bool has_marks_ = false;
};

}  // namespace datashard::commit
