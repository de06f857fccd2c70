#include "collect/file_names.h"

#include <gtest/gtest.h>

#include "support/matchers.h"

namespace datashard::collect {
namespace {

constexpr std::string_view kUuid = "7c3f4d7e-0000-4000-8000-000000000001";

TEST(FileNames, OnlyExactlyOurNamesAreOurs) {
  EXPECT_EQ(KindOf("data/a=1/auto_0123456789abcdef.parquet"), NameKind::kOwn);
  EXPECT_EQ(KindOf("data/auto_0123456789abcde.parquet"), NameKind::kForeign);
  EXPECT_EQ(KindOf(fmt::format("metadata/m/12/{}-m0.avro", kUuid)), NameKind::kOwn);
  EXPECT_EQ(KindOf("data/merged_0123456789abcdef.parquet"), NameKind::kOwn);
  for (const char* const role : {"before", "added", "after", "deleted"})
    EXPECT_EQ(KindOf(fmt::format("metadata/m/12/{}-3-{}.avro", kUuid, role)), NameKind::kOwn);
  EXPECT_EQ(KindOf(fmt::format("metadata/m/12/{}-3-beside.avro", kUuid)), NameKind::kForeign);
  EXPECT_EQ(KindOf(fmt::format("metadata/m/12/x/{}-m0.avro", kUuid)), NameKind::kForeign);
  EXPECT_EQ(KindOf(fmt::format("metadata/{}-m0.avro", kUuid)), NameKind::kForeign);
  EXPECT_EQ(KindOf(fmt::format("metadata/m/12/snap-{}-1-{}.avro", INT64_MAX, kUuid)), NameKind::kOwn);
  EXPECT_EQ(KindOf("metadata/inflight/0123456789abcdef.lease"), NameKind::kMarker);
  EXPECT_EQ(KindOf("metadata/inflight/0123456789abcdeg.lease"), NameKind::kUnknown);
}

TEST(FileNames, VersionsHintsAndOtherDirectoriesAreKept) {
  for (const char* const key : {"metadata/v1.metadata.json", "metadata/v12.gz.metadata.json", "metadata/version-hint.text",
                                "metadata/.v1.metadata.json.crc", "metadata/.version-hint.text.crc", "elsewhere/x.parquet", "x"}) {
    EXPECT_EQ(KindOf(key), NameKind::kKept) << key;
  }
  EXPECT_EQ(KindOf("metadata/notes"), NameKind::kUnknown);
}

TEST(FileNames, ChecksumsBelongToTheirFiles) {
  EXPECT_EQ(CheckedKey("data/.x.parquet.crc"), "data/x.parquet");
  EXPECT_EQ(CheckedKey(".x.crc"), "x");
  for (const char* const key : {"data/x.crc", "data/.crc", "data/.x"}) EXPECT_EQ(CheckedKey(key), std::nullopt) << key;
  EXPECT_TRUE(IsVersionOfAnotherTable("data/t/metadata/v3.metadata.json"));
  EXPECT_FALSE(IsVersionOfAnotherTable("metadata/v3.metadata.json"));
}

}  // namespace
}  // namespace datashard::collect
