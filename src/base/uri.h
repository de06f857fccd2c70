// file:// URIs and paths below a root. Iceberg metadata names files by absolute URI or absolute path; a table's files are
// addressed here by key: relative, '/'-separated, never leaving the root.
#pragma once

#include <string>
#include <string_view>

#include "datashard/result.h"

namespace datashard {

/// "file:///a/b" for "/a/b". Nothing is percent-encoded: Iceberg's engines compare and open these names as they stand.
std::string FileUri(std::string_view absolute_path);
/// The path of "file:///a", "file:/a", "file://localhost/a" or plain "/a"; kInvalidArgument for other schemes or no path.
Result<std::string> PathOfUri(std::string_view uri);
/// Is `key` relative, without empty, "." and ".." segments and without NUL? Else kInvalidArgument.
Status CheckKey(std::string_view key);
/// The part of `path` below `root` (whole segments, both absolute, trailing '/' ignored); kInvalidArgument if outside or
/// if the rest is no key.
Result<std::string> KeyBelow(std::string_view root, std::string_view path);

}  // namespace datashard
