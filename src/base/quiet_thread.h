// Threads that get no signal: those of the process are for threads that wait to be interrupted.
#pragma once

#include <cstddef>
#include <functional>
#include <thread>

namespace datashard {

/// Runs `body`. Not joinable where no thread is to be had.
std::thread QuietThread(const std::function<void()>& body);

/// Calls `task` with 0 to count - 1, each once, in the caller's thread and up to `threads_max` - 1 quiet ones, and returns when
/// all have returned. For tasks that wait for a network; they must not throw. An InterruptScope of the caller's ends the waits of
/// all of them.
void RunAll(size_t count, size_t threads_max, const std::function<void(size_t)>& task);

}  // namespace datashard
