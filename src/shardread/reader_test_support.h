// What the tests of this room share: a manifest store that can be damaged, and snapshots written into any store.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/uri.h"
#include "routing/router.h"
#include "shardread/reader.h"
#include "slatedb/slatedb_shard.h"
#include "sqlite/sqlite_shard.h"
#include "storage/temporary_directory.h"
#include "support/matchers.h"

namespace datashard::shardread {

/// Manifests in memory; any of them, or the pointer, may be made to fail.
class TestManifests final : public ManifestStore {
 public:
  Result<std::string> Store(const ShardedManifest& manifest) override {
    const std::lock_guard lock(mutex_);
    const std::string ref = "mem://" + manifest.build.run_id;
    if (!kept_.contains(ref)) order_.push_back({ref, manifest.build.run_id, manifest.build.created_at});
    kept_.insert_or_assign(ref, manifest);
    return ref;
  }
  Status SetCurrent(const std::string& ref, const CurrentGuard& = nullptr) override {
    const std::lock_guard lock(mutex_);
    if (!kept_.contains(ref)) return NotFound("no manifest {}", ref);
    current_ = ref;
    return {};
  }
  Result<std::optional<ManifestRef>> LoadCurrent() override {
    const std::lock_guard lock(mutex_);
    ++looks;
    if (pointer_error) return *pointer_error;
    for (const ManifestRef& ref : order_) {
      if (ref.ref == current_) return std::optional(ref);
    }
    return std::optional<ManifestRef>();
  }
  Result<ShardedManifest> LoadManifest(const std::string& ref) override {
    const std::lock_guard lock(mutex_);
    if (const auto error = errors.find(ref); error != errors.end()) return error->second;
    const auto found = kept_.find(ref);
    if (found == kept_.end()) return NotFound("no manifest {}", ref);
    return found->second;
  }
  Result<std::vector<ManifestRef>> ListManifests(int64_t limit) override {
    const std::lock_guard lock(mutex_);
    std::vector<ManifestRef> newest(order_.rbegin(), order_.rend());
    if (static_cast<int64_t>(newest.size()) > limit) newest.resize(static_cast<size_t>(limit));
    return newest;
  }

  std::optional<Error> pointer_error;
  std::map<std::string, Error> errors;
  std::atomic<int> looks = 0;

 private:
  std::mutex mutex_;
  std::map<std::string, ShardedManifest> kept_;
  std::vector<ManifestRef> order_;
  std::string current_;
};

/// Writes snapshots below the root of `store`.
class TestSnapshots {
 public:
  using Pairs = std::vector<std::pair<Key, std::string>>;
  struct Options {
    ShardFormat format = ShardFormat::kSqlite;
    int32_t num_dbs = 4;
    KeyEncoding key_encoding = KeyEncoding::kU64Be;
    std::optional<ShardingSpec> sharding;
    std::optional<std::vector<RangeBoundary>> boundaries;
    bool names_format = true;
    bool has_objects = true;
    bool page_checksums = false;
    std::vector<CelValue> (*columns)(const Key&) = nullptr;  ///< what the rule reads, where that is not the key
  };
  TestSnapshots(ObjectStore& store, std::string root_url) : store_(store), root_url_(std::move(root_url)) {}

  /// Not stored anywhere yet.
  ShardedManifest Write(const std::string& run_id, const Pairs& pairs, const Options& options) {
    ShardedManifest manifest;
    manifest.build = {.run_id = run_id, .created_at = SystemClock().Now(), .num_dbs = options.num_dbs, .s3_prefix = root_url_};
    manifest.build.key_encoding = options.key_encoding;
    if (options.sharding) manifest.build.sharding = *options.sharding;
    manifest.range_boundaries = options.boundaries;
    const std::string format = options.format == ShardFormat::kSqlite ? "sqlite" : "slatedb";
    if (options.names_format) manifest.shard_format = format;
    const auto router = routing::MakeRouter(manifest.build.sharding, options.num_dbs, options.boundaries).value();
    std::map<int32_t, std::map<std::string, std::string>> by_shard;
    for (const auto& [key, value] : pairs) {
      const auto shard = options.columns != nullptr ? router->RouteContext(options.columns(key)).value() : router->Route(key.view()).value();
      by_shard[shard.value()][std::string(routing::EncodeKey(key.view(), options.key_encoding).value().bytes())] = value;
    }
    for (const auto& [db_id, stored] : by_shard) manifest.shards.push_back(WriteShard(run_id, db_id, stored, options));
    return manifest;
  }

  ShardMeta WriteShard(const std::string& run_id, int32_t db_id, const std::map<std::string, std::string>& stored, const Options& options) {
    const std::string prefix = fmt::format("shards/run_id={}/db={:05}/attempt=00", run_id, db_id);
    ShardMeta shard{.db_id = db_id, .db_url = root_url_ + "/" + prefix, .row_count = static_cast<int64_t>(stored.size()), .checkpoint_id = run_id};
    const auto outputs = [] { return std::make_unique<kv::Output>(int64_t{1} << 40, ""); };
    const auto writer = options.format == ShardFormat::kSqlite
                            ? sqlite::NewSqliteWriter({.page_checksums = options.page_checksums}, outputs)
                            : slatedb::NewSlateDbWriter({}, outputs, SystemClock(), SystemRandom());
    for (const auto& [key, value] : stored) EXPECT_THAT(writer->Add(key, value), IsOk());
    auto objects = writer->Finish();
    EXPECT_THAT(objects, IsOk());
    for (const kv::BuiltObject& object : *objects) {
      const Bytes bytes(object.bytes->in_memory().value());
      EXPECT_THAT(store_.Replace(prefix + "/" + object.name, bytes), IsOk());
      const uint64_t hash = routing::HashOf(KeyView::Bytes(bytes)).value();
      if (options.has_objects) shard.objects.push_back({object.name, static_cast<int64_t>(bytes.size()), hash});
      shard.db_bytes += static_cast<int64_t>(bytes.size());
    }
    std::ranges::sort(shard.objects, {}, &ShardObject::name);
    return shard;
  }

  std::string Publish(const std::shared_ptr<TestManifests>& manifests, const std::string& run_id, const Pairs& pairs, const Options& options) {
    const std::string ref = manifests->Store(Write(run_id, pairs, options)).value();
    EXPECT_THAT(manifests->SetCurrent(ref), IsOk());
    return ref;
  }

 private:
  ObjectStore& store_;
  const std::string root_url_;
};

inline Key IntKey(int64_t number) { return Key(KeyView::Int(number)); }

/// 0 .. count - 1, each with "`tag`:number".
inline TestSnapshots::Pairs Numbered(int64_t count, const std::string& tag) {
  TestSnapshots::Pairs pairs;
  for (int64_t i = 0; i < count; ++i) pairs.emplace_back(IntKey(i), tag + ":" + std::to_string(i));
  return pairs;
}

/// The value, or "absent", or the error as text.
inline std::string Looked(const Result<std::optional<PinnedValue>>& value) {
  if (!value.ok()) return value.error().ToString();
  return *value ? std::string((*value)->bytes()) : "absent";
}

/// A snapshot in a directory of this machine.
struct LocalSnapshot {
  TemporaryDirectory directory;
  std::shared_ptr<ObjectStore> store = OpenLocalStore(directory.path(), /*create=*/false).value();
  TestSnapshots snapshots{*store, FileUri(directory.path())};
  std::shared_ptr<TestManifests> manifests = std::make_shared<TestManifests>();

  Result<std::unique_ptr<ShardedReader>> Open(ShardedReaderSettings settings = {}) {
    settings.prefix = FileUri(directory.path());
    auto place = std::make_shared<generation::SnapshotPlace>(settings.prefix, store);
    return OpenReader(std::move(settings), manifests, std::move(place), SystemClock());
  }
  std::string PathOf(const ShardMeta& shard, const std::string& name) const { return PathOfUri(*shard.db_url).value() + "/" + name; }
};

}  // namespace datashard::shardread
