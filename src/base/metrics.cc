#include "base/metrics.h"

namespace datashard {

void MetricSums::Add(std::string_view name, double amount) {
  std::lock_guard lock(mutex_);
  const auto found = sums_.find(name);
  if (found != sums_.end()) {
    found->second += amount;
  } else {
    sums_.emplace(name, amount);
  }
}

std::map<std::string, double, std::less<>> MetricSums::Read() const {
  std::lock_guard lock(mutex_);
  return sums_;
}

}  // namespace datashard
