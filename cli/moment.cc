// Instants are parsed by the same code as constants of --where; only the choice between id and time is made here.
#include "cli/moment.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>

#include "datashard/rows.h"
#include "cli/text.h"

namespace datashard::cli {
namespace {

int64_t MillisFloor(int64_t micros) { return micros / 1000 - (micros % 1000 < 0 ? 1 : 0); }

// Snapshot ids are random 63-bit numbers; a number of up to 14 digits that is none of them is a time (until year 5138).
constexpr int64_t kInstantMsMax = 99'999'999'999'999;

Error NoSnapshot(std::string message) {
  return Error(ErrorKind::kNotFound, std::move(message), ErrorSubject::kSnapshot);
}

}  // namespace

Result<std::variant<Number, Instant>> ParseMoment(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return Number{number};
  for (const TypeKind kind : {TypeKind::kTimestampTz, TypeKind::kTimestamp}) {
    const Result<Literal> literal = ParseLiteral(text, Type(kind));
    if (!literal.ok()) continue;
    if (const auto* instant = std::get_if<TimestampValue>(&*literal)) return Instant{MillisFloor(instant->micros)};
  }
  const Result<Literal> date = ParseLiteral(text, Type(TypeKind::kDate));
  if (date.ok()) {
    constexpr int64_t kDayMs = 86'400'000;
    if (const auto* day = std::get_if<DateValue>(&*date)) return Instant{day->days * kDayMs};
  }
  return Error(ErrorKind::kInvalidArgument,
               fmt::format("--at '{}' is no snapshot id, epoch milliseconds or ISO 8601 time; examples are "
                           "6031547841123456789, 1700000000000, 2013-01-01, 2013-01-01T05:00:00Z",
                           Printable(text)));
}

Result<Snapshot> ResolveMoment(const Table& table, std::string_view text) {
  DS_ASSIGN_OR_RETURN(const auto moment, ParseMoment(text));
  int64_t at_ms = 0;
  if (const auto* number = std::get_if<Number>(&moment)) {
    DS_ASSIGN_OR_RETURN(std::optional<Snapshot> by_id, table.snapshot_by_id(number->value));
    if (by_id) return *std::move(by_id);
    if (number->value < 0 || number->value > kInstantMsMax)
      return NoSnapshot(
          fmt::format("{} has no snapshot {}; `datashard log` lists them", Printable(table.path()), number->value));
    at_ms = number->value;
  } else {
    at_ms = std::get<Instant>(moment).ms;
  }
  DS_ASSIGN_OR_RETURN(std::optional<Snapshot> snapshot, table.snapshot_as_of(at_ms));
  if (snapshot) return *std::move(snapshot);
  DS_ASSIGN_OR_RETURN(const std::vector<Snapshot> all, table.snapshots());
  if (all.empty()) return NoSnapshot(fmt::format("{} has no snapshot yet; append rows first", Printable(table.path())));
  return NoSnapshot(fmt::format("{} has no snapshot at or before {}; its first one is of {}", Printable(table.path()),
                                FormatInstant(at_ms), FormatInstant(all.front().timestamp_ms)));
}

std::string FormatInstant(int64_t ms) {
  using std::chrono::milliseconds;
  if (ms < -62'135'596'800'000 || ms > 253'402'300'799'999) return fmt::format("{} ms", ms);  // outside years 1 to 9999
  const std::chrono::sys_time<milliseconds> instant{milliseconds(ms)};
  const auto day = std::chrono::floor<std::chrono::days>(instant);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss<milliseconds> time(instant - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), time.hours().count(),
                     time.minutes().count(), time.seconds().count(), time.subseconds().count());
}

}  // namespace datashard::cli
