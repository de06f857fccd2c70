#include "history_maker.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "catalog/old_versions.h"
#include "catalog/version_names.h"
#include "commit/append_files.h"
#include "commit/archive.h"
#include "commit/manifest_tiers.h"
#include "data/data_file.h"
#include "datashard/table.h"
#include "iceberg/history_root.h"
#include "iceberg/manifest.h"
#include "one_row.h"
#include "storage/object_store.h"

namespace bench {
namespace {

using namespace datashard;
namespace fs = std::filesystem;

constexpr std::string_view kHistoryDirectory = "metadata/history/";
constexpr std::string_view kHintKey = "metadata/version-hint.text";
constexpr int64_t kAgeMs = 60 * 60 * 1000;
constexpr size_t kMetadataLogEntries = 20;  // as the committer keeps
constexpr int64_t kLinksPerFile = 60'000;   // ext4 allows 65,000

Schema RecordSchema() {
  return {.schema_id = 1,
          .fields = {{.id = 1, .name = "id", .type = Type(TypeKind::kLong), .required = true},
                     {.id = 2, .name = "user", .type = Type(TypeKind::kString), .required = true},
                     {.id = 3, .name = "status", .type = Type(TypeKind::kString), .required = true},
                     {.id = 4, .name = "amount", .type = Type(TypeKind::kDouble)},
                     {.id = 5, .name = "started_at", .type = Type(TypeKind::kLong), .required = true}}};
}

/// Names that lead to nothing: hard links of empty files.
class EmptyNames {
 public:
  explicit EmptyNames(std::string root) : root_(std::move(root)) {}

  Status Add(const std::string& key) {
    if (left_ == 0) {
      source_ = fmt::format("{}/.empty-{}", root_, files_++);
      if (!std::ofstream(source_).good()) return Unavailable("cannot make {}: {}", source_, std::strerror(errno));
      left_ = kLinksPerFile;
    }
    const std::string path = root_ + "/" + key;
    if (::link(source_.c_str(), path.c_str()) != 0) {
      return Unavailable("cannot make the name {} by a hard link: {}; choose a file system that has them", path, std::strerror(errno));
    }
    --left_;
    return {};
  }
  /// The sources have more names now.
  void RemoveSources() const {
    for (int64_t i = 0; i < files_; ++i) fs::remove(fmt::format("{}/.empty-{}", root_, i));
  }

 private:
  const std::string root_;
  std::string source_;
  int64_t left_ = 0;
  int64_t files_ = 0;
};

class Maker {
 public:
  explicit Maker(const HistoryPlan& plan)
      : plan_(plan),
        old_(plan.snapshots - kRealAppends),
        random_(SeededRandom(plan.seed)),
        pending_(OpenMemoryStore("pending", SystemClock())),
        names_(plan.path) {}

  Result<MadeHistory> Make() {
    DS_RETURN_IF_ERROR(Begin());
    for (sequence_ = 1; sequence_ <= old_; ++sequence_) DS_RETURN_IF_ERROR(Commit());
    DS_RETURN_IF_ERROR(WritePending());
    DS_RETURN_IF_ERROR(DropOldVersions());
    DS_RETURN_IF_ERROR(group_->Sync());
    DS_RETURN_IF_ERROR(store_->ReplaceHint(kHintKey, std::to_string(old_ + 1)));
    names_.RemoveSources();
    DS_RETURN_IF_ERROR(AppendRows());
    return std::move(made_);
  }

 private:
  /// The keys of one commit.
  struct Keys {
    int64_t snapshot_id = 0;
    std::string list;
    std::string manifest;
    std::string data;
  };

  Status Begin() {
    // Files that only have their names cannot be merged.
    const Properties properties = plan_.all_live ? Properties{{"datashard.auto-merge", "off"}} : Properties{};
    DS_RETURN_IF_ERROR(Table::Create(plan_.path, {.schema = RecordSchema(), .properties = properties, .open_existing = false}));
    DS_ASSIGN_OR_RETURN(store_, OpenLocalStore(plan_.path, /*create=*/false));
    DS_ASSIGN_OR_RETURN(const Bytes first, store_->Get(catalog::VersionKey(1)));
    DS_ASSIGN_OR_RETURN(metadata_, iceberg::DecodeTableMetadata(first, catalog::VersionKey(1)));
    group_ = store_->NewWriteGroup();
    fs::create_directories(plan_.path + "/data");
    made_.first_timestamp_ms = ToMillis(SystemClock().Now()) - kAgeMs - old_ * kStepMs;
    readable_.insert(old_);
    while (static_cast<int64_t>(readable_.size()) <= std::min(plan_.readable, old_ - 1)) {
      readable_.insert(1 + static_cast<int64_t>(random_->Next() % static_cast<uint64_t>(old_)));
    }
    // As OldVersions leaves them: it works at every 64th version.
    const catalog::VersionLimits limits;
    const int64_t round = (old_ + 1) / limits.every * limits.every;
    first_body_ = std::max<int64_t>(1, round - limits.bodies_min + 1);
    first_name_ = std::clamp<int64_t>(round - limits.names + 1, 1, first_body_);
    return {};
  }

  Status Commit() {
    const int64_t number = sequence_ + 1;  // of the version
    if (number == 2 || number % 10'000 == 0) {
      fs::create_directories(fmt::format("{}/{}", plan_.path, commit::ManifestDirectory(number)));
    }
    const Keys keys = NewKeys(number);
    int64_t file_bytes = kFileBytes;
    if (plan_.all_live) {
      DS_RETURN_IF_ERROR(AddLive(keys, number));
    } else if (readable_.contains(sequence_)) {
      DS_ASSIGN_OR_RETURN(file_bytes, WriteReadable(keys));
    } else {
      for (const std::string& key : {keys.data, keys.manifest, keys.list}) DS_RETURN_IF_ERROR(names_.Add(key));
    }
    AddSnapshot(keys, file_bytes);
    DS_RETURN_IF_ERROR(Archive());
    if (number < first_body_) return {};
    DS_ASSIGN_OR_RETURN(const Bytes body, iceberg::EncodeTableMetadata(metadata_));
    return store_->PutIfAbsent(catalog::VersionKey(number), body);
  }

  Keys NewKeys(int64_t number) {
    const commit::ChangeIds ids = commit::NewChangeIds(*random_);
    const std::string directory = commit::ManifestDirectory(number);
    return {.snapshot_id = ids.snapshot_id,
            .list = fmt::format("{}/snap-{}-1-{}.avro", directory, ids.snapshot_id, ids.commit_uuid),
            .manifest = fmt::format("{}/{}-m0.avro", directory, ids.commit_uuid),
            .data = fmt::format("data/auto_{}.parquet", RandomHex(*random_, 16))};
  }

  int64_t timestamp_ms() const { return made_.first_timestamp_ms + (sequence_ - 1) * kStepMs; }
  std::string UriOf(const std::string& key) const { return fmt::format("{}/{}", store_->root_uri(), key); }

  void AddSnapshot(const Keys& keys, int64_t file_bytes) {
    const std::string total = std::to_string(plan_.all_live ? sequence_ : 1);
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->snapshot_id = keys.snapshot_id;
    snapshot->parent_snapshot_id = metadata_.current_snapshot_id;
    snapshot->sequence_number = sequence_;
    snapshot->timestamp_ms = timestamp_ms();
    snapshot->manifest_list = UriOf(keys.list);
    snapshot->schema_id = metadata_.current_schema_id;
    const bool append = plan_.all_live || sequence_ == 1;
    snapshot->summary = {{"operation", append ? "append" : "overwrite"}, {"added-data-files", "1"}, {"added-records", "1"},
                         {"added-files-size", std::to_string(file_bytes)}, {"total-data-files", total}, {"total-records", total}};
    metadata_.metadata_log.push_back({.timestamp_ms = metadata_.last_updated_ms, .metadata_file = UriOf(catalog::VersionKey(sequence_))});
    if (metadata_.metadata_log.size() > kMetadataLogEntries) metadata_.metadata_log.erase(metadata_.metadata_log.begin());
    metadata_.last_sequence_number = sequence_;
    metadata_.last_updated_ms = timestamp_ms();
    metadata_.current_snapshot_id = keys.snapshot_id;
    metadata_.snapshots.push_back(std::move(snapshot));
    metadata_.snapshot_log.push_back({.timestamp_ms = timestamp_ms(), .snapshot_id = keys.snapshot_id});
    metadata_.refs["main"] = {.snapshot_id = keys.snapshot_id, .type = "branch"};
  }

  /// The product archives; files that its next merge replaces never reach the disk.
  Status Archive() {
    DS_ASSIGN_OR_RETURN(const std::vector<commit::NewFile> files,
                        commit::ArchiveOverflow(*pending_, metadata_,
                                                {.now = Instant(std::chrono::milliseconds(timestamp_ms())),
                                                 .random = *random_,
                                                 .log = StderrLog()}));
    if (files.empty()) return {};
    for (const commit::NewFile& file : files) DS_RETURN_IF_ERROR(pending_->PutIfAbsent(file.key, file.body));
    DS_ASSIGN_OR_RETURN(iceberg::HistoryRoot root, iceberg::HistoryOf(metadata_));
    const std::vector<iceberg::HistoryEntry>& entries = root.entries;
    for (const iceberg::HistoryEntry& entry : archive_) {
      const bool named_by_index = entry.level == iceberg::kHistoryIndexLevel - 1;
      if (named_by_index || std::find(entries.begin(), entries.end(), entry) != entries.end()) continue;
      DS_RETURN_IF_ERROR(pending_->Delete(entry.key()));
    }
    archive_ = std::move(root.entries);
    return {};
  }

  Result<DataFile> WriteRow(const std::string& key) {
    DS_ASSIGN_OR_RETURN(ArrowStream rows, data::ConformRows(OneRow(MakeRecord(sequence_)), metadata_.current_schema()));
    DS_ASSIGN_OR_RETURN(const std::optional<DataFile> file,
                        data::WriteDataFile(std::move(rows), metadata_.current_schema(), *group_, key, UriOf(key)));
    if (!file) return Unavailable("{} has no row", key);
    return *file;
  }

  Result<commit::MadeManifest> ManifestOf(const DataFile& file, const Keys& keys) {
    DS_ASSIGN_OR_RETURN(commit::MadeManifest made,
                        commit::MakeManifest({file}, metadata_.current_schema(), *metadata_.FindSpec(metadata_.default_spec_id),
                                             store_->root_uri(), keys.manifest, keys.snapshot_id));
    made.written.line.sequence_number = sequence_;
    made.written.line.min_sequence_number = sequence_;
    made.written.line.added_snapshot_id = keys.snapshot_id;
    return made;
  }

  Status WriteList(const Keys& keys, const std::vector<ManifestFile>& manifests) {
    DS_ASSIGN_OR_RETURN(const Bytes list, iceberg::EncodeManifestList({.snapshot_id = keys.snapshot_id,
                                                                       .parent_snapshot_id = metadata_.current_snapshot_id,
                                                                       .sequence_number = sequence_},
                                                                      manifests));
    return group_->Put(keys.list, list);
  }

  /// The size of the data file.
  Result<int64_t> WriteReadable(const Keys& keys) {
    DS_ASSIGN_OR_RETURN(const DataFile file, WriteRow(keys.data));
    DS_ASSIGN_OR_RETURN(const commit::MadeManifest manifest, ManifestOf(file, keys));
    DS_RETURN_IF_ERROR(group_->Put(manifest.file.key, manifest.file.body));
    DS_RETURN_IF_ERROR(WriteList(keys, {manifest.written.line}));
    if (sequence_ < old_) {
      made_.readable.push_back({.snapshot_id = keys.snapshot_id, .sequence_number = sequence_, .timestamp_ms = timestamp_ms()});
    }
    return file.file_size_in_bytes;
  }

  /// One more live file, in manifests as the product merges them.
  Status AddLive(const Keys& keys, int64_t number) {
    if (!some_file_) {
      DS_ASSIGN_OR_RETURN(some_file_, WriteRow(keys.data));
    } else {
      DS_RETURN_IF_ERROR(names_.Add(keys.data));
    }
    DataFile file = *some_file_;
    file.file_path = UriOf(keys.data);
    const std::string id(reinterpret_cast<const char*>(&sequence_), sizeof sequence_);
    file.lower_bounds[1] = file.upper_bounds[1] = id;
    DS_ASSIGN_OR_RETURN(std::vector<commit::NewFile> files,
                        commit::MergeManifests(metadata_, manifests_,
                                               {.directory = commit::ManifestDirectory(number),
                                                .root_uri = store_->root_uri(),
                                                .name = RandomUuid(*random_),
                                                .snapshot_id = keys.snapshot_id,
                                                .sequence_number = sequence_},
                                               [&](const ManifestFile& manifest) { return EntriesOf(manifest); }));
    // The end of the list became one manifest, which never has to be a file if it is merged again.
    if (!files.empty()) {
      for (; live_keys_.size() >= manifests_.size(); live_keys_.pop_back()) DS_RETURN_IF_ERROR(pending_->Delete(live_keys_.back()));
      live_keys_.push_back(files.back().key);
    }
    DS_ASSIGN_OR_RETURN(commit::MadeManifest made, ManifestOf(file, keys));
    files.push_back(std::move(made.file));
    manifests_.push_back(std::move(made.written.line));
    live_keys_.push_back(keys.manifest);
    for (const commit::NewFile& one : files) DS_RETURN_IF_ERROR(pending_->PutIfAbsent(one.key, one.body));
    return sequence_ == old_ ? WriteList(keys, manifests_) : names_.Add(keys.list);
  }

  std::string KeyOf(const ManifestFile& manifest) const {
    return manifest.manifest_path.substr(store_->root_uri().size() + 1);
  }

  Result<std::vector<ManifestEntry>> EntriesOf(const ManifestFile& manifest) {
    DS_ASSIGN_OR_RETURN(const Bytes file, pending_->Get(KeyOf(manifest)));
    DS_ASSIGN_OR_RETURN(iceberg::DecodedManifest decoded,
                        iceberg::DecodeManifest(file, metadata_.current_schema(),
                                                *metadata_.FindSpec(metadata_.default_spec_id), manifest.manifest_path));
    DS_RETURN_IF_ERROR(iceberg::Inherit(manifest, decoded.entries));
    return std::move(decoded.entries);
  }

  Status WritePending() {
    DS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, pending_->List(""));
    for (const ObjectInfo& object : objects) {
      DS_ASSIGN_OR_RETURN(const Bytes body, pending_->Get(object.key));
      DS_RETURN_IF_ERROR(group_->Put(object.key, body));
    }
    return {};
  }

  Status DropOldVersions() {
    if (first_name_ > 1) DS_RETURN_IF_ERROR(store_->Delete(catalog::VersionKey(1)));
    for (int64_t number = first_name_; number < first_body_; ++number) {
      DS_RETURN_IF_ERROR(store_->DropBody(catalog::VersionKey(number), catalog::kTombstone));
    }
    return {};
  }

  Status AppendRows() {
    DS_ASSIGN_OR_RETURN(const std::unique_ptr<Table> table, Table::Open(plan_.path));
    for (int64_t i = 1; i <= kRealAppends; ++i) DS_RETURN_IF_ERROR(table->Append(OneRow(MakeRecord(old_ + i))));
    return {};
  }

  static constexpr int64_t kFileBytes = 640;  // of a record; only the summaries of what cannot be read say so

  const HistoryPlan plan_;
  const int64_t old_;  // snapshots that are not real appends
  const std::unique_ptr<Random> random_;
  const std::unique_ptr<ObjectStore> pending_;  // what may still be merged
  EmptyNames names_;
  std::unique_ptr<ObjectStore> store_;
  std::unique_ptr<WriteGroup> group_;
  iceberg::TableMetadata metadata_;
  std::vector<iceberg::HistoryEntry> archive_;
  std::vector<ManifestFile> manifests_;   // of the current snapshot, where all files are live
  std::vector<std::string> live_keys_;    // theirs
  std::optional<DataFile> some_file_;
  std::set<int64_t> readable_;
  int64_t first_body_ = 1;
  int64_t first_name_ = 1;
  int64_t sequence_ = 0;
  MadeHistory made_;
};

Result<Room> FreeRoom(fs::path path) {
  while (!fs::exists(path) && path.has_relative_path()) path = path.parent_path();
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) != 0) return Unavailable("cannot ask how much room {} has: {}", path.string(), std::strerror(errno));
  return Room{.bytes = static_cast<int64_t>(info.f_bavail * info.f_frsize),
              .inodes = info.f_files == 0 ? -1 : static_cast<int64_t>(info.f_favail)};
}

}  // namespace

Room RoomNeeded(const HistoryPlan& plan) {
  constexpr int64_t kFileSystemBlock = 4096;
  // Three names and a piece of a segment, or of a manifest, for each snapshot; files of their own for what can be read.
  const int64_t files = 8 * (plan.readable + 8 * kRealAppends) + plan.snapshots / 1'000;
  return {.bytes = plan.snapshots * 1'000 + files * 4 * kFileSystemBlock,
          .inodes = files + 4 * plan.snapshots / kLinksPerFile + 100};
}

Status CheckRoom(const HistoryPlan& plan, const Room& free) {
  const Room needed = RoomNeeded(plan);
  if (needed.bytes > free.bytes) {
    return Unavailable("a history of {} snapshots at {} may take {} MB, but {} MB are free; nothing was written. Make room, or "
                       "choose another place", plan.snapshots, plan.path, needed.bytes / 1'000'000, free.bytes / 1'000'000);
  }
  if (free.inodes >= 0 && needed.inodes > free.inodes) {
    return Unavailable("a history of {} snapshots at {} may take {} inodes, but {} are free; nothing was written. Remove files, "
                       "or choose another place", plan.snapshots, plan.path, needed.inodes, free.inodes);
  }
  return {};
}

Result<MadeHistory> MakeHistory(const HistoryPlan& plan) {
  if (plan.snapshots <= kRealAppends || plan.readable < 0) {
    return InvalidArgument("a history has more than {} snapshots and 0 or more readable ones, not {} and {}", kRealAppends,
                           plan.snapshots, plan.readable);
  }
  if (fs::exists(plan.path)) return AlreadyExists("{} exists; name a directory that does not", plan.path);
  DS_ASSIGN_OR_RETURN(const Room free, FreeRoom(fs::absolute(plan.path)));
  DS_RETURN_IF_ERROR(CheckRoom(plan, free));
  HistoryPlan absolute = plan;
  absolute.path = fs::absolute(plan.path).string();
  return Maker(absolute).Make();
}

}  // namespace bench
