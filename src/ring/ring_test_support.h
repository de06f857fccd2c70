// Directories, processes and raw memory for the tests of rings.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "ring/layout.h"
#include "ring/ring.h"
#include "support/matchers.h"

namespace datashard::ring {

using std::chrono::microseconds;
/// Longer than any test: a Wait that is left to its time-out is a test that hangs.
inline constexpr microseconds kForEver = std::chrono::minutes(10);

class RingDirectory {
 public:
  RingDirectory() {
    std::string pattern = "/dev/shm/datashard-ring-test-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    root_ = pattern;
  }
  RingDirectory(const RingDirectory&) = delete;
  RingDirectory& operator=(const RingDirectory&) = delete;
  ~RingDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  const std::string& root() const { return root_; }
  RingPlace place() const { return {root_ + "/rings", "0123456789abcdef"}; }
  std::string file() const { return place().directory + "/" + place().key; }

 private:
  std::string root_;
};

inline std::unique_ptr<Ring> OpenRing(const RingPlace& place) {
  Result<std::unique_ptr<Ring>> ring = Ring::Open(place);
  if (!ring.ok()) ADD_FAILURE() << ring.error().ToString();
  return ring.ok() ? *std::move(ring) : nullptr;
}

/// The memory of a ring, for tests that write garbage.
class RawRing {
 public:
  explicit RawRing(const std::string& file) {
    const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
    void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || memory == MAP_FAILED) std::abort();
    ::close(fd);
    shared_ = static_cast<Shared*>(memory);
  }
  RawRing(const RawRing&) = delete;
  RawRing& operator=(const RawRing&) = delete;
  ~RawRing() { ::munmap(shared_, sizeof(Shared)); }
  Shared* operator->() const { return shared_; }
  Shared& operator*() const { return *shared_; }

 private:
  Shared* shared_;
};

/// A forked process that talks with its parent in single signs. Its exit status is 1 if an expectation failed in it.
class Child {
 public:
  using Body = std::function<void(Child&)>;
  explicit Child(const Body& body) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    pid_ = ::fork();
    if (pid_ < 0) std::abort();
    end_ = ends[pid_ == 0 ? 1 : 0];
    ::close(ends[pid_ == 0 ? 0 : 1]);
    if (pid_ != 0) return;
    // A failure of the parent so far is not the child's.
    const bool failed_before = testing::Test::HasFailure();
    body(*this);
    ::fflush(nullptr);
    ::_exit(!failed_before && testing::Test::HasFailure() ? 1 : 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ > 0) Signal(SIGKILL), (void)Join();
    ::close(end_);
  }

  void Tell() { EXPECT_EQ(::send(end_, "x", 1, MSG_NOSIGNAL), 1); }
  /// False where the other side is gone.
  bool Hear() {
    char sign = 0;
    ssize_t count;
    do count = ::read(end_, &sign, 1);
    while (count < 0 && errno == EINTR);
    return count == 1;
  }
  void Signal(int signal) { ::kill(pid_, signal); }
  /// Returns when the process has stopped.
  void Stop() {
    Signal(SIGSTOP);
    int status = 0;
    ASSERT_EQ(::waitpid(pid_, &status, WUNTRACED), pid_);
    ASSERT_TRUE(WIFSTOPPED(status));
  }
  void Kill() {
    Signal(SIGKILL);
    EXPECT_EQ(Join(), -SIGKILL);
  }
  /// The exit status, or the negative signal that ended it.
  int Join() {
    int status = 0;
    ::waitpid(std::exchange(pid_, 0), &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
  int end_ = -1;
};

/// What an owner does until it is answered: leads if nobody else does, answering by `lead`, else waits.
template <typename Lead>
SlotState AppendAndLead(Ring& ring, Slot& slot, const Label& label, ByteView payload, const Lead& lead) {
  const Status submitted = slot.Submit(label, payload);
  if (!submitted.ok()) ADD_FAILURE() << submitted.error().ToString();
  while (slot.state() == SlotState::kWait) {
    if (std::optional<Leadership> leadership = ring.TryLead(); leadership.has_value()) {
      lead(*leadership);
    } else {
      slot.Wait(kForEver);
    }
  }
  return slot.state();
}

}  // namespace datashard::ring
