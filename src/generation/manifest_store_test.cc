// What every manifest store promises, over all of them.
#include <gmock/gmock.h>

#include <atomic>
#include <functional>
#include <thread>

#include "base/error.h"
#include "generation/generation_test_support.h"
#include "generation/object_manifest_store.h"
#include "generation/postgres_test_support.h"
#include "s3/s3_test_support.h"
#include "storage/temporary_directory.h"
#include "support/matchers.h"

namespace datashard::generation {
namespace {

/// Handles of one place, each as another process has it, and what must live as long.
struct Opened {
  std::shared_ptr<void> surroundings;
  std::function<Result<std::unique_ptr<ManifestStore>>()> open;  ///< null: skipped
};
struct Maker {
  const char* name;
  Opened (*make)();
};

Opened InMemory() {
  auto* const one = NewMemoryManifestStore().release();
  std::shared_ptr<ManifestStore> shared(one);
  /// Hands all calls to a store that is shared.
  class Handle final : public ManifestStore {
   public:
    explicit Handle(std::shared_ptr<ManifestStore> base) : base_(std::move(base)) {}
    Result<std::string> Store(const ShardedManifest& manifest) override { return base_->Store(manifest); }
    Status SetCurrent(const std::string& ref, const CurrentGuard& guard) override { return base_->SetCurrent(ref, guard); }
    Result<std::optional<ManifestRef>> LoadCurrent() override { return base_->LoadCurrent(); }
    Result<ShardedManifest> LoadManifest(const std::string& ref) override { return base_->LoadManifest(ref); }
    Result<std::vector<ManifestRef>> ListManifests(int64_t limit) override { return base_->ListManifests(limit); }

   private:
    std::shared_ptr<ManifestStore> base_;
  };
  return {.open = [shared]() -> Result<std::unique_ptr<ManifestStore>> { return std::make_unique<Handle>(shared); }};
}

Opened InADirectory() {
  auto directory = std::make_shared<TemporaryDirectory>();
  const std::string path = directory->path() + "/new/snapshot";
  return {.surroundings = directory, .open = [path] { return OpenManifestStore(path); }};
}

Opened InABucket() {
  if (!s3::ServerFromEnvironment().named()) return {};
  const s3::TestServer server = s3::ServerFromEnvironment();
  const std::string prefix = "s3://" + server.bucket + "/test-" + RandomHex(SystemRandom(), 12);
  const SnapshotS3Options options{.access_key_id = server.access_key, .secret_access_key = server.secret_key, .endpoint_url = server.endpoint,
                                  .region_name = server.region};
  return {.open = [prefix, options] { return OpenManifestStore(prefix, options); }};
}

Opened InPostgres() {
  if (PostgresServer::OfThisProcess() == nullptr) return {};
  return {.open = [dsn = PostgresServer::OfThisProcess()->NewDatabase()] { return OpenPostgresManifestStore(dsn); }};
}

class ManifestStores : public testing::TestWithParam<Maker> {
 protected:
  void SetUp() override {
    if (opened_.open == nullptr) GTEST_SKIP() << "there is no server for '" << GetParam().name << "'; see the room's README.md";
    ASSERT_OK_AND_ASSIGN(store_, opened_.open());
  }
  std::string CurrentRun() {
    const Result<std::optional<ManifestRef>> current = store_->LoadCurrent();
    EXPECT_THAT(current, IsOk());
    return current.ok() && current->has_value() ? (*current)->run_id : "";
  }
  Status Publish(const std::string& run_id) {
    DS_ASSIGN_OR_RETURN(const std::string ref, store_->Store(SmallManifest(run_id)));
    return store_->SetCurrent(ref);
  }

  const Opened opened_ = GetParam().make();
  std::unique_ptr<ManifestStore> store_;
};

TEST_P(ManifestStores, AManifestIsStoredThenMadeCurrentThenRolledBack) {
  EXPECT_EQ(store_->LoadCurrent().value(), std::nullopt);
  EXPECT_THAT(store_->ListManifests(5).value(), testing::IsEmpty());
  ASSERT_OK_AND_ASSIGN(const std::string first, store_->Store(SmallManifest("r1")));
  EXPECT_EQ(CurrentRun(), "");
  ASSERT_THAT(store_->SetCurrent(first), IsOk());
  ShardedManifest later = SmallManifest("r2");
  later.build.created_at += std::chrono::seconds(1);
  ASSERT_OK_AND_ASSIGN(const std::string second, store_->Store(later));
  EXPECT_EQ(CurrentRun(), "r1");
  ASSERT_THAT(store_->SetCurrent(second), IsOk());
  EXPECT_EQ(CurrentRun(), "r2");
  ASSERT_OK_AND_ASSIGN(const std::vector<ManifestRef> listed, store_->ListManifests(5));
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[0].ref, second);
  EXPECT_EQ(listed[1].ref, first);
  EXPECT_EQ(store_->ListManifests(1).value().size(), 1u);
  EXPECT_EQ(store_->LoadCurrent().value(), listed[0]);
  ASSERT_THAT(store_->SetCurrent(first), IsOk());
  EXPECT_EQ(store_->LoadCurrent().value(), listed[1]);
  EXPECT_EQ(opened_.open().value()->LoadManifest(first).value(), SmallManifest("r1"));
}

TEST_P(ManifestStores, WhatIsStoredIsLoaded) {
  const std::unique_ptr<Random> random = SeededRandom(11);
  for (int round = 0; round < 20; ++round) {
    ShardedManifest manifest = AnyManifest(*random);
    // PostgreSQL holds no NUL in the texts that only people read.
    for (std::string* const text : {&manifest.build.s3_prefix, &manifest.build.key_col, &manifest.build.db_path_template, &manifest.build.shard_prefix})
      std::erase(*text, '\0');
    if (manifest.build.sharding.cel_expr) std::erase(*manifest.build.sharding.cel_expr, '\0');
    for (ShardMeta& shard : manifest.shards)
      if (shard.db_url) std::erase(*shard.db_url, '\0');
    std::optional<std::vector<Key>>& values = manifest.build.sharding.routing_values;
    if (values && std::ranges::any_of(*values, [](const Key& value) { return value.bytes.find('\0') != std::string::npos; })) continue;
    ASSERT_OK_AND_ASSIGN(const std::string ref, store_->Store(manifest));
    ASSERT_OK_AND_ASSIGN(const ShardedManifest loaded, store_->LoadManifest(ref));
    ASSERT_EQ(loaded, manifest) << "round " << round;
  }
}

TEST_P(ManifestStores, WhatIsMissingIsNotFoundAndWhatIsBrokenIsRefused) {
  ASSERT_OK_AND_ASSIGN(std::string ref, store_->Store(SmallManifest("r1")));
  ref.replace(ref.rfind("r1"), 2, "r9");
  EXPECT_THAT(store_->LoadManifest(ref), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(store_->SetCurrent(ref), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(store_->Store(SmallManifest("")), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_EQ(CurrentRun(), "");
}

TEST_P(ManifestStores, AGuardIsAskedAndMayAskTheStore) {
  ASSERT_THAT(Publish("r1"), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::string second, store_->Store(SmallManifest("r2")));
  const Status refused = store_->SetCurrent(second, [&](const std::optional<ManifestRef>& current) -> Status {
    EXPECT_EQ(store_->LoadManifest(current->ref).value().build.run_id, "r1");
    return Conflict("{} is newer", current->run_id);
  });
  EXPECT_THAT(refused, HasMessage("r1 is newer"));
  EXPECT_EQ(CurrentRun(), "r1");
}

TEST_P(ManifestStores, OfPublishersAndRollbacksAtTheSameTimeEachReplacesWhatItHasSeen) {
  ASSERT_THAT(Publish("r0"), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::string first, store_->Store(SmallManifest("r0")));
  constexpr int kThreads = 4, kEach = 3;
  std::mutex mutex;
  std::multiset<std::string> replaced, became;
  std::atomic<int> failures = 0;
  const auto publish = [&](int number) {
    const auto store = opened_.open();
    for (int round = 0; round < kEach && store.ok(); ++round) {
      const std::string run = "r" + std::to_string(number) + "_" + std::to_string(round);
      const Result<std::string> ref = number == 0 ? Result<std::string>(first) : (*store)->Store(SmallManifest(run));
      std::string before;
      const Status set = ref.ok() ? (*store)->SetCurrent(*ref, [&](const auto& current) { before = current->run_id; return Status(); }) : Status(ref.error());
      if (!set.ok()) {
        ++failures;
        ADD_FAILURE() << set.error().ToString();
      }
      const std::lock_guard lock(mutex);
      replaced.insert(before);
      became.insert(number == 0 ? "r0" : run);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(publish, i);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  // Each generation that became current was replaced once, but for the last one.
  became.insert("r0");
  replaced.insert(CurrentRun());
  EXPECT_EQ(replaced, became);
}

INSTANTIATE_TEST_SUITE_P(All, ManifestStores,
                         testing::Values(Maker{"memory", InMemory}, Maker{"directory", InADirectory}, Maker{"bucket", InABucket}, Maker{"postgres", InPostgres}),
                         [](const testing::TestParamInfo<Maker>& info) { return std::string(info.param.name); });

TEST(DirectoryOfManifests, WhatMayNotBeWrittenIsDenied) {
  if (::geteuid() == 0) {
    // Rights do not bind root, but nobody writes below /proc.
    ASSERT_OK_AND_ASSIGN(const auto store, OpenManifestStore("file:///proc/snapshot"));
    EXPECT_FALSE(store->Store(SmallManifest("r")).ok());
    return;
  }
  const TemporaryDirectory directory;
  std::filesystem::permissions(directory.path(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  ASSERT_OK_AND_ASSIGN(const auto store, OpenManifestStore(directory.path()));
  EXPECT_THAT(store->Store(SmallManifest("r")), HasKind(ErrorKind::kDenied));
}

TEST(PostgresManifests, TablesOfAnotherWriterAreReadAndWritten) {
  DS_SKIP_WITHOUT_POSTGRES();
  const std::string dsn = PostgresServer::OfThisProcess()->NewDatabase();
  PostgresServer::Execute(dsn, "CREATE TABLE m_builds (run_id TEXT PRIMARY KEY, created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(), num_dbs INTEGER NOT NULL, s3_prefix TEXT NOT NULL,"
      "key_col TEXT NOT NULL DEFAULT '_key', db_path_template TEXT NOT NULL DEFAULT 'db={db_id:05d}', shard_prefix TEXT NOT NULL DEFAULT 'shards', key_encoding TEXT NOT NULL DEFAULT 'u64be', sharding JSONB NOT NULL, custom JSONB NOT NULL DEFAULT '{}');"
      "CREATE TABLE m_shards (run_id TEXT REFERENCES m_builds(run_id), db_id INTEGER, db_url TEXT, attempt INTEGER, row_count INTEGER, db_bytes BIGINT, checkpoint_id TEXT, min_key JSONB, max_key JSONB, writer_info JSONB, PRIMARY KEY (run_id, db_id));"
      "CREATE TABLE p (updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(), manifest_ref TEXT NOT NULL);"
      "INSERT INTO m_builds (run_id, num_dbs, s3_prefix, sharding) VALUES ('theirs', 2, 's3://b/p', '{\"strategy\": \"hash\", \"hash_algorithm\": \"xxh3_64\", \"routing_values\": null, \"cel_expr\": null, \"cel_columns\": null}');"
      "INSERT INTO m_shards VALUES ('theirs', 0, 's3://b/p/x', 0, 3, 4096, 'c', '1', '\"z\"', '{\"attempt\": 0}');"
      "INSERT INTO p (manifest_ref) VALUES ('theirs');");
  for (const bool ensure : {false, true}) {
    ASSERT_OK_AND_ASSIGN(const auto store, OpenPostgresManifestStore(dsn, {.table_name = "m", .pointer_table_name = "p", .ensure_tables = ensure}));
    EXPECT_EQ(store->LoadCurrent().value()->run_id, "theirs");
    const ShardedManifest theirs = store->LoadManifest("theirs").value();
    EXPECT_EQ(theirs.shards[0].max_key, Key(KeyView::Text("z")));
    ASSERT_OK_AND_ASSIGN(const std::string ours, store->Store(SmallManifest("ours")));
    ASSERT_THAT(store->SetCurrent(ours), IsOk());
    EXPECT_EQ(store->LoadCurrent().value()->run_id, "ours");
    ASSERT_THAT(store->SetCurrent("theirs"), IsOk());
    EXPECT_EQ(PostgresServer::Execute(dsn, "SELECT manifest_ref FROM p ORDER BY updated_at DESC LIMIT 1"), "theirs") << "as another reader orders them";
  }
  PostgresServer::Execute(dsn, "UPDATE m_builds SET format_version = 5 WHERE run_id = 'ours'");
  PostgresServer::Execute(dsn, "UPDATE m_builds SET sharding = '{}' WHERE run_id = 'theirs'");
  ASSERT_OK_AND_ASSIGN(const auto store, OpenPostgresManifestStore(dsn, {.table_name = "m", .pointer_table_name = "p"}));
  EXPECT_THAT(store->LoadManifest("theirs"), HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(store->LoadManifest("ours"), HasKind(ErrorKind::kUnsupported));
}

TEST(PostgresManifests, AConnectionThatBreaksIsMadeAnew) {
  DS_SKIP_WITHOUT_POSTGRES();
  const std::string dsn = PostgresServer::OfThisProcess()->NewDatabase();
  ASSERT_OK_AND_ASSIGN(const auto store, OpenPostgresManifestStore(dsn));
  ASSERT_OK_AND_ASSIGN(const std::string ref, store->Store(SmallManifest("r")));
  const auto kill = [&] { PostgresServer::Execute(dsn, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"); };
  kill();
  const Status first = store->SetCurrent(ref);
  if (!first.ok()) EXPECT_THAT(first, HasKind(ErrorKind::kUnavailable)) << "the break is noticed by its first call";
  EXPECT_THAT(store->SetCurrent(ref), IsOk());
  kill();
  (void)store->LoadCurrent();
  EXPECT_EQ(store->LoadCurrent().value()->run_id, "r");
}

TEST(PostgresManifests, NamesAndConnectionStringsAreChecked) {
  for (const char* const name : {"", "a b", "a;DROP TABLE x", "a.b.c", "1a", "\"a\"", "a'"})
    EXPECT_THAT(OpenPostgresManifestStore("host=/nowhere", {.table_name = name}), HasKind(ErrorKind::kInvalidArgument)) << name;
  EXPECT_THAT(OpenPostgresManifestStore("this is no = string ="), HasKind(ErrorKind::kInvalidArgument));
  const auto nowhere = OpenPostgresManifestStore("host=/nowhere password=secret");
  EXPECT_THAT(nowhere, HasKind(ErrorKind::kUnavailable));
  EXPECT_EQ(nowhere.error().message().find("secret"), std::string::npos);
}

}  // namespace
}  // namespace datashard::generation
