// --at: which snapshot a command reads.
#pragma once

#include <string_view>
#include <variant>

#include "datashard/result.h"
#include "datashard/snapshot.h"
#include "datashard/table.h"

namespace datashard::cli {

/// An instant, in milliseconds since 1970-01-01 UTC.
struct Instant {
  int64_t ms;
  bool operator==(const Instant&) const = default;
};
/// A whole number: a snapshot id, or epoch milliseconds if no snapshot has that id.
struct Number {
  int64_t value;
  bool operator==(const Number&) const = default;
};

/// Reads digits, or ISO 8601 (2013-01-01, 2013-01-01T05:00, with seconds, fraction, Z or +02:00; UTC where no zone is
/// given). Errors: kInvalidArgument with the accepted forms.
Result<std::variant<Number, Instant>> ParseMoment(std::string_view text);

/// The snapshot of `table` that --at `text` means. Errors: as ParseMoment; kNotFound (kSnapshot) for an id the table
/// does not have and for a time before its first snapshot.
Result<Snapshot> ResolveMoment(const Table& table, std::string_view text);

/// 1700000000000 as "2023-11-14T22:13:20.000Z".
std::string FormatInstant(int64_t ms);

}  // namespace datashard::cli
