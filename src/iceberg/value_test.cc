#include "iceberg/value.h"

#include <cmath>
#include <limits>

#include "iceberg/decimal.h"
#include "iceberg/test_values.h"
#include "support/matchers.h"

namespace datashard::iceberg {
namespace {

const Type kIntType(TypeKind::kInt);
const Type kLongType(TypeKind::kLong);
const Type kFloatType(TypeKind::kFloat);
const Type kDoubleType(TypeKind::kDouble);
const Type kStringType(TypeKind::kString);
const Type kUuidType(TypeKind::kUuid);

Bytes Raw(std::initializer_list<int> bytes) {
  Bytes raw;
  for (const int byte : bytes) raw += static_cast<char>(byte);
  return raw;
}

// The value of the spec's appendix B, which appendix D refers to: f79c3e09-677c-4bbd-a479-3f349cb785e7.
TEST(SingleValue, UuidIsTheSpecsExample) {
  ASSERT_OK_AND_ASSIGN(const Literal uuid, CoerceLiteral(std::string("f79c3e09-677c-4bbd-a479-3f349cb785e7"), kUuidType));
  ASSERT_OK_AND_ASSIGN(const Bytes bytes, EncodeValue(uuid, kUuidType));
  EXPECT_EQ(bytes, Raw({0xF7, 0x9C, 0x3E, 0x09, 0x67, 0x7C, 0x4B, 0xBD, 0xA4, 0x79, 0x3F, 0x34, 0x9C, 0xB7, 0x85, 0xE7}));
}

// Appendix D's rules on the values of appendix B's table.
TEST(SingleValue, BytesAreAsTheSpecSaysForEveryType) {
  const struct { Type type; Literal value; Bytes bytes; } kCases[] = {
      {Type(TypeKind::kBoolean), false, Raw({0})},
      {Type(TypeKind::kBoolean), true, Raw({1})},
      {kIntType, int64_t{34}, Raw({34, 0, 0, 0})},
      {kIntType, int64_t{-2}, Raw({0xFE, 0xFF, 0xFF, 0xFF})},
      {kLongType, int64_t{34}, Raw({34, 0, 0, 0, 0, 0, 0, 0})},
      {kFloatType, 1.0, Raw({0, 0, 0x80, 0x3F})},
      {kDoubleType, 1.0, Raw({0, 0, 0, 0, 0, 0, 0xF0, 0x3F})},
      {Type(TypeKind::kDate), DateValue{17486}, Raw({0x4E, 0x44, 0, 0})},  // 2017-11-16
      {Type(TypeKind::kTime), TimeValue{81'068'000'000}, Raw({0, 0x83, 0x07, 0xE0, 0x12, 0, 0, 0})},  // 22:31:08
      {Type(TypeKind::kTimestamp), TimestampValue{1'510'871'468'000'001, false},  // 2017-11-16T22:31:08.000001
       Raw({0x01, 0xC3, 0x26, 0x2D, 0x21, 0x5E, 0x05, 0})},
      {Type(TypeKind::kTimestampTz), TimestampValue{-1, true}, Raw({255, 255, 255, 255, 255, 255, 255, 255})},
      {kStringType, std::string("iceberg"), "iceberg"},
      {kStringType, std::string(), ""},
      {Type::Fixed(4), BinaryValue{Raw({0, 1, 2, 3})}, Raw({0, 1, 2, 3})},
      {Type(TypeKind::kBinary), BinaryValue{Raw({0, 1, 2, 3})}, Raw({0, 1, 2, 3})},
      {Type::Decimal(9, 2), DecimalValue{"14.20"}, Raw({0x05, 0x8C})},
      {Type::Decimal(9, 2), DecimalValue{"0.00"}, Raw({0})},
      {Type::Decimal(9, 2), DecimalValue{"1.27"}, Raw({0x7F})},
      {Type::Decimal(9, 2), DecimalValue{"1.28"}, Raw({0, 0x80})},
      {Type::Decimal(9, 2), DecimalValue{"-1.28"}, Raw({0x80})},
      {Type::Decimal(9, 2), DecimalValue{"-1.29"}, Raw({0xFF, 0x7F})},
      {Type::Decimal(38, 0), DecimalValue{"99999999999999999999999999999999999999"},
       Raw({0x4B, 0x3B, 0x4C, 0xA8, 0x5A, 0x86, 0xC4, 0x7A, 0x09, 0x8A, 0x22, 0x3F, 0xFF, 0xFF, 0xFF, 0xFF})},
  };
  for (const auto& [type, value, bytes] : kCases) {
    ASSERT_OK_AND_ASSIGN(const Bytes encoded, EncodeValue(value, type));
    EXPECT_EQ(encoded, bytes) << type.ToString() << " " << ToString(value);
    ASSERT_OK_AND_ASSIGN(const Literal decoded, DecodeValue(bytes, type));
    EXPECT_EQ(decoded, value) << type.ToString();
  }
}

TEST(SingleValue, RandomValuesComeBack) {
  testing::Values values(7);
  for (int i = 0; i < 20'000; ++i) {
    const Type type = values.Primitive();
    const Literal value = values.Value(type);
    ASSERT_OK_AND_ASSIGN(const Bytes bytes, EncodeValue(value, type));
    ASSERT_OK_AND_ASSIGN(const Literal decoded, DecodeValue(bytes, type));
    ASSERT_EQ(decoded, value) << type.ToString();
    ASSERT_EQ(Compare(decoded, value, type), std::partial_ordering::equivalent) << type.ToString();
  }
}

TEST(SingleValue, BoundsOfAnOlderTypeAreWidened) {
  ASSERT_OK_AND_ASSIGN(const Literal from_int, DecodeValue(Raw({0xFE, 0xFF, 0xFF, 0xFF}), kLongType));
  EXPECT_EQ(from_int, Literal(int64_t{-2}));
  ASSERT_OK_AND_ASSIGN(const Literal from_float, DecodeValue(Raw({0, 0, 0x80, 0x3F}), kDoubleType));
  EXPECT_EQ(from_float, Literal(1.0));
  ASSERT_OK_AND_ASSIGN(const Literal from_narrow, DecodeValue(Raw({0x05, 0x8C}), Type::Decimal(38, 2)));
  EXPECT_EQ(from_narrow, Literal(DecimalValue{"14.20"}));
}

TEST(SingleValue, LengthsATypeDoesNotHaveAreCorruption) {
  const std::pair<Type, size_t> kCases[] = {
      {Type(TypeKind::kBoolean), 0}, {Type(TypeKind::kBoolean), 2}, {kIntType, 8}, {kIntType, 0}, {kLongType, 5},
      {kFloatType, 8}, {kDoubleType, 2}, {Type(TypeKind::kDate), 8}, {Type(TypeKind::kTime), 4},
      {Type(TypeKind::kTimestamp), 4}, {kUuidType, 15}, {Type::Fixed(3), 4}, {Type::Decimal(9, 2), 0},
      {Type::Decimal(9, 2), 17}, {Type::Struct({}), 1}};
  for (const auto& [type, size] : kCases)
    EXPECT_THAT(DecodeValue(Bytes(size, 'x'), type), HasKind(ErrorKind::kCorruption)) << type.ToString() << " " << size;
  EXPECT_THAT(DecodeValue(Raw({0x7F}) + Bytes(15, '\xFF'), Type::Decimal(38, 0)), HasKind(ErrorKind::kCorruption))
      << "39 digits";
}

TEST(SingleValue, WhatDoesNotFitItsTypeIsNotEncoded) {
  EXPECT_THAT(EncodeValue(int64_t{1} << 31, kIntType), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(EncodeValue(0.1, kFloatType), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(EncodeValue(1e300, kFloatType), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(EncodeValue(DecimalValue{"1.234"}, Type::Decimal(9, 2)), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(EncodeValue(Literal(), kIntType), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(EncodeValue(true, kLongType), HasKind(ErrorKind::kInvalidArgument));
}

TEST(Coercion, TakesOnlyWhatLosesNothing) {
  const auto refused = [](const Literal& value, const Type& type) {
    const Result<Literal> coerced = CoerceLiteral(value, type);
    EXPECT_THAT(coerced, HasKind(ErrorKind::kInvalidArgument)) << ToString(value) << " " << type.ToString();
    EXPECT_THAT(coerced, HasSubject(ErrorSubject::kOperand));
    EXPECT_THAT(coerced, HasMessage(type.ToString()));
  };
  const auto becomes = [](const Literal& value, const Type& type, const Literal& expected) {
    const Result<Literal> coerced = CoerceLiteral(value, type);
    ASSERT_THAT(coerced, IsOk());
    EXPECT_EQ(*coerced, expected) << ToString(*coerced);
  };
  becomes(int64_t{5}, kDoubleType, 5.0);
  becomes(2.0, kIntType, int64_t{2});
  becomes(Literal(), kIntType, Literal());
  becomes(int64_t{5'000'000'000}, kIntType, int64_t{5'000'000'000});
  becomes(DecimalValue{"+12.5"}, Type::Decimal(9, 2), DecimalValue{"12.50"});
  becomes(int64_t{12}, Type::Decimal(9, 2), DecimalValue{"12.00"});
  becomes(DecimalValue{"0.125"}, Type::Decimal(9, 2), DecimalValue{"0.125"});
  becomes(BinaryValue{Bytes(16, '\0')}, kUuidType, UuidValue{});
  becomes(std::string("{00000000-0000-0000-0000-00000000000A}"), kUuidType,
          UuidValue{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10}});
  refused(true, kIntType);
  refused(true, kDoubleType);
  refused(int64_t{1}, Type(TypeKind::kBoolean));
  refused(1.5, kIntType);
  refused(std::nan(""), kLongType);
  refused(std::string("5"), kIntType);
  refused(std::string("2013-01-01"), Type(TypeKind::kDate));
  refused(int64_t{5}, kStringType);
  refused((int64_t{1} << 53) + 1, kDoubleType);
  refused(std::numeric_limits<int64_t>::max(), kDoubleType);
  refused(0.5, Type::Decimal(9, 2));
  refused(DecimalValue{"1e5"}, Type::Decimal(9, 2));
  refused(DecimalValue{"NaN"}, Type::Decimal(9, 2));
  refused(TimestampValue{0, true}, Type(TypeKind::kTimestamp));
  refused(TimestampValue{0, false}, Type(TypeKind::kTimestampTz));
  refused(DateValue{0}, Type(TypeKind::kTimestamp));
  refused(BinaryValue{"abc"}, Type::Fixed(4));
  refused(std::string("f79c3e09-677c-4bbd-a479-3f349cb785e"), kUuidType);
  refused(int64_t{5}, Type::List({.id = 1, .name = "element", .type = kIntType}));
}

TEST(Order, IsThatOfTheValues) {
  const auto less = [](const Literal& a, const Literal& b, const Type& type) {
    EXPECT_EQ(Compare(a, b, type), std::partial_ordering::less) << ToString(a) << " " << ToString(b);
    EXPECT_EQ(Compare(b, a, type), std::partial_ordering::greater) << ToString(a) << " " << ToString(b);
  };
  less(int64_t{2147483647}, int64_t{5'000'000'000}, kIntType);
  less(false, true, Type(TypeKind::kBoolean));
  less(std::string("z"), std::string("ä"), kStringType);
  less(std::string("a"), std::string("ab"), kStringType);
  less(BinaryValue{"\x7f"}, BinaryValue{"\x80"}, Type(TypeKind::kBinary));
  less(UuidValue{{0x7f}}, UuidValue{{0x80}}, kUuidType);
  less(DecimalValue{"-10"}, DecimalValue{"-9.99"}, Type::Decimal(9, 2));
  less(DecimalValue{"9.99"}, DecimalValue{"10"}, Type::Decimal(9, 2));
  less(DecimalValue{"0.1"}, DecimalValue{"0.10000000000000000000000000000000000000001"}, Type::Decimal(38, 38));
  less(DecimalValue{"-1"}, DecimalValue{"99999999999999999999999999999999999999"}, Type::Decimal(38, 0));
  less(-std::numeric_limits<double>::infinity(), -1e308, kDoubleType);
  EXPECT_EQ(Compare(-0.0, 0.0, kDoubleType), std::partial_ordering::equivalent);
  EXPECT_EQ(Compare(DecimalValue{"-0.0"}, DecimalValue{"00"}, Type::Decimal(9, 2)), std::partial_ordering::equivalent);
  EXPECT_EQ(Compare(DecimalValue{"1.50"}, DecimalValue{"1.5"}, Type::Decimal(9, 2)), std::partial_ordering::equivalent);
  EXPECT_EQ(Compare(std::nan(""), std::nan(""), kDoubleType), std::partial_ordering::unordered);
  EXPECT_EQ(Compare(std::nan(""), 1.0, kDoubleType), std::partial_ordering::unordered);
  EXPECT_EQ(Compare(Literal(), Literal(), kIntType), std::partial_ordering::unordered);
  EXPECT_EQ(Compare(int64_t{1}, std::string("1"), kIntType), std::partial_ordering::unordered);
}

TEST(Decimals, OrderOfTextsIsOrderOfNumbers) {
  testing::Values values(11);
  const Type type = Type::Decimal(38, 10);
  for (int i = 0; i < 20'000; ++i) {
    const std::string a = std::get<DecimalValue>(values.Value(type)).text;
    const std::string b = std::get<DecimalValue>(values.Value(type)).text;
    ASSERT_EQ(CompareDecimalTexts(a, b), *UnscaledOf(a, 38, 10) <=> *UnscaledOf(b, 38, 10)) << a << " " << b;
  }
}

TEST(Decimals, BytesForAPrecisionAreTheSpecs) {
  EXPECT_EQ(DecimalBytes(1), 1);
  EXPECT_EQ(DecimalBytes(9), 4);
  EXPECT_EQ(DecimalBytes(18), 8);
  EXPECT_EQ(DecimalBytes(19), 9);
  EXPECT_EQ(DecimalBytes(38), 16);
}

}  // namespace
}  // namespace datashard::iceberg
