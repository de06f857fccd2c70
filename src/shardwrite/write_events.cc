#include "shardwrite/write_events.h"

#include <vector>

namespace datashard::shardwrite {

int64_t WriteEvents::elapsed_ms() const { return std::chrono::floor<std::chrono::milliseconds>(clock_.Monotonic() - start_).count(); }

void WriteEvents::Emit(std::string_view event, std::initializer_list<Number> numbers, std::string_view about) {
  if (!sink_) return;
  std::vector<Number> all = {{"elapsed_ms", static_cast<double>(elapsed_ms())}};
  all.insert(all.end(), numbers);
  const std::lock_guard lock(mutex_);
  sink_(event, all, about);
}

void WriteEvents::EmitBare(std::string_view event, std::initializer_list<Number> numbers) {
  if (!sink_) return;
  const std::lock_guard lock(mutex_);
  sink_(event, std::span(numbers.begin(), numbers.size()), {});
}

}  // namespace datashard::shardwrite
