// The names in metadata/ that mean something: versions, and the temporary files of Hadoop catalogs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "datashard/result.h"
#include "storage/object_store.h"

namespace datashard::catalog {

/// "metadata/v7.metadata.json".
std::string VersionKey(int64_t number);
/// "metadata/v7.gz.metadata.json": the other spelling, which we read and do not write.
std::string GzipVersionKey(int64_t number);
/// "metadata/.v7.metadata.json.crc" of such a key: what Hadoop puts beside each file that it writes.
std::string ChecksumKey(std::string_view version_key);

/// A version number in decimal digits, 1 or more.
std::optional<int64_t> ParseVersionNumber(std::string_view text);
/// The number in "metadata/v12.metadata.json" or its gzip spelling.
std::optional<int64_t> NumberOfKey(std::string_view key);
/// "<uuid>.metadata.json" or "<uuid>.gz.metadata.json": what a Hadoop catalog writes before it renames it to a version.
bool IsHadoopTemporary(std::string_view name);

enum class Spellings { kPlain, kBoth };
/// What is there of version `number`, in whichever spelling. Cost: a look for each spelling until one is there.
/// Errors: of storage.
Result<std::optional<ObjectInfo>> FindVersion(ObjectStore& store, int64_t number, Spellings spellings = Spellings::kBoth);

}  // namespace datashard::catalog
