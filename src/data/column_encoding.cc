// A dictionary on unique values is slower and larger than none, and delta encoding helps integers only where neighbours
// are close; either is decided by counting. Small columns stay plain: there every page costs more than it could save.
#include "data/column_encoding.h"

#include <arrow/api.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <vector>

namespace datashard::data {
namespace {

constexpr int64_t kSampledRowsMin = 1000;  // fewer rows are written plain
constexpr int64_t kRunRows = 128;          // neighbours looked at together, as in a delta block
constexpr int64_t kRuns = 8;
// A dictionary has to be met this often per value before it saves anything.
constexpr size_t kRepeatsMin = 8;
// Setting up zstd costs about as much as writing this many bytes saves.
constexpr int64_t kCompressedBytesMin = 256;

struct Sample {
  std::vector<std::vector<std::string_view>> runs;  // bytes of the valid values
  int64_t values = 0;
};

std::string_view BytesOf(const arrow::Array& column, int64_t row) {
  switch (column.type_id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY: return static_cast<const arrow::BinaryArray&>(column).GetView(row);
    case arrow::Type::FIXED_SIZE_BINARY:
    case arrow::Type::DECIMAL128: return static_cast<const arrow::FixedSizeBinaryArray&>(column).GetView(row);
    default: {
      const int64_t width = static_cast<const arrow::FixedWidthType&>(*column.type()).bit_width() / 8;
      const uint8_t* start = column.data()->buffers[1]->data() + (column.offset() + row) * width;
      return {reinterpret_cast<const char*>(start), static_cast<size_t>(width)};
    }
  }
}

Sample Take(const arrow::ArrayVector& head) {
  int64_t rows = 0;
  for (const auto& column : head) rows += column->length();
  const int64_t stride = std::max(rows / kRuns, kRunRows);
  Sample sample;
  int64_t first = 0;  // row of the head at which `column` starts
  int64_t next = 0;   // row of the head at which the next run starts
  for (const auto& column : head) {
    while (next < first + column->length()) {
      std::vector<std::string_view> run;
      const int64_t begin = next - first;
      for (int64_t row = begin; row < std::min(begin + kRunRows, column->length()); ++row)
        if (column->IsValid(row)) run.push_back(BytesOf(*column, row));
      sample.values += static_cast<int64_t>(run.size());
      sample.runs.push_back(std::move(run));
      next += stride;
    }
    first += column->length();
  }
  return sample;
}

// How many different values the sample has; nothing where there are more than `most`, which unique values reach soon.
std::optional<size_t> DistinctValues(const Sample& sample, size_t most) {
  std::unordered_set<std::string_view> seen;
  seen.reserve(most + 1);
  for (const auto& run : sample.runs) {
    for (const std::string_view value : run) {
      seen.insert(value);
      if (seen.size() > most) return std::nullopt;
    }
  }
  return seen.size();
}

template <typename T>
T Load(std::string_view bytes) {
  T value;
  std::copy_n(bytes.data(), sizeof value, reinterpret_cast<char*>(&value));
  return value;
}

// Bits a value takes under DELTA_BINARY_PACKED: those of the spread of differences within a run.
template <typename T>
int DeltaBits(const Sample& sample) {
  using Unsigned = std::make_unsigned_t<T>;
  int64_t bits = 0;
  int64_t values = 0;
  for (const auto& run : sample.runs) {
    if (run.size() < 2) continue;
    T low = std::numeric_limits<T>::max();
    T high = std::numeric_limits<T>::min();
    for (size_t i = 1; i < run.size(); ++i) {
      // Differences wrap around, as the encoding's do.
      const T delta = static_cast<T>(static_cast<Unsigned>(Load<T>(run[i])) - static_cast<Unsigned>(Load<T>(run[i - 1])));
      low = std::min(low, delta);
      high = std::max(high, delta);
    }
    const auto spread = static_cast<Unsigned>(static_cast<Unsigned>(high) - static_cast<Unsigned>(low));
    bits += static_cast<int64_t>(run.size()) * std::bit_width(spread);
    values += static_cast<int64_t>(run.size());
  }
  return values == 0 ? 0 : static_cast<int>(bits / values);
}

int64_t PlainBytes(const arrow::ArrayVector& head) {
  int64_t bytes = 0;
  for (const auto& column : head) {
    const auto id = column->type_id();
    if (id == arrow::Type::STRING || id == arrow::Type::BINARY) {
      bytes += static_cast<const arrow::BinaryArray&>(*column).total_values_length() + 4 * column->length();
    } else {
      bytes += column->length() * static_cast<const arrow::FixedWidthType&>(*column->type()).bit_width() / 8;
    }
  }
  return bytes;
}

}  // namespace

ColumnEncoding ChooseEncoding(const arrow::ArrayVector& head, bool is_all) {
  ColumnEncoding chosen;
  chosen.compressed = !is_all || PlainBytes(head) >= kCompressedBytesMin;
  int64_t rows = 0;
  for (const auto& column : head) rows += column->length();
  const auto id = head.front()->type_id();
  if (rows < kSampledRowsMin || id == arrow::Type::BOOL) return chosen;
  const Sample sample = Take(head);
  const auto distinct = DistinctValues(sample, static_cast<size_t>(sample.values) / kRepeatsMin);
  chosen.dictionary = distinct.has_value();

  const int width = head.front()->type()->byte_width();
  const bool is_integer = id == arrow::Type::INT32 || id == arrow::Type::INT64 || id == arrow::Type::DATE32 ||
                          id == arrow::Type::TIME64 || id == arrow::Type::TIMESTAMP;
  if (!is_integer) return chosen;
  const int delta_bits = width == 4 ? DeltaBits<int32_t>(sample) : DeltaBits<int64_t>(sample);
  // A dictionary's indices are packed by run, so it wins only where it needs clearly fewer bits.
  if (chosen.dictionary && delta_bits <= static_cast<int>(std::bit_width(*distinct)) + 1) chosen.dictionary = false;
  if (!chosen.dictionary && 2 * delta_bits <= 8 * width) chosen.encoding = parquet::Encoding::DELTA_BINARY_PACKED;
  return chosen;
}

}  // namespace datashard::data
