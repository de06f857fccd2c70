#include "collect/file_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "catalog/version_names.h"
#include "commit/lease.h"
#include "commit/pending_group.h"
#include "storage/keys.h"

namespace datashard::collect {
namespace {

constexpr std::string_view kData = "data/";
constexpr std::string_view kMetadata = "metadata/";
constexpr std::string_view kChecksumEnd = ".crc";

/// Takes things off the front of a name; once one is missing, everything after it is too.
class NameReader {
 public:
  explicit NameReader(std::string_view rest) : rest_(rest) {}
  NameReader& Text(std::string_view text) {
    ok_ = ok_ && rest_.starts_with(text);
    if (ok_) rest_.remove_prefix(text.size());
    return *this;
  }
  NameReader& Digits() { return Run("0123456789", 1, 19); }
  NameReader& Hex(size_t count) { return Run("0123456789abcdef", count, count); }
  NameReader& Uuid() { return Hex(8).Text("-").Hex(4).Text("-").Hex(4).Text("-").Hex(4).Text("-").Hex(12); }
  bool ended() const { return ok_ && rest_.empty(); }

 private:
  NameReader& Run(std::string_view alphabet, size_t min, size_t max) {
    size_t count = 0;
    while (count < max && count < rest_.size() && alphabet.find(rest_[count]) != std::string_view::npos) ++count;
    ok_ = ok_ && count >= min;
    if (ok_) rest_.remove_prefix(count);
    return *this;
  }

  std::string_view rest_;
  bool ok_ = true;
};

bool IsOwnData(std::string_view key) {
  const auto [directory, name] = SplitKey(key);
  return NameReader(name).Text("auto_").Hex(16).Text(".parquet").ended() ||
         NameReader(name).Text("merged_").Hex(16).Text(".parquet").ended();
}

/// "<uuid>-<attempt>-before.avro" and its likes.
bool OfAMergeOfFiles(const NameReader& in_directory) {
  constexpr std::array<std::string_view, 4> kRoles = {"before", "added", "after", "deleted"};
  return std::ranges::any_of(kRoles, [&](std::string_view role) {
    return NameReader(in_directory).Uuid().Text("-").Digits().Text("-").Text(role).Text(".avro").ended();
  });
}

bool IsOwnMetadata(std::string_view key) {
  if (commit::IsPendingKey(key)) return true;
  const auto in_directory = [&] { return NameReader(key).Text("metadata/m/").Digits().Text("/"); };
  return in_directory().Uuid().Text("-m").Digits().Text(".avro").ended() ||
         in_directory().Uuid().Text("-").Digits().Text("-merged.avro").ended() ||
         OfAMergeOfFiles(in_directory()) ||
         in_directory().Text("snap-").Digits().Text("-").Digits().Text("-").Uuid().Text(".avro").ended() ||
         NameReader(key).Text("metadata/history/").Digits().Text("-").Digits().Text("-").Uuid().Text(".avro").ended();
}

bool IsNamedByTables(std::string_view name) {
  constexpr std::array<std::string_view, 4> kEnds = {".avro", ".stats", ".puffin", ".parquet"};
  for (const std::string_view end : kEnds)
    if (name.ends_with(end)) return true;
  return false;
}

}  // namespace

std::optional<std::string> CheckedKey(std::string_view key) {
  const auto [directory, name] = SplitKey(key);
  if (!name.starts_with('.') || !name.ends_with(kChecksumEnd) || name.size() <= 1 + kChecksumEnd.size()) return std::nullopt;
  const std::string_view checked = name.substr(1, name.size() - 1 - kChecksumEnd.size());
  return directory.empty() ? std::string(checked) : fmt::format("{}/{}", directory, checked);
}

NameKind KindOf(std::string_view key) {
  if (key.starts_with(kData)) return IsOwnData(key) ? NameKind::kOwn : NameKind::kForeign;
  if (!key.starts_with(kMetadata)) return NameKind::kKept;
  if (key.starts_with(commit::kInflightPrefix)) {
    return commit::IsLeaseKey(key) || key.ends_with(".inflight") ? NameKind::kMarker : NameKind::kUnknown;
  }
  if (IsOwnMetadata(key)) return NameKind::kOwn;
  const auto [directory, name] = SplitKey(key);
  const bool on_top = directory == "metadata";
  if (catalog::NumberOfKey(key) || (on_top && name == "version-hint.text")) return NameKind::kKept;
  if (on_top && catalog::IsHadoopTemporary(name)) return NameKind::kForeign;
  // Those of versions go with their versions.
  if (const std::optional<std::string> checked = CheckedKey(key)) {
    return IsNamedByTables(*checked) || catalog::IsHadoopTemporary(SplitKey(*checked).second) ? NameKind::kForeign
                                                                                             : NameKind::kKept;
  }
  return IsNamedByTables(name) ? NameKind::kForeign : NameKind::kUnknown;
}

bool IsVersionOfAnotherTable(std::string_view key) {
  const size_t at = key.rfind("/metadata/");
  return at != std::string_view::npos && catalog::NumberOfKey(key.substr(at + 1)).has_value();
}

}  // namespace datashard::collect
