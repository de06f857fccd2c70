// Marks: for each slot of a ring the highest seq whose rows are in the chain, kept in the table's own metadata as property
// datashard.ring.<ring id>. They make every append through a ring idempotent: whoever plans a version looks here first.
// Source: docs/formats/metadata.md, "Marks"; docs/design/0003-group-commit.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "datashard/result.h"
#include "iceberg/metadata.h"

namespace datashard::commit {

/// A ring that was silent for this long is forgotten; its processes are told kCommitUnknown if they wake after that.
inline constexpr std::chrono::milliseconds kRingSilenceMax = std::chrono::hours(24 * 7);
/// Every time several processes start anew there is another ring. Beyond this many, those that were silent for
/// kRingSilenceMin are forgotten too, the most silent first.
inline constexpr size_t kRingsKept = 16;
inline constexpr std::chrono::milliseconds kRingSilenceMin = std::chrono::hours(1);
/// And this many are never exceeded: every version carries them.
inline constexpr size_t kRingsMax = 64;

class Marks {
 public:
  /// Of ring `ring_id` in `metadata`; none where it has no marks. Errors: kCorruption for text that we do not write.
  static Result<std::optional<Marks>> Read(const iceberg::TableMetadata& metadata, std::string_view ring_id);

  /// 0 where the slot has no mark.
  int64_t Of(int slot) const;
  /// Never lowers a mark.
  void Raise(int slot, int64_t seq);
  /// Puts the marks into `metadata`, stamped with `now_ms` (of the clock), and drops those of rings that are silent for too long.
  void Write(iceberg::TableMetadata& metadata, std::string_view ring_id, int64_t now_ms) const;

  bool operator==(const Marks&) const = default;

 private:
  std::map<int, int64_t> seq_of_slot_;
};

}  // namespace datashard::commit
