#include "data/column_stats.h"

#include <parquet/metadata.h>
#include <parquet/schema.h>
#include <parquet/statistics.h>

#include <algorithm>
#include <cstring>

namespace datashard::data {
namespace {

bool IsDecimal(const parquet::ColumnDescriptor& column) {
  return column.logical_type() != nullptr && column.logical_type()->is_decimal();
}

// Are times and instants in microseconds, as Iceberg's bounds are?
bool IsMicros(const parquet::ColumnDescriptor& column) {
  const auto& logical = column.logical_type();
  if (logical == nullptr) return false;
  if (logical->is_timestamp())
    return static_cast<const parquet::TimestampLogicalType&>(*logical).time_unit() == parquet::LogicalType::TimeUnit::MICROS;
  return logical->is_time() &&
         static_cast<const parquet::TimeLogicalType&>(*logical).time_unit() == parquet::LogicalType::TimeUnit::MICROS;
}

// Does the plain encoding of the file's type say the same as Iceberg's bytes of `type` or of a type promoted to it?
bool SpeaksOf(const parquet::ColumnDescriptor& column, const Type& type) {
  const auto physical = column.physical_type();
  switch (type.kind()) {
    case TypeKind::kBoolean: return physical == parquet::Type::BOOLEAN;
    case TypeKind::kInt:
    case TypeKind::kDate: return physical == parquet::Type::INT32;
    case TypeKind::kLong: return physical == parquet::Type::INT32 || physical == parquet::Type::INT64;
    case TypeKind::kFloat: return physical == parquet::Type::FLOAT;
    case TypeKind::kDouble: return physical == parquet::Type::FLOAT || physical == parquet::Type::DOUBLE;
    case TypeKind::kTime:
    case TypeKind::kTimestamp:
    case TypeKind::kTimestampTz: return physical == parquet::Type::INT64 && IsMicros(column);
    case TypeKind::kDecimal: return IsDecimal(column) && column.type_scale() == type.scale();
    case TypeKind::kString:
    case TypeKind::kBinary: return physical == parquet::Type::BYTE_ARRAY;
    case TypeKind::kUuid: return physical == parquet::Type::FIXED_LEN_BYTE_ARRAY && column.type_length() == 16;
    case TypeKind::kFixed:
      return physical == parquet::Type::FIXED_LEN_BYTE_ARRAY && column.type_length() == type.length();
    default: return false;
  }
}

template <typename T>
T Load(std::string_view bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), std::min(sizeof value, bytes.size()));
  return value;
}

bool DecimalLess(std::string_view a, std::string_view b) {
  const auto is_negative = [](std::string_view v) { return !v.empty() && (v[0] & 0x80) != 0; };
  if (is_negative(a) != is_negative(b)) return is_negative(a);
  // Minimal forms of one sign: the longer one is further from zero; of equal length they compare as unsigned bytes.
  if (a.size() != b.size()) return (a.size() < b.size()) != is_negative(a);
  return a < b;
}

bool IsContinuation(char c) { return (static_cast<uint8_t>(c) & 0xC0) == 0x80; }

void AppendUtf8(std::string& out, uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

// The code point at the end of well-formed `text`, taken off it.
uint32_t TakeLast(std::string& text) {
  size_t start = text.size() - 1;
  while (start > 0 && IsContinuation(text[start])) --start;
  const auto lead = static_cast<uint8_t>(text[start]);
  uint32_t c = lead < 0x80 ? lead : lead < 0xE0 ? lead & 0x1F : lead < 0xF0 ? lead & 0x0F : lead & 0x07;
  for (size_t i = start + 1; i < text.size(); ++i) c = c << 6 | (static_cast<uint8_t>(text[i]) & 0x3F);
  text.resize(start);
  return c;
}

}  // namespace

std::string MinimalDecimal(std::string bytes, bool is_little_endian) {
  if (is_little_endian) std::reverse(bytes.begin(), bytes.end());
  size_t skip = 0;
  while (skip + 1 < bytes.size()) {
    const auto head = static_cast<uint8_t>(bytes[skip]);
    const bool next_negative = (static_cast<uint8_t>(bytes[skip + 1]) & 0x80) != 0;
    if (!(head == 0x00 && !next_negative) && !(head == 0xFF && next_negative)) break;
    ++skip;
  }
  return bytes.substr(skip);
}

ChunkStats StatsOfChunk(const parquet::ColumnChunkMetaData& chunk, const parquet::ColumnDescriptor& column, const Type& type) {
  ChunkStats stats{.values = chunk.num_values()};
  if (!chunk.is_stats_set()) return stats;
  const auto encoded = chunk.encoded_statistics();
  if (encoded == nullptr) return stats;
  if (encoded->has_null_count) stats.nulls = encoded->null_count;
  if (!encoded->has_min || !encoded->has_max || !SpeaksOf(column, type)) return stats;
  std::string lower = encoded->min();
  std::string upper = encoded->max();
  if (type.kind() == TypeKind::kDecimal) {
    const bool is_number = column.physical_type() == parquet::Type::INT32 || column.physical_type() == parquet::Type::INT64;
    lower = MinimalDecimal(std::move(lower), /*is_little_endian=*/is_number);
    upper = MinimalDecimal(std::move(upper), /*is_little_endian=*/is_number);
  }
  if (type.kind() == TypeKind::kFloat || type.kind() == TypeKind::kDouble) {
    const bool single = column.physical_type() == parquet::Type::FLOAT;
    const double low = single ? Load<float>(lower) : Load<double>(lower);
    const double high = single ? Load<float>(upper) : Load<double>(upper);
    if (!(low <= high)) return stats;  // NaN in the bounds of a careless writer
  }
  stats.lower = std::move(lower);
  stats.upper = std::move(upper);
  return stats;
}

bool BoundLess(std::string_view a, std::string_view b, const Type& type) {
  switch (type.kind()) {
    case TypeKind::kInt:
    case TypeKind::kDate: return Load<int32_t>(a) < Load<int32_t>(b);
    case TypeKind::kLong:
    case TypeKind::kTime:
    case TypeKind::kTimestamp:
    case TypeKind::kTimestampTz: return Load<int64_t>(a) < Load<int64_t>(b);
    case TypeKind::kFloat: return Load<float>(a) < Load<float>(b);
    case TypeKind::kDouble: return Load<double>(a) < Load<double>(b);
    case TypeKind::kDecimal: return DecimalLess(a, b);
    default: return a < b;  // booleans, text and bytes: std::string_view compares unsigned
  }
}

std::string CutLower(std::string_view bound, const Type& type) {
  if (bound.size() <= kBoundBytesMax) return std::string(bound);
  if (type.kind() != TypeKind::kString && type.kind() != TypeKind::kBinary) return std::string(bound);
  size_t size = kBoundBytesMax;
  if (type.kind() == TypeKind::kString)
    while (size > 0 && IsContinuation(bound[size])) --size;
  return std::string(bound.substr(0, size));
}

std::optional<std::string> CutUpper(std::string_view bound, const Type& type) {
  std::string prefix = CutLower(bound, type);
  if (prefix.size() == bound.size()) return prefix;
  while (!prefix.empty()) {
    if (type.kind() == TypeKind::kBinary) {
      const auto last = static_cast<uint8_t>(prefix.back());
      prefix.pop_back();
      if (last < 0xFF) return prefix + static_cast<char>(last + 1);
    } else {
      const uint32_t last = TakeLast(prefix);
      if (last >= 0x10FFFF) continue;
      AppendUtf8(prefix, last == 0xD7FF ? 0xE000 : last + 1);  // the surrogates between are no characters
      return prefix;
    }
  }
  return std::nullopt;
}

}  // namespace datashard::data
