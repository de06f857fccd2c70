#include "shardread/stored_boundaries.h"

#include <cmath>
#include <cstdint>

namespace datashard::shardread {
namespace {

// The first stored key that is not below `boundary`: 0 for one below every key, 0xff... with one byte more for one above.
std::string StoredNumber(uint64_t number, bool is_above, int size_bytes) {
  std::string stored;
  for (int i = size_bytes - 1; i >= 0; --i) stored += is_above ? '\xff' : static_cast<char>(number >> (8 * i));
  if (is_above) stored += '\0';
  return stored;
}

std::string StoredInt(int64_t boundary, uint64_t max, int size_bytes) {
  const uint64_t number = boundary < 0 ? 0 : static_cast<uint64_t>(boundary);
  return StoredNumber(number, number > max, size_bytes);
}

// Keys are whole numbers: key >= 2.5 is key >= 3.
std::string StoredDouble(double boundary, uint64_t max, int size_bytes) {
  const double from = std::ceil(boundary);
  if (!(from > 0)) return StoredNumber(0, false, size_bytes);
  const bool is_above = from >= 18446744073709551616.0 || static_cast<uint64_t>(from) > max;
  return StoredNumber(is_above ? 0 : static_cast<uint64_t>(from), is_above, size_bytes);
}

}  // namespace

std::optional<std::vector<std::string>> StoredBoundaries(const std::vector<RangeBoundary>& boundaries, KeyEncoding encoding) {
  const bool has_numbers = encoding == KeyEncoding::kU64Be || encoding == KeyEncoding::kU32Be;
  const int size_bytes = encoding == KeyEncoding::kU64Be ? 8 : 4;
  const uint64_t max = encoding == KeyEncoding::kU64Be ? UINT64_MAX : UINT32_MAX;
  std::vector<std::string> stored;
  for (const RangeBoundary& boundary : boundaries) {
    if (std::holds_alternative<std::string>(boundary) == has_numbers) return std::nullopt;
    if (const auto* const text = std::get_if<std::string>(&boundary)) stored.push_back(*text);
    if (const auto* const number = std::get_if<int64_t>(&boundary)) stored.push_back(StoredInt(*number, max, size_bytes));
    if (const auto* const number = std::get_if<double>(&boundary)) stored.push_back(StoredDouble(*number, max, size_bytes));
  }
  return stored;
}

}  // namespace datashard::shardread
