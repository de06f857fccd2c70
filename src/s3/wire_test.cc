#include "s3/wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/matchers.h"

namespace datashard::s3 {
namespace {

constexpr std::string_view kPage = R"(<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><EncodingType>url</EncodingType>
<IsTruncated>true</IsTruncated><NextContinuationToken>t/1+=</NextContinuationToken>
<Contents><Key>a+b%2Bc%0Ad%C3%A9</Key><LastModified>2009-10-12T17:50:30.123Z</LastModified><ETag>&quot;e&quot;</ETag><Size>434234</Size></Contents>
<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes></ListBucketResult>)";

TEST(Wire, APageOfAListIsRead) {
  ASSERT_OK_AND_ASSIGN(const ListPage page, ReadListPage(kPage));
  EXPECT_EQ(page.next_token, "t/1+=");
  ASSERT_EQ(page.objects.size(), 1u);
  EXPECT_EQ(page.objects[0].key, "a b+c\nd\u00e9");
  EXPECT_EQ(page.objects[0].size_bytes, 434234);
  EXPECT_EQ(page.objects[0].etag, "\"e\"");
  EXPECT_EQ(page.objects[0].modified, Instant(std::chrono::seconds(1'255'369'830)));
}

TEST(Wire, KeysThatTheServerDidNotEncodeAreTakenAsTheyStand) {
  std::string page(kPage);
  page.replace(page.find("<EncodingType>url</EncodingType>"), 32, "<EncodingType></EncodingType>");
  EXPECT_EQ(ReadListPage(page)->objects[0].key, "a+b%2Bc%0Ad%C3%A9");
}

TEST(Wire, EveryTruncationOfAPageIsAnErrorAndNoCrash) {
  for (size_t size = 0; size + 1 < kPage.size(); ++size)
    EXPECT_THAT(ReadListPage(kPage.substr(0, size)), HasKind(ErrorKind::kCorruption)) << size;
}

TEST(Wire, WhatIsWrongInAPageIsRefused) {
  const auto with = [](std::string_view old, std::string_view instead) {
    std::string page(kPage);
    page.replace(page.find(old), old.size(), instead);
    return page;
  };
  for (const std::string& page : {with("434234", "-1"), with("434234", "many"), with("2009-10-12T", "2009-13-12T"), with("17:50", "1750:"),
                                  with("t/1+=", ""), std::string("<html/>"), std::string("no xml"), std::string()})
    EXPECT_THAT(ReadListPage(page), HasKind(ErrorKind::kCorruption)) << page;
}

TEST(Wire, EntitiesOfADoctypeAreNotExpanded) {
  std::string bomb = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;\">]><Error><Code>&b;</Code></Error>";
  EXPECT_LE(ReadError(bomb).code.size(), 10u);
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "<a>";
  EXPECT_EQ(ReadError(deep).code, "");
}

TEST(Wire, ErrorsAreReadAlsoInsideSuccess) {
  const std::string body = "  \n<?xml version=\"1.0\"?>\n<Error><Code>SlowDown</Code><Message>a &amp; b</Message><Region>eu</Region><RequestId>7</RequestId></Error>";
  EXPECT_EQ(ReadError(body).code, "SlowDown");
  EXPECT_EQ(ReadError(body).message, "a & b");
  EXPECT_EQ(ReadError(body).region, "eu");
  EXPECT_EQ(ReadError(body).request_id, "7");
  ASSERT_TRUE(ErrorInSuccess(body).has_value());
  EXPECT_FALSE(ErrorInSuccess("<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>").has_value());
  EXPECT_EQ(ReadError("<html>Bad gateway</html>").code, "");
}

TEST(Wire, RequestsAreWrittenWithTheirKeysEscaped) {
  EXPECT_EQ(WriteDeletes({"a&b<", "c"}),
            "<?xml version=\"1.0\"?><Delete><Object><Key>a&amp;b&lt;</Key></Object><Object><Key>c</Key></Object><Quiet>true</Quiet></Delete>");
  EXPECT_EQ(WriteParts({"\"x\""}), "<?xml version=\"1.0\"?><CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"x\"</ETag></Part>"
                                   "</CompleteMultipartUpload>");
  const auto failed = ReadFailedDeletes("<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code></Error></DeleteResult>");
  ASSERT_THAT(failed, IsOk());
  EXPECT_EQ(failed->at(0).key, "a");
  EXPECT_EQ(failed->at(0).error.code, "AccessDenied");
  EXPECT_THAT(ReadUploadId("<InitiateMultipartUploadResult/>"), HasKind(ErrorKind::kCorruption));
}

TEST(Wire, DatesAreReadOrRefused) {
  EXPECT_EQ(ReadHttpDate("Tue, 15 Nov 1994 08:12:31 GMT"), Instant(std::chrono::seconds(784'887'151)));
  for (const char* const bad : {"", "Tue, 15 Nov 1994 08:12:31 CET", "Tue, 15 Nox 1994 08:12:31 GMT", "Tue, 35 Nov 1994 08:12:31 GMT",
                                "Tue, 15 ovD 1994 08:12:31 GMT", "Tuesday, 15-Nov-94 08:12:31 GMT"})
    EXPECT_FALSE(ReadHttpDate(bad).has_value()) << bad;
  EXPECT_FALSE(ReadIsoTime("2009-10-12 17:50:30Z").has_value());
}

}  // namespace
}  // namespace datashard::s3
