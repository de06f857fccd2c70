// Which files of a table collection may look at, told by their names alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace datashard::collect {

enum class NameKind {
  kOwn,      ///< strictly a name that we make: data files, manifests, lists, history, pending groups
  kForeign,  ///< any other file that a table may name
  kMarker,   ///< a lease of ours, or a marker of the released package
  kKept,     ///< never garbage: versions, hints, what lies outside data/ and metadata/
  kUnknown,  ///< below metadata/, and nobody here knows what it is
};
NameKind KindOf(std::string_view key);

/// "…/metadata/v7.metadata.json" below another directory than the root: a table inside the table.
bool IsVersionOfAnotherTable(std::string_view key);
/// "a/b" for Hadoop's checksum file "a/.b.crc"; none for other keys.
std::optional<std::string> CheckedKey(std::string_view key);

}  // namespace datashard::collect
