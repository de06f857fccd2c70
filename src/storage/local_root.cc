#include "storage/local_root.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>

#include "base/error.h"
#include "storage/directory_tree.h"

namespace datashard {
namespace {

/// The absolute path without links of what exists at `path`; its errno in `error` where nothing does.
std::string RealPath(const std::string& path, int& error) {
  char* const resolved = ::realpath(path.c_str(), nullptr);
  error = resolved == nullptr ? errno : 0;
  std::string result = resolved == nullptr ? std::string() : resolved;
  std::free(resolved);
  return result;
}

bool IsLink(const std::string& path) {
  struct stat info;
  return ::lstat(path.c_str(), &info) == 0 && S_ISLNK(info.st_mode);
}

/// Splits the last segment off `path`: ("a/b", "c") of "a/b/c/"; (".", "c") of "c"; ("/", "c") of "/c".
std::pair<std::string, std::string> SplitPath(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

/// Makes what is missing of `path` and returns it resolved.
Result<std::string> MakeDirectories(const std::string& path) {
  int error = 0;
  if (std::string resolved = RealPath(path, error); error == 0) return resolved;
  if (error != ENOENT) return IoError(error, "open directory", path);
  if (IsLink(path))
    return InvalidArgument("cannot open directory {}: it is a symbolic link to something that does not exist", path);
  const std::pair<std::string, std::string> split = SplitPath(path);
  const std::string& name = split.second;
  if (name == "..")
    return InvalidArgument("cannot make directory {}: '..' follows a directory that does not exist", path);
  DS_ASSIGN_OR_RETURN(const std::string parent, MakeDirectories(split.first));
  if (name == ".") return parent;
  const std::string made = fmt::format("{}{}{}", parent, parent == "/" ? "" : "/", name);
  if (::mkdir(made.c_str(), 0777) != 0 && errno != EEXIST) return IoError(errno, "make directory", made);
  return made;
}

}  // namespace

Status SyncAncestors(const std::string& path) {
  for (std::string child = path; child != "/";) {
    const std::string parent = SplitPath(child).first;
    const Fd child_fd(::open(child.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!child_fd.valid()) return IoError(errno, "open directory", child);
    if (IsYoung(BirthTime(child_fd.get()))) {
      const Fd fd(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      // We may not read a directory that we did not make the name in (/home): then its maker has synced it.
      if (!fd.valid() && errno != EACCES) return IoError(errno, "open directory", parent);
      if (fd.valid()) {
        if (const int error = SyncDirectory(fd.get()); error != 0) return IoError(error, "sync directory", parent);
      }
    }
    child = parent;
  }
  return {};
}

Result<Beneath> OpenLocalRoot(std::string_view path_text, bool create) {
  const std::string path(path_text);
  if (path.empty()) return InvalidArgument("the path of the directory is empty");
  if (path.find('\0') != std::string::npos) return InvalidArgument("the path of the directory contains a NUL byte");
  int error = 0;
  std::string resolved = RealPath(path, error);
  if (error == ENOENT && create) {
    DS_ASSIGN_OR_RETURN(resolved, MakeDirectories(path));
  } else if (error == ENOENT && IsLink(path)) {
    return InvalidArgument("cannot open directory {}: it is a symbolic link to something that does not exist", path);
  } else if (error == ENOENT) {
    return NotFound("there is no directory {}", path);
  } else if (error != 0) {
    return IoError(error, "open directory", path);
  }
  // O_PATH: reading single files needs no right to list the directory.
  Fd fd(::open(resolved.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid() && errno == ENOTDIR) return InvalidArgument("cannot open directory {}: it is a file", resolved);
  if (!fd.valid()) return IoError(errno, "open directory", resolved);
  return Beneath(std::move(fd), std::move(resolved));
}

}  // namespace datashard
