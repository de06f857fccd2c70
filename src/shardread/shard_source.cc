#include "shardread/shard_source.h"

#include <utility>

#include "base/error.h"
#include "base/uri.h"
#include "shardread/objects_check.h"
#include "slatedb/slatedb_shard.h"
#include "sqlite/sqlite_shard.h"

namespace datashard::shardread {
namespace {

constexpr std::string_view kSqliteFile = "shard.db";
constexpr std::string_view kPageChecksums = "shard.pages.crc32c";

// One look for shard.db where nobody said what the format is.
Result<ShardFormat> FormatOf(const ShardRules& rules, const kv::ShardDirectory& directory) {
  if (rules.format) return *rules.format;
  const auto file = directory.Open(kSqliteFile);
  if (file.ok()) return ShardFormat::kSqlite;
  if (file.kind() == ErrorKind::kNotFound) return ShardFormat::kSlateDb;
  return file.error();
}

Result<std::unique_ptr<kv::Database>> OpenDatabase(ShardFormat format, const kv::ShardDirectory& directory, bool use_page_checksums) {
  if (format == ShardFormat::kSlateDb) return slatedb::OpenSlateDbShard(directory);
  return sqlite::OpenSqliteShard(directory, {.use_page_checksums = use_page_checksums});
}

}  // namespace

ShardSource::ShardSource(Settings settings, std::shared_ptr<generation::SnapshotPlace> place, Clock& clock)
    : settings_(std::move(settings)), place_(std::move(place)), copies_(settings_.local_root, settings_.local_bytes_max, clock),
      cache_(settings_.block_cache_bytes) {}

Result<std::unique_ptr<const OpenedShard>> ShardSource::Open(const ShardMeta& shard, const ShardRules& rules) {
  if (const auto path = generation::SnapshotPlace::DirectoryOf(*shard.db_url)) return OpenMapped(shard, rules, *path);
  DS_ASSIGN_OR_RETURN(generation::Located at, place_->Locate(*shard.db_url));
  auto opened = std::make_unique<OpenedShard>();
  opened->store = at.store;
  opened->directory = kv::OpenStoredDirectory(*at.store, at.key, cache_);
  DS_ASSIGN_OR_RETURN(const ShardFormat format, FormatOf(rules, *opened->directory));
  if (format == ShardFormat::kSqlite && !rules.by_ranges) {
    auto copy = OpenCopy(shard, at, LocalCopies::Reuse::kYes);
    const bool is_damaged = !copy.ok() && copy.kind() == ErrorKind::kCorruption;
    return is_damaged ? OpenCopy(shard, at, LocalCopies::Reuse::kNo) : std::move(copy);
  }
  const bool has_checksums = settings_.verify_checksums && FindObject(shard, kPageChecksums) != nullptr;
  DS_ASSIGN_OR_RETURN(opened->database, OpenDatabase(format, *opened->directory, has_checksums));
  return std::unique_ptr<const OpenedShard>(std::move(opened));
}

Result<std::unique_ptr<const OpenedShard>> ShardSource::OpenMapped(const ShardMeta& shard, const ShardRules& rules, const std::string& path) {
  auto opened = std::make_unique<OpenedShard>();
  opened->is_mapped = true;
  DS_ASSIGN_OR_RETURN(opened->directory, kv::OpenMappedDirectory(path, *shard.db_url, cache_));
  DS_ASSIGN_OR_RETURN(const ShardFormat format, FormatOf(rules, *opened->directory));
  if (settings_.verify_checksums) DS_RETURN_IF_ERROR(CheckMappedObjects(shard, *opened->directory));
  DS_ASSIGN_OR_RETURN(opened->database, OpenDatabase(format, *opened->directory, /*use_page_checksums=*/false));
  return std::unique_ptr<const OpenedShard>(std::move(opened));
}

Result<std::unique_ptr<const OpenedShard>> ShardSource::OpenCopy(const ShardMeta& shard, const generation::Located& at,
                                                                     LocalCopies::Reuse reuse) {
  if (settings_.local_root.empty()) {
    return InvalidArgument("{}: a SQLite shard of a bucket is downloaded first, and no local_root says whereto; give one, or read it by ranges",
                           *shard.db_url);
  }
  const std::string key = at.key.empty() ? std::string(kSqliteFile) : at.key + "/" + std::string(kSqliteFile);
  DS_ASSIGN_OR_RETURN(LocalCopy copy, copies_.Obtain(shard, *at.store, key, settings_.verify_checksums, reuse));
  auto opened = std::make_unique<OpenedShard>();
  opened->is_mapped = true;
  opened->copy.emplace(std::move(copy));
  const std::string& path = opened->copy->directory();
  DS_ASSIGN_OR_RETURN(opened->directory, kv::OpenMappedDirectory(path, FileUri(path), cache_));
  DS_ASSIGN_OR_RETURN(opened->database, OpenDatabase(ShardFormat::kSqlite, *opened->directory, /*use_page_checksums=*/false));
  opened->copy->LetOthersChange();
  return std::unique_ptr<const OpenedShard>(std::move(opened));
}

}  // namespace datashard::shardread
