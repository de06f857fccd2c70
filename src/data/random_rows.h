// Random schemas and rows for property tests: every type, nulls, odd floats, empty and long text, slices.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "data/data_test_support.h"

namespace datashard::data {

class RandomRows {
 public:
  explicit RandomRows(uint64_t seed) : random_(SeededRandom(seed)) {}

  int64_t Below(int64_t bound) { return static_cast<int64_t>(random_->Next() % static_cast<uint64_t>(bound)); }

  /// 1 to 12 columns.
  Schema NextSchema() {
    static const std::vector<std::string> kTypes = {
        "boolean", "int", "long", "float", "double", "decimal(5, 2)", "decimal(15, 0)", "decimal(30, 3)", "decimal(38, 38)", "date",
        "time", "timestamp", "timestamptz", "string", "uuid", "fixed[1]", "fixed[80]", "binary"};
    std::vector<std::pair<std::string, std::string>> columns;
    for (int64_t i = 1 + Below(12); i > 0; --i)
      columns.emplace_back(fmt::format("c{}{}", i, Below(3) == 0 ? "!" : ""), kTypes[static_cast<size_t>(Below(18))]);
    Schema schema = SchemaOf(columns);
    for (Field& field : schema.fields) field.id = field.id * 3 + 100;
    return schema;
  }

  /// `rows` rows for `schema`, sometimes a slice of more.
  BatchPtr NextBatch(const Schema& schema, int64_t rows) {
    const int64_t skipped = Below(3) == 0 ? 1 + Below(9) : 0;
    arrow::ArrayVector columns;
    for (const Field& field : schema.fields) columns.push_back(Column(field, skipped + rows)->Slice(skipped));
    return arrow::RecordBatch::Make(*ArrowSchemaOf(schema), rows, columns);
  }

 private:
  std::shared_ptr<arrow::Array> Column(const Field& field, int64_t rows) {
    const int64_t nulls_in_8 = field.required ? 0 : (Below(3) == 0 ? 8 : Below(2) * Below(8));
    // All values from a narrow set, or any: the extremes of the type among them.
    const bool is_narrow = Below(2) == 0;
    auto type = *ArrowTypeOf(field.type);
    auto builder = arrow::MakeBuilder(type).ValueOrDie();
    for (int64_t i = 0; i < rows; ++i) {
      if (Below(8) < nulls_in_8) {
        EXPECT_TRUE(builder->AppendNull().ok());
      } else {
        EXPECT_TRUE(builder->AppendScalar(*Value(field.type, type, is_narrow)).ok());
      }
    }
    return builder->Finish().ValueOrDie();
  }

  std::shared_ptr<arrow::Scalar> Value(const Type& type, const std::shared_ptr<arrow::DataType>& arrow_type, bool is_narrow) {
    const int64_t n = is_narrow ? Below(7) - 3 : static_cast<int64_t>(random_->Next());
    switch (type.kind()) {
      case TypeKind::kBoolean: return std::make_shared<arrow::BooleanScalar>(n % 2 == 0);
      case TypeKind::kInt:
      case TypeKind::kDate: return arrow::MakeScalar(arrow_type, static_cast<int32_t>(n)).ValueOrDie();
      case TypeKind::kFloat: return std::make_shared<arrow::FloatScalar>(static_cast<float>(Real(n)));
      case TypeKind::kDouble: return std::make_shared<arrow::DoubleScalar>(Real(n));
      case TypeKind::kDecimal: {
        std::string digits = std::to_string(n);
        const bool is_negative = digits[0] == '-';
        if (is_negative) digits.erase(0, 1);
        digits.resize(std::min(digits.size(), static_cast<size_t>(type.precision())));
        if (!is_narrow && Below(3) == 0) digits = std::string(static_cast<size_t>(type.precision()), '9');
        auto value = arrow::Decimal128::FromString(digits).ValueOrDie();
        return std::make_shared<arrow::Decimal128Scalar>(is_negative ? -value : value, arrow_type);
      }
      case TypeKind::kTime: return arrow::MakeScalar(arrow_type, std::abs(n % 86'400'000'000)).ValueOrDie();
      case TypeKind::kString: return std::make_shared<arrow::StringScalar>(Text(n));
      case TypeKind::kBinary: return std::make_shared<arrow::BinaryScalar>(arrow::Buffer::FromString(Raw(is_narrow ? 2 : Below(90))));
      case TypeKind::kUuid: return FixedScalar(16, arrow_type);
      case TypeKind::kFixed: return FixedScalar(type.length(), arrow_type);
      default: return arrow::MakeScalar(arrow_type, n).ValueOrDie();
    }
  }

  std::shared_ptr<arrow::Scalar> FixedScalar(int64_t length, const std::shared_ptr<arrow::DataType>& type) {
    return std::make_shared<arrow::FixedSizeBinaryScalar>(arrow::Buffer::FromString(Raw(length)), type);
  }

  double Real(int64_t n) {
    static const double kOdd[] = {std::nan(""), -std::nan(""), 0.0, -0.0, INFINITY, -INFINITY, 5e-324, 1e300};
    return Below(3) == 0 ? kOdd[Below(8)] : static_cast<double>(n) / 4;
  }

  // Characters of one to four bytes around the 64th byte, where bounds are cut; the last character there is, too.
  std::string Text(int64_t n) {
    static const std::string kTails[] = {"", "é", "\xF4\x8F\xBF\xBF", "zz", "\xED\x9F\xBF", "\x7F"};
    if (Below(4) == 0) return "";
    if (Below(3) > 0) return "user-" + std::to_string(n);
    std::string text(static_cast<size_t>(58 + Below(7)), Below(2) == 0 ? 'q' : '\x7F');
    for (int64_t i = Below(20); i > 0; --i) text += kTails[Below(6)];
    return text;
  }

  std::string Raw(int64_t length) {
    std::string raw(static_cast<size_t>(length), '\xff');
    if (Below(2) == 0)
      for (char& c : raw) c = static_cast<char>(Below(256));
    return raw;
  }

  std::unique_ptr<Random> random_;
};

}  // namespace datashard::data
