// Lookups and scans of one generation in a directory, for both formats.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "shardread/reader_test_support.h"

namespace datashard::shardread {
namespace {

using testing::ElementsAre;

std::vector<std::pair<std::string, std::string>> All(Result<std::unique_ptr<ShardedScan>> scan) {
  std::vector<std::pair<std::string, std::string>> pairs;
  EXPECT_THAT(scan, IsOk());
  for (;;) {
    const Result<bool> more = (*scan)->Next();
    EXPECT_THAT(more, IsOk());
    if (!more.ok() || !*more) return pairs;
    pairs.emplace_back((*scan)->key(), (*scan)->value());
  }
}

std::string Stored(uint64_t number) { return std::string(routing::EncodedKey::BigEndian(number, 8).bytes()); }

class EitherFormat : public testing::TestWithParam<ShardFormat> {
 protected:
  TestSnapshots::Options Options() const { return {.format = GetParam()}; }
  LocalSnapshot snapshot_;
};
INSTANTIATE_TEST_SUITE_P(Formats, EitherFormat, testing::Values(ShardFormat::kSqlite, ShardFormat::kSlateDb),
                         [](const auto& info) { return info.param == ShardFormat::kSqlite ? "Sqlite" : "SlateDb"; });

TEST_P(EitherFormat, EveryKeyIsFoundAndOthersAreAbsent) {
  snapshot_.snapshots.Publish(snapshot_.manifests, "r1", Numbered(3'000, "a"), Options());
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot_.Open());
  for (int64_t i = 0; i < 3'000; ++i) ASSERT_EQ(Looked(reader->Get(KeyView::Int(i))), "a:" + std::to_string(i));
  EXPECT_EQ(Looked(reader->Get(KeyView::Int(3'000))), "absent");
  EXPECT_EQ(Looked(reader->Get(KeyView::Bytes(Stored(7)))), "a:7") << "the stored bytes of a number are routed as the number";
  EXPECT_THAT(reader->Get(KeyView::Int(-1)), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(reader->Get(KeyView::Text("seven")), HasKind(ErrorKind::kInvalidArgument));
}

TEST_P(EitherFormat, ManyKeysComeBackInTheOrderAsked) {
  snapshot_.snapshots.Publish(snapshot_.manifests, "r1", Numbered(5'000, "a"), Options());
  for (const int workers : {1, 3}) {
    ASSERT_OK_AND_ASSIGN(const auto reader, snapshot_.Open({.max_workers = workers}));
    for (const int count : {0, 1, 5, 63, 64, 600, 4'000}) {
      std::vector<KeyView> keys;
      for (int i = 0; i < count; ++i) keys.push_back(KeyView::Int((i * 7'919) % 6'000));
      if (count > 2) keys[2] = keys[0];
      ASSERT_OK_AND_ASSIGN(const auto values, reader->MultiGet(keys));
      ASSERT_EQ(values.size(), keys.size());
      for (size_t i = 0; i < keys.size(); ++i) {
        const int64_t number = keys[i].as_int();
        ASSERT_EQ(values[i] ? std::string(values[i]->bytes()) : "absent", number < 5'000 ? "a:" + std::to_string(number) : "absent");
      }
    }
    const KeyView keys[] = {KeyView::Int(1), KeyView::Int(-1)};
    EXPECT_THAT(reader->MultiGet(keys), HasKind(ErrorKind::kInvalidArgument));
  }
}

TEST_P(EitherFormat, AScanGoesThroughAllShardsInTheOrderOfStoredKeys) {
  snapshot_.snapshots.Publish(snapshot_.manifests, "r1", Numbered(2'000, "a"), Options());
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot_.Open());
  const auto all = All(reader->Scan("", std::nullopt));
  ASSERT_EQ(all.size(), 2'000u);
  for (uint64_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i], std::pair(Stored(i), "a:" + std::to_string(i)));
  const auto some = All(reader->Scan(Stored(500), Stored(503)));
  EXPECT_THAT(some, ElementsAre(std::pair(Stored(500), "a:500"), std::pair(Stored(501), "a:501"), std::pair(Stored(502), "a:502")));
  EXPECT_TRUE(All(reader->Scan(Stored(503), Stored(500))).empty());
  EXPECT_TRUE(All(reader->Scan(Stored(9'000), std::nullopt)).empty());
  EXPECT_EQ(All(reader->ScanPrefix(Stored(0x500).substr(0, 7))).size(), 256u);
}

TEST_P(EitherFormat, PrefixesOfTextEndWhereTheyEnd) {
  TestSnapshots::Options options = Options();
  options.key_encoding = KeyEncoding::kRaw;
  TestSnapshots::Pairs pairs;
  for (const char* const key : {"a", "ab", "ab\xff", "ab\xff\xff", "ac", "\xff", "\xff\xff", "\xff\xff\xff"}) pairs.emplace_back(Key(KeyView::Bytes(key)), "v");
  snapshot_.snapshots.Publish(snapshot_.manifests, "r1", pairs, options);
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot_.Open());
  EXPECT_EQ(All(reader->ScanPrefix("ab")).size(), 3u);
  EXPECT_EQ(All(reader->ScanPrefix("ab\xff")).size(), 2u);
  EXPECT_EQ(All(reader->ScanPrefix("\xff\xff")).size(), 2u);
  EXPECT_EQ(All(reader->ScanPrefix("")).size(), pairs.size());
  EXPECT_EQ(Looked(reader->Get(KeyView::Text("ab"))), "v") << "text and bytes are one";
}

TEST_P(EitherFormat, WhatIsNotOpenIsNotResidentAndThenIs) {
  snapshot_.snapshots.Publish(snapshot_.manifests, "r1", Numbered(100, "a"), Options());
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot_.Open());
  std::string seen;
  const auto sink = [&](std::string_view value) { seen = value; };
  EXPECT_EQ(reader->Visit(KeyView::Int(5), LookupReach::kResidentOnly, sink).value(), LookupOutcome::kNotResident);
  EXPECT_EQ(seen, "");
  EXPECT_EQ(reader->Visit(KeyView::Int(5), LookupReach::kAnywhere, sink).value(), LookupOutcome::kFound);
  EXPECT_EQ(seen, "a:5");
  seen.clear();
  EXPECT_EQ(reader->Visit(KeyView::Int(5), LookupReach::kAnywhere, sink).value(), LookupOutcome::kFound);
  EXPECT_EQ(seen, "a:5");
}

TEST_P(EitherFormat, TheFormatIsFoundOutWhereNobodySaysIt) {
  TestSnapshots::Options options = Options();
  options.names_format = false;
  snapshot_.snapshots.Publish(snapshot_.manifests, "r1", Numbered(100, "a"), options);
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot_.Open());
  EXPECT_EQ(Looked(reader->Get(KeyView::Int(5))), "a:5");
  ASSERT_OK_AND_ASSIGN(const auto told, snapshot_.Open({.shard_format = GetParam() == ShardFormat::kSqlite ? "sqlite" : "slatedb"}));
  EXPECT_EQ(Looked(told->Get(KeyView::Int(5))), "a:5");
  EXPECT_THAT(snapshot_.Open({.shard_format = "rocksdb"}), HasKind(ErrorKind::kInvalidArgument));
}

TEST_P(EitherFormat, AFlippedByteAnywhereIsCorruption) {
  const ShardedManifest manifest = snapshot_.snapshots.Write("r1", Numbered(200, "a"), Options());
  ASSERT_THAT(snapshot_.manifests->SetCurrent(snapshot_.manifests->Store(manifest).value()), IsOk());
  const ShardMeta& shard = manifest.shards.front();
  for (const ShardObject& object : shard.objects) {
    const std::string path = snapshot_.PathOf(shard, object.name);
    std::filesystem::permissions(path, std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
    for (int64_t at = 0; at < object.size_bytes; at += std::max<int64_t>(1, object.size_bytes / 40)) {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      file.seekg(at);
      const char was = static_cast<char>(file.get());
      file.seekp(at);
      file.put(static_cast<char>(was ^ 0x10));
      file.flush();
      ASSERT_OK_AND_ASSIGN(const auto reader, snapshot_.Open());
      const auto scan = reader->Scan("", std::nullopt);
      EXPECT_THAT(scan, HasKind(ErrorKind::kCorruption)) << object.name << " at " << at;
      EXPECT_THAT(scan, HasMessage(object.name));
      EXPECT_THAT(scan, HasMessage("is expected by the manifest"));
      file.seekp(at);
      file.put(was);
    }
  }
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot_.Open());
  EXPECT_EQ(All(reader->Scan("", std::nullopt)).size(), 200u);
}

TEST_P(EitherFormat, AShortObjectIsCorruptionAndAMissingOneIsNotFound) {
  const ShardedManifest manifest = snapshot_.snapshots.Write("r1", Numbered(200, "a"), Options());
  ASSERT_THAT(snapshot_.manifests->SetCurrent(snapshot_.manifests->Store(manifest).value()), IsOk());
  const ShardObject& object = manifest.shards[0].objects.back();
  const std::string path = snapshot_.PathOf(manifest.shards[0], object.name);
  std::filesystem::permissions(path, std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
  std::filesystem::resize_file(path, static_cast<size_t>(object.size_bytes / 2));
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot_.Open());
  const auto damaged = reader->Scan("", std::nullopt);
  EXPECT_THAT(damaged, HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(damaged, HasMessage(std::to_string(object.size_bytes) + " bytes are expected"));
  std::filesystem::remove(path);
  EXPECT_THAT(reader->Scan("", std::nullopt), HasKind(ErrorKind::kCorruption)) << "what was damaged is not looked at again";
  ASSERT_OK_AND_ASSIGN(const auto another, snapshot_.Open());
  const auto missing = another->Scan("", std::nullopt);
  EXPECT_THAT(missing, HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(missing, HasMessage("publish the snapshot again"));
}

TEST_P(EitherFormat, AFailureToOpenIsForgotten) {
  const ShardedManifest manifest = snapshot_.snapshots.Write("r1", Numbered(200, "a"), Options());
  ASSERT_THAT(snapshot_.manifests->SetCurrent(snapshot_.manifests->Store(manifest).value()), IsOk());
  const std::string path = snapshot_.PathOf(manifest.shards[0], manifest.shards[0].objects.back().name);
  std::filesystem::rename(path, path + ".away");
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot_.Open());
  EXPECT_THAT(reader->Scan("", std::nullopt), HasKind(ErrorKind::kNotFound));
  std::filesystem::rename(path + ".away", path);
  EXPECT_EQ(All(reader->Scan("", std::nullopt)).size(), 200u);
}

TEST_P(EitherFormat, AReadOnlyDirectoryIsReadAndNothingIsWrittenBelowIt) {
  snapshot_.snapshots.Publish(snapshot_.manifests, "r1", Numbered(200, "a"), Options());
  const auto listed = [&] {
    std::vector<std::pair<std::string, std::filesystem::file_time_type>> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(snapshot_.directory.path())) {
      names.emplace_back(entry.path().string(), entry.last_write_time());
    }
    std::ranges::sort(names);
    return names;
  };
  const auto before = listed();
  for (const auto& [path, time] : before) ::chmod(path.c_str(), std::filesystem::is_directory(path) ? 0555 : 0444);
  ::chmod(snapshot_.directory.path().c_str(), 0555);
  {
    ASSERT_OK_AND_ASSIGN(const auto reader, snapshot_.Open());
    EXPECT_EQ(All(reader->Scan("", std::nullopt)).size(), 200u);
    EXPECT_EQ(Looked(reader->Get(KeyView::Int(5))), "a:5");
    EXPECT_EQ(reader->Refresh().value(), false);
  }
  EXPECT_EQ(listed(), before);
  ::chmod(snapshot_.directory.path().c_str(), 0755);
  for (const auto& [path, time] : before) ::chmod(path.c_str(), 0755);
}

TEST(Reader, ShardsWithoutPairsAnswerAbsentAndAreDescribed) {
  LocalSnapshot snapshot;
  snapshot.snapshots.Publish(snapshot.manifests, "r1", {{IntKey(1), "one"}}, {.num_dbs = 64});
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open());
  EXPECT_EQ(Looked(reader->Get(KeyView::Int(1))), "one");
  for (int64_t i = 2; i < 200; ++i) ASSERT_EQ(Looked(reader->Get(KeyView::Int(i))), "absent");
  const auto details = reader->shard_details();
  ASSERT_EQ(details.size(), 64u);
  const int32_t at = reader->Route(KeyView::Int(1)).value().value();
  for (int32_t i = 0; i < 64; ++i) {
    EXPECT_EQ(details[static_cast<size_t>(i)].db_id, i);
    EXPECT_EQ(details[static_cast<size_t>(i)].row_count, i == at ? 1 : 0);
    EXPECT_EQ(details[static_cast<size_t>(i)].db_url.has_value(), i == at);
  }
}

TEST(Reader, ASnapshotOfNothingHasNothing) {
  LocalSnapshot snapshot;
  snapshot.snapshots.Publish(snapshot.manifests, "r1", {}, {});
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open());
  EXPECT_EQ(Looked(reader->Get(KeyView::Int(1))), "absent");
  EXPECT_TRUE(All(reader->Scan("", std::nullopt)).empty());
}

TEST(Reader, AScanOfRangesOpensOnlyTheShardsItComesTo) {
  LocalSnapshot snapshot;
  const std::vector<RangeBoundary> boundaries{int64_t{100}, int64_t{200}, int64_t{300}};
  const TestSnapshots::Options options{.num_dbs = 4, .sharding = routing::RangeSpec(boundaries).value(), .boundaries = boundaries};
  const ShardedManifest manifest = snapshot.snapshots.Write("r1", Numbered(400, "a"), options);
  ASSERT_THAT(snapshot.manifests->SetCurrent(snapshot.manifests->Store(manifest).value()), IsOk());
  ASSERT_EQ(manifest.shards.size(), 4u);
  // The first and the last shard are gone; who asks for what lies between does not notice.
  for (const size_t i : {0u, 3u}) std::filesystem::remove(snapshot.PathOf(manifest.shards[i], "shard.db"));
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open());
  EXPECT_EQ(All(reader->Scan(Stored(100), Stored(300))).size(), 200u);
  EXPECT_EQ(All(reader->Scan(Stored(150), Stored(250))).size(), 100u);
  EXPECT_THAT(reader->Scan(Stored(99), Stored(300)), HasKind(ErrorKind::kNotFound));
  ASSERT_OK_AND_ASSIGN(const auto scan, reader->Scan(Stored(299), std::nullopt));
  EXPECT_EQ(scan->Next().value(), true);
  EXPECT_EQ(scan->value(), "a:299");
  EXPECT_THAT(scan->Next(), HasKind(ErrorKind::kNotFound));
}

TEST(Reader, AnExpressionOverColumnsNeedsThemByName) {
  LocalSnapshot snapshot;
  ShardingSpec rule{.strategy = ShardingStrategy::kCel};
  rule.cel_expr = "region == 'eu' ? 0 : (tier > 2 ? 1 : 2)";
  rule.cel_columns = {{"region", CelType::kString}, {"tier", CelType::kInt}};
  const auto columns = [](const Key& key) -> std::vector<CelValue> {
    return {CelText{key.number % 2 == 0 ? "eu" : "us"}, static_cast<int64_t>(key.number % 5)};
  };
  snapshot.snapshots.Publish(snapshot.manifests, "r1", Numbered(50, "a"), {.num_dbs = 3, .sharding = rule, .columns = columns});
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open());
  for (int64_t i = 0; i < 50; ++i) {
    const auto of_key = columns(IntKey(i));
    const RoutingContext context{{"unused", false}, {"tier", of_key[1]}, {"region", of_key[0]}};
    EXPECT_EQ(Looked(reader->Get(KeyView::Int(i), &context)), "a:" + std::to_string(i));
  }
  EXPECT_THAT(reader->Get(KeyView::Int(1)), HasKind(ErrorKind::kInvalidArgument));
  const RoutingContext half{{"region", CelText{"us"}}};
  EXPECT_THAT(reader->Get(KeyView::Int(1), &half), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(reader->Get(KeyView::Int(1), &half), HasMessage("\"tier\""));
}

TEST(Reader, AValueOutlivesItsReader) {
  LocalSnapshot snapshot;
  snapshot.snapshots.Publish(snapshot.manifests, "r1", Numbered(100, "a"), {});
  ASSERT_OK_AND_ASSIGN(auto reader, snapshot.Open());
  ASSERT_OK_AND_ASSIGN(const auto value, reader->Get(KeyView::Int(5)));
  ASSERT_OK_AND_ASSIGN(const auto scan, reader->Scan("", std::nullopt));
  reader.reset();
  EXPECT_EQ(value->bytes(), "a:5");
  int pairs = 0;
  while (scan->Next().value()) ++pairs;
  EXPECT_EQ(pairs, 100);
}

TEST(Reader, ManifestsThatPromiseTooMuchAreRefused) {
  LocalSnapshot snapshot;
  const ShardedManifest good = snapshot.snapshots.Write("r1", Numbered(100, "a"), {});
  const auto opened_with = [&](const std::function<void(ShardedManifest&)>& change) {
    ShardedManifest manifest = good;
    change(manifest);
    EXPECT_THAT(snapshot.manifests->SetCurrent(snapshot.manifests->Store(manifest).value()), IsOk());
    return snapshot.Open({.max_fallback_attempts = 0});
  };
  EXPECT_THAT(opened_with([](auto&) {}), IsOk());
  EXPECT_THAT(opened_with([](auto& m) { m.custom = R"({"vector":{"dim":3}})"; }), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(opened_with([](auto& m) { m.custom = R"({"vector":{"dim":3,"unified":true}})"; }), IsOk());
  EXPECT_THAT(opened_with([](auto& m) { m.custom = "[1"; }), HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(opened_with([](auto& m) { m.build.num_dbs = INT32_MAX; }), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(opened_with([](auto& m) { m.build.num_dbs = 0; }), HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(opened_with([](auto& m) { m.shards[0].db_id = 4; }), HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(opened_with([](auto& m) { m.shards[0].db_id = m.shards[1].db_id; }), HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(opened_with([](auto& m) { m.shard_format = "lance"; }), HasKind(ErrorKind::kUnsupported));
  ASSERT_OK_AND_ASSIGN(const auto reader, opened_with([](auto& m) {
                         for (auto& shard : m.shards) shard.objects[0].name = "../../outside";
                       }));
  EXPECT_THAT(reader->Get(KeyView::Int(1)), HasKind(ErrorKind::kCorruption));
}

}  // namespace
}  // namespace datashard::shardread
