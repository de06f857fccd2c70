// The published vectors: AWS's SigV4 test suite (2015-08-30) and the examples of the S3 API reference (2013-05-24).
#include "s3/sigv4.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "s3/digest.h"

namespace datashard::s3 {
namespace {

constexpr std::string_view kToken =
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/"
    "qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38x"
    "Vqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

struct Vector {
  std::string name, method, path;
  Query query;
  std::vector<HttpHeader> headers;
  std::string body, signed_headers, signature;
};

std::vector<Vector> Suite() {
  const std::string unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const std::string plain = "host;x-amz-date";
  return {
      {"get-vanilla", "GET", "/", {}, {}, "", plain, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"post-vanilla", "POST", "/", {}, {}, "", plain, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
      {"get-unreserved", "GET", "/" + unreserved, {}, {}, "", plain, "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
      {"get-utf8", "GET", "/\u1234", {}, {}, "", plain, "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
      {"get-vanilla-query-order-key-case", "GET", "/", {{"Param2", "value2"}, {"Param1", "value1"}}, {}, "", plain,
       "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
      {"get-vanilla-query-order-value", "GET", "/", {{"Param1", "value2"}, {"Param1", "value1"}}, {}, "", plain,
       "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
      {"get-vanilla-query-unreserved", "GET", "/", {{unreserved, unreserved}}, {}, "", plain,
       "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
      {"get-vanilla-utf8-query", "GET", "/", {{"\u1234", "bar"}}, {}, "", plain,
       "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
      {"get-header-value-order", "GET", "/", {},
       {{"My-Header1", "value4"}, {"My-Header1", "value1"}, {"My-Header1", "value3"}, {"My-Header1", "value2"}}, "",
       "host;my-header1;x-amz-date", "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
      {"get-header-key-duplicate", "GET", "/", {}, {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}}, "",
       "host;my-header1;x-amz-date", "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
      {"get-header-value-trim", "GET", "/", {}, {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\" "}}, "",
       "host;my-header1;my-header2;x-amz-date", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
      {"post-x-www-form-urlencoded", "POST", "/", {}, {{"Content-Type", "application/x-www-form-urlencoded"}}, "Param1=value1",
       "content-type;host;x-amz-date", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
      {"post-sts-header-before", "POST", "/", {}, {{"X-Amz-Security-Token", std::string(kToken)}}, "",
       "host;x-amz-date;x-amz-security-token", "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"}};
}

TEST(SigV4, SignsTheTestSuiteAsAwsDoes) {
  const Credentials credentials{.access_key = "AKIDEXAMPLE", .secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};
  const Instant time{std::chrono::seconds(1'440'938'160)};
  EXPECT_EQ(AmzDate(time), "20150830T123600Z");
  for (const Vector& vector : Suite()) {
    RequestToSign request{.method = vector.method, .path = PercentEncode(vector.path, true), .query = CanonicalQuery(vector.query),
                          .headers = vector.headers, .body_sha256 = Hex(Sha256(vector.body))};
    request.headers.push_back({"Host", "example.amazonaws.com"});
    request.headers.push_back({"X-Amz-Date", AmzDate(time)});
    EXPECT_EQ(Authorization(request, credentials, {.region = "us-east-1", .service = "service"}, time),
              "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=" +
                  vector.signed_headers + ", Signature=" + vector.signature)
        << vector.name;
  }
}

TEST(SigV4, SignsTheExamplesOfTheS3Reference) {
  const Credentials credentials{.access_key = "AKIAIOSFODNN7EXAMPLE", .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
  const Instant time{std::chrono::seconds(1'369'353'600)};
  const std::vector<Vector> examples = {
      {"get object", "GET", "/test.txt", {}, {{"Range", "bytes=0-9"}}, "", "", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
      {"put object", "PUT", "/test$file.text", {},
       {{"Date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}}, "Welcome to Amazon S3.", "",
       "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
      {"get bucket lifecycle", "GET", "/", {{"lifecycle", ""}}, {}, "", "", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
      {"list objects", "GET", "/", {{"prefix", "J"}, {"max-keys", "2"}}, {}, "", "", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"}};
  for (const Vector& example : examples) {
    RequestToSign request{.method = example.method, .path = PercentEncode(example.path, true), .query = CanonicalQuery(example.query),
                          .headers = example.headers, .body_sha256 = Hex(Sha256(example.body))};
    request.headers.push_back({"host", "examplebucket.s3.amazonaws.com"});
    request.headers.push_back({"x-amz-content-sha256", request.body_sha256});
    request.headers.push_back({"x-amz-date", AmzDate(time)});
    EXPECT_THAT(Authorization(request, credentials, {.region = "us-east-1"}, time), testing::EndsWith("Signature=" + example.signature))
        << example.name;
  }
}

TEST(SigV4, RunsOfBlanksInAHeaderAreSignedAsOne) {
  const RequestToSign request{.method = "GET", .path = "/", .headers = {{"X-B", "  a   b\t c "}, {"x-a", "1"}}, .body_sha256 = "hash"};
  EXPECT_EQ(CanonicalRequest(request), "GET\n/\n\nx-a:1\nx-b:a b c\n\nx-a;x-b\nhash");
}

TEST(Digest, SpellsWhatIsKnown) {
  EXPECT_EQ(Hex(Sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Base64("Man"), "TWFu");
  EXPECT_EQ(Base64("Ma"), "TWE=");
  EXPECT_EQ(Base64(""), "");
  EXPECT_EQ(Hex(Md5("")), "d41d8cd98f00b204e9800998ecf8427e");
}

}  // namespace
}  // namespace datashard::s3
