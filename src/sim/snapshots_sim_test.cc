// Publishers, readers, an operator who rolls back and one who cleans up, on one bucket, in one thread and in any order.
// Invariants: the pointer leads to a generation that is whole, except that it may be missing before the first publication. A lookup
// answers what one generation says, the one that the reader is on; a batch is of one generation. A publication that was
// acknowledged was current; one that was refused never is, and leaves nothing behind.
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <set>

#include "base/error.h"
#include "generation/clean_up.h"
#include "generation/object_manifest_store.h"
#include "generation/snapshot_place.h"
#include "shardread/reader.h"
#include "shardwrite/writer.h"
#include "sim/faulty_store.h"
#include "sim/seed.h"
#include "sim/sim_clock.h"
#include "storage/temporary_directory.h"
#include "support/matchers.h"

namespace datashard::sim {
namespace {

constexpr const char* kUrl = "s3://bucket/snapshot";
constexpr int64_t kOperations = 1'000'000;
constexpr int kPublishesMin = 1'000;
constexpr int kReaders = 3;
constexpr int32_t kShards = 4;
constexpr int64_t kKeysMax = 40;

std::string ValueIn(const std::string& run, int64_t key) { return run + " has " + std::to_string(key); }

// What one process has: its own way to the bucket, that may fail.
struct Process {
  Process(std::shared_ptr<ObjectStore> bucket, SimClock& clock, uint64_t seed)
      : store(std::make_shared<FaultyStore>(std::move(bucket))), random(SeededRandom(seed)), outside{clock, *random, metrics, SilentLog()},
        place(std::make_shared<generation::SnapshotPlace>(kUrl, store)),
        manifests(generation::NewObjectManifestStore(place, {}, outside).value()) {}

  std::shared_ptr<FaultyStore> store;
  std::unique_ptr<Random> random;
  MetricSums metrics;
  Outside outside;
  std::shared_ptr<generation::SnapshotPlace> place;
  std::shared_ptr<ManifestStore> manifests;
};

class World {
 public:
  explicit World(uint64_t seed) : random_(seed), bucket_(OpenMemoryStore("bucket", clock_, /*remote=*/true)), truth_(bucket_, clock_, seed) {
    for (int i = 0; i < kReaders; ++i) readers_.push_back(std::make_unique<Process>(bucket_, clock_, seed + 10 + static_cast<uint64_t>(i)));
    open_.resize(kReaders);
  }

  void Run() {
    while (current_run_.empty()) Publish();
    for (int64_t i = 0; i < kOperations && !::testing::Test::HasFatalFailure(); ++i) Step(i);
  }

  int publishes = 0, crashed = 0, refused = 0, raced = 0, rollbacks = 0, removed_runs = 0, refreshed = 0;

 private:
  int64_t Below(int64_t limit) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(limit)); }

  void Step(int64_t i) {
    const int64_t choice = Below(10'000);
    if (choice < 8'500) return Get();
    if (choice < 9'500) return MultiGet();
    if (choice < 9'970) return Refresh();
    if (choice < 9'990) return Publish();
    if (choice < 9'993) return Rollback();
    if (choice < 9'996) return CleanUp();
    open_[static_cast<size_t>(Below(kReaders))].reset();
  }

  // Which run the pointer leads to, by a process without faults; checks that it is one that may be.
  std::string Current() {
    const auto current = truth_.manifests->LoadCurrent();
    EXPECT_THAT(current, IsOk());
    if (!current.ok() || !*current) return "";
    EXPECT_TRUE((*current)->run_id.empty() || contents_.contains((*current)->run_id));
    EXPECT_FALSE(refused_.contains((*current)->run_id)) << (*current)->run_id << " was refused, and is current";
    return (*current)->run_id;
  }

  ShardedReader* ReaderOf(size_t i) {
    if (open_[i] == nullptr) {
      auto opened = shardread::OpenReader({.prefix = kUrl, .shard_format = std::nullopt}, readers_[i]->manifests, readers_[i]->place, clock_);
      EXPECT_THAT(opened, IsOk());
      if (!opened.ok()) return nullptr;
      EXPECT_EQ((*opened)->manifest()->build.run_id, current_run_);
      open_[i] = std::move(*opened);
    }
    return open_[i].get();
  }

  std::optional<std::string> Expected(const std::string& run, int64_t key) const {
    const auto keys = contents_.find(run);
    if (keys == contents_.end() || !keys->second.contains(key)) return std::nullopt;
    return ValueIn(run, key);
  }

  void Get() {
    ShardedReader* const reader = ReaderOf(static_cast<size_t>(Below(kReaders)));
    ASSERT_NE(reader, nullptr);
    const int64_t key = Below(kKeysMax);
    const auto value = reader->Get(KeyView::Int(key));
    // A generation that was cleaned up under a reader: it has moved to the current one by itself.
    ASSERT_THAT(value, IsOk());
    const std::string run = reader->manifest()->build.run_id;
    ASSERT_EQ(*value ? std::optional<std::string>((*value)->bytes()) : std::nullopt, Expected(run, key)) << "key " << key << " in " << run;
  }

  void MultiGet() {
    ShardedReader* const reader = ReaderOf(static_cast<size_t>(Below(kReaders)));
    ASSERT_NE(reader, nullptr);
    std::vector<int64_t> numbers;
    std::vector<KeyView> keys;
    for (int i = 0; i < 10; ++i) numbers.push_back(Below(kKeysMax));
    for (const int64_t number : numbers) keys.push_back(KeyView::Int(number));
    const auto values = reader->MultiGet(keys);
    ASSERT_THAT(values, IsOk());
    const std::string run = reader->manifest()->build.run_id;
    for (size_t i = 0; i < keys.size(); ++i) {
      const auto& value = (*values)[i];
      ASSERT_EQ(value ? std::optional<std::string>(value->bytes()) : std::nullopt, Expected(run, numbers[i])) << run;
    }
  }

  void Refresh() {
    ShardedReader* const reader = ReaderOf(static_cast<size_t>(Below(kReaders)));
    ASSERT_NE(reader, nullptr);
    const std::string before = reader->manifest()->build.run_id;
    const auto changed = reader->Refresh();
    ASSERT_THAT(changed, IsOk());
    ASSERT_EQ(reader->manifest()->build.run_id, current_run_);
    refreshed += *changed ? 1 : 0;
    ASSERT_EQ(*changed, before != current_run_);
  }

  std::unique_ptr<ShardedWriter> Start(Process& process, const std::string& run) {
    ShardedWriteSettings settings;
    settings.sharding.num_dbs = kShards;
    settings.run_id = run;
    settings.local_root = local_.path();
    settings.threads = 1;
    settings.format.format = Below(2) == 0 ? ShardFormat::kSqlite : ShardFormat::kSlateDb;
    auto writer = shardwrite::StartWriter(std::move(settings), {}, {process.place, process.outside});
    return writer.ok() ? std::move(*writer) : nullptr;
  }

  // A whole publication by a process of its own; what it was told.
  Status PublishBy(Process& process, const std::string& run) {
    std::set<int64_t>& keys = contents_[run];
    const auto writer = Start(process, run);
    if (writer == nullptr) return Unavailable("it did not start");
    for (int64_t key = 0; key < kKeysMax; ++key) {
      if (Below(3) == 0) continue;
      keys.insert(key);
      DS_RETURN_IF_ERROR(writer->Add(KeyView::Int(key), ValueIn(run, key)));
    }
    DS_RETURN_IF_ERROR(writer->Finish());
    return {};
  }

  std::string NewRun() { return "run" + std::to_string(next_run_++); }

  void Publish() {
    clock_.Sleep(std::chrono::seconds(1));
    Process process(bucket_, clock_, random_());
    const std::string run = NewRun();
    FaultPlan plan;
    const int64_t fate = Below(4);
    if (fate == 1) plan = {.crash_after_calls = Below(40), .crash_effect = Below(2) == 0 ? Effect::kApplied : Effect::kNotApplied};
    if (fate == 2) plan = {.crash_after_calls = Below(40), .crash_effect = Below(2) == 0 ? Effect::kApplied : Effect::kNotApplied, .crash_persists = false};
    std::optional<Status> other;
    if (fate == 3) {
      // Another publisher does all it has to do while this one stands still before one of its calls.
      plan.before_call = [&, left = Below(40)]() mutable {
        if (left-- != 0) return;
        Process rival(bucket_, clock_, random_());
        const std::string its_run = NewRun();
        other = PublishBy(rival, its_run);
        EXPECT_THAT(*other, IsOk());
        EXPECT_EQ(Current(), its_run);
        current_run_ = its_run;
        ++raced;
      };
    }
    process.store->SetPlan(std::move(plan));
    const Status published = PublishBy(process, run);
    const std::string now = Current();
    ++publishes;
    if (published.ok()) {
      // After a rival that came in between and was acknowledged, the later one is current.
      ASSERT_EQ(now, run);
    } else if (process.store->crashed() || published.kind() == ErrorKind::kCommitUnknown) {
      ++crashed;
      ASSERT_TRUE(now == run || now == current_run_) << now;
    } else {
      ++refused;
      refused_.insert(run);
      ASSERT_EQ(now, current_run_);
      ASSERT_EQ(ObjectsOf(run), 0) << "a refused publication left objects behind";
    }
    current_run_ = now;
    if (!now.empty()) ExpectWhole();
  }

  int64_t ObjectsOf(const std::string& run) {
    const auto objects = bucket_->List("shards/run_id=" + run + "/");
    EXPECT_THAT(objects, IsOk());
    return static_cast<int64_t>(objects->size());
  }

  // A new reader sees every pair of the current generation, and no other.
  void ExpectWhole() {
    auto opened = shardread::OpenReader({.prefix = kUrl}, truth_.manifests, truth_.place, clock_);
    ASSERT_THAT(opened, IsOk());
    ASSERT_EQ((*opened)->manifest()->build.run_id, current_run_);
    auto scan = (*opened)->Scan("", std::nullopt);
    ASSERT_THAT(scan, IsOk());
    int64_t count = 0;
    for (Result<bool> next = (*scan)->Next();; next = (*scan)->Next()) {
      ASSERT_THAT(next, IsOk());
      if (!*next) break;
      const auto key = static_cast<int64_t>(static_cast<unsigned char>((*scan)->key().back()));
      ASSERT_EQ((*scan)->value(), ValueIn(current_run_, key));
      ++count;
    }
    ASSERT_EQ(count, static_cast<int64_t>(contents_[current_run_].size()));
  }

  void Rollback() {
    const auto listed = truth_.manifests->ListManifests(5);
    ASSERT_THAT(listed, IsOk());
    const ManifestRef& chosen = (*listed)[static_cast<size_t>(Below(static_cast<int64_t>(listed->size())))];
    const auto objects = ObjectsOf(chosen.run_id);
    if (objects == 0 && !contents_[chosen.run_id].empty()) return;  // its shards were cleaned up
    ASSERT_THAT(truth_.manifests->SetCurrent(chosen.ref), IsOk());
    refused_.erase(chosen.run_id);
    current_run_ = chosen.run_id;
    ++rollbacks;
    ASSERT_EQ(Current(), current_run_);
    ExpectWhole();
  }

  void CleanUp() {
    clock_.Sleep(std::chrono::hours(Below(3)));
    const auto actions = generation::CleanUp(*truth_.place, *truth_.manifests, {.include_old_runs = true, .keep_last = 1 + Below(4)}, truth_.outside);
    ASSERT_THAT(actions, IsOk());
    for (const CleanupAction& action : *actions) {
      if (action.kind != CleanupAction::Kind::kOldRun) continue;
      ++removed_runs;
      ASSERT_NE(action.run_id, current_run_);
    }
    ASSERT_EQ(Current(), current_run_);
    ExpectWhole();
  }

  SimClock clock_;
  std::mt19937_64 random_;
  std::shared_ptr<ObjectStore> bucket_;
  Process truth_;
  TemporaryDirectory local_;
  std::vector<std::unique_ptr<Process>> readers_;
  std::vector<std::unique_ptr<ShardedReader>> open_;
  std::map<std::string, std::set<int64_t>> contents_;  // run → its keys
  std::set<std::string> refused_;
  std::string current_run_;
  int64_t next_run_ = 0;
};

TEST(SnapshotsSim, NoReaderSeesAMixedOrMissingGeneration) {
  World world(SeedFromEnvOrRandom());
  world.Run();
  EXPECT_GE(world.publishes, kPublishesMin);
  for (const int fired : {world.crashed, world.refused, world.raced, world.rollbacks, world.removed_runs, world.refreshed}) EXPECT_GT(fired, 0);
}

}  // namespace
}  // namespace datashard::sim
