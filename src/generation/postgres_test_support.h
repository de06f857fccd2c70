// A PostgreSQL server for tests: started at first use, in a directory of its own that only its socket leaves; stopped with the process.
#pragma once

#include <fmt/format.h>
#include <libpq-fe.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "storage/temporary_directory.h"

namespace datashard::generation {

class PostgresServer {
 public:
  /// None where no server is installed: Debian has it in the package postgresql.
  static const PostgresServer* OfThisProcess() {
    static const std::unique_ptr<PostgresServer> server = Start();
    return server.get();
  }
  ~PostgresServer() { (void)Run(fmt::format("{}/pg_ctl -D {}/data -m immediate stop", binaries_, directory_.path())); }
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  /// Of a fresh, empty database.
  std::string NewDatabase() const {
    static int number = 0;
    const std::string name = fmt::format("d{}", ++number);
    Execute(Dsn("postgres"), "CREATE DATABASE " + name);
    return Dsn(name);
  }
  static std::string Execute(const std::string& dsn, const std::string& sql) {
    PGconn* const connection = PQconnectdb(dsn.c_str());
    PGresult* const result = PQexec(connection, sql.c_str());
    std::string first = PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : PQresultErrorMessage(result);
    PQclear(result);
    PQfinish(connection);
    return first;
  }

 private:
  explicit PostgresServer(std::string binaries) : binaries_(std::move(binaries)) {}

  static std::optional<std::string> Binaries() {
    std::vector<std::string> found;
    std::error_code missing;
    for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", missing))
      if (std::filesystem::exists(entry.path() / "bin/postgres")) found.push_back((entry.path() / "bin").string());
    return found.empty() ? std::nullopt : std::optional(*std::ranges::max_element(found));
  }
  static std::unique_ptr<PostgresServer> Start() {
    const std::optional<std::string> binaries = Binaries();
    if (!binaries) return nullptr;
    std::unique_ptr<PostgresServer> server(new PostgresServer(*binaries));
    const std::string& at = server->directory_.path();
    // The server refuses to be root's; its package brings the user.
    if (::geteuid() == 0 && std::system(("chown postgres " + at).c_str()) != 0) std::abort();
    const bool started = Run(fmt::format("{}/initdb -D {}/data -U tests -A trust -E UTF8 --locale=C --no-sync", *binaries, at)) &&
                         Run(fmt::format("{0}/pg_ctl -D {1}/data -w -l {1}/log -o \"-k {1} -c listen_addresses= -c fsync=off -c timezone=Asia/Tokyo\" start", *binaries, at));
    if (!started) std::abort();
    return server;
  }
  static bool Run(const std::string& command) {
    const std::string as_user = ::geteuid() == 0 ? "runuser -u postgres -- " : "";
    return std::system(fmt::format("cd / && {}{} > /dev/null 2>&1 < /dev/null", as_user, command).c_str()) == 0;
  }
  std::string Dsn(const std::string& database) const { return fmt::format("host={} user=tests dbname={}", directory_.path(), database); }

  const TemporaryDirectory directory_;
  const std::string binaries_;
};

}  // namespace datashard::generation

/// Skips the test, visibly, where no server is installed.
#define DS_SKIP_WITHOUT_POSTGRES() \
  if (::datashard::generation::PostgresServer::OfThisProcess() == nullptr) GTEST_SKIP() << "there is no PostgreSQL server below /usr/lib/postgresql"
