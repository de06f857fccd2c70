// Warnings leave the core through this interface; exporters live in cli/ and python/.
#pragma once

#include <string_view>

namespace datashard {

enum class LogLevel { kDebug, kInfo, kWarning };

/// Callable from several threads.
class Log {
 public:
  virtual ~Log() = default;
  virtual void Write(LogLevel level, std::string_view message) = 0;
};

/// Drops everything.
Log& SilentLog();
/// Warnings to standard error, one line each; the rest is dropped.
Log& StderrLog();

}  // namespace datashard
