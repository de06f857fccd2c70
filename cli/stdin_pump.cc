// One thread that copies; it waits only in poll, together with the channel on which signals and the destructor call.
#include "cli/stdin_pump.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "cli/interrupt.h"

namespace datashard::cli {
namespace {

constexpr int kPipeBytes = 1 << 20;

Error Failed(const char* what) {
  return Error(ErrorKind::kUnavailable, std::string("standard input: ") + what + ": " + std::strerror(errno));
}

// Waits for `events` on `fd`. False once a signal came or nobody wants the copying any more.
bool WaitFor(int fd, short events) {
  while (true) {
    pollfd both[2] = {{fd, events, 0}, {SignalChannel(), POLLIN, 0}};
    if (poll(both, 2, /*timeout=*/-1) < 0 && errno != EINTR) return false;
    if (both[1].revents != 0) return false;
    if (both[0].revents != 0) return true;
  }
}

}  // namespace

Result<std::unique_ptr<StdinPump>> StdinPump::Start() {
  struct stat facts {};
  if (fstat(STDIN_FILENO, &facts) != 0) return Failed("cannot be read");
  if (S_ISREG(facts.st_mode) || S_ISDIR(facts.st_mode)) return std::unique_ptr<StdinPump>();
  const int source_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
  int ends[2] = {-1, -1};
  if (source_fd < 0 || pipe2(ends, O_CLOEXEC) != 0) return Failed("cannot make a pipe");
#ifdef F_SETPIPE_SZ
  fcntl(ends[1], F_SETPIPE_SZ, kPipeBytes);  // a smaller pipe is only slower
#endif
  if (fcntl(ends[1], F_SETFL, O_NONBLOCK) != 0 || dup2(ends[0], STDIN_FILENO) < 0)
    return Failed("cannot set up a pipe");
  close(ends[0]);
  return std::make_unique<StdinPump>(source_fd, ends[1]);
}

StdinPump::StdinPump(int source_fd, int pipe_fd)
    : source_fd_(source_fd), pipe_fd_(pipe_fd), thread_([this] { Run(); }) {}

StdinPump::~StdinPump() {
  WakeSignalChannel();
  thread_.join();
  close(source_fd_);
}

void StdinPump::Run() {
  std::vector<char> buffer(kPipeBytes / 4);
  while (WaitFor(source_fd_, POLLIN)) {
    const ssize_t size = read(source_fd_, buffer.data(), buffer.size());
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size < 0) NoteInputFailure(errno);
    if (size <= 0) break;
    ssize_t written = 0;
    while (written < size && WaitFor(pipe_fd_, POLLOUT)) {
      const ssize_t count = write(pipe_fd_, buffer.data() + written, static_cast<size_t>(size - written));
      if (count < 0 && errno != EINTR && errno != EAGAIN) break;
      if (count > 0) written += count;
    }
    if (written < size) break;
  }
  close(pipe_fd_);
}

}  // namespace datashard::cli
