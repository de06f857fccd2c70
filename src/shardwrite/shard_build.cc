#include "shardwrite/shard_build.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/uri.h"
#include "generation/shard_path.h"
#include "routing/utf8.h"
#include "shardwrite/publish_run.h"
#include "shardwrite/shard_upload.h"
#include "slatedb/slatedb_shard.h"
#include "sqlite/page_size.h"
#include "sqlite/sqlite_shard.h"

namespace datashard::shardwrite {
namespace {

constexpr int64_t kPairsBetweenLooks = 32'768;  // at whether somebody interrupts
constexpr size_t kSampledPairsMax = 1'000;

struct SlateDbCompression {
  std::string_view name;
  slatedb::Compression codec;
};
constexpr SlateDbCompression kCompressions[] = {{"none", slatedb::Compression::kNone}, {"snappy", slatedb::Compression::kSnappy},
                                                {"zlib", slatedb::Compression::kZlib}, {"lz4", slatedb::Compression::kLz4},
                                                {"zstd", slatedb::Compression::kZstd}};

Key UserKey(ByteView stored, const ShardBuildSettings& settings) {
  uint64_t number = 0;
  switch (settings.key_encoding) {
    case KeyEncoding::kU64Be:
    case KeyEncoding::kU32Be:
      for (const char byte : stored) number = number << 8 | static_cast<uint8_t>(byte);
      return Key(KeyView::Unsigned(number));
    case KeyEncoding::kUtf8: return Key(routing::IsUtf8(stored) ? KeyView::Text(stored) : KeyView::Bytes(stored));
    case KeyEncoding::kRaw: break;
  }
  return Key(settings.raw_keys_are_text ? KeyView::Text(stored) : KeyView::Bytes(stored));
}

// Where the pairs of an attempt go.
class Sink {
 public:
  virtual ~Sink() = default;
  /// Pairs ascend. Valid during the call.
  virtual Status Add(ByteView key, ByteView value) = 0;
  virtual Status EndBatch() = 0;
  /// Uploads. Says what there is now in meta.objects and meta.db_bytes.
  virtual Status Finish(ShardMeta& meta) = 0;
};

class DatabaseSink final : public Sink {
 public:
  DatabaseSink(const ShardBuildSettings& settings, const ShardBuildParts& parts, std::string key, std::unique_ptr<kv::DatabaseWriter> database)
      : settings_(settings), parts_(parts), key_(std::move(key)), database_(std::move(database)) {}
  Status Add(ByteView key, ByteView value) override { return database_->Add(key, value); }
  Status EndBatch() override { return {}; }
  Status Finish(ShardMeta& meta) override {
    DS_ASSIGN_OR_RETURN(const std::vector<kv::BuiltObject> objects, database_->Finish());
    DS_ASSIGN_OR_RETURN(const std::shared_ptr<ObjectStore> store, parts_.place.ToWrite());
    DS_ASSIGN_OR_RETURN(meta.objects, UploadObjects(*store, key_, objects));
    const bool is_sqlite = settings_.format.format == ShardFormat::kSqlite;
    for (const kv::BuiltObject& object : objects) {
      if (!is_sqlite || object.name == "shard.db") meta.db_bytes += object.bytes->size_bytes();
    }
    if (is_sqlite && settings_.format.sqlite_sidecar) {
      DS_ASSIGN_OR_RETURN(ShardObject sidecar, UploadSidecar(*store, key_, *objects.back().bytes));
      meta.objects.push_back(std::move(sidecar));
    }
    std::sort(meta.objects.begin(), meta.objects.end(), [](const ShardObject& a, const ShardObject& b) { return a.name < b.name; });
    return {};
  }

 private:
  const ShardBuildSettings& settings_;
  const ShardBuildParts& parts_;
  const std::string key_;
  const std::unique_ptr<kv::DatabaseWriter> database_;
};

// Collects a batch, since an adapter takes whole ones and a cursor's pairs do not stay.
class AdapterSink final : public Sink {
 public:
  AdapterSink(std::unique_ptr<ShardAdapter> adapter, std::string directory) : adapter_(std::move(adapter)), directory_(std::move(directory)) {}
  ~AdapterSink() override {
    if (!closed_) (void)adapter_->Close(/*sealed=*/false);  // the error that ended the attempt is the one to tell
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  Status Add(ByteView key, ByteView value) override {
    sizes_.emplace_back(key.size(), value.size());
    bytes_.append(key).append(value);
    return {};
  }
  Status EndBatch() override {
    std::vector<std::pair<std::string_view, std::string_view>> pairs;
    pairs.reserve(sizes_.size());
    const char* at = bytes_.data();
    for (const auto& [key_bytes, value_bytes] : sizes_) {
      pairs.emplace_back(std::string_view(at, key_bytes), std::string_view(at + key_bytes, value_bytes));
      at += key_bytes + value_bytes;
    }
    Status written = adapter_->WriteBatch(pairs);
    sizes_.clear();
    bytes_.clear();
    return written;
  }
  Status Finish(ShardMeta& meta) override {
    DS_RETURN_IF_ERROR(adapter_->Flush());
    DS_RETURN_IF_ERROR(adapter_->Seal());
    DS_ASSIGN_OR_RETURN(meta.db_bytes, adapter_->DbBytes());
    closed_ = true;
    return adapter_->Close(/*sealed=*/true);
  }

 private:
  const std::unique_ptr<ShardAdapter> adapter_;
  const std::string directory_;
  std::vector<std::pair<size_t, size_t>> sizes_;
  Bytes bytes_;
  bool closed_ = false;
};

Result<std::unique_ptr<Sink>> NewSink(const ShardBuildSettings& settings, const ShardBuildParts& parts, const std::string& key,
                                      const std::string& db_url) {
  if (parts.adapters == nullptr || !*parts.adapters) {
    const kv::OutputFactory outputs = [&settings] { return std::make_unique<kv::Output>(settings.output_bytes_max, settings.local_directory); };
    DS_ASSIGN_OR_RETURN(std::unique_ptr<kv::DatabaseWriter> database, NewDatabase(settings.format, outputs, parts.outside));
    return std::unique_ptr<Sink>(std::make_unique<DatabaseSink>(settings, parts, key, std::move(database)));
  }
  const std::string directory = fmt::format("{}/db={:05d}/attempt={:02d}", settings.local_directory, settings.db_id, settings.attempt);
  std::error_code made;
  std::filesystem::create_directories(directory, made);
  if (made) return FromErrno(made.value(), "making the directory " + directory);
  DS_ASSIGN_OR_RETURN(std::unique_ptr<ShardAdapter> adapter, (*parts.adapters)(db_url, directory));
  return std::unique_ptr<Sink>(std::make_unique<AdapterSink>(std::move(adapter), directory));
}

Status TakeTokens(const ShardBuildParts& parts, RateLimit* limit, double tokens, double kind) {
  if (limit == nullptr || tokens == 0) return {};
  DS_ASSIGN_OR_RETURN(const std::chrono::duration<double> waited, limit->Acquire(tokens));
  if (waited.count() > 0) parts.events.EmitBare("rate_limiter.throttled", {{"wait_seconds", waited.count()}, {"limiter_type", kind}});
  return {};
}

struct Batch {
  int64_t pairs = 0;
  int64_t bytes = 0;
};

// The batch was handed on pair by pair; what it costs is paid before the next one, and before the upload.
Status EndBatch(Sink& sink, const ShardBuildParts& parts, Batch& batch) {
  if (batch.pairs == 0) return {};
  DS_RETURN_IF_ERROR(TakeTokens(parts, parts.limits.pairs.get(), static_cast<double>(batch.pairs), /*kind=*/0));
  DS_RETURN_IF_ERROR(TakeTokens(parts, parts.limits.bytes.get(), static_cast<double>(batch.bytes), /*kind=*/1));
  DS_RETURN_IF_ERROR(sink.EndBatch());
  parts.events.Emit("write.batch_written", {{"batch_size", static_cast<double>(batch.pairs)}});
  batch = {};
  return {};
}

// The cursor stands on the first pair.
Status Fill(Sink& sink, const ShardBuildSettings& settings, kv::Cursor& pairs, const ShardBuildParts& parts, ShardMeta& meta) {
  meta.min_key = UserKey(pairs.key(), settings);
  Bytes last_key;
  Batch batch;
  for (bool more = true; more;) {
    const ByteView key = pairs.key();
    const ByteView value = pairs.value();
    DS_RETURN_IF_ERROR(sink.Add(key, value));
    last_key.assign(key);
    ++batch.pairs;
    batch.bytes += static_cast<int64_t>(key.size() + value.size());
    if (++meta.row_count % kPairsBetweenLooks == 0) DS_RETURN_IF_ERROR(AskInterrupted());
    if (batch.pairs == settings.batch_size) DS_RETURN_IF_ERROR(EndBatch(sink, parts, batch));
    DS_ASSIGN_OR_RETURN(more, pairs.Next());
  }
  DS_RETURN_IF_ERROR(EndBatch(sink, parts, batch));
  meta.max_key = UserKey(last_key, settings);
  return {};
}

Status FillAndUpload(const ShardBuildSettings& settings, kv::Cursor& pairs, const ShardBuildParts& parts, const std::string& key, ShardMeta& meta) {
  DS_ASSIGN_OR_RETURN(const std::unique_ptr<Sink> sink, NewSink(settings, parts, key, *meta.db_url));
  DS_RETURN_IF_ERROR(Fill(*sink, settings, pairs, parts, meta));
  return sink->Finish(meta);
}

}  // namespace

Result<std::unique_ptr<kv::DatabaseWriter>> NewDatabase(const ShardFormatOptions& format, kv::OutputFactory outputs, const Outside& outside) {
  if (format.format == ShardFormat::kSqlite) {
    const sqlite::SqliteWriterOptions options{format.sqlite_page_size, format.sqlite_sidecar, format.sqlite_page_checksums};
    return sqlite::NewSqliteWriter(options, std::move(outputs));
  }
  slatedb::SlateDbWriterOptions options;
  const auto* found = std::find_if(std::begin(kCompressions), std::end(kCompressions),
                                   [&](const SlateDbCompression& each) { return each.name == format.slatedb_compression; });
  if (found == std::end(kCompressions)) {
    return InvalidArgument("slatedb_compression is \"{}\"; it is one of none, snappy, zlib, lz4 and zstd", format.slatedb_compression);
  }
  options.compression = found->codec;
  return slatedb::NewSlateDbWriter(options, std::move(outputs), outside.clock, outside.random);
}

Result<std::string> AttemptKey(const ShardBuildSettings& settings) {
  DS_ASSIGN_OR_RETURN(const std::string database, generation::FormatDbPath(settings.db_path_template, settings.db_id));
  std::string key = generation::RunKeyPrefix(settings.shard_prefix, settings.run_id) + database + "/" + generation::AttemptName(settings.attempt);
  DS_RETURN_IF_ERROR(CheckKey(key));
  return key;
}

Result<ShardMeta> BuildShardAttempt(const ShardBuildSettings& settings, kv::Cursor& pairs, const ShardBuildParts& parts) {
  const auto start = parts.outside.clock.Monotonic();
  ShardMeta meta;
  meta.db_id = settings.db_id;
  meta.attempt = settings.attempt;
  meta.writer_info = {settings.stage_id, settings.task_attempt_id, settings.attempt, 0};
  DS_ASSIGN_OR_RETURN(const bool has_pairs, pairs.Next());
  if (!has_pairs) return meta;
  DS_ASSIGN_OR_RETURN(const std::string key, AttemptKey(settings));
  meta.db_url = parts.place.url() + "/" + key;
  parts.events.Emit("write.shard.started", {{"db_id", settings.db_id}, {"attempt", static_cast<double>(settings.attempt)}});
  if (Status built = FillAndUpload(settings, pairs, parts, key, meta); !built.ok()) {
    if (built.kind() != ErrorKind::kAlreadyExists) RemoveAttempts(parts.place, {*meta.db_url}, parts.outside.log, parts.events);
    return std::move(built).error().In(*meta.db_url);
  }
  meta.checkpoint_id = RandomHex(parts.outside.random, 32);
  const int64_t duration_ms = std::chrono::floor<std::chrono::milliseconds>(parts.outside.clock.Monotonic() - start).count();
  meta.writer_info.duration_ms = duration_ms;
  parts.events.Emit("write.shard.completed", {{"duration_ms", static_cast<double>(duration_ms)}, {"row_count", static_cast<double>(meta.row_count)},
                                              {"db_id", settings.db_id}});
  return meta;
}

void PageSizeSample::Add(int64_t key_bytes, int64_t value_bytes, Random& random) {
  ++seen_;
  max_key_bytes_ = std::max(max_key_bytes_, key_bytes);
  if (value_bytes_.size() < kSampledPairsMax) {
    value_bytes_.push_back(value_bytes);
    return;
  }
  if (places_ == nullptr) places_ = SeededRandom(random.Next());
  if (const uint64_t place = places_->Next() % static_cast<uint64_t>(seen_); place < kSampledPairsMax) {
    value_bytes_[place] = value_bytes;  // each pair is in the sample with the same chance
  }
}

Result<int32_t> PageSizeSample::Recommend() const {
  if (value_bytes_.empty()) return ShardFormatOptions().sqlite_page_size;
  std::vector<int64_t> sizes = value_bytes_;
  const auto percentile = sizes.begin() + static_cast<std::ptrdiff_t>(sizes.size() * 95 / 100);
  std::nth_element(sizes.begin(), percentile, sizes.end());
  return sqlite::RecommendPageSize({*percentile, max_key_bytes_});
}

}  // namespace datashard::shardwrite
