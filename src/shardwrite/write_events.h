// What a write tells its observer while it goes on.
#pragma once

#include <initializer_list>
#include <mutex>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "datashard/sharded_writer.h"

namespace datashard::shardwrite {

/// Callable from several threads; the sink is called by one at a time.
class WriteEvents {
 public:
  using Number = std::pair<std::string_view, double>;
  /// \param sink  may be empty.
  WriteEvents(WriteEventSink sink, Clock& clock) : sink_(std::move(sink)), clock_(clock), start_(clock.Monotonic()) {}

  /// With "elapsed_ms" since this was made in front. `about`: a URL or an error.
  void Emit(std::string_view event, std::initializer_list<Number> numbers = {}, std::string_view about = {});
  /// Without it.
  void EmitBare(std::string_view event, std::initializer_list<Number> numbers);
  int64_t elapsed_ms() const;

 private:
  const WriteEventSink sink_;
  Clock& clock_;
  const std::chrono::microseconds start_;
  std::mutex mutex_;
};

}  // namespace datashard::shardwrite
