#include "storage/child_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <optional>

namespace datashard {
namespace {

[[noreturn]] void RunAndExit(const std::function<void()>& body) {
  body();
  std::fflush(stdout);
  ::_exit(testing::Test::HasFailure() ? 1 : 0);
}

std::string LinkTarget(const std::string& link) {
  char target[PATH_MAX];
  const ssize_t size = ::readlink(link.c_str(), target, sizeof target);
  return size < 0 ? std::string("?") : std::string(target, static_cast<size_t>(size));
}

std::string RelativeTo(const std::string& root, const std::string& path) {
  if (path == root) return ".";
  if (path.ends_with(" (deleted)")) return "(unnamed)";
  return path.starts_with(root + "/") ? path.substr(root.size() + 1) : path;
}

std::string TextAt(pid_t pid, uint64_t address) {
  std::string text;
  for (;; address += sizeof(long)) {
    const long word = ::ptrace(PTRACE_PEEKDATA, pid, address, nullptr);
    for (size_t i = 0; i < sizeof word; ++i) {
      const auto letter = static_cast<char>(static_cast<unsigned long>(word) >> (8 * i));
      if (letter == '\0' || text.size() > PATH_MAX) return text;
      text += letter;
    }
  }
}

/// What the system call that `pid` enters does for durability or visibility, if anything.
std::optional<std::string> Describe(pid_t pid, const __ptrace_syscall_info& info, const std::string& root) {
  const std::string fds = "/proc/" + std::to_string(pid) + "/fd/";
  const auto path_of = [&](uint64_t fd) { return RelativeTo(root, LinkTarget(fds + std::to_string(static_cast<int>(fd)))); };
  const auto path_in = [&](uint64_t fd, uint64_t name) {
    const std::string directory = path_of(fd);
    return (directory == "." ? "" : directory + "/") + TextAt(pid, name);
  };
  switch (info.entry.nr) {
    case SYS_fsync: return "fsync " + path_of(info.entry.args[0]);
    case SYS_fdatasync: return "fdatasync " + path_of(info.entry.args[0]);
    case SYS_linkat: return "link " + path_in(info.entry.args[2], info.entry.args[3]);
    case SYS_renameat2:
    case SYS_renameat: return "rename " + path_in(info.entry.args[2], info.entry.args[3]);
    default: return std::nullopt;
  }
}

}  // namespace

bool PassesInChild(const std::function<void()>& body) {
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) RunAndExit(body);
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool RefuseCalls(const std::vector<RefusedCall>& calls) {
  std::vector<sock_filter> program;
  const auto load = [&](size_t offset) {
    program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)));
  };
  for (const RefusedCall& call : calls) {
    const bool any_argument = call.argument < 0;
    load(offsetof(seccomp_data, nr));
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call.number), 0,
                               static_cast<uint8_t>(any_argument ? 1 : 4)));
    if (!any_argument) {
      load(offsetof(seccomp_data, args) + static_cast<size_t>(call.argument) * sizeof(uint64_t));  // the low half
      program.push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, call.mask));
      program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call.value, 0, 1));
    }
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(call.error)));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{.len = static_cast<unsigned short>(program.size()), .filter = program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

std::vector<std::string> TraceDurability(const std::string& root, const std::function<void()>& body) {
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(77);
    ::raise(SIGSTOP);
    RunAndExit(body);
  }
  std::vector<std::string> trace;
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return trace;
  ::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
  for (long signal = 0;;) {
    ::ptrace(PTRACE_SYSCALL, child, nullptr, signal);
    signal = 0;
    if (::waitpid(child, &status, 0) != child) break;
    if (WIFEXITED(status)) {
      if (WEXITSTATUS(status) != 0) trace.push_back("failed");
      break;
    }
    if (WIFSIGNALED(status)) {
      trace.push_back("killed");
      break;
    }
    if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
      signal = WSTOPSIG(status);
      continue;
    }
    __ptrace_syscall_info info{};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info) <= 0 || info.op != PTRACE_SYSCALL_INFO_ENTRY) continue;
    if (std::optional<std::string> action = Describe(child, info, root)) trace.push_back(std::move(*action));
  }
  return trace;
}

namespace {

TEST(ChildProcess, FailuresOfTheChildReachTheParent) {
  EXPECT_TRUE(PassesInChild([] {}));
  EXPECT_FALSE(PassesInChild([] { ::_exit(1); }));
  EXPECT_FALSE(PassesInChild([] { ::raise(SIGKILL); }));
}

TEST(ChildProcess, RefusedCallsFailAsAsked) {
  EXPECT_TRUE(PassesInChild([] {
    ASSERT_TRUE(RefuseCalls({{.number = SYS_getppid, .error = ENOSYS},
                             {.number = SYS_dup3, .error = EIO, .argument = 2, .mask = O_CLOEXEC, .value = O_CLOEXEC}}));
    errno = 0;
    EXPECT_EQ(::syscall(SYS_getppid), -1);
    EXPECT_EQ(errno, ENOSYS);
    EXPECT_EQ(::syscall(SYS_dup3, 0, 100, 0), 100);
    EXPECT_EQ(::syscall(SYS_dup3, 0, 100, O_CLOEXEC), -1);
    EXPECT_EQ(errno, EIO);
  }));
}

}  // namespace
}  // namespace datashard
