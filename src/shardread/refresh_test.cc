// Which generation a reader is on: opening, fallback, refresh, shards that go, closing.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "shardread/reader_test_support.h"
#include "sim/sim_clock.h"

namespace datashard::shardread {
namespace {

void RemoveShards(const LocalSnapshot& snapshot, const std::string& run_id) {
  ASSERT_GT(std::filesystem::remove_all(snapshot.directory.path() + "/shards/run_id=" + run_id), 1u);
}

TEST(Refresh, NothingPublishedIsNotFound) {
  LocalSnapshot snapshot;
  const auto opened = snapshot.Open();
  EXPECT_THAT(opened, HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(opened, HasMessage("nothing was published below file://"));
}

TEST(Refresh, TheNewGenerationIsReadAfterItAndNotBefore) {
  LocalSnapshot snapshot;
  snapshot.snapshots.Publish(snapshot.manifests, "r1", Numbered(100, "a"), {});
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open());
  EXPECT_EQ(reader->Refresh().value(), false);
  const std::string ref = snapshot.snapshots.Publish(snapshot.manifests, "r2", Numbered(100, "b"), {});
  EXPECT_EQ(Looked(reader->Get(KeyView::Int(5))), "a:5");
  ASSERT_OK_AND_ASSIGN(const auto scan, reader->Scan("", std::nullopt));
  ASSERT_OK_AND_ASSIGN(const auto value, reader->Get(KeyView::Int(6)));
  EXPECT_EQ(reader->Refresh().value(), true);
  EXPECT_EQ(reader->manifest_ref(), ref);
  EXPECT_EQ(Looked(reader->Get(KeyView::Int(5))), "b:5");
  EXPECT_EQ(value->bytes(), "a:6");
  while (scan->Next().value()) ASSERT_TRUE(scan->value().starts_with("a:"));
}

TEST(Refresh, ARollbackIsARefreshToo) {
  LocalSnapshot snapshot;
  const std::string first = snapshot.snapshots.Publish(snapshot.manifests, "r1", Numbered(100, "a"), {});
  snapshot.snapshots.Publish(snapshot.manifests, "r2", Numbered(100, "b"), {});
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open());
  EXPECT_EQ(Looked(reader->Get(KeyView::Int(5))), "b:5");
  ASSERT_THAT(snapshot.manifests->SetCurrent(first), IsOk());
  EXPECT_EQ(reader->Refresh().value(), true);
  EXPECT_EQ(Looked(reader->Get(KeyView::Int(5))), "a:5");
}

TEST(Refresh, ShardsThatDidNotChangeStayOpen) {
  LocalSnapshot snapshot;
  ShardedManifest manifest = snapshot.snapshots.Write("r1", Numbered(100, "a"), {});
  ASSERT_THAT(snapshot.manifests->SetCurrent(snapshot.manifests->Store(manifest).value()), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open());
  for (int64_t i = 0; i < 100; ++i) ASSERT_THAT(reader->Get(KeyView::Int(i)), IsOk());
  // The next generation has one shard of its own.
  const ShardedManifest next = snapshot.snapshots.Write("r2", Numbered(100, "b"), {});
  manifest.build.run_id = "r2";
  manifest.shards[1] = next.shards[1];
  ASSERT_THAT(snapshot.manifests->SetCurrent(snapshot.manifests->Store(manifest).value()), IsOk());
  for (const size_t i : {0u, 2u, 3u}) std::filesystem::remove(snapshot.PathOf(manifest.shards[i], "shard.db"));
  EXPECT_EQ(reader->Refresh().value(), true);
  for (int64_t i = 0; i < 100; ++i) {
    const bool is_new = reader->Route(KeyView::Int(i)).value() == manifest.shards[1].db_id;
    EXPECT_EQ(Looked(reader->Get(KeyView::Int(i))), (is_new ? "b:" : "a:") + std::to_string(i));
  }
}

TEST(Refresh, AManifestThatCannotBeReadLeavesTheOldGenerationInUse) {
  LocalSnapshot snapshot;
  snapshot.snapshots.Publish(snapshot.manifests, "r1", Numbered(100, "a"), {});
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open());
  const std::string ref = snapshot.snapshots.Publish(snapshot.manifests, "r2", Numbered(100, "b"), {});
  for (const Error& error : {Corruption("damaged {}", ref), NotFound("no {}", ref), Unsupported("version 5")}) {
    snapshot.manifests->errors.clear();
    snapshot.manifests->errors.emplace(ref, error);
    std::optional<Error> problem;
    EXPECT_EQ(reader->Refresh(&problem).value(), false);
    ASSERT_TRUE(problem);
    EXPECT_EQ(problem->kind(), error.kind());
    EXPECT_EQ(Looked(reader->Get(KeyView::Int(5))), "a:5");
  }
  snapshot.manifests->errors.clear();
  snapshot.manifests->errors.emplace(ref, Unavailable("no answer"));
  EXPECT_THAT(reader->Refresh(), HasKind(ErrorKind::kUnavailable));
  snapshot.manifests->errors.clear();
  std::optional<Error> problem = Corruption("of before");
  EXPECT_EQ(reader->Refresh(&problem).value(), true);
  EXPECT_FALSE(problem);
}

TEST(Refresh, WithoutAPointerItSaysSo) {
  LocalSnapshot snapshot;
  snapshot.snapshots.Publish(snapshot.manifests, "r1", Numbered(100, "a"), {});
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open());
  struct Gone final : ManifestStore {
    Result<std::string> Store(const ShardedManifest&) override { return std::string(); }
    Status SetCurrent(const std::string&, const CurrentGuard&) override { return {}; }
    Result<std::optional<ManifestRef>> LoadCurrent() override { return std::optional<ManifestRef>(); }
    Result<ShardedManifest> LoadManifest(const std::string&) override { return NotFound("gone"); }
    Result<std::vector<ManifestRef>> ListManifests(int64_t) override { return std::vector<ManifestRef>(); }
  };
  snapshot.manifests->pointer_error = Corruption("_CURRENT is no JSON");
  std::optional<Error> problem;
  EXPECT_EQ(reader->Refresh(&problem).value(), false);
  ASSERT_TRUE(problem);
  EXPECT_EQ(problem->kind(), ErrorKind::kCorruption);
  snapshot.manifests = nullptr;
  const auto gone = std::make_shared<Gone>();
  EXPECT_THAT(OpenReader({.prefix = "file:///x"}, gone, nullptr, SystemClock()), HasKind(ErrorKind::kNotFound));
}

TEST(Fallback, ADamagedOrMissingManifestIsReplacedByTheNewestOlderOne) {
  LocalSnapshot snapshot;
  const std::string first = snapshot.snapshots.Publish(snapshot.manifests, "r1", Numbered(100, "a"), {});
  const std::string second = snapshot.snapshots.Publish(snapshot.manifests, "r2", Numbered(100, "b"), {});
  const std::string third = snapshot.snapshots.Publish(snapshot.manifests, "r3", Numbered(100, "c"), {});
  for (const Error& error : {Corruption("damaged"), NotFound("no such object")}) {
    snapshot.manifests->errors = {{third, error}};
    ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open());
    EXPECT_EQ(reader->manifest_ref(), second);
    EXPECT_EQ(Looked(reader->Get(KeyView::Int(5))), "b:5");
    std::optional<Error> problem;
    EXPECT_EQ(reader->Refresh(&problem).value(), false) << "a refresh does not fall back";
    EXPECT_TRUE(problem);
    EXPECT_THAT(snapshot.Open({.max_fallback_attempts = 0}), HasKind(error.kind()));

    snapshot.manifests->errors.emplace(second, Corruption("damaged"));
    ASSERT_OK_AND_ASSIGN(const auto older, snapshot.Open());
    EXPECT_EQ(older->manifest_ref(), first);
    const auto out_of_attempts = snapshot.Open({.max_fallback_attempts = 1});
    EXPECT_THAT(out_of_attempts, HasKind(ErrorKind::kCorruption));
    EXPECT_THAT(out_of_attempts, HasMessage(error.message()));
  }
  snapshot.manifests->errors = {{third, Unavailable("no answer")}};
  EXPECT_THAT(snapshot.Open(), HasKind(ErrorKind::kUnavailable)) << "what cannot be reached may be intact";
}

TEST(Fallback, APinnedReaderStaysWhereItIs) {
  LocalSnapshot snapshot;
  const std::string first = snapshot.snapshots.Publish(snapshot.manifests, "r1", Numbered(100, "a"), {});
  snapshot.snapshots.Publish(snapshot.manifests, "r2", Numbered(100, "b"), {});
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open({.pinned_ref = first}));
  EXPECT_EQ(reader->Refresh().value(), false);
  EXPECT_EQ(Looked(reader->Get(KeyView::Int(5))), "a:5");
  EXPECT_THAT(snapshot.Open({.pinned_ref = "mem://none"}), HasKind(ErrorKind::kNotFound));
}

TEST(GoneShards, TheReaderMovesOnWhereThePointerDid) {
  LocalSnapshot snapshot;
  snapshot.snapshots.Publish(snapshot.manifests, "r1", Numbered(100, "a"), {});
  for (const bool many : {false, true}) {
    const std::string tag = many ? "c" : "b";
    ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open());
    const std::string before = reader->manifest()->build.run_id;
    snapshot.snapshots.Publish(snapshot.manifests, tag, Numbered(100, tag), {});
    RemoveShards(snapshot, before);
    if (many) {
      const KeyView keys[] = {KeyView::Int(5), KeyView::Int(6)};
      ASSERT_OK_AND_ASSIGN(const auto values, reader->MultiGet(keys));
      EXPECT_EQ(values[0]->bytes(), "c:5");
    } else {
      EXPECT_EQ(Looked(reader->Get(KeyView::Int(5))), "b:5");
    }
    EXPECT_EQ(reader->manifest()->build.run_id, tag);
  }
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open());
  snapshot.snapshots.Publish(snapshot.manifests, "d", Numbered(100, "d"), {});
  RemoveShards(snapshot, "c");
  ASSERT_OK_AND_ASSIGN(const auto scan, reader->Scan("", std::nullopt));
  EXPECT_TRUE(scan->Next().value());
  EXPECT_EQ(scan->value(), "d:0");
}

TEST(GoneShards, WithoutANewerGenerationTheErrorSaysWhatToDo) {
  LocalSnapshot snapshot;
  const std::string ref = snapshot.snapshots.Publish(snapshot.manifests, "r1", Numbered(100, "a"), {});
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open());
  ASSERT_OK_AND_ASSIGN(const auto pinned, snapshot.Open({.pinned_ref = ref}));
  RemoveShards(snapshot, "r1");
  const int before = snapshot.manifests->looks;
  const auto got = reader->Get(KeyView::Int(5));
  EXPECT_THAT(got, HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(got, HasMessage("the pointer leads to no newer one"));
  EXPECT_THAT(got, HasMessage("publish the snapshot again"));
  EXPECT_EQ(snapshot.manifests->looks, before + 1) << "one look at the pointer for each lookup";
  EXPECT_THAT(pinned->Get(KeyView::Int(5)), HasMessage("the reader is pinned to it"));
}

TEST(Close, IsIdempotentAndEveryUseAfterItIsFenced) {
  LocalSnapshot snapshot;
  const std::string ref = snapshot.snapshots.Publish(snapshot.manifests, "r1", Numbered(100, "a"), {});
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open());
  ASSERT_OK_AND_ASSIGN(const auto value, reader->Get(KeyView::Int(5)));
  reader->Close();
  reader->Close();
  const KeyView key = KeyView::Int(5);
  EXPECT_THAT(reader->Get(key), HasKind(ErrorKind::kFenced));
  EXPECT_THAT(reader->Get(key), HasMessage("the reader is closed"));
  EXPECT_THAT(reader->Visit(key, LookupReach::kResidentOnly, [](std::string_view) {}), HasKind(ErrorKind::kFenced));
  EXPECT_THAT(reader->MultiGet({&key, 1}), HasKind(ErrorKind::kFenced));
  EXPECT_THAT(reader->Scan("", std::nullopt), HasKind(ErrorKind::kFenced));
  EXPECT_THAT(reader->ScanPrefix("a"), HasKind(ErrorKind::kFenced));
  EXPECT_THAT(reader->Route(key), HasKind(ErrorKind::kFenced));
  EXPECT_THAT(reader->Refresh(), HasKind(ErrorKind::kFenced));
  EXPECT_EQ(value->bytes(), "a:5");
  EXPECT_EQ(reader->manifest_ref(), ref);
  EXPECT_EQ(reader->shard_details().size(), 4u);
  EXPECT_TRUE(reader->health().is_closed);
  EXPECT_EQ(reader->health().status, ReaderHealth::Status::kUnhealthy);
}

TEST(Health, TellsTheTrueAgeOfTheManifest) {
  LocalSnapshot snapshot;
  sim::SimClock clock;
  ShardedManifest manifest = snapshot.snapshots.Write("r1", Numbered(100, "a"), {});
  manifest.build.created_at = clock.Now() - std::chrono::hours(2);
  ASSERT_THAT(snapshot.manifests->SetCurrent(snapshot.manifests->Store(manifest).value()), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto reader, OpenReader({.prefix = "x"}, snapshot.manifests, nullptr, clock));
  clock.SetNow(clock.Now() + std::chrono::hours(1));
  EXPECT_EQ(reader->health().manifest_age, std::chrono::hours(3));
  EXPECT_EQ(reader->health().status, ReaderHealth::Status::kHealthy);
  EXPECT_EQ(reader->health(std::chrono::hours(3)).status, ReaderHealth::Status::kHealthy);
  EXPECT_EQ(reader->health(std::chrono::hours(2)).status, ReaderHealth::Status::kDegraded);
  EXPECT_EQ(reader->health().num_shards, 4);
}

TEST(Fork, AChildReadsRefreshesAndLooksUpManyKeys) {
  LocalSnapshot snapshot;
  snapshot.snapshots.Publish(snapshot.manifests, "r1", Numbered(2'000, "a"), {});
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open({.max_workers = 3}));
  std::vector<KeyView> keys;
  for (int64_t i = 0; i < 2'000; ++i) keys.push_back(KeyView::Int(i));
  ASSERT_THAT(reader->MultiGet(keys), IsOk());
  snapshot.snapshots.Publish(snapshot.manifests, "r2", Numbered(2'000, "b"), {});
  std::atomic<bool> stop = false;
  std::thread busy([&] {
    while (!stop) {
      EXPECT_THAT(reader->MultiGet(keys), IsOk());
      EXPECT_THAT(reader->Get(KeyView::Int(1)), IsOk());
    }
  });
  for (int i = 0; i < 10; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      ::alarm(20);
      const bool old = Looked(reader->Get(KeyView::Int(5))) == "a:5";
      const auto refreshed = reader->Refresh();
      const auto values = reader->MultiGet(keys);
      const bool is_new = values.ok() && (*values)[7] && (*values)[7]->bytes() == "b:7";
      reader->Close();
      _exit(old && refreshed.ok() && *refreshed && is_new ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  stop = true;
  busy.join();
}

// The parent's threads open shards and SSTs, fetch blocks and ask for the store all the time, each under a lock that a fork may find held.
TEST(Fork, AChildOpensShardsThatItsParentWasAboutToOpen) {
  for (const ShardFormat format : {ShardFormat::kSqlite, ShardFormat::kSlateDb}) {
    TemporaryDirectory directory;
    const auto store = OpenLocalStore(directory.path(), /*create=*/false).value();
    TestSnapshots snapshots(*store, FileUri(directory.path()));
    const auto manifests = OpenManifestStore(directory.path()).value();
    ASSERT_THAT(manifests->SetCurrent(manifests->Store(snapshots.Write("0a", Numbered(500, "a"), {.format = format, .num_dbs = 8})).value()), IsOk());
    const auto reader = ShardedReader::Open({.prefix = directory.path()}).value();
    std::atomic<bool> stop = false;
    std::vector<std::thread> busy;
    for (int thread = 0; thread < 2; ++thread) {
      busy.emplace_back([&] {
        while (!stop) {
          const auto fresh = ShardedReader::Open({.prefix = directory.path()});
          ASSERT_THAT(fresh, IsOk());
          for (int64_t i = 0; i < 500 && !stop; i += 7) ASSERT_EQ(Looked((*fresh)->Get(KeyView::Int(i))), "a:" + std::to_string(i));
        }
      });
      busy.emplace_back([&] {
        for (int64_t i = 0; !stop; ++i) (void)reader->Get(KeyView::Int(i % 500));
      });
    }
    for (int i = 0; i < 10; ++i) {
      const pid_t child = fork();
      if (child == 0) {
        ::alarm(20);
        bool all = true;
        for (int64_t key = 0; key < 500; ++key) all = all && Looked(reader->Get(KeyView::Int(key))) == "a:" + std::to_string(key);
        const auto refreshed = reader->Refresh();
        _exit(all && refreshed.ok() && !*refreshed ? 0 : 1);
      }
      int status = -1;
      ASSERT_EQ(waitpid(child, &status, 0), child);
      EXPECT_EQ(status, 0);
    }
    stop = true;
    for (std::thread& each : busy) each.join();
  }
}

}  // namespace
}  // namespace datashard::shardread
