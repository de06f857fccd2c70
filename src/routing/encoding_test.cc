#include <gtest/gtest.h>

#include "routing/router.h"
#include "support/matchers.h"

namespace datashard::routing {
namespace {

using namespace std::string_view_literals;
using enum KeyEncoding;

Bytes Encoded(const KeyView& key, KeyEncoding encoding) {
  auto encoded = EncodeKey(key, encoding);
  return encoded.ok() ? Bytes(encoded->bytes()) : encoded.error().ToString();
}

TEST(EncodeKey, WritesIntegersBigEndian) {
  EXPECT_EQ(Encoded(KeyView::Int(0x0102030405060708), kU64Be), "\x01\x02\x03\x04\x05\x06\x07\x08");
  EXPECT_EQ(Encoded(KeyView::Int(0), kU64Be), "\0\0\0\0\0\0\0\0"sv);
  EXPECT_EQ(Encoded(KeyView::Unsigned(UINT64_MAX), kU64Be), "\xff\xff\xff\xff\xff\xff\xff\xff");
  EXPECT_EQ(Encoded(KeyView::Int(258), kU32Be), "\0\0\x01\x02"sv);
  EXPECT_EQ(Encoded(KeyView::Int(UINT32_MAX), kU32Be), "\xff\xff\xff\xff");
}

TEST(EncodeKey, KeepsTextAndBytesAsTheyAre) {
  for (const KeyEncoding encoding : {kUtf8, kRaw}) {
    EXPECT_EQ(Encoded(KeyView::Text("h\u00e9"), encoding), "h\u00e9");
    EXPECT_EQ(Encoded(KeyView::Bytes("\x00\xff"sv), encoding), "\x00\xff"sv);
    EXPECT_EQ(Encoded(KeyView::Bytes(""), encoding), "");
  }
}

TEST(EncodeKey, SaysWhatAnEncodingHolds) {
  EXPECT_THAT(EncodeKey(KeyView::Int(-1), kU64Be), HasMessage("key -1 does not fit its encoding; u64be holds 0 .. 18446744073709551615"));
  EXPECT_THAT(EncodeKey(KeyView::Int(int64_t{1} << 32), kU32Be), HasMessage("u32be holds 0 .. 4294967295"));
  EXPECT_THAT(EncodeKey(KeyView::Unsigned(UINT64_MAX), kU32Be), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(EncodeKey(KeyView::Text("7"), kU64Be), HasMessage("key \"7\" is text; u64be holds integers"));
  EXPECT_THAT(EncodeKey(KeyView::Bytes("12345678"), kU64Be), HasMessage("is bytes; u64be holds integers"));
  EXPECT_THAT(EncodeKey(KeyView::Int(7), kUtf8), HasMessage("key 7 is an integer; utf8 holds text and bytes"));
  EXPECT_THAT(EncodeKey(KeyView::Int(7), kRaw), HasKind(ErrorKind::kInvalidArgument));
}

// The original hashed such bytes as they were and so looked into another shard than the one the integer was written to.
TEST(EncodeLookupKey, RoutesTheBytesOfAnIntegerLikeTheInteger) {
  ASSERT_OK_AND_ASSIGN(const auto router, MakeRouter({}, 1000));
  for (int64_t number = 0; number < 2000; ++number) {
    for (const KeyEncoding encoding : {kU64Be, kU32Be}) {
      KeyView integer = KeyView::Int(number);
      ASSERT_OK_AND_ASSIGN(const EncodedKey stored, EncodeKey(integer, encoding));
      KeyView key = KeyView::Bytes(stored.bytes());
      ASSERT_OK_AND_ASSIGN(const EncodedKey looked_up, EncodeLookupKey(key, encoding));
      EXPECT_EQ(looked_up.bytes(), stored.bytes());
      EXPECT_EQ(key, integer);
      EXPECT_EQ(*router->Route(key), *router->Route(integer));
    }
  }
}

TEST(EncodeLookupKey, ChecksTheLengthOfBytes) {
  KeyView key = KeyView::Bytes("1234567");
  EXPECT_THAT(EncodeLookupKey(key, kU64Be), HasMessage("key b\"1234567\" has 7 bytes; u64be takes an integer, or the 8 bytes it is stored as"));
  key = KeyView::Bytes("12345678");
  EXPECT_THAT(EncodeLookupKey(key, kU32Be), HasMessage("the 4 bytes"));
  ASSERT_OK_AND_ASSIGN(const EncodedKey raw, EncodeLookupKey(key, kRaw));
  EXPECT_EQ(raw.bytes(), "12345678");
  EXPECT_EQ(key.kind(), KeyView::Kind::kBytes);
  key = KeyView::Bytes("\xff\xff\xff\xff\xff\xff\xff\xff");
  ASSERT_THAT(EncodeLookupKey(key, kU64Be), IsOk());
  EXPECT_EQ(key, KeyView::Unsigned(UINT64_MAX));
}

TEST(Names, OfEncodingsAndColumnTypesGoBothWays) {
  for (const KeyEncoding encoding : {kU64Be, kU32Be, kUtf8, kRaw}) EXPECT_EQ(*KeyEncodingOf(ToString(encoding)), encoding);
  EXPECT_THAT(KeyEncodingOf("u16be"), HasMessage("expected u64be, u32be, utf8 or raw"));
  for (const CelType type : {CelType::kInt, CelType::kString, CelType::kBytes, CelType::kDouble, CelType::kBool, CelType::kUint}) {
    EXPECT_EQ(*CelTypeOf(ToString(type)), type);
  }
  EXPECT_THAT(CelTypeOf("float"), HasMessage("column type \"float\""));
}

TEST(ToString, ShowsKeysAsTheirUserWroteThem) {
  EXPECT_EQ(ToString(KeyView::Int(-42)), "-42");
  EXPECT_EQ(ToString(KeyView::Unsigned(UINT64_MAX)), "18446744073709551615");
  EXPECT_EQ(ToString(KeyView::Text("a\"b\n\u00e9")), "\"a\\\"b\\x0a\u00e9\"");
  EXPECT_EQ(ToString(KeyView::Bytes("\x00\xff"sv)), "b\"\\x00\\xff\"");
  EXPECT_EQ(ToString(KeyView::Text("x" + std::string(100, 'y'))), "\"x" + std::string(63, 'y') + "\"… of 101 bytes");
}

TEST(Key, OwnsWhatItsViewBorrows) {
  for (const KeyView view : {KeyView::Int(-5), KeyView::Unsigned(UINT64_MAX), KeyView::Text("t"), KeyView::Bytes("t")}) {
    EXPECT_EQ(Key(view).view(), view);
  }
  EXPECT_NE(Key(KeyView::Text("t")), Key(KeyView::Bytes("t")));
}

}  // namespace
}  // namespace datashard::routing
