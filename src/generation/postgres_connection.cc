#include "generation/postgres_connection.h"

#include <charconv>

#include "base/error.h"

namespace datashard::generation {
namespace {

constexpr const char* kConnectTimeout_s = "10";

std::string Trimmed(const char* message) {
  std::string text = message == nullptr ? "" : message;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

/// By SQLSTATE, whose first two characters are its class.
ErrorKind KindOf(std::string_view state) {
  if (state.starts_with("28") || state == "42501" || state == "25006") return ErrorKind::kDenied;
  if (state == "40001" || state == "40P01") return ErrorKind::kConflict;
  if (state == "42P01" || state == "42703") return ErrorKind::kNotFound;
  if (state.starts_with("22")) return ErrorKind::kInvalidArgument;
  for (const std::string_view passing : {"08", "53", "55", "57", "58"})
    if (state.starts_with(passing)) return ErrorKind::kUnavailable;
  return ErrorKind::kInternal;
}

}  // namespace

SqlText SqlRows::At(int row, int column) const {
  if (PQgetisnull(result_.get(), row, column) != 0) return std::nullopt;
  return std::string(PQgetvalue(result_.get(), row, column), static_cast<size_t>(PQgetlength(result_.get(), row, column)));
}

Result<std::string> SqlRows::TextAt(int row, int column) const {
  SqlText text = At(row, column);
  if (!text) return Corruption("column {} is NULL", PQfname(result_.get(), column));
  return *std::move(text);
}

Result<int64_t> SqlRows::IntegerAt(int row, int column) const {
  DS_ASSIGN_OR_RETURN(const std::string text, TextAt(row, column));
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size())
    return Corruption("column {} is '{}', which is no integer", PQfname(result_.get(), column), text);
  return number;
}

Result<std::unique_ptr<PostgresConnection>> PostgresConnection::Open(const std::string& dsn) {
  char* problem = nullptr;
  PQconninfoOption* const options = PQconninfoParse(dsn.c_str(), &problem);
  const std::string why = Trimmed(problem);
  PQfreemem(problem);
  if (options == nullptr) return InvalidArgument("the connection string of PostgreSQL cannot be read: {}", why);
  PQconninfoFree(options);
  // The later one counts, so that the string may say another time-out.
  const char* const names[] = {"connect_timeout", "dbname", nullptr};
  const char* const values[] = {kConnectTimeout_s, dsn.c_str(), nullptr};
  std::unique_ptr<PostgresConnection> connection(new PostgresConnection(PQconnectdbParams(names, values, /*expand_dbname=*/1)));
  // Otherwise libpq prints what the server remarks.
  PQsetNoticeProcessor(connection->connection_, [](void*, const char*) {}, nullptr);
  if (PQstatus(connection->connection_) == CONNECTION_OK) return connection;
  return connection->ErrorOf(nullptr);
}

PostgresConnection::~PostgresConnection() { PQfinish(connection_); }

Error PostgresConnection::ErrorOf(const PGresult* result) const {
  const char* const state = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* const detail = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  const std::string message = detail != nullptr ? std::string(detail) : Trimmed(PQerrorMessage(connection_));
  if (state != nullptr) return Error(KindOf(state), fmt::format("PostgreSQL at {}: {} (SQLSTATE {})", PQhost(connection_), message, state));
  // A refused connection has no state: only its words tell.
  const bool is_refused = PQconnectionUsedPassword(connection_) != 0 || PQconnectionNeedsPassword(connection_) != 0 ||
                          message.find("authentication failed") != std::string::npos || message.find("pg_hba.conf") != std::string::npos;
  const bool was_connecting = result == nullptr && PQstatus(connection_) == CONNECTION_BAD;
  return Error(was_connecting && is_refused ? ErrorKind::kDenied : ErrorKind::kUnavailable, fmt::format("PostgreSQL: {}", message));
}

Result<SqlRows> PostgresConnection::Run(const std::string& sql, const std::vector<SqlText>& parameters) {
  std::vector<const char*> values;
  for (const SqlText& parameter : parameters) {
    if (parameter && parameter->find('\0') != std::string::npos) return InvalidArgument("PostgreSQL holds no text with a NUL character");
    values.push_back(parameter ? parameter->c_str() : nullptr);
  }
  PGresult* const result = PQexecParams(connection_, sql.c_str(), static_cast<int>(values.size()), /*paramTypes=*/nullptr, values.data(),
                                        /*paramLengths=*/nullptr, /*paramFormats=*/nullptr, /*resultFormat=*/0);
  SqlRows rows(result);
  const ExecStatusType status = PQresultStatus(result);
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return rows;
  return ErrorOf(result);
}

Status PostgresConnection::Revive() {
  if (PQstatus(connection_) != CONNECTION_OK) PQreset(connection_);
  if (PQstatus(connection_) != CONNECTION_OK) return ErrorOf(nullptr);
  Abandon();
  return {};
}

void PostgresConnection::Abandon() {
  const PGTransactionStatusType state = PQtransactionStatus(connection_);
  if (state == PQTRANS_INTRANS || state == PQTRANS_INERROR) PQclear(PQexec(connection_, "ROLLBACK"));
}

Status PostgresConnection::Commit() {
  PGresult* const result = PQexec(connection_, "COMMIT");
  const SqlRows owner(result);
  if (PQresultStatus(result) == PGRES_COMMAND_OK) {
    // A transaction that an error has ended answers COMMIT with ROLLBACK.
    if (std::string_view(PQcmdStatus(result)) == "COMMIT") return {};
    return Internal("PostgreSQL rolled back what was to be committed");
  }
  Error error = ErrorOf(result);
  if (PQstatus(connection_) == CONNECTION_OK) return error;
  return CommitUnknown("the connection broke during COMMIT: {}", error.message());
}

}  // namespace datashard::generation
