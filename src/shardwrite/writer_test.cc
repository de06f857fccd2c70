#include "shardwrite/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "datashard/interrupt.h"
#include "generation/object_run_registry.h"
#include "shardwrite/write_test_support.h"

namespace datashard::shardwrite {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class WriterTest : public ::testing::TestWithParam<ShardFormat> {
 protected:
  ShardedWriteSettings Settings(int32_t num_dbs = 3) const {
    ShardedWriteSettings settings = snapshot_.Settings(num_dbs);
    settings.format.format = GetParam();
    return settings;
  }
  ShardedWriteSettings CelSettings(std::string expr, std::vector<std::pair<std::string, CelType>> columns) const {
    ShardedWriteSettings settings = Settings();
    settings.sharding = {};
    settings.sharding.cel = {std::move(expr), std::move(columns), std::nullopt, false};
    return settings;
  }
  ReadGeneration Current() {
    Result<std::optional<ReadGeneration>> read = ReadCurrent(snapshot_);
    EXPECT_THAT(read, IsOk());
    return read.ok() && *read ? **read : ReadGeneration();
  }
  ObjectStore& store() { return **snapshot_.place->ToWrite(); }

  sim::SimClock store_clock_;
  SimSnapshot snapshot_{OpenMemoryStore("snapshot", store_clock_)};
};

INSTANTIATE_TEST_SUITE_P(Formats, WriterTest, ::testing::Values(ShardFormat::kSqlite, ShardFormat::kSlateDb),
                         [](const auto& each) { return each.param == ShardFormat::kSqlite ? "Sqlite" : "SlateDb"; });

TEST_P(WriterTest, PublishesWhatWasAddedTheLastOfEqualKeys) {
  ShardedWriteSettings settings = Settings();
  settings.custom = R"({"owner":"me"})";
  auto writer = snapshot_.Start(settings);
  ASSERT_THAT(writer, IsOk());
  Pairs expected;
  for (uint64_t i = 0; i < 5'000; ++i) {
    const uint64_t key = i * 7'919 % 4'000;
    const Bytes value = "value " + std::to_string(i);
    ASSERT_THAT((*writer)->Add(KeyView::Unsigned(key), value), IsOk());
    expected[Stored(key)] = value;
  }
  const Result<BuildResult> result = (*writer)->Finish();
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ((*writer)->rows_added(), 5'000);
  EXPECT_EQ(result->rows_written, 4'000);
  EXPECT_EQ(result->num_attempt_results, 3);
  ASSERT_EQ(result->winners.size(), 3u);

  const ReadGeneration read = Current();
  EXPECT_EQ(read.pairs, expected);
  EXPECT_EQ(read.manifest.build.run_id, (*writer)->run_id());
  EXPECT_EQ(read.manifest.build.num_dbs, 3);
  EXPECT_EQ(read.manifest.custom, settings.custom);
  EXPECT_EQ(read.manifest.shard_format, GetParam() == ShardFormat::kSqlite ? "sqlite" : "slatedb");
  EXPECT_EQ(read.manifest.shards, result->winners);
  const auto router = routing::MakeRouter(read.manifest.build.sharding, 3);
  for (uint64_t key = 0; key < 4'000; ++key) EXPECT_EQ(read.shard_of.at(Stored(key)), **(*router)->Route(KeyView::Unsigned(key)));
  const ShardMeta& shard = read.manifest.shards[1];
  EXPECT_EQ(shard.db_id, 1);
  EXPECT_EQ(*shard.db_url, fmt::format("{}/shards/run_id={}/db=00001/attempt=00", SimSnapshot::kUrl, (*writer)->run_id()));
  EXPECT_EQ(shard.checkpoint_id->size(), 32u);
  EXPECT_TRUE(shard.min_key->view().is_number());
  EXPECT_LT(shard.min_key->number, shard.max_key->number);
  EXPECT_GT(shard.db_bytes, 10'000);
  EXPECT_TRUE(std::filesystem::is_empty(snapshot_.local.path()));
  EXPECT_THAT((*writer)->Add(KeyView::Int(1), ""), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT((*writer)->Finish(), HasKind(ErrorKind::kInvalidArgument));
}

TEST_P(WriterTest, PublishesAnEmptyGenerationFromNoRows) {
  auto writer = snapshot_.Start(Settings());
  ASSERT_THAT(writer, IsOk());
  const Result<BuildResult> result = (*writer)->Finish();
  ASSERT_THAT(result, IsOk());
  EXPECT_THAT(result->winners, IsEmpty());
  const ReadGeneration read = Current();
  EXPECT_EQ(read.manifest.build.num_dbs, 3);
  EXPECT_THAT(read.manifest.shards, IsEmpty());
}

TEST_P(WriterTest, GivesTheSameBytesHoweverLittleMemoryItHas) {
  std::vector<std::vector<ShardObject>> objects;
  Pairs first;
  for (const int64_t budget : {int64_t{256} << 20, int64_t{1} << 20}) {
    SimSnapshot snapshot(OpenMemoryStore("snapshot", store_clock_), /*seed=*/5);
    ShardedWriteSettings settings = snapshot.Settings(4);
    settings.format.format = GetParam();
    settings.memory_bytes_max = budget;
    settings.threads = 2;
    auto writer = snapshot.Start(settings);
    ASSERT_THAT(writer, IsOk());
    const auto random = SeededRandom(9);
    for (int i = 0; i < 200'000; ++i) {
      const uint64_t key = random->Next() >> 1;
      ASSERT_THAT((*writer)->Add(KeyView::Unsigned(key), std::to_string(key)), IsOk());
    }
    const Result<BuildResult> result = (*writer)->Finish();
    ASSERT_THAT(result, IsOk());
    EXPECT_EQ(result->rows_written, 200'000);
    for (const ShardMeta& shard : result->winners) objects.push_back(shard.objects);
    const auto read = ReadCurrent(snapshot);
    ASSERT_THAT(read, IsOk());
    if (first.empty()) first = (*read)->pairs;
    EXPECT_TRUE((*read)->pairs == first);
  }
  ASSERT_EQ(objects.size(), 8u);
  if (GetParam() != ShardFormat::kSqlite) return;  // names of the other format are random
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(objects[i], objects[i + 4]);
}

TEST_P(WriterTest, RoutesByBoundaries) {
  ShardedWriteSettings settings = Settings();
  settings.sharding = {};
  settings.sharding.boundaries = {{int64_t{10}, int64_t{20}}};
  auto writer = snapshot_.Start(settings);
  ASSERT_THAT(writer, IsOk());
  for (const int64_t key : {9, 10, 19, 20}) ASSERT_THAT((*writer)->Add(KeyView::Int(key), "v"), IsOk());
  ASSERT_THAT((*writer)->Finish(), IsOk());
  const ReadGeneration read = Current();
  EXPECT_EQ(read.manifest.range_boundaries, settings.sharding.boundaries);
  EXPECT_THAT(read.shard_of, ElementsAre(std::pair(Stored(9), 0), std::pair(Stored(10), 1), std::pair(Stored(19), 1), std::pair(Stored(20), 2)));
}

TEST_P(WriterTest, TakesShardIdsFromAnExpressionOnlyWithoutGaps) {
  const auto write = [&](std::vector<int64_t> keys) {
    auto writer = snapshot_.Start(CelSettings("key % 10", {{"key", CelType::kInt}}));
    EXPECT_THAT(writer, IsOk());
    for (const int64_t key : keys) EXPECT_THAT((*writer)->Add(KeyView::Int(key), "v"), IsOk());
    return (*writer)->Finish();
  };
  EXPECT_THAT(write({}), IsOk());
  EXPECT_EQ(Current().manifest.build.num_dbs, 1);
  EXPECT_THAT(write({12, 1, 0, 11}), IsOk());
  const ReadGeneration read = Current();
  EXPECT_EQ(read.manifest.build.num_dbs, 3);
  EXPECT_EQ(read.shard_of.at(Stored(12)), 2);
  EXPECT_EQ(read.shard_of.at(Stored(0)), 0);
  const Result<BuildResult> gap = write({0, 1, 3});
  EXPECT_THAT(gap, HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(gap, HasMessage("shard assignment: "));
  EXPECT_THAT(gap, HasMessage("3 among them but not 2"));
  EXPECT_EQ(Current().manifest.build.run_id, read.manifest.build.run_id);
}

TEST_P(WriterTest, KnowsRoutingValuesFromTheStartOrFromTheRows) {
  for (const bool infer : {false, true}) {
    ShardedWriteSettings settings = CelSettings("region", {{"region", CelType::kString}});
    settings.sharding.cel->infer_routing_values = infer;
    if (!infer) settings.sharding.cel->routing_values = {Key(KeyView::Text("apac")), Key(KeyView::Text("eu")), Key(KeyView::Text("us"))};
    auto writer = snapshot_.Start(settings);
    ASSERT_THAT(writer, IsOk());
    int64_t key = 0;
    for (const std::string region : {"us", "eu", "apac", "us"}) {
      const CelValue column = CelText{region};
      ASSERT_THAT((*writer)->Add(KeyView::Int(key++), region, {&column, 1}), IsOk());
    }
    const CelValue other = CelText{"mars"};
    EXPECT_EQ((*writer)->Add(KeyView::Int(99), "", {&other, 1}).ok(), infer);
    if (!infer) {
      EXPECT_THAT((*writer)->Add(KeyView::Int(99), "", {&other, 1}), HasMessage("\"mars\""));
    }
    EXPECT_THAT((*writer)->Add(KeyView::Int(99), ""), HasMessage("0 values for the 1 columns"));
    ASSERT_THAT((*writer)->Finish(), IsOk());
    const ReadGeneration read = Current();
    EXPECT_EQ(read.manifest.build.num_dbs, infer ? 4 : 3);
    EXPECT_EQ(read.manifest.build.sharding.routing_values->at(0), Key(KeyView::Text("apac")));
    EXPECT_EQ(read.shard_of.at(Stored(0)), infer ? 3 : 2);
    EXPECT_EQ(read.shard_of.at(Stored(1)), 1);
    EXPECT_EQ(read.shard_of.at(Stored(2)), 0);
  }
}

TEST_P(WriterTest, AsksTheCallerForWhatIsNotCompiledHere) {
  ShardedWriteSettings settings = CelSettings("region.matches('e.*') ? 1 : 0", {{"region", CelType::kString}});
  EXPECT_THAT(snapshot_.Start(settings), HasKind(ErrorKind::kUnsupported));
  ShardedWriteParts parts;
  parts.evaluate_cel = [](std::span<const CelValue> columns) -> Result<Key> {
    return Key(KeyView::Int(std::get<CelText>(columns[0]).text.starts_with('e') ? 1 : 0));
  };
  auto writer = snapshot_.Start(settings, std::move(parts));
  ASSERT_THAT(writer, IsOk());
  const CelValue eu = CelText{"eu"};
  const CelValue us = CelText{"us"};
  ASSERT_THAT((*writer)->Add(KeyView::Int(0), "", {&eu, 1}), IsOk());
  ASSERT_THAT((*writer)->Add(KeyView::Int(1), "", {&us, 1}), IsOk());
  ASSERT_THAT((*writer)->Finish(), IsOk());
  EXPECT_THAT(Current().shard_of, ElementsAre(std::pair(Stored(0), 1), std::pair(Stored(1), 0)));
}

TEST_P(WriterTest, TellsTheKeysOfItsShardsAsTheirUserHasThem) {
  struct Case {
    KeyEncoding encoding;
    KeyView key;
  };
  for (const Case& each : {Case{KeyEncoding::kU32Be, KeyView::Int(7)}, Case{KeyEncoding::kUtf8, KeyView::Text("h\u00e9")},
                           Case{KeyEncoding::kRaw, KeyView::Text("a")}, Case{KeyEncoding::kRaw, KeyView::Bytes("\xff\x01")}}) {
    ShardedWriteSettings settings = Settings(1);
    settings.key_encoding = each.encoding;
    auto writer = snapshot_.Start(settings);
    ASSERT_THAT(writer, IsOk());
    ASSERT_THAT((*writer)->Add(each.key, "v"), IsOk());
    ASSERT_THAT((*writer)->Finish(), IsOk());
    EXPECT_EQ(Current().manifest.shards.at(0).min_key, Key(each.key)) << ToString(each.key);
  }
}

TEST_P(WriterTest, SaysWhatHappens) {
  std::vector<std::string> events;
  std::map<std::string, double> last;
  ShardedWriteParts parts;
  std::string winner;
  parts.events = [&](std::string_view event, std::span<const std::pair<std::string_view, double>> numbers, std::string_view about) {
    if (event == "write.winner_selected") winner = about;
    events.emplace_back(event);
    for (const auto& [name, number] : numbers) last[std::string(event) + " " + std::string(name)] = number;
  };
  ShardedWriteSettings settings = Settings(1);
  settings.batch_size = 2;
  settings.writes_per_second_max = 1;
  auto writer = snapshot_.Start(settings, std::move(parts));
  ASSERT_THAT(writer, IsOk());
  for (int64_t key = 0; key < 3; ++key) ASSERT_THAT((*writer)->Add(KeyView::Int(key), "v"), IsOk());
  ASSERT_THAT((*writer)->Finish(), IsOk());
  EXPECT_THAT(events, ElementsAre("write.started", "write.sharding_completed", "write.shard.started", "write.batch_written", "rate_limiter.throttled",
                                  "write.batch_written", "write.shard.completed", "write.shards_completed", "write.winner_selected",
                                  "write.manifest_published", "write.current_published", "write.losers.removed", "write.completed"));
  EXPECT_EQ(winner, Current().manifest.shards.at(0).db_url);
  EXPECT_EQ(last["rate_limiter.throttled wait_seconds"], 2);
  EXPECT_EQ(last["write.completed rows_written"], 3);
  EXPECT_EQ(last["write.completed elapsed_ms"], 2'000);
  EXPECT_EQ(last["write.shard.completed duration_ms"], 2'000);
}

TEST_P(WriterTest, IsNotHeldUpForEverByBatchesAboveItsRate) {
  ShardedWriteSettings settings = Settings(4);
  settings.writes_per_second_max = 1'000;
  settings.write_bytes_per_second_max = 100'000;
  settings.batch_size = 1'050;
  auto writer = snapshot_.Start(settings);
  ASSERT_THAT(writer, IsOk());
  for (int64_t key = 0; key < 10'000; ++key) ASSERT_THAT((*writer)->Add(KeyView::Int(key), Bytes(92, 'v')), IsOk());
  ASSERT_THAT((*writer)->Finish(), IsOk());
  EXPECT_GE(snapshot_.process.clock.slept(), std::chrono::milliseconds(7'900));
  EXPECT_LE(snapshot_.process.clock.slept(), std::chrono::milliseconds(9'100));
}

TEST_P(WriterTest, RefusesARunIdThatWasUsedAndLeavesThatRunAlone) {
  ShardedWriteSettings settings = Settings();
  settings.run_id = "mine";
  auto writer = snapshot_.Start(settings);
  ASSERT_THAT((*writer)->Add(KeyView::Int(1), "v"), IsOk());
  ASSERT_THAT((*writer)->Finish(), IsOk());
  EXPECT_THAT(snapshot_.Start(settings), HasKind(ErrorKind::kAlreadyExists));
  EXPECT_THAT(Current().pairs, UnorderedElementsAre(std::pair(Stored(1), "v")));
}

TEST_P(WriterTest, LeavesNothingOfARunThatIsGivenUp) {
  {
    auto writer = snapshot_.Start(Settings());
    ASSERT_THAT((*writer)->Add(KeyView::Int(1), "v"), IsOk());
  }
  EXPECT_THAT(KeysBelow(store(), "shards/"), IsEmpty());
  EXPECT_TRUE(std::filesystem::is_empty(snapshot_.local.path()));
}

TEST_P(WriterTest, EndsWhenInterruptedAndStillCleansUp) {
  ShardedWriteSettings settings = Settings(2);
  settings.shard_retry = ShardRetry{};  // an interruption is not tried again
  auto writer = snapshot_.Start(settings);
  for (int64_t key = 0; key < 100'000; ++key) ASSERT_THAT((*writer)->Add(KeyView::Int(key), "v"), IsOk());
  int asked = 0;
  const InterruptScope scope([&]() -> Status { return ++asked > 1 ? Status(Error(ErrorKind::kUnavailable, "Ctrl-C")) : Status(); });
  EXPECT_THAT((*writer)->Finish(), HasMessage("Ctrl-C"));
  EXPECT_THAT(KeysBelow(store(), "shards/"), IsEmpty());
  EXPECT_THAT(KeysBelow(store(), "manifests/"), IsEmpty());
  EXPECT_EQ(snapshot_.process.clock.slept().count(), 0);
  EXPECT_TRUE(std::filesystem::is_empty(snapshot_.local.path()));
}

TEST_P(WriterTest, KeepsTheManifestListedWhereTheGuardRefuses) {
  ShardedWriteParts parts;
  parts.guard = [](const std::optional<ManifestRef>&) -> Status { return Error(ErrorKind::kConflict, "not over that one"); };
  auto writer = snapshot_.Start(Settings(), std::move(parts));
  ASSERT_THAT((*writer)->Add(KeyView::Int(1), "v"), IsOk());
  const Result<BuildResult> result = (*writer)->Finish();
  EXPECT_THAT(result, HasKind(ErrorKind::kConflict));
  EXPECT_THAT(result, HasMessage("not over that one"));
  EXPECT_EQ(*snapshot_.Manifests()->LoadCurrent(), std::nullopt);
  const auto listed = snapshot_.Manifests()->ListManifests(10);
  ASSERT_EQ(listed->size(), 1u);
  const auto read = ReadManifestAndShards(snapshot_, listed->at(0).ref);
  ASSERT_THAT(read, IsOk());
  EXPECT_THAT(read->pairs, UnorderedElementsAre(std::pair(Stored(1), "v")));
}

// An adapter in memory of its own, which says what was asked of it.
struct SpyAdapter final : ShardAdapter {
  SpyAdapter(std::vector<std::string>& calls, bool fails) : calls(calls), fails(fails) {}
  Status WriteBatch(std::span<const std::pair<std::string_view, std::string_view>> pairs) override {
    calls.push_back(fmt::format("write {}", pairs.size()));
    for (size_t i = 1; i < pairs.size(); ++i) EXPECT_LT(pairs[i - 1].first, pairs[i].first);
    return fails ? Status(Error(ErrorKind::kUnavailable, "the adapter is not well")) : Status();
  }
  Status Flush() override { return calls.push_back("flush"), Status(); }
  Status Seal() override { return calls.push_back("seal"), Status(); }
  Result<int64_t> DbBytes() override { return 123; }
  Status Close(bool sealed) override { return calls.push_back(sealed ? "close sealed" : "close"), Status(); }
  std::vector<std::string>& calls;
  const bool fails;
};

TEST_P(WriterTest, HandsBatchesToAnAdapterWhereThereIsOne) {
  for (const bool fails : {false, true}) {
    std::vector<std::string> calls;
    std::vector<std::string> made;
    ShardedWriteParts parts;
    parts.adapters = [&](const std::string& db_url, const std::string& local_dir) -> Result<std::unique_ptr<ShardAdapter>> {
      made = {db_url, local_dir};
      EXPECT_TRUE(std::filesystem::is_directory(local_dir));
      return std::unique_ptr<ShardAdapter>(std::make_unique<SpyAdapter>(calls, fails));
    };
    ShardedWriteSettings settings = Settings(1);
    settings.batch_size = 2;
    auto writer = snapshot_.Start(settings, std::move(parts));
    for (const int64_t key : {3, 1, 2, 1}) ASSERT_THAT((*writer)->Add(KeyView::Int(key), "v"), IsOk());
    const Result<BuildResult> result = (*writer)->Finish();
    EXPECT_FALSE(std::filesystem::exists(made.at(1)));
    if (fails) {
      EXPECT_THAT(result, HasMessage("not well"));
      EXPECT_THAT(calls, ElementsAre("write 2", "close"));
      continue;
    }
    ASSERT_THAT(result, IsOk());
    EXPECT_THAT(calls, ElementsAre("write 2", "write 1", "flush", "seal", "close sealed"));
    EXPECT_EQ(result->winners.at(0).db_url, made[0]);
    EXPECT_EQ(result->winners.at(0).db_bytes, 123);
    EXPECT_EQ(result->winners.at(0).row_count, 3);
    EXPECT_THAT(result->winners.at(0).objects, IsEmpty());
  }
}

TEST_P(WriterTest, KeepsARecordOfItsRun) {
  auto writer = snapshot_.Start(Settings());
  const auto registry = generation::NewObjectRunRegistry(snapshot_.place, "runs", snapshot_.process.outside);
  const auto record = [&](const std::string& run_id) -> RunRecord {
    for (const std::string& key : KeysBelow(store(), "runs/")) {
      const auto loaded = (*registry)->Load(std::string(SimSnapshot::kUrl) + "/" + key);
      EXPECT_THAT(loaded, IsOk());
      if (loaded.ok() && loaded->run_id == run_id) return *loaded;
    }
    return {};
  };
  EXPECT_EQ(record((*writer)->run_id()).status, RunRecord::Status::kRunning);
  const Result<BuildResult> result = (*writer)->Finish();
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(record((*writer)->run_id()).status, RunRecord::Status::kSucceeded);
  EXPECT_EQ(record((*writer)->run_id()).manifest_ref, result->manifest_ref);
  EXPECT_TRUE(result->run_record_ref.has_value());
  std::string given_up;
  {
    auto other = snapshot_.Start(Settings());
    given_up = (*other)->run_id();
  }
  EXPECT_EQ(record(given_up).status, RunRecord::Status::kFailed);
  EXPECT_EQ(record(given_up).error_type, "unavailable");
}

TEST_P(WriterTest, ChoosesAPageSizeForLargeValues) {
  ShardedWriteSettings settings = Settings(1);
  settings.format.sqlite_page_size = 0;
  auto writer = snapshot_.Start(settings);
  for (int64_t key = 0; key < 2'000; ++key) ASSERT_THAT((*writer)->Add(KeyView::Int(key), Bytes(static_cast<size_t>(3'000 + key % 100), 'v')), IsOk());
  ASSERT_THAT((*writer)->Finish(), IsOk());
  const ReadGeneration read = Current();
  EXPECT_EQ(read.pairs.size(), 2'000u);
  if (GetParam() != ShardFormat::kSqlite) return;
  const Result<Bytes> file = store().Get(*snapshot_.place->KeyOf(*read.manifest.shards[0].db_url) + "/shard.db");
  ASSERT_THAT(file, IsOk());
  EXPECT_EQ(static_cast<uint8_t>((*file)[16]) << 8 | static_cast<uint8_t>((*file)[17]), 16'384);
}

TEST(ShardedWriter, WritesADirectoryFromItsSettingsAlone) {
  const TemporaryDirectory directory;
  ShardedWriteSettings settings;
  settings.prefix = "file://" + directory.path() + "/snapshot";
  settings.local_root = directory.path() + "/local";
  settings.sharding.num_dbs = 4;
  settings.format = {ShardFormat::kSqlite, 4096, true};
  auto writer = ShardedWriter::Start(settings);
  ASSERT_THAT(writer, IsOk());
  for (int64_t key = 0; key < 10'000; ++key) ASSERT_THAT((*writer)->Add(KeyView::Int(key), std::to_string(key)), IsOk());
  const Result<BuildResult> result = (*writer)->Finish();
  ASSERT_THAT(result, IsOk());
  EXPECT_TRUE(result->manifest_ref.starts_with(settings.prefix + "/manifests/"));
  EXPECT_FALSE(std::filesystem::exists(settings.local_root + "/run_id=" + result->run_id));
  SimSnapshot snapshot(*OpenLocalStore(directory.path() + "/snapshot", /*create=*/false));
  const auto manifest = DecodeManifest(*(*snapshot.place->ToRead())->Get(result->manifest_ref.substr(settings.prefix.size() + 1)));
  ASSERT_THAT(manifest, IsOk());
  EXPECT_EQ(manifest->build.s3_prefix, settings.prefix);
  EXPECT_THAT(manifest->custom, HasSubstr("\"filename\":\"shard.sidecar\""));
  size_t rows = 0;
  for (ShardMeta shard : manifest->shards) {
    EXPECT_TRUE(std::filesystem::exists(shard.db_url->substr(7) + "/shard.db"));
    shard.db_url->replace(0, settings.prefix.size(), SimSnapshot::kUrl);
    const auto pairs = PairsOf(**snapshot.place->ToRead(), *snapshot.place, shard, "sqlite");
    ASSERT_THAT(pairs, IsOk());
    rows += pairs->size();
  }
  EXPECT_EQ(rows, 10'000u);
}

TEST_P(WriterTest, NamesTheSettingThatIsWrong) {
  const auto refused = [&](const std::function<void(ShardedWriteSettings&)>& change) {
    ShardedWriteSettings settings = Settings();
    change(settings);
    const auto writer = snapshot_.Start(settings);
    return writer.ok() ? std::string("accepted") : writer.error().message();
  };
  EXPECT_THAT(refused([](auto& s) { s.sharding.num_dbs = 0; }), HasSubstr("num_dbs is 0"));
  EXPECT_THAT(refused([](auto& s) { s.sharding.boundaries = std::vector<RangeBoundary>{}; }), HasSubstr("one of num_dbs"));
  EXPECT_THAT(refused([](auto& s) { s.run_id = "a/b"; }), HasSubstr("a/b"));
  EXPECT_THAT(refused([](auto& s) { s.shard_prefix = "a/b"; }), HasSubstr("shard_prefix"));
  EXPECT_THAT(refused([](auto& s) { s.run_registry_prefix = ".."; }), HasSubstr("run_registry_prefix"));
  EXPECT_THAT(refused([](auto& s) { s.db_path_template = "db"; }), HasSubstr("'db' is no template"));
  EXPECT_THAT(refused([](auto& s) { s.db_path_template = "db={shard}"; }), HasSubstr("'db={shard}' is no template"));
  EXPECT_THAT(refused([](auto& s) { s.batch_size = 0; }), HasSubstr("batch_size"));
  EXPECT_THAT(refused([](auto& s) { s.writes_per_second_max = 0; }), HasSubstr("writes_per_second_max"));
  EXPECT_THAT(refused([](auto& s) { s.custom = "[]"; }), HasSubstr("custom"));
  EXPECT_THAT(refused([](auto& s) { s.format.sqlite_page_size = 5'000; }), HasSubstr("sqlite_page_size"));
  EXPECT_THAT(refused([](auto& s) { s.format.slatedb_compression = "brotli"; }), HasSubstr("slatedb_compression"));
  EXPECT_THAT(KeysBelow(store(), ""), IsEmpty());
}

TEST_P(WriterTest, RefusesKeysThatCannotBeStoredAndGoesOn) {
  auto writer = snapshot_.Start(Settings());
  EXPECT_THAT((*writer)->Add(KeyView::Int(-1), ""), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT((*writer)->Add(KeyView::Unsigned(uint64_t{1} << 63), ""), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT((*writer)->Add(KeyView::Text("a"), ""), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT((*writer)->Add(KeyView::Int(1), ""), IsOk());
  ASSERT_THAT((*writer)->Finish(), IsOk());
  EXPECT_THAT(Current().pairs, ElementsAre(std::pair(Stored(1), "")));
}

}  // namespace
}  // namespace datashard::shardwrite
