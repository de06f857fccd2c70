// Where a writer of a shard database puts the bytes of one object: memory while it is small, a file without a name beyond that.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "datashard/result.h"

namespace datashard::kv {

/// Not thread safe. Errors of all calls: kUnavailable (disk full, say), kDenied.
class Output {
 public:
  /// \param memory_bytes_max  beyond these the bytes move to a file without a name in `spill_directory`, which is made when needed.
  Output(int64_t memory_bytes_max, std::string spill_directory);
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  Status Append(ByteView bytes);
  /// Writes over bytes that were appended before.
  Status Rewrite(int64_t offset, ByteView bytes);
  int64_t size_bytes() const;
  /// All bytes from the first to the last, in pieces of at most `piece_bytes`; may be called again.
  Status ForEachPiece(int64_t piece_bytes, const std::function<Status(ByteView piece)>& sink) const;
  /// All bytes, where they are in memory still; none elsewhere. Valid until the next call that writes.
  std::optional<ByteView> in_memory() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace datashard::kv
