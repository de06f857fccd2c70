// The only state of the command that outlives a call: a signal handler can reach nothing else.
#include "cli/interrupt.h"

#include <atomic>
#include <csignal>

namespace datashard::cli {
namespace {

std::atomic<int> pending_signal = 0;  // any thread may be the one that handles the signal

void TakeNote(int signal_number) { pending_signal = signal_number; }

}  // namespace

void WatchSignals() {
  struct sigaction note {};
  note.sa_handler = TakeNote;
  note.sa_flags = static_cast<int>(SA_RESETHAND);  // no SA_RESTART: a read of standard input must wake up
  sigaction(SIGINT, &note, nullptr);
  sigaction(SIGTERM, &note, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

int PendingSignal() { return pending_signal; }

Status CheckSignals() {
  if (pending_signal == 0) return {};
  return Error(ErrorKind::kUnavailable, pending_signal == SIGTERM ? "terminated" : "interrupted");
}

}  // namespace datashard::cli
