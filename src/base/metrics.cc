#include "base/metrics.h"

namespace datashard {

void MetricSums::Add(std::string_view name, double amount) {
  const auto sums = sums_.Lock();
  const auto found = sums->find(name);
  if (found != sums->end()) {
    found->second += amount;
  } else {
    sums->emplace(name, amount);
  }
}

std::map<std::string, double, std::less<>> MetricSums::Read() const {
  return *sums_.Lock();
}

}  // namespace datashard
