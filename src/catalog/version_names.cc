#include "catalog/version_names.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace datashard::catalog {
namespace {

constexpr std::string_view kStart = "metadata/v";
constexpr std::string_view kPlainEnd = ".metadata.json";
constexpr std::string_view kGzipEnd = ".gz.metadata.json";

/// The name without its end; none where it has neither.
std::optional<std::string_view> Stem(std::string_view name) {
  for (const std::string_view end : {kGzipEnd, kPlainEnd}) {
    if (name.ends_with(end)) return name.substr(0, name.size() - end.size());
  }
  return std::nullopt;
}

}  // namespace

std::string VersionKey(int64_t number) { return fmt::format("{}{}{}", kStart, number, kPlainEnd); }
std::string GzipVersionKey(int64_t number) { return fmt::format("{}{}{}", kStart, number, kGzipEnd); }

std::string ChecksumKey(std::string_view version_key) {
  const size_t name = version_key.rfind('/') + 1;
  return fmt::format("{}.{}.crc", version_key.substr(0, name), version_key.substr(name));
}

std::optional<int64_t> ParseVersionNumber(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < 1) return std::nullopt;
  return number;
}

std::optional<int64_t> NumberOfKey(std::string_view key) {
  if (!key.starts_with(kStart)) return std::nullopt;
  const std::optional<std::string_view> stem = Stem(key.substr(kStart.size()));
  return stem ? ParseVersionNumber(*stem) : std::nullopt;
}

bool IsHadoopTemporary(std::string_view name) {
  const std::optional<std::string_view> stem = Stem(name);
  if (!stem || stem->size() != 36) return false;
  for (size_t i = 0; i < stem->size(); ++i) {
    const char c = (*stem)[i];
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))) return false;
  }
  return true;
}

Result<std::optional<ObjectInfo>> FindVersion(ObjectStore& store, int64_t number, Spellings spellings) {
  for (const std::string& key : {VersionKey(number), GzipVersionKey(number)}) {
    Result<ObjectInfo> info = store.Head(key);
    if (info.ok()) return std::optional(std::move(info).value());
    if (info.kind() != ErrorKind::kNotFound) return std::move(info).error();
    if (spellings == Spellings::kPlain) break;
  }
  return std::optional<ObjectInfo>();
}

}  // namespace datashard::catalog
