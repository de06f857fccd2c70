#include "base/uri.h"

#include "base/error.h"

namespace datashard {

std::string FileUri(std::string_view absolute_path) { return "file://" + std::string(absolute_path); }

Result<std::string> PathOfUri(std::string_view uri) {
  std::string_view path = uri;
  if (path.starts_with("file:")) {
    path.remove_prefix(5);
    if (path.starts_with("//")) {
      path.remove_prefix(2);
      if (path.starts_with("localhost/")) path.remove_prefix(9);
    }
  }
  if (!path.starts_with('/')) return InvalidArgument("'{}' is neither a file: URI nor an absolute path", uri);
  return std::string(path);
}

Status CheckKey(std::string_view key) {
  if (key.empty()) return InvalidArgument("an object's name is empty");
  if (key.find('\0') != std::string_view::npos) return InvalidArgument("an object's name contains a NUL byte");
  for (size_t start = 0; start <= key.size();) {
    const size_t end = std::min(key.find('/', start), key.size());
    const std::string_view segment = key.substr(start, end - start);
    if (segment.empty() || segment == "." || segment == "..")
      return InvalidArgument("'{}' is no name below a root: it has a segment '{}'", key, segment);
    start = end + 1;
  }
  return {};
}

Result<std::string> KeyBelow(std::string_view root, std::string_view path) {
  while (root.size() > 1 && root.ends_with('/')) root.remove_suffix(1);
  std::string_view rest = path;
  const bool below = rest.starts_with(root) && (root == "/" || rest.substr(root.size()).starts_with('/'));
  if (!below) return InvalidArgument("'{}' lies outside '{}'", path, root);
  rest.remove_prefix(root == "/" ? 0 : root.size());
  while (rest.starts_with('/')) rest.remove_prefix(1);
  DS_RETURN_IF_ERROR(CheckKey(rest));
  return std::string(rest);
}

}  // namespace datashard
