// Bytes under way in one direction: what one side sent now, the other side may have half a round trip later.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace bench {

using Moment = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

/// Not for several threads. Moments given to it do not fall.
class DelayLine {
 public:
  /// Nothing sets out before `opens`: on a new connection, a side first waits for the other's answer.
  DelayLine(Duration delay, Moment opens) : delay_(delay), opens_(opens) {}

  void Send(Moment now, std::string_view bytes);
  /// Nothing is sent after this.
  void End(Moment now) { end_due_ = DueOf(now); }

  /// The first bytes that have arrived by `now`; empty where none have.
  std::string_view Arrived(Moment now) const;
  /// Forgets the first `count` of the bytes that `Arrived` gave.
  void Take(size_t count);
  /// Everything was taken, and by `now` the other side knows that no more follows.
  bool HasEnded(Moment now) const { return pieces_.empty() && end_due_ && *end_due_ <= now; }

  bool is_closed() const { return end_due_.has_value(); }
  /// Too much is under way: the sender has to wait, as for a window of TCP.
  bool is_full() const { return size_bytes_ >= kBytesMax; }
  /// When the next bytes arrive, or the end does.
  std::optional<Moment> next() const { return pieces_.empty() ? end_due_ : std::optional(pieces_.front().due); }

 private:
  static constexpr size_t kBytesMax = 8 << 20;
  struct Piece {
    Moment due;
    std::string bytes;
  };

  Moment DueOf(Moment now) const { return std::max(now, opens_) + delay_; }

  const Duration delay_;
  const Moment opens_;
  std::deque<Piece> pieces_;
  size_t taken_ = 0;       // of the first piece
  size_t size_bytes_ = 0;  // of all pieces, what was taken left out
  std::optional<Moment> end_due_;
};

}  // namespace bench
