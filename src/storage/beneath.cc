#include "storage/beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <vector>

namespace datashard {
namespace {

// As many as the kernel follows.
constexpr int kLinksMax = 40;
// openat2 answers EAGAIN when somebody renames a directory while it resolves ".."; it means "ask again".
constexpr int kAttemptsMax = 1000;

int OpenAt2(int root, const char* path, int flags) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  const long fd = Uninterrupted([&] { return ::syscall(SYS_openat2, root, path, &how, sizeof how); });
  return fd < 0 ? -errno : static_cast<int>(fd);
}

/// The segments of `path` in front of `rest` (in reverse, so that the next one is at the back).
void PushSegments(std::string_view path, std::vector<std::string>& rest) {
  for (size_t end = path.size(); end > 0;) {
    const size_t slash = path.rfind('/', end - 1);
    const size_t start = slash == std::string_view::npos ? 0 : slash + 1;
    const std::string_view segment = path.substr(start, end - start);
    if (!segment.empty() && segment != ".") rest.emplace_back(segment);
    if (start == 0) break;
    end = start - 1;
  }
}

/// What the kernel's RESOLVE_BENEATH does, one segment at a time: no segment is opened through a link, ".." goes back to
/// a descriptor that was reached from the root, never up the file system. It serves kernels without openat2, and links
/// with an absolute target below the root, which the kernel refuses and which are harmless.
int Walk(int root, std::string_view root_path, std::string_view path, int flags) {
  std::vector<std::string> rest;  // what is still to be walked, the next segment last
  PushSegments(path, rest);
  std::vector<Fd> reached;  // below the root, one per level
  const auto here = [&] { return reached.empty() ? root : reached.back().get(); };
  int links = 0;
  while (!rest.empty()) {
    const std::string segment = std::move(rest.back());
    rest.pop_back();
    if (segment == "..") {
      if (reached.empty()) return -EXDEV;
      reached.pop_back();
      continue;
    }
    Fd next(Uninterrupted([&] { return ::openat(here(), segment.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC); }));
    if (!next.valid()) return -errno;
    struct stat info;
    if (::fstat(next.get(), &info) != 0) return -errno;
    if (!S_ISLNK(info.st_mode)) {
      if (!rest.empty() && !S_ISDIR(info.st_mode)) return -ENOTDIR;
      if (rest.empty() && !S_ISDIR(info.st_mode)) {
        // If a link took its place meanwhile, O_NOFOLLOW answers ELOOP.
        const int fd = Uninterrupted([&] { return ::openat(here(), segment.c_str(), flags | O_NOFOLLOW | O_CLOEXEC); });
        return fd < 0 ? -errno : fd;
      }
      reached.push_back(std::move(next));
      continue;
    }
    if (++links > kLinksMax) return -ELOOP;
    char target[PATH_MAX];
    const ssize_t size = ::readlinkat(next.get(), "", target, sizeof target);
    if (size < 0) return -errno;
    std::string_view to(target, static_cast<size_t>(size));
    if (to.starts_with('/')) {
      if (!to.starts_with(root_path)) return -EXDEV;
      to.remove_prefix(root_path.size());
      if (!to.empty() && !to.starts_with('/') && root_path != "/") return -EXDEV;
      reached.clear();
    }
    PushSegments(to, rest);
  }
  // "." of a directory reached by O_PATH descriptors alone: no link can be in the way.
  const int fd = Uninterrupted([&] { return ::openat(here(), ".", flags | O_CLOEXEC); });
  return fd < 0 ? -errno : fd;
}

}  // namespace

Beneath::Beneath(Fd root, std::string root_path) : root_(std::move(root)), root_path_(std::move(root_path)) {
  // Kernels before 5.6 do not know the call; the filters of some container runtimes refuse it with EPERM.
  Fd probe(OpenAt2(root_.get(), ".", O_PATH | O_CLOEXEC));
  has_openat2_ = probe.valid();
}

std::string Beneath::PathOf(std::string_view key) const {
  if (key.empty()) return root_path_;
  std::string path = root_path_ == "/" ? std::string() : root_path_;
  path += '/';
  path += key;
  return path;
}

int Beneath::Open(std::string_view key, int flags) const {
  if (has_openat2_) {
    const std::string path(key.empty() ? "." : key);
    int fd = -EAGAIN;
    for (int attempt = 0; fd == -EAGAIN && attempt < kAttemptsMax; ++attempt) {
      fd = OpenAt2(root_.get(), path.c_str(), flags | O_CLOEXEC);
    }
    if (fd != -EXDEV) return fd;
  }
  return Walk(root_.get(), root_path_, key, flags);
}

}  // namespace datashard
