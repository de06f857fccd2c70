#include "ring/locks.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace datashard::ring {

// All live Locks of this process. The one thing here that is global, because fork is: pthread_atfork handlers have no argument.
// A list through its members: a handler must not allocate, and nothing has to be destroyed at exit, whatever the order. Changed
// under a ForkHold.
struct LiveLocks {
  Locks* first = nullptr;

  void Add(Locks& locks) {
    locks.next_ = first;
    if (first != nullptr) first->previous_ = &locks;
    first = &locks;
  }
  void Remove(Locks& locks) {
    (locks.previous_ != nullptr ? locks.previous_->next_ : first) = locks.next_;
    if (locks.next_ != nullptr) locks.next_->previous_ = locks.previous_;
  }
  void ForgetAfterFork() {
    for (Locks* locks = first; locks != nullptr; locks = locks->next_) locks->ForgetAfterFork();
  }
};

namespace {

constinit LiveLocks live_locks;

void AfterForkInChild() { live_locks.ForgetAfterFork(); }

struct flock Range(Lock lock, short type) {
  struct flock range = {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = lock.byte();
  range.l_len = 1;
  return range;
}

}  // namespace

void Locks::WatchForks() {
  static const int handler = ::pthread_atfork(nullptr, nullptr, AfterForkInChild);
  (void)handler;  // ENOMEM only, in which case there are larger worries
}

Locks::Locks(const ForkHold&, RingFile file, Descriptor descriptor) : file_(std::move(file)), fd_(descriptor.Release()) {
  live_locks.Add(*this);
}

Locks::~Locks() {
  const ForkHold hold;
  live_locks.Remove(*this);
  if (const int fd = fd_.load(); fd >= 0) {
    RemoveIfLast(file_, fd);
    ::close(fd);
  }
}

void Locks::ForgetAfterFork() {
  if (const int fd = fd_.exchange(-1); fd >= 0) ::close(fd);
  for (auto& word : taken_here_) word.store(0);
}

Result<int> Locks::Fd() {
  if (const int fd = fd_.load(); fd >= 0) return fd;
  const ForkHold hold;
  if (const int fd = fd_.load(); fd >= 0) return fd;
  DS_ASSIGN_OR_RETURN(Descriptor descriptor, Reopen(file_));
  fd_.store(descriptor.get());
  return descriptor.Release();
}

Result<bool> Locks::TryTake(Lock lock) {
  DS_ASSIGN_OR_RETURN(const int fd, Fd());
  auto& word = taken_here_[static_cast<size_t>(lock.number() / 64)];
  const uint64_t bit = uint64_t{1} << (lock.number() % 64);
  // Always a write: whoever releases this lock then sees what was written before the failed try, so that a waiter which fails
  // to take the lead is not overlooked by its holder.
  if ((word.fetch_or(bit) & bit) != 0) return false;
  struct flock range = Range(lock, F_WRLCK);
  if (::fcntl(fd, F_OFD_SETLK, &range) == 0) return true;
  const int error = errno;
  word.fetch_and(~bit);
  if (error == EAGAIN || error == EACCES) return false;
  return Unavailable("cannot lock byte {} of {}: {}", lock.byte(), file_.path, std::strerror(error));
}

void Locks::Release(Lock lock) {
  // The file first: a thread that takes the bit must find the byte free, and must not lose it to us afterwards.
  struct flock range = Range(lock, F_UNLCK);
  if (const int fd = fd_.load(); fd >= 0) (void)::fcntl(fd, F_OFD_SETLK, &range);
  taken_here_[static_cast<size_t>(lock.number() / 64)].fetch_and(~(uint64_t{1} << (lock.number() % 64)));
}

bool Locks::IsTaken(Lock lock) {
  const uint64_t here = taken_here_[static_cast<size_t>(lock.number() / 64)].load();
  if ((here >> (lock.number() % 64) & 1) != 0) return true;
  const Result<int> fd = Fd();
  struct flock range = Range(lock, F_WRLCK);
  return !fd.ok() || ::fcntl(*fd, F_OFD_GETLK, &range) != 0 || range.l_type != F_UNLCK;
}

}  // namespace datashard::ring
