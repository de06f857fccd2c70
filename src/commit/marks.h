// Marks: for each slot of a ring the highest seq whose rows are in the chain, kept in the table's own metadata as property
// datashard.ring.<ring id>; where another host put them there, the snapshot too, which it could not tell the owner. They make every append through a ring idempotent: whoever plans a version looks here first.
// Source: docs/formats/metadata.md, "Marks"; docs/design/0003-group-commit.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "datashard/result.h"
#include "iceberg/metadata.h"

namespace datashard::commit {

/// A ring that was silent for this long is forgotten; its processes are told kCommitUnknown if they wake after that.
inline constexpr std::chrono::milliseconds kRingSilenceMax = std::chrono::hours(24 * 7);
/// Every time several processes start anew there is another ring. Beyond this many, those that were silent for
/// kRingSilenceMin are forgotten too, the most silent first.
inline constexpr size_t kRingsKept = 16;
inline constexpr std::chrono::milliseconds kRingSilenceMin = std::chrono::hours(1);
/// And this many are never exceeded: every version carries them. As many hosts may append within an hour.
inline constexpr size_t kRingsMax = 1024;

/// So much can the time of marks go on from one version to the next: a clock that is wrong makes nobody silent at once.
inline constexpr std::chrono::milliseconds kMarksTimeStep = std::chrono::milliseconds(100);

/// The time to stamp marks with that go on top of those in `metadata`: the clock's, but not before theirs, and not more than
/// kMarksTimeStep after them. So silence is at least as many versions as it is steps long, whatever clocks say.
int64_t NextMarksTime(const iceberg::TableMetadata& metadata, int64_t clock_ms);
/// Drops the marks of rings that are silent for too long at `now_ms` (NextMarksTime).
void ForgetSilentRings(iceberg::TableMetadata& metadata, int64_t now_ms);

class Marks {
 public:
  /// Of ring `ring_id` in `metadata`; none where it has no marks. Errors: kCorruption for text that we do not write.
  static Result<std::optional<Marks>> Read(const iceberg::TableMetadata& metadata, std::string_view ring_id);

  /// 0 where the slot has no mark.
  int64_t Of(int slot) const;
  /// The sequence number of the snapshot with the rows of Of(slot); 0 where that is not said.
  int64_t SequenceOf(int slot) const;
  /// Never lowers a mark.
  void Raise(int slot, int64_t seq, int64_t sequence_number = 0);
  /// Puts the marks into `metadata`, stamped with `now_ms` (NextMarksTime).
  void Write(iceberg::TableMetadata& metadata, std::string_view ring_id, int64_t now_ms) const;

  bool operator==(const Marks&) const = default;

 private:
  struct Mark {
    int64_t seq = 0;
    int64_t sequence_number = 0;
    bool operator==(const Mark&) const = default;
  };
  using BySlot = std::map<int, Mark>;
  static std::optional<std::pair<int64_t, BySlot>> Parse(std::string_view text);
  static std::vector<std::pair<int64_t, std::string>> ByTime(const iceberg::TableMetadata& metadata);
  friend int64_t NextMarksTime(const iceberg::TableMetadata& metadata, int64_t clock_ms);
  friend void ForgetSilentRings(iceberg::TableMetadata& metadata, int64_t now_ms);

  BySlot marks_;
};

}  // namespace datashard::commit
