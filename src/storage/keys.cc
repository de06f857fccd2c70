#include "storage/keys.h"

#include "base/error.h"
#include "base/random.h"
#include "base/uri.h"

namespace datashard {
namespace {

constexpr std::string_view kTemporaryStart = ".datashard-";
constexpr std::string_view kTemporaryEnd = ".tmp";
constexpr std::string_view kTombstoneStart = ".datashard-tombstone-";

}  // namespace

std::pair<std::string_view, std::string_view> SplitKey(std::string_view key) {
  const size_t slash = key.rfind('/');
  if (slash == std::string_view::npos) return {std::string_view(), key};
  return {key.substr(0, slash), key.substr(slash + 1)};
}

std::string TemporaryName() {
  // The kernel's randomness, not a simulation's: what matters is that no two processes choose the same name.
  return fmt::format("{}{}{}", kTemporaryStart, RandomHex(SystemRandom(), 16), kTemporaryEnd);
}

bool IsTemporaryName(std::string_view name) {
  if (!name.starts_with(kTemporaryStart) || !name.ends_with(kTemporaryEnd)) return false;
  name.remove_prefix(kTemporaryStart.size());
  return name.find_first_not_of("0123456789abcdef") == 16 && name.size() == 16 + kTemporaryEnd.size();
}

std::string TombstoneName(int number) { return fmt::format("{}{}", kTombstoneStart, number); }

bool IsReservedName(std::string_view name) {
  return (name.starts_with(kTemporaryStart) && name.ends_with(kTemporaryEnd)) || name.starts_with(kTombstoneStart);
}

Status CheckObjectKey(std::string_view key) {
  DS_RETURN_IF_ERROR(CheckKey(key));
  if (IsReservedName(SplitKey(key).second))
    return InvalidArgument("'{}' is no name for an object: '{}…{}' and '{}…' are kept for the store's own files", key,
                           kTemporaryStart, kTemporaryEnd, kTombstoneStart);
  return {};
}

Status CheckListPrefix(std::string_view prefix) {
  if (prefix.empty()) return {};
  if (!prefix.ends_with('/')) return InvalidArgument("'{}' is no prefix to list: it must be empty or end in '/'", prefix);
  return CheckKey(prefix.substr(0, prefix.size() - 1));
}

Status CheckRange(std::string_view key, int64_t offset_bytes, int64_t size_bytes) {
  if (offset_bytes >= 0 && size_bytes >= 0) return {};
  return InvalidArgument("cannot read {} bytes of '{}' at offset {}: neither may be negative", size_bytes, key, offset_bytes);
}

}  // namespace datashard
