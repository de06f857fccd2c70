// Which keys a store takes, and the names it keeps for itself.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "datashard/result.h"

namespace datashard {

/// Bodies above this are not handed out in one piece: metadata is far smaller, and a sparse file that claims an exabyte
/// must not take this process's memory.
inline constexpr int64_t kWholeObjectBytesMax = int64_t{2} << 30;

/// Is `key` a key (see base/uri.h) whose last segment is not reserved (IsReservedName)? Else kInvalidArgument.
Status CheckObjectKey(std::string_view key);
/// Is `prefix` "" or a key with a '/' behind it? Else kInvalidArgument.
Status CheckListPrefix(std::string_view prefix);
/// kInvalidArgument where either number is negative.
Status CheckRange(std::string_view key, int64_t offset_bytes, int64_t size_bytes);

/// ".datashard-<16 digits>.tmp". The leading dot hides it from other engines too.
std::string TemporaryName();
/// Is it such a name?
bool IsTemporaryName(std::string_view name);
/// ".datashard-tombstone-<number>": a file whose hard links stand in for dropped bodies.
std::string TombstoneName(int number);
/// Is it a name of one of these two kinds? They are never listed and never a key.
bool IsReservedName(std::string_view name);

/// ("a/b", "c") of "a/b/c"; ("", "c") of "c".
std::pair<std::string_view, std::string_view> SplitKey(std::string_view key);

}  // namespace datashard
