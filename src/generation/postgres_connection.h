// One connection to PostgreSQL: statements with parameters, transactions, and what its errors mean.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datashard/result.h"

namespace datashard::generation {

/// A value in text form; none is NULL.
using SqlText = std::optional<std::string>;

/// Rows of texts.
class SqlRows {
 public:
  explicit SqlRows(PGresult* result) : result_(result, PQclear) {}
  int size() const { return PQntuples(result_.get()); }
  SqlText At(int row, int column) const;
  /// Errors: kCorruption: NULL, or no integer.
  Result<int64_t> IntegerAt(int row, int column) const;
  /// Errors: kCorruption: NULL.
  Result<std::string> TextAt(int row, int column) const;

 private:
  std::unique_ptr<PGresult, void (*)(PGresult*)> result_;
};

/// One thread at a time. Errors of all calls: kDenied: rights or password; kUnavailable: the server does not answer, or has no room;
/// kConflict: of transactions at the same time this one was ended; kInvalidArgument: a value the database cannot hold; kNotFound: a table is
/// not there; kInternal. Never the connection string.
class PostgresConnection {
 public:
  /// Errors: kInvalidArgument: `dsn` is no connection string.
  static Result<std::unique_ptr<PostgresConnection>> Open(const std::string& dsn);
  ~PostgresConnection();
  PostgresConnection(const PostgresConnection&) = delete;
  PostgresConnection& operator=(const PostgresConnection&) = delete;

  /// One statement, with $1, $2 … from `parameters`.
  Result<SqlRows> Run(const std::string& sql, const std::vector<SqlText>& parameters = {});
  /// Connects anew where the connection broke. For the beginning of a call.
  Status Revive();
  /// Leaves the transaction that an error has ended, if there is one.
  void Abandon();
  /// COMMIT. Errors: kCommitUnknown where the connection broke meanwhile; others: nothing was committed.
  Status Commit();

 private:
  explicit PostgresConnection(PGconn* connection) : connection_(connection) {}
  Error ErrorOf(const PGresult* result) const;

  PGconn* connection_;
};

}  // namespace datashard::generation
