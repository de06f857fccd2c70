// The C++ side of the benchmark `shards`, called by Python through ctypes: bare loops over the SQLite library, and our C++ reader.
// Every call checks what it found and answers seconds, or a negative number after saying on standard error what was wrong.
#include <sqlite3.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "datashard/sharded_reader.h"
#include "shards_data.h"

namespace {

using Clock = std::chrono::steady_clock;

double Since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double Failed(const std::string& what) {
  std::fprintf(stderr, "shards_native: %s\n", what.c_str());
  return -1;
}

std::string BigEndian(uint64_t number) {
  const uint64_t swapped = __builtin_bswap64(number);
  return std::string(reinterpret_cast<const char*>(&swapped), 8);
}

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

Database Open(const char* path, int flags) {
  sqlite3* database = nullptr;
  const int opened = sqlite3_open_v2(path, &database, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  Database owned(database);
  return opened == SQLITE_OK ? std::move(owned) : nullptr;
}

Statement Prepare(sqlite3* database, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  return Statement(statement);
}

bool Run(sqlite3* database, const char* sql) { return sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK; }

// Does the value that was found begin with the word that follows from its key?
bool IsValueOf(const void* value, int size, uint64_t key) {
  const uint64_t word = bench::Mixed(key);
  return size == static_cast<int>(bench::kValueBytes) && std::memcmp(value, &word, 8) == 0;
}

}  // namespace

extern "C" {

/// Sorted pairs into one new file, as fast as the library takes them; `vacuum`: and packed afterwards.
__attribute__((visibility("default"))) double bare_insert(const char* path, int64_t rows, int vacuum) {
  std::vector<std::pair<std::string, bench::Value>> sorted;
  for (int64_t i = 0; i < rows; ++i) {
    const uint64_t key = bench::KeyNumber(static_cast<uint64_t>(i));
    sorted.emplace_back(BigEndian(key), bench::ValueOf(key));
  }
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  const auto start = Clock::now();
  {
    const Database database = Open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    if (!database || !Run(database.get(), "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE;"
                                          "CREATE TABLE kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID; BEGIN")) {
      return Failed("cannot make " + std::string(path));
    }
    const Statement insert = Prepare(database.get(), "INSERT INTO kv VALUES (?, ?)");
    for (const auto& [key, value] : sorted) {
      sqlite3_bind_blob(insert.get(), 1, key.data(), 8, SQLITE_STATIC);
      sqlite3_bind_blob(insert.get(), 2, value.bytes, static_cast<int>(bench::kValueBytes), SQLITE_STATIC);
      if (sqlite3_step(insert.get()) != SQLITE_DONE) return Failed(sqlite3_errmsg(database.get()));
      sqlite3_reset(insert.get());
    }
    if (!Run(database.get(), "COMMIT")) return Failed(sqlite3_errmsg(database.get()));
    if (vacuum != 0 && !Run(database.get(), "VACUUM")) return Failed(sqlite3_errmsg(database.get()));
  }
  return Since(start);
}

/// Lookups of keys that are there, one after another, by one prepared statement on a mapped file, in one transaction: outside one the
/// library locks and unlocks the file for each.
__attribute__((visibility("default"))) double bare_lookup(const char* path, int64_t rows, int64_t lookups, uint64_t seed) {
  const std::vector<uint64_t> keys = bench::Asked(rows, lookups, seed);
  const Database database = Open(path, SQLITE_OPEN_READONLY);
  if (!database || !Run(database.get(), "PRAGMA mmap_size=2147418112; PRAGMA cache_size=-8000; BEGIN; SELECT sum(length(v)) FROM kv")) {
    return Failed("cannot open " + std::string(path));
  }
  const Statement select = Prepare(database.get(), "SELECT v FROM kv WHERE k = ?");
  const auto start = Clock::now();
  for (const uint64_t key : keys) {
    const uint64_t swapped = __builtin_bswap64(key);
    sqlite3_bind_blob(select.get(), 1, &swapped, 8, SQLITE_STATIC);
    if (sqlite3_step(select.get()) != SQLITE_ROW) return Failed("a key is missing in " + std::string(path));
    if (!IsValueOf(sqlite3_column_blob(select.get(), 0), sqlite3_column_bytes(select.get(), 0), key)) return Failed("a wrong value");
    sqlite3_reset(select.get());
  }
  return Since(start);
}

/// Opens our C++ reader. Null after saying what was wrong.
__attribute__((visibility("default"))) void* reader_open(const char* prefix, const char* local_root) {
  datashard::ShardedReaderSettings settings;
  settings.prefix = prefix;
  settings.local_root = local_root;
  auto opened = datashard::ShardedReader::Open(std::move(settings));
  if (opened.ok()) return opened->release();
  Failed(opened.error().message());
  return nullptr;
}

__attribute__((visibility("default"))) void reader_close(void* reader) { delete static_cast<datashard::ShardedReader*>(reader); }

/// `lookups` by each of `threads` threads.
__attribute__((visibility("default"))) double reader_lookup(void* handle, int64_t rows, int64_t lookups, int threads, uint64_t seed) {
  auto& reader = *static_cast<datashard::ShardedReader*>(handle);
  std::vector<std::vector<uint64_t>> keys;
  for (int i = 0; i < threads; ++i) keys.push_back(bench::Asked(rows, lookups, seed + static_cast<uint64_t>(i)));
  std::vector<int> wrong(static_cast<size_t>(threads), 0);
  const auto look = [&](size_t thread) {
    int missed = 0;
    for (const uint64_t key : keys[thread]) {
      bool right = false;
      const auto found = reader.Visit(datashard::KeyView::Unsigned(key), datashard::LookupReach::kAnywhere, [&](std::string_view value) {
        right = IsValueOf(value.data(), static_cast<int>(value.size()), key);
      });
      missed += found.ok() && right ? 0 : 1;
    }
    wrong[thread] = missed;
  };
  const auto start = Clock::now();
  std::vector<std::thread> running;
  for (int i = 1; i < threads; ++i) running.emplace_back(look, static_cast<size_t>(i));
  look(0);
  for (std::thread& thread : running) thread.join();
  const double seconds = Since(start);
  for (const int missed : wrong) {
    if (missed != 0) return Failed("wrong or missing values");
  }
  return seconds;
}

/// CPU seconds of opening a snapshot and one lookup.
__attribute__((visibility("default"))) double reader_open_cpu(const char* prefix, const char* local_root, uint64_t key) {
  const double start = CpuSeconds();
  void* const handle = reader_open(prefix, local_root);
  if (handle == nullptr) return -1;
  const auto found = static_cast<datashard::ShardedReader*>(handle)->Get(datashard::KeyView::Unsigned(key));
  const double seconds = CpuSeconds() - start;
  const bool right = found.ok() && found->has_value() && IsValueOf((*found)->bytes().data(), static_cast<int>((*found)->bytes().size()), key);
  reader_close(handle);
  return right ? seconds : Failed("the first lookup is wrong");
}
}
