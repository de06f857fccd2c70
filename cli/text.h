// Text as people see it: escapes for what a terminal would obey, display widths, JSON strings, and the nearest name for
// a name that was mistyped.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace datashard::cli {

/// `text` with control characters, bidirectional overrides and bytes that are not UTF-8 spelled as \n, \t, \x1b,
/// \u202e: a value from a table must not be able to move the cursor, change the title or forge a line.
std::string Printable(std::string_view text);

/// Columns of a terminal `text` takes; wide East Asian characters count two, combining ones none.
/// `text` comes from Printable.
int32_t DisplayWidth(std::string_view text);
/// The beginning of `text` that fits into `width` columns, with "…" as its last column where something was cut.
std::string Shorten(std::string_view text, int32_t width);

/// `text` as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD, and what a terminal would obey or hide is escaped.
std::string JsonString(std::string_view text);

/// JSON that another library wrote, with what a terminal would obey or hide spelled \uXXXX: it says the same.
std::string TerminalSafeJson(std::string_view json);

/// 336776 as "336,776".
std::string WithThousands(int64_t number);
/// 1536 as "1.5 kB"; powers of 1000.
std::string HumanBytes(double bytes);
/// 75 s as "1:15", 3700 s as "1:01:40".
std::string HumanDuration(double seconds);

/// The name nearest to `name` by edits (insert, delete, change, swap neighbours), ignoring ASCII case; none where all
/// are further away than a third of the name.
std::optional<std::string> NearestName(std::string_view name, std::span<const std::string> names);

}  // namespace datashard::cli
