// Makes a table as a long row of one-row commits would have left it, without committing each: archive, names, tombstones
// and the newest versions as the product's own code makes them, real files only for what can be read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "datashard/result.h"

namespace bench {

/// The newest so many commits are real appends through the public interface. The others are one second apart and end an
/// hour ago; each overwrites the table with one row, whose id is the snapshot's sequence number. So the current state of
/// any history is the same: kRealAppends + 1 files of one row, with the highest ids.
inline constexpr int64_t kRealAppends = 99;
inline constexpr int64_t kStepMs = 1'000;

struct HistoryPlan {
  std::string path;       ///< a directory that is not there yet
  int64_t snapshots = 0;  ///< more than kRealAppends
  int64_t readable = 0;   ///< old snapshots, at random, whose rows are really there
  /// Appends instead of overwrites: the current state names the file of every commit. Old files are not there, so that
  /// nothing but commits can be measured.
  bool all_live = false;
  uint64_t seed = 1;
};

struct ReadableSnapshot {
  int64_t snapshot_id = 0;
  int64_t sequence_number = 0;
  int64_t timestamp_ms = 0;
};

struct MadeHistory {
  int64_t first_timestamp_ms = 0;
  std::vector<ReadableSnapshot> readable;  // by sequence number
};

struct Room {
  int64_t bytes = 0;
  int64_t inodes = 0;  ///< of the file system: negative where it does not count them
};
/// What a plan takes at most. Names without content are hard links of a few empty files.
Room RoomNeeded(const HistoryPlan& plan);
/// Errors: kUnavailable, with what is missing.
datashard::Status CheckRoom(const HistoryPlan& plan, const Room& free);

/// Errors: kInvalidArgument (the plan), kAlreadyExists, kUnavailable (room on the disk or free inodes are short): nothing was
/// written; those of the store and of the table. Cost: a million snapshots take some minutes and 500 MB of memory.
datashard::Result<MadeHistory> MakeHistory(const HistoryPlan& plan);

}  // namespace bench
