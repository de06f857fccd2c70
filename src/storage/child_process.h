// Child processes that test what a file system or kernel may answer: system calls refused by a filter, recorded by a
// tracer, or made as another user. Only tests include this.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace datashard {

/// Runs `body` in a forked child and says whether it finished without a failed expectation (gtest prints those).
bool PassesInChild(const std::function<void()>& body);

/// A system call to be refused with `error`; where `argument` is not negative, only if (that argument & `mask`) == `value`.
struct RefusedCall {
  long number;
  int error;
  int argument = -1;
  uint32_t mask = ~uint32_t{0};
  uint32_t value = 0;
};
/// Refuses these calls of this process from now on, for ever. False where the kernel does not allow such filters.
bool RefuseCalls(const std::vector<RefusedCall>& calls);

/// Runs `body` in a traced child and tells, in order, what it did to make things durable or visible: "fdatasync <path>",
/// "fsync <path>", "link <path>", "rename <path>", with paths relative to `root` ("." is the root, "(unnamed)" a file
/// without a name). A failed expectation adds "failed"; empty where processes may not be traced here.
std::vector<std::string> TraceDurability(const std::string& root, const std::function<void()>& body);

}  // namespace datashard
