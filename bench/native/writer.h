// One writer of the benchmark `commit`: warms up, waits for the others, appends for a fixed time, reports. The same steps
// and the same report as bench/commit_worker.py, which describes them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace bench {

/// The columns of the row with number `id`, as bench/cases.py makes them.
struct Record {
  int64_t id;
  std::string user;
  std::string status;
  double amount;
  bool has_amount;
  int64_t started_at;
};
Record MakeRecord(int64_t id);
/// The record as a line of JSON, its line end included.
std::string ToJsonLine(const Record& record);

/// Appends one record durably; empty, or the text of the error.
using Append = std::function<std::string(const Record& record)>;
/// Opens what is appended to; called once, before the warm-up. `directory` is the run's, made by the Python twin.
using Open = std::function<Append(const std::string& directory)>;

/// main() of a writer: DIRECTORY WRITER SECONDS. Prints what the driver reads; returns the exit status.
int RunWriter(int argc, char** argv, const Open& open);

/// Prints `what` with errno and ends the process.
[[noreturn]] void Die(const std::string& what);

}  // namespace bench
