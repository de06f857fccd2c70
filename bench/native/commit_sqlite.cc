// Writer to SQLite: WAL, synchronous=FULL, one row per transaction, the statement prepared once.
#include <sqlite3.h>

#include <cstdio>
#include <cstdlib>

#include "writer.h"

namespace {

void Must(sqlite3* db, int code, const char* what) {
  if (code == SQLITE_OK) return;
  std::fprintf(stderr, "%s: %s\n", what, sqlite3_errmsg(db));
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  return bench::RunWriter(argc, argv, [](const std::string& directory) -> bench::Append {
    sqlite3* db = nullptr;
    Must(db, sqlite3_open_v2((directory + "/rows.db").c_str(), &db, SQLITE_OPEN_READWRITE, nullptr), "open");
    Must(db, sqlite3_busy_timeout(db, 30'000), "busy_timeout");
    Must(db, sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL", nullptr, nullptr, nullptr), "pragmas");
    sqlite3_stmt* insert = nullptr;
    Must(db, sqlite3_prepare_v3(db, "INSERT INTO rows VALUES (?, ?, ?, ?, ?)", -1, SQLITE_PREPARE_PERSISTENT, &insert, nullptr),
         "prepare");
    return [db, insert](const bench::Record& record) -> std::string {
      sqlite3_bind_int64(insert, 1, record.id);
      sqlite3_bind_text(insert, 2, record.user.c_str(), -1, SQLITE_STATIC);
      sqlite3_bind_text(insert, 3, record.status.c_str(), -1, SQLITE_STATIC);
      if (record.has_amount) sqlite3_bind_double(insert, 4, record.amount);
      else sqlite3_bind_null(insert, 4);
      sqlite3_bind_int64(insert, 5, record.started_at);
      const int code = sqlite3_step(insert);
      std::string error = code == SQLITE_DONE ? "" : sqlite3_errmsg(db);
      sqlite3_reset(insert);
      return error;
    };
  });
}
