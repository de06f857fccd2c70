#include "storage/local_name_watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <mutex>
#include <set>

#include "base/error.h"

namespace datashard {
namespace {

// Names that come and go, and what ends the watch: the directory itself is removed, moved or unmounted.
constexpr uint32_t kMask =
    IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_MOVE_SELF | IN_DELETE_SELF | IN_ONLYDIR;
constexpr uint32_t kUseless = IN_Q_OVERFLOW | IN_IGNORED | IN_UNMOUNT | IN_MOVE_SELF | IN_DELETE_SELF;
constexpr size_t kEventBytesMax = sizeof(inotify_event) + NAME_MAX + 1;
constexpr size_t kBufferBytes = 32 << 10;

using Names = std::set<std::string, std::less<>>;

class LocalNameWatch final : public NameWatch {
 public:
  LocalNameWatch(const Beneath& beneath, std::string directory_key, NameFilter accept)
      : beneath_(beneath), directory_key_(std::move(directory_key)), accept_(std::move(accept)) {}

  Result<std::vector<std::string>> Matching() override {
    const pid_t self = ::getpid();
    std::unique_lock lock(mutex_, std::defer_lock);
    // In a fork child the lock may be held for ever by a thread that is not there.
    if (owner_ == self) {
      lock.lock();
    } else if (!lock.try_lock()) {
      Names names;
      DS_ASSIGN_OR_RETURN(const Fd directory, OpenDirectory());
      DS_RETURN_IF_ERROR(Scan(directory, names));
      return KeysOf(names);
    }
    // A queue is shared with the parent process: what one reads the other misses.
    if (owner_ != self) queue_ = Fd();
    owner_ = self;
    if (!queue_.valid() || !ReadEvents()) DS_RETURN_IF_ERROR(Restart());
    return KeysOf(names_);
  }

  NameEvent Last() const override {
    const int64_t last = last_.load();
    return {.kind = static_cast<NameEvent::Kind>(last % kKinds), .number = last / kKinds};
  }

 private:
  static constexpr int64_t kKinds = 4;

  void Happened(NameEvent::Kind kind) { last_ = (last_ / kKinds + 1) * kKinds + static_cast<int64_t>(kind); }

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
  Status Restart() {
    queue_ = Fd();
    names_.clear();
    DS_ASSIGN_OR_RETURN(const Fd directory, OpenDirectory());
    if (!directory.valid()) return {};
    Fd queue(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    const std::string path = fmt::format("/proc/self/fd/{}", directory.get());
    if (queue.valid() && ::inotify_add_watch(queue.get(), path.c_str(), kMask) >= 0) queue_ = std::move(queue);
    Status scanned = Scan(directory, names_);
    if (!scanned.ok()) queue_ = Fd();
    return scanned;
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

  /// False where events were lost or the directory is another one by now.
  bool ReadEvents() {
    alignas(inotify_event) char buffer[kBufferBytes];
    for (;;) {
      const ssize_t count = Uninterrupted([&] { return ::read(queue_.get(), buffer, sizeof buffer); });
      if (count <= 0) return count < 0 && errno == EAGAIN;
      for (ssize_t at = 0; at < count;) {
        const auto* const event = reinterpret_cast<const inotify_event*>(buffer + at);
        at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
        if ((event->mask & kUseless) != 0) return false;
        const std::string_view name = event->len == 0 ? std::string_view() : std::string_view(event->name);
        if (!accept_(name)) continue;
        if ((event->mask & (IN_CREATE | IN_MOVED_TO)) != 0) {
          names_.emplace(name);
          Happened(NameEvent::Kind::kAppeared);
        } else if (const auto it = names_.find(name); it != names_.end()) {
          names_.erase(it);
          Happened((event->mask & IN_DELETE) != 0 ? NameEvent::Kind::kDeleted : NameEvent::Kind::kRenamed);
        }
      }
      // Had there been room for one more event, there was none: what comes now came after the call began.
      if (sizeof buffer - static_cast<size_t>(count) >= kEventBytesMax) return true;
    }
  }

  const Beneath& beneath_;
  const std::string directory_key_;
  const NameFilter accept_;
  std::atomic<pid_t> owner_ = 0;  // the process that may read the queue
  std::atomic<int64_t> last_ = 0;       // a NameEvent: number * kKinds + kind; no lock, for fork children
  std::mutex mutex_;
  Fd queue_;
  Names names_;
};

}  // namespace

std::unique_ptr<NameWatch> NewLocalNameWatch(const Beneath& beneath, std::string directory_key, NameFilter accept) {
  return std::make_unique<LocalNameWatch>(beneath, std::move(directory_key), std::move(accept));
}

}  // namespace datashard
