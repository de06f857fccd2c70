#include "storage/local_name_watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/fork.h"

namespace datashard {
namespace {

// Names that come and go, and what ends the watch: the directory itself is removed, moved or unmounted.
constexpr uint32_t kMask =
    IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_MOVE_SELF | IN_DELETE_SELF | IN_ONLYDIR;
constexpr uint32_t kUseless = IN_Q_OVERFLOW | IN_IGNORED | IN_UNMOUNT | IN_MOVE_SELF | IN_DELETE_SELF;
constexpr size_t kEventBytesMax = sizeof(inotify_event) + NAME_MAX + 1;
constexpr size_t kBufferBytes = 32 << 10;

using Names = std::set<std::string, std::less<>>;

/// A NameEvent in one number, so that it can be read without a lock.
constexpr int64_t kKinds = 4;
void Happened(std::atomic<int64_t>& last, NameEvent::Kind kind) {
  last = (last / kKinds + 1) * kKinds + static_cast<int64_t>(kind);
}

// The kernel grants a user 128 queues, so all watches of a process share one. Its events are handed to every watch of the
// directory they are of, whoever reads them.
struct Queue {
  struct Follower {
    NameFilter accept;
    std::atomic<int64_t>* last;  // the watch's; see Happened
    Names names;
    int directory = -1;  // as the kernel numbers it here; -1: `names` misses something
  };
  Fd fd;
  std::map<const NameWatch*, Follower> followers;
  std::multimap<int, Follower*> by_directory;

  /// Ends what `follower` is told, and what is told for nobody else.
  void Leave(Follower& follower) {
    const int directory = std::exchange(follower.directory, -1);
    follower.names.clear();
    std::erase_if(by_directory, [&](const auto& entry) { return entry.second == &follower; });
    if (directory >= 0 && !by_directory.contains(directory)) (void)::inotify_rm_watch(fd.get(), directory);
  }
  void Remove(const NameWatch* watch) {
    const auto found = followers.find(watch);
    if (found == followers.end()) return;
    Leave(found->second);
    followers.erase(found);
    if (followers.empty()) fd = Fd();
  }
  /// False where there is no queue, or no room for one more directory in it.
  bool Join(Follower& follower, const Fd& opened_directory) {
    if (!fd.valid()) fd = Fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (!fd.valid()) return false;
    const std::string path = fmt::format("/proc/self/fd/{}", opened_directory.get());
    follower.directory = ::inotify_add_watch(fd.get(), path.c_str(), kMask);
    if (follower.directory >= 0) by_directory.emplace(follower.directory, &follower);
    return follower.directory >= 0;
  }
  /// Hands out what has happened. Where events were lost, all who may have missed one are let go.
  void Read() {
    alignas(inotify_event) char buffer[kBufferBytes];
    while (fd.valid()) {
      const ssize_t count = Uninterrupted([&] { return ::read(fd.get(), buffer, sizeof buffer); });
      if (count < 0 && errno == EAGAIN) return;
      if (count <= 0) return LeaveAll();
      for (ssize_t at = 0; at < count;) {
        const auto* const event = reinterpret_cast<const inotify_event*>(buffer + at);
        at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
        if ((event->mask & IN_Q_OVERFLOW) != 0) {
          LeaveAll();
        } else {
          Tell(*event);
        }
      }
      // Had there been room for one more event, there was none: what comes now came after the call began.
      if (sizeof buffer - static_cast<size_t>(count) >= kEventBytesMax) return;
    }
  }

 private:
  void LeaveAll() {
    for (auto& [watch, follower] : followers) Leave(follower);
    fd = Fd();
  }
  void Tell(const inotify_event& event) {
    const auto [begin, end] = by_directory.equal_range(event.wd);
    if ((event.mask & kUseless) != 0) {
      std::vector<Follower*> useless;
      for (auto it = begin; it != end; ++it) useless.push_back(it->second);
      for (Follower* const follower : useless) Leave(*follower);
      return;
    }
    const std::string_view name = event.len == 0 ? std::string_view() : std::string_view(event.name);
    for (auto it = begin; it != end; ++it) {
      Follower& follower = *it->second;
      if (!follower.accept(name)) continue;
      if ((event.mask & (IN_CREATE | IN_MOVED_TO)) != 0) {
        follower.names.emplace(name);
        Happened(*follower.last, NameEvent::Kind::kAppeared);
      } else if (const auto known = follower.names.find(name); known != follower.names.end()) {
        follower.names.erase(known);
        Happened(*follower.last, (event.mask & IN_DELETE) != 0 ? NameEvent::Kind::kDeleted : NameEvent::Kind::kRenamed);
      }
    }
  }
};

/// Never destroyed: watches of other static objects may outlive it.
PerProcess<Queue>& SharedQueue() {
  static PerProcess<Queue>& queue = *std::make_unique<PerProcess<Queue>>().release();
  return queue;
}

class LocalNameWatch final : public NameWatch {
 public:
  LocalNameWatch(const Beneath& beneath, std::string directory_key, NameFilter accept)
      : beneath_(beneath), directory_key_(std::move(directory_key)), accept_(std::move(accept)) {}
  ~LocalNameWatch() override { SharedQueue().Lock()->Remove(this); }

  Result<std::vector<std::string>> Matching() override {
    const auto queue = SharedQueue().Lock();
    queue->Read();
    Queue::Follower& follower = queue->followers.try_emplace(this, Queue::Follower{.accept = accept_, .last = &last_}).first->second;
    if (follower.directory < 0) {
      Status restarted = Restart(*queue, follower);
      if (!restarted.ok()) queue->Leave(follower);
      DS_RETURN_IF_ERROR(restarted);
    }
    return KeysOf(follower.names);
  }

  NameEvent Last() const override {
    const int64_t last = last_.load();
    return {.kind = static_cast<NameEvent::Kind>(last % kKinds), .number = last / kKinds};
  }

 private:
  /// No descriptor where there is no such directory.
  Result<Fd> OpenDirectory() const {
    const int fd = beneath_.Open(directory_key_, O_RDONLY | O_DIRECTORY);
    if (fd == -ENOENT || fd == -ENOTDIR) return Fd();
    if (fd < 0) return IoError(-fd, "list", beneath_.PathOf(directory_key_));
    return Fd(fd);
  }

  std::vector<std::string> KeysOf(const Names& names) const {
    std::vector<std::string> keys;
    for (const std::string& name : names)
      keys.push_back(directory_key_.empty() ? name : fmt::format("{}/{}", directory_key_, name));
    return keys;
  }

  /// Watches first and looks afterwards, so that nothing falls in between.
  Status Restart(Queue& queue, Queue::Follower& follower) const {
    follower.names.clear();
    DS_ASSIGN_OR_RETURN(const Fd directory, OpenDirectory());
    if (!directory.valid()) return {};
    (void)queue.Join(follower, directory);  // without it the next call looks again
    return Scan(directory, follower.names);
  }

  /// One directory entry after the other, no file is looked at.
  Status Scan(const Fd& directory, Names& names) const {
    if (!directory.valid()) return {};
    const int copy = ::fcntl(directory.get(), F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return IoError(errno, "list", beneath_.PathOf(directory_key_));
    const auto close = [](DIR* stream) { ::closedir(stream); };
    const std::unique_ptr<DIR, decltype(close)> stream(::fdopendir(copy), close);
    if (!stream) {
      const int error = errno;
      ::close(copy);
      return IoError(error, "list", beneath_.PathOf(directory_key_));
    }
    for (;;) {
      errno = 0;
      const dirent* const entry = ::readdir(stream.get());
      if (entry == nullptr) return errno == 0 ? Status() : Status(IoError(errno, "list", beneath_.PathOf(directory_key_)));
      if (accept_(entry->d_name)) names.emplace(entry->d_name);
    }
  }

  const Beneath& beneath_;
  const std::string directory_key_;
  const NameFilter accept_;
  std::atomic<int64_t> last_ = 0;  // see Happened
};

}  // namespace

std::unique_ptr<NameWatch> NewLocalNameWatch(const Beneath& beneath, std::string directory_key, NameFilter accept) {
  return std::make_unique<LocalNameWatch>(beneath, std::move(directory_key), std::move(accept));
}

}  // namespace datashard
