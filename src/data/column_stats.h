// What a Parquet footer says of its columns, as Iceberg's metrics: counts, and bounds in single-value binary form.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "datashard/schema.h"

namespace parquet {
class ColumnChunkMetaData;
class ColumnDescriptor;
}  // namespace parquet

namespace datashard::data {

/// Text and binary bounds are cut to this many bytes (text between characters).
inline constexpr size_t kBoundBytesMax = 64;

/// What is known of one column of one row group; absent where the writer did not say or cannot be relied upon.
struct ChunkStats {
  int64_t values = 0;  // nulls included
  std::optional<int64_t> nulls;
  std::optional<std::string> lower;  // uncut
  std::optional<std::string> upper;
};

/// The statistics of `chunk` as those of a column of type `type`, which the file's type matches or is promoted to.
/// Bounds have the width of the file's type: iceberg::DecodeValue widens. May throw what Parquet throws.
ChunkStats StatsOfChunk(const parquet::ColumnChunkMetaData& chunk, const parquet::ColumnDescriptor& column, const Type& type);

/// An unscaled decimal as Iceberg's bound: big-endian two's complement in the fewest bytes.
std::string MinimalDecimal(std::string bytes, bool is_little_endian);

/// Is `a` below `b`, both single-value bytes of type `type` and of the same width?
bool BoundLess(std::string_view a, std::string_view b, const Type& type);

/// A bound that may be shortened: the longest prefix within kBoundBytesMax for the lower one; for the upper one the
/// least value of that length above all that start so, or nothing where there is none.
std::string CutLower(std::string_view bound, const Type& type);
std::optional<std::string> CutUpper(std::string_view bound, const Type& type);

}  // namespace datashard::data
