#include "data/plain_column.h"

#include <arrow/api.h>
#include <arrow/util/bit_util.h>

#include <cmath>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "iceberg/decimal.h"

namespace datashard::data {
namespace {

using arrow::bit_util::GetBit;
using iceberg::Int128;

// What Parquet's writer keeps of a long minimum or maximum: nothing.
constexpr size_t kStatisticBytesMax = 4096;

template <typename T>
void AppendRaw(Bytes& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void AppendVarint(Bytes& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

// Least and greatest of the values seen.
template <typename T>
struct Range {
  bool is_empty = true;
  T least{};
  T greatest{};
  void Add(T value) {
    if (is_empty || value < least) least = value;
    if (is_empty || greatest < value) greatest = value;
    is_empty = false;
  }
};

template <typename T>
Range<T> Narrow(const Range<Int128>& range) {
  return {.is_empty = range.is_empty, .least = static_cast<T>(range.least), .greatest = static_cast<T>(range.greatest)};
}

class PlainEncoder {
 public:
  PlainEncoder(const arrow::RecordBatchVector& batches, int index) : batches_(batches), index_(index) {
    for (const auto& batch : batches) {
      rows_ += batch->num_rows();
      column_.nulls += batch->column_data(index)->GetNullCount();
    }
  }

  PlainColumn Encode(const Field& field) {
    if (!field.required) Levels();
    switch (field.type.kind()) {
      case TypeKind::kBoolean: Booleans(); break;
      case TypeKind::kInt:
      case TypeKind::kDate: Numbers<int32_t>(); break;
      case TypeKind::kFloat: Numbers<float>(); break;
      case TypeKind::kDouble: Numbers<double>(); break;
      case TypeKind::kDecimal: Decimals(field.type.precision()); break;
      case TypeKind::kString:
      case TypeKind::kBinary: Texts(); break;
      case TypeKind::kUuid: Fixed(16); break;
      case TypeKind::kFixed: Fixed(field.type.length()); break;
      default: Numbers<int64_t>(); break;  // long, time and the instants
    }
    return std::move(column_);
  }

 private:
  // Calls visit(column, row) for each row that has a value.
  template <typename Visit>
  void ForEachValue(Visit&& visit) const {
    for (const auto& batch : batches_) {
      const arrow::ArrayData& column = *batch->column_data(index_);
      const bool has_nulls = column.GetNullCount() > 0;
      for (int64_t row = 0; row < column.length; ++row)
        if (!has_nulls || column.IsValid(row)) visit(column, row);
    }
  }

  // RLE / bit-packed hybrid of one bit, its length in front: one run of equal levels, or the validity as it is.
  void Levels() {
    Bytes& out = column_.page;
    AppendRaw<uint32_t>(out, 0);
    if (column_.nulls == 0 || column_.nulls == rows_) {
      AppendVarint(out, static_cast<uint64_t>(rows_) << 1);
      out += static_cast<char>(column_.nulls == 0 ? 1 : 0);
    } else {
      const auto groups = static_cast<uint64_t>(rows_ + 7) / 8;
      AppendVarint(out, groups << 1 | 1);
      const size_t start = out.size();
      out.resize(start + groups);
      auto* bits = reinterpret_cast<uint8_t*>(out.data() + start);
      int64_t at = 0;
      for (const auto& batch : batches_) {
        const arrow::ArrayData& column = *batch->column_data(index_);
        for (int64_t row = 0; row < column.length; ++row, ++at)
          if (column.IsValid(row)) arrow::bit_util::SetBit(bits, at);
      }
    }
    const auto size = static_cast<uint32_t>(out.size() - sizeof(uint32_t));
    std::memcpy(out.data(), &size, sizeof size);
  }

  void Booleans() {
    const size_t start = column_.page.size();
    column_.page.resize(start + static_cast<size_t>(rows_ - column_.nulls + 7) / 8);
    auto* bits = reinterpret_cast<uint8_t*>(column_.page.data() + start);
    Range<bool> range;
    int64_t at = 0;
    ForEachValue([&](const arrow::ArrayData& column, int64_t row) {
      const bool value = GetBit(column.buffers[1]->data(), column.offset + row);
      if (value) arrow::bit_util::SetBit(bits, at);
      ++at;
      range.Add(value);
    });
    if (!range.is_empty) SetStatistics(std::string(1, range.least ? 1 : 0), std::string(1, range.greatest ? 1 : 0));
  }

  template <typename T>
  void Numbers() {
    Range<T> range;
    ForEachValue([&](const arrow::ArrayData& column, int64_t row) {
      const T value = column.GetValues<T>(1)[row];
      AppendRaw(column_.page, value);
      if constexpr (std::is_floating_point_v<T>) {
        if (std::isnan(value)) {
          ++column_.nans;
          return;
        }
      }
      range.Add(value);
    });
    if constexpr (std::is_floating_point_v<T>) {
      if (range.least == 0) range.least = T{-0.0};
      if (range.greatest == 0) range.greatest = T{0.0};
    }
    SetNumbers(range);
  }

  void Decimals(int32_t precision) {
    Range<Int128> range;
    const int32_t size = iceberg::DecimalBytes(precision);
    ForEachValue([&](const arrow::ArrayData& column, int64_t row) {
      Int128 value = 0;
      std::memcpy(&value, column.buffers[1]->data() + (column.offset + row) * 16, sizeof value);
      if (precision <= 9) AppendRaw(column_.page, static_cast<int32_t>(value));
      else if (precision <= 18) AppendRaw(column_.page, static_cast<int64_t>(value));
      else column_.page += iceberg::FixedBigEndian(value, size);
      range.Add(value);
    });
    if (precision <= 9) SetNumbers(Narrow<int32_t>(range));
    else if (precision <= 18) SetNumbers(Narrow<int64_t>(range));
    else if (!range.is_empty) SetStatistics(iceberg::FixedBigEndian(range.least, size), iceberg::FixedBigEndian(range.greatest, size));
  }

  void Texts() {
    Range<std::string_view> range;  // compares unsigned bytes
    ForEachValue([&](const arrow::ArrayData& column, int64_t row) {
      const auto* offsets = column.GetValues<int32_t>(1) + row;
      const auto size = static_cast<uint32_t>(offsets[1] - offsets[0]);
      const std::string_view value =
          size == 0 ? std::string_view("") : std::string_view(reinterpret_cast<const char*>(column.buffers[2]->data()) + offsets[0], size);
      AppendRaw(column_.page, size);
      column_.page += value;
      column_.text_bytes += size;
      range.Add(value);
    });
    SetTexts(range);
  }

  void Fixed(int32_t length) {
    Range<std::string_view> range;
    ForEachValue([&](const arrow::ArrayData& column, int64_t row) {
      const auto* start = reinterpret_cast<const char*>(column.buffers[1]->data()) + (column.offset + row) * length;
      const std::string_view value(start, static_cast<size_t>(length));
      column_.page += value;
      range.Add(value);
    });
    SetTexts(range);
  }

  template <typename T>
  void SetNumbers(const Range<T>& range) {
    if (range.is_empty) return;
    const auto bytes = [](const T& value) { return std::string(reinterpret_cast<const char*>(&value), sizeof value); };
    SetStatistics(bytes(range.least), bytes(range.greatest));
  }

  void SetTexts(const Range<std::string_view>& range) {
    if (range.is_empty) return;
    if (range.least.size() <= kStatisticBytesMax) column_.min = range.least;
    if (range.greatest.size() <= kStatisticBytesMax) column_.max = range.greatest;
  }

  void SetStatistics(std::string min, std::string max) {
    column_.min = std::move(min);
    column_.max = std::move(max);
  }

  const arrow::RecordBatchVector& batches_;
  const int index_;
  int64_t rows_ = 0;
  PlainColumn column_;
};

}  // namespace

PlainColumn EncodePlain(const arrow::RecordBatchVector& batches, int index, const Field& field) {
  return PlainEncoder(batches, index).Encode(field);
}

}  // namespace datashard::data
