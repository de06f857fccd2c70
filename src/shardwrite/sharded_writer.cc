#include "datashard/sharded_writer.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/executor.h"
#include "datashard/interrupt.h"
#include "generation/object_manifest_store.h"
#include "generation/object_run_registry.h"
#include "generation/run_heartbeat.h"
#include "generation/shard_path.h"
#include "routing/router.h"
#include "shardwrite/arrow_rows.h"
#include "shardwrite/publish_run.h"
#include "shardwrite/row_router.h"
#include "shardwrite/run_shards.h"
#include "shardwrite/write_events.h"
#include "shardwrite/writer.h"
#include "shardwrite/writer_settings.h"

namespace datashard::shardwrite {
namespace {

constexpr size_t kSlateDbKeyBytesMax = 65'535;
constexpr int kThreadsPerCore = 2;  // half of them wait for a disk or a bucket: a shard of 15 MB is built in 40 ms and durable after another 60
constexpr std::chrono::seconds kLastWordGrace{2};  // to tell the run's record, once the caller interrupts

// Of the budget: rows and their index; the databases being built have three sixteenths; what is left is for filters, merges and uploads.
constexpr int64_t RowsShare(int64_t memory_bytes_max) { return std::max<int64_t>(memory_bytes_max / 16 * 9, 1); }
constexpr int64_t OutputShare(int64_t memory_bytes_max, int64_t at_once) { return memory_bytes_max / 16 * 3 / at_once; }

class Writer final : public ShardedWriter {
 public:
  Writer(ShardedWriteSettings settings, ShardedWriteParts parts, WriterPlace where, std::string run_id, std::unique_ptr<RowRouter> router)
      : settings_(std::move(settings)),
        parts_(std::move(parts)),
        where_(std::move(where)),
        run_id_(std::move(run_id)),
        threads_(settings_.threads > 0 ? settings_.threads : kThreadsPerCore * CoreCount()),
        local_(LocalDirectoryOf(settings_, run_id_)),
        router_(std::move(router)),
        sorter_({RowsShare(settings_.memory_bytes_max), local_.path, threads_}),
        events_(parts_.events, where_.outside.clock) {
    if (settings_.writes_per_second_max) limits_.pairs = std::make_unique<RateLimit>(*settings_.writes_per_second_max, where_.outside.clock);
    if (settings_.write_bytes_per_second_max) limits_.bytes = std::make_unique<RateLimit>(*settings_.write_bytes_per_second_max, where_.outside.clock);
  }
  ~Writer() override {
    if (record_ != nullptr) Close(Error(ErrorKind::kUnavailable, "the write was given up before its end"));
  }

  Status Begin();
  Status Add(const KeyView& key, std::string_view value, std::span<const CelValue> columns) override;
  Status AddRows(ArrowStream rows, const ArrowKeyValue& columns) override {
    return ForEachRow(std::move(rows), columns, router_->columns(),
                      [&](const KeyView& key, std::string_view value, std::span<const CelValue> values) { return Add(key, value, values); });
  }
  int64_t rows_added() const override { return sorter_.pairs_added(); }
  Result<BuildResult> Finish() override;
  const std::string& run_id() const override { return run_id_; }

 private:
  Result<BuildResult> FinishOnce();
  Result<std::vector<ShardMeta>> Build(const RoutingOutcome& outcome);
  Result<PublishedRun> Publish(const RoutingOutcome& outcome, std::vector<ShardMeta> results);
  void Close(const Status& ended);

  const ShardedWriteSettings settings_;
  const ShardedWriteParts parts_;
  const WriterPlace where_;
  const std::string run_id_;
  const int threads_;
  const LocalDirectory local_;
  const std::unique_ptr<RowRouter> router_;
  PairSorter sorter_;
  WriteEvents events_;
  WriteLimits limits_;
  PageSizeSample page_size_sample_;
  bool keys_are_text_ = true;
  std::unique_ptr<ManifestStore> own_manifests_;
  std::unique_ptr<RunRegistry> own_registry_;
  std::unique_ptr<generation::RunHeartbeat> record_;  // null before Begin and after the end
};

// A run id is given once: what another run of the same id has published must not be mistaken for ours.
Status CheckRunIsNew(const ShardedWriteSettings& settings, const std::string& run_id, generation::SnapshotPlace& place) {
  if (!settings.run_id) return {};
  DS_ASSIGN_OR_RETURN(const std::shared_ptr<ObjectStore> store, place.ToWrite());
  const std::string directory = generation::RunKeyPrefix(settings.shard_prefix, run_id);
  DS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, store->List(directory));
  if (objects.empty()) return {};
  return AlreadyExists("run {}: {} objects lie below {}/{} already; give each run an id of its own", run_id, objects.size(), place.url(), directory);
}

Status Writer::Begin() {
  DS_RETURN_IF_ERROR(CheckRunIsNew(settings_, run_id_, *where_.place));
  if (parts_.manifests == nullptr) {
    DS_ASSIGN_OR_RETURN(own_manifests_, generation::NewObjectManifestStore(where_.place, {}, where_.outside));
  }
  if (parts_.registry == nullptr) {
    DS_ASSIGN_OR_RETURN(own_registry_, generation::NewObjectRunRegistry(where_.place, settings_.run_registry_prefix, where_.outside));
  }
  RunRecord record;
  record.run_id = run_id_;
  record.writer_type = settings_.writer_type;
  record.s3_prefix = where_.place->url();
  record.shard_prefix = settings_.shard_prefix;
  record.db_path_template = settings_.db_path_template;
  record_ = std::make_unique<generation::RunHeartbeat>(parts_.registry != nullptr ? *parts_.registry : *own_registry_, std::move(record), where_.outside);
  events_.Emit("write.started");
  return {};
}

Status Writer::Add(const KeyView& key, std::string_view value, std::span<const CelValue> columns) {
  if (record_ == nullptr) return InvalidArgument("run {} is finished; start another writer", run_id_);
  DS_ASSIGN_OR_RETURN(const routing::EncodedKey encoded, routing::EncodeKey(key, settings_.key_encoding));
  const ByteView stored = encoded.bytes();
  if (settings_.format.format == ShardFormat::kSlateDb && !parts_.adapters && (stored.empty() || stored.size() > kSlateDbKeyBytesMax)) {
    return InvalidArgument("a key of {} bytes; shards in the SlateDB format have keys of 1 to {} bytes", stored.size(), kSlateDbKeyBytesMax);
  }
  DS_ASSIGN_OR_RETURN(const int32_t partition, router_->Partition(key, columns));
  keys_are_text_ = keys_are_text_ && key.kind() == KeyView::Kind::kText;
  if (settings_.format.sqlite_page_size == 0) {
    page_size_sample_.Add(static_cast<int64_t>(stored.size()), static_cast<int64_t>(value.size()), where_.outside.random);
  }
  return sorter_.Add(partition, stored, value);
}

Result<std::vector<ShardMeta>> Writer::Build(const RoutingOutcome& outcome) {
  std::vector<ShardTask> tasks;
  for (int32_t partition = 0; partition < sorter_.partition_count(); ++partition) {
    if (sorter_.pairs_added(partition) == 0) continue;
    tasks.push_back({partition, outcome.shards.empty() ? partition : outcome.shards[static_cast<size_t>(partition)]});
  }
  ShardBuildSettings common;
  common.run_id = run_id_;
  common.shard_prefix = settings_.shard_prefix;
  common.db_path_template = settings_.db_path_template;
  common.key_encoding = settings_.key_encoding;
  common.raw_keys_are_text = keys_are_text_;
  common.format = settings_.format;
  if (common.format.sqlite_page_size == 0) {
    DS_ASSIGN_OR_RETURN(common.format.sqlite_page_size, page_size_sample_.Recommend());
  }
  common.batch_size = settings_.batch_size;
  common.local_directory = local_.path;
  const int64_t at_once = std::min(static_cast<int64_t>(tasks.size()), int64_t{threads_});
  common.output_bytes_max = std::min(common.output_bytes_max, OutputShare(settings_.memory_bytes_max, std::max<int64_t>(at_once, 1)));
  const ShardBuildParts parts{*where_.place, where_.outside, events_, limits_, &parts_.adapters};
  return BuildShards(sorter_, tasks, common, settings_.shard_retry, threads_, parts);
}

Result<PublishedRun> Writer::Publish(const RoutingOutcome& outcome, std::vector<ShardMeta> results) {
  ShardedManifest manifest;
  manifest.build.run_id = run_id_;
  manifest.build.created_at = where_.outside.clock.Now();
  manifest.build.num_dbs = outcome.num_dbs;
  manifest.build.s3_prefix = where_.place->url();
  manifest.build.key_col = settings_.key_col;
  manifest.build.sharding = outcome.spec;
  manifest.build.db_path_template = settings_.db_path_template;
  manifest.build.shard_prefix = settings_.shard_prefix;
  manifest.build.key_encoding = settings_.key_encoding;
  manifest.custom = CustomFields(settings_);
  manifest.range_boundaries = outcome.boundaries;
  if (!parts_.adapters) manifest.shard_format = settings_.format.format == ShardFormat::kSqlite ? "sqlite" : "slatedb";
  ManifestStore& manifests = parts_.manifests != nullptr ? *parts_.manifests : *own_manifests_;
  return PublishRun(std::move(manifest), std::move(results),
                    {*where_.place, manifests, parts_.manifests == nullptr, parts_.guard, record_.get(), where_.outside, events_});
}

Result<BuildResult> Writer::FinishOnce() {
  BuildResult result;
  result.run_id = run_id_;
  DS_RETURN_IF_ERROR(sorter_.Seal());
  DS_ASSIGN_OR_RETURN(const RoutingOutcome outcome, router_->Finish());
  const int64_t sharded_ms = result.durations.sharding_ms = events_.elapsed_ms();
  events_.Emit("write.sharding_completed", {{"duration_ms", static_cast<double>(sharded_ms)}});
  DS_ASSIGN_OR_RETURN(std::vector<ShardMeta> results, Build(outcome));
  const int64_t built_ms = events_.elapsed_ms();
  result.durations.write_ms = built_ms - sharded_ms;
  result.num_attempt_results = static_cast<int64_t>(results.size());
  for (const ShardMeta& shard : results) result.rows_written += shard.row_count;
  events_.Emit("write.shards_completed", {{"duration_ms", static_cast<double>(result.durations.write_ms)}, {"rows_written", static_cast<double>(result.rows_written)}});
  DS_ASSIGN_OR_RETURN(PublishedRun published, Publish(outcome, std::move(results)));
  result.manifest_ref = std::move(published.manifest_ref);
  result.winners = std::move(published.winners);
  result.durations.total_ms = events_.elapsed_ms();
  result.durations.manifest_ms = result.durations.total_ms - built_ms;
  events_.Emit("write.completed", {{"rows_written", static_cast<double>(result.rows_written)}});
  return result;
}

Result<BuildResult> Writer::Finish() {
  if (record_ == nullptr) return InvalidArgument("run {} is finished; start another writer", run_id_);
  Result<BuildResult> result = FinishOnce();
  if (result.ok()) result->run_record_ref = record_->record_ref();
  Close(result.ok() ? Status() : Status(result.error()));
  return result;
}

void Writer::Close(const Status& ended) {
  const InterruptScope grace({}, kLastWordGrace);
  if (ended.ok()) {
    record_->Succeed();
  } else {
    record_->Fail(std::string(ToString(ended.kind())), ended.error().message());
  }
  record_.reset();
  RemoveLocalDirectory(local_);
}

}  // namespace

Result<std::unique_ptr<ShardedWriter>> StartWriter(ShardedWriteSettings settings, ShardedWriteParts parts, WriterPlace where) {
  DS_RETURN_IF_ERROR(CheckSettings(settings));
  DS_ASSIGN_OR_RETURN(std::unique_ptr<RowRouter> router, MakeRowRouter(settings.sharding, parts.evaluate_cel));
  std::string run_id = settings.run_id ? *settings.run_id : RandomHex(where.outside.random, 32);
  auto writer = std::make_unique<Writer>(std::move(settings), std::move(parts), std::move(where), std::move(run_id), std::move(router));
  DS_RETURN_IF_ERROR(writer->Begin());
  return std::unique_ptr<ShardedWriter>(std::move(writer));
}

}  // namespace datashard::shardwrite

namespace datashard {

Result<std::unique_ptr<ShardedWriter>> ShardedWriter::Start(ShardedWriteSettings settings, ShardedWriteParts parts) {
  const Outside& outside = generation::ProcessOutside();
  DS_ASSIGN_OR_RETURN(std::shared_ptr<generation::SnapshotPlace> place,
                      generation::SnapshotPlace::Open(settings.prefix, settings.s3, ProcessEnvironment(), outside));
  return shardwrite::StartWriter(std::move(settings), std::move(parts), {std::move(place), outside});
}

}  // namespace datashard
