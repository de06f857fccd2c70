#include "base/log.h"

#include <fmt/format.h>

#include <cstdio>

namespace datashard {
namespace {

class Silent final : public Log {
 public:
  void Write(LogLevel, std::string_view) override {}
};

class Stderr final : public Log {
 public:
  void Write(LogLevel level, std::string_view message) override {
    if (level == LogLevel::kWarning) fmt::print(stderr, "datashard: warning: {}\n", message);
  }
};

}  // namespace

Log& SilentLog() {
  static Silent log;
  return log;
}

Log& StderrLog() {
  static Stderr log;
  return log;
}

}  // namespace datashard
