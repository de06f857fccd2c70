#include "delay_line.h"

namespace bench {

void DelayLine::Send(Moment now, std::string_view bytes) {
  pieces_.push_back({DueOf(now), std::string(bytes)});
  size_bytes_ += bytes.size();
}

std::string_view DelayLine::Arrived(Moment now) const {
  if (pieces_.empty() || pieces_.front().due > now) return {};
  return std::string_view(pieces_.front().bytes).substr(taken_);
}

void DelayLine::Take(size_t count) {
  taken_ += count;
  size_bytes_ -= count;
  if (taken_ < pieces_.front().bytes.size()) return;
  pieces_.pop_front();
  taken_ = 0;
}

}  // namespace bench
