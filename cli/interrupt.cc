// The only state of the command that outlives a call: a signal handler can reach nothing else. Any thread may be the one
// that handles a signal.
#include "cli/interrupt.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>

namespace datashard::cli {
namespace {

std::atomic<int> pending_signal = 0;
std::atomic<int> input_failure = 0;
int channel[2] = {-1, -1};

void TakeNote(int signal_number) {
  const int error_number = errno;
  pending_signal = signal_number;
  WakeSignalChannel();
  errno = error_number;
}

}  // namespace

void WatchSignals() {
  if (pipe2(channel, O_CLOEXEC | O_NONBLOCK) != 0) channel[0] = channel[1] = -1;  // poll leaves out a descriptor of -1
  struct sigaction note {};
  note.sa_handler = TakeNote;
  note.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &note, nullptr);
  sigaction(SIGTERM, &note, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

int PendingSignal() { return pending_signal; }

Status CheckSignals() {
  if (pending_signal != 0)
    return Error(ErrorKind::kUnavailable, pending_signal == SIGTERM ? "terminated" : "interrupted");
  if (input_failure != 0)
    return Error(ErrorKind::kUnavailable, std::string("reading standard input: ") + std::strerror(input_failure));
  return {};
}

int SignalChannel() { return channel[0]; }

void WakeSignalChannel() {
  const ssize_t written = write(channel[1], "", 1);
  static_cast<void>(written);  // a full pipe is readable already
}

void NoteInputFailure(int error_number) { input_failure = error_number; }

}  // namespace datashard::cli
