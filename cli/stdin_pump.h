// Makes a wait for standard input end at Ctrl-C. The readers of rows wait for input on threads of their own, where no
// signal reaches them; so a pipe takes the place of standard input, and a signal ends what is written into it.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "datashard/result.h"

namespace datashard::cli {

/// Lives longer than whoever reads standard input. After a signal the readers see the end of the input, wherever it
/// was: nothing read after it may be used, which CheckSignals tells.
class StdinPump {
 public:
  /// Files are read as they are, because they never make anybody wait: then this is null.
  static Result<std::unique_ptr<StdinPump>> Start();
  ~StdinPump();
  StdinPump(const StdinPump&) = delete;
  StdinPump& operator=(const StdinPump&) = delete;

  StdinPump(int source_fd, int pipe_fd);

 private:
  void Run();

  const int source_fd_;  ///< what standard input was
  const int pipe_fd_;    ///< where what is read there goes
  std::thread thread_;
};

}  // namespace datashard::cli
