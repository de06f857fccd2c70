// Counters of what happened, by name; units are in the name ("datashard_commit_attempts_total", "…_seconds").
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/fork.h"

namespace datashard {

/// Callable from several threads.
class Metrics {
 public:
  virtual ~Metrics() = default;
  virtual void Add(std::string_view name, double amount) = 0;
};

/// Sums in memory, of this process: a fork child begins at nothing.
class MetricSums final : public Metrics {
 public:
  void Add(std::string_view name, double amount) override;
  std::map<std::string, double, std::less<>> Read() const;

 private:
  mutable PerProcess<std::map<std::string, double, std::less<>>> sums_;
};

}  // namespace datashard
