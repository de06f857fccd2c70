// What becomes of requests whose answers are lost, late, wrong or spoilt. Every test asserts that its faults fired.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "datashard/interrupt.h"
#include "s3/fake_bucket_test_support.h"
#include "s3/s3_client.h"
#include "support/matchers.h"

namespace datashard::s3 {
namespace {

using testing::HasSubstr;
using testing::Not;

class S3Faults : public FakeBucketTest {
 protected:
  std::atomic<bool> rival_is_due_ = false;
};

TEST_F(S3Faults, ALostAnswerToAnAppliedExclusivePutIsStillOurs) {
  bucket_.Fail({.method = "PUT", .target_part = "v1", .apply = true, .answer = LostAnswer});
  bucket_.Fail({.method = "PUT", .target_part = "v2", .apply = true, .answer = AnswerWith(500, "InternalError")});
  EXPECT_THAT(store().PutIfAbsent("v1", "one"), IsOk());
  EXPECT_THAT(store().PutIfAbsent("v2", "two"), IsOk());
  EXPECT_TRUE(bucket_.AllFired());
  EXPECT_EQ(Methods(), "PUT PUT HEAD PUT PUT HEAD");
  EXPECT_THAT(store().PutIfAbsent("v1", "one"), HasKind(ErrorKind::kAlreadyExists)) << "a new call is another writer";
}

TEST_F(S3Faults, ARequestThatCurlItselfSentTwiceIsStillOurs) {
  bucket_.Fail({.method = "PUT", .target_part = "v", .times = 1, .apply = true, .answer = LostAnswer});
  bucket_.Fail({.method = "PUT", .target_part = "empty", .times = 1, .apply = true, .answer = LostAnswer});
  for (const auto& [key, body] : {std::pair("v1", "one"), std::pair("empty", "")}) {
    ASSERT_THAT(store().Get("nothing"), HasKind(ErrorKind::kNotFound)) << "a connection is kept";
    EXPECT_THAT(store().PutIfAbsent(key, body), IsOk());
  }
  EXPECT_EQ(Methods(), "GET PUT PUT HEAD GET PUT PUT HEAD");
  EXPECT_EQ(Sum("datashard_s3_retries_total"), 0) << "we repeated nothing";
  EXPECT_TRUE(bucket_.AllFired());
}

TEST_F(S3Faults, ARequestThatArrivesLateDoesNoHarm) {
  settings_.retry.attempt_timeout = std::chrono::milliseconds(150);
  std::atomic<int> puts = 0;
  bucket_.before = [&](const SeenRequest& request) {
    if (request.method == "PUT" && ++puts == 1) std::this_thread::sleep_for(std::chrono::milliseconds(600));
  };
  EXPECT_THAT(store().PutIfAbsent("v1", "one"), IsOk());
  const std::string token = bucket_.objects().at("/b/t/v1").token;
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  EXPECT_GE(puts, 2);
  EXPECT_EQ(bucket_.objects().at("/b/t/v1").token, token);
  EXPECT_EQ(bucket_.objects().at("/b/t/v1").body, "one");
}

TEST_F(S3Faults, AfterARequestThatWasNotAppliedARivalMayHaveWon) {
  bucket_.Fail({.method = "PUT", .target_part = "/b/t/v1", .answer = LostAnswer});
  bucket_.before = [this, first = std::make_shared<std::atomic<int>>(0)](const SeenRequest& request) {
    if (request.method == "PUT" && ++*first == 2) bucket_.Put("/b/t/v1", "one");  // an equal body even
  };
  EXPECT_THAT(store().PutIfAbsent("v1", "one"), HasKind(ErrorKind::kAlreadyExists));
  EXPECT_EQ(bucket_.objects().at("/b/t/v1").token, "somebody");
  EXPECT_TRUE(bucket_.AllFired());
}

TEST_F(S3Faults, AnErrorBeforeApplyingIsRepeatedAndSucceeds) {
  bucket_.Fail({.method = "PUT", .target_part = "v1", .answer = AnswerWith(500, "InternalError")});
  EXPECT_THAT(store().PutIfAbsent("v1", "one"), IsOk());
  EXPECT_EQ(Methods(), "PUT PUT");
  EXPECT_EQ(Sum("datashard_s3_retries_total"), 1);
  EXPECT_TRUE(bucket_.AllFired());
}

TEST_F(S3Faults, AnOutageAfterALostAnswerLeavesTheOutcomeOpen) {
  bucket_.Fail({.method = "PUT", .target_part = "v1", .apply = true, .answer = LostAnswer});
  bucket_.Fail({.method = "PUT", .target_part = "v1", .times = 11, .answer = AnswerWith(503, "SlowDown")});
  const Status put = store().PutIfAbsent("v1", "one");
  EXPECT_THAT(put, HasKind(ErrorKind::kCommitUnknown));
  EXPECT_THAT(put, HasMessage("PUT s3://b/t/v1: no final answer in 12 attempts, one of which may have been applied"));
  EXPECT_THAT(put, HasMessage("503 SlowDown (scripted)"));
  EXPECT_TRUE(bucket_.AllFired());
}

TEST_F(S3Faults, WhoseItIsMayBeUnreadable) {
  bucket_.Fail({.method = "PUT", .target_part = "v1", .apply = true, .answer = LostAnswer});
  bucket_.Fail({.method = "HEAD", .target_part = "v1", .times = 2, .answer = AnswerWith(403, "")});
  EXPECT_THAT(store().PutIfAbsent("v1", "one"), HasKind(ErrorKind::kCommitUnknown));
  EXPECT_TRUE(bucket_.AllFired());
}

TEST_F(S3Faults, APlainPutWithoutAnAnswerIsSimplyUnavailable) {
  bucket_.Fail({.method = "PUT", .target_part = "hint", .times = 12, .apply = true, .answer = LostAnswer});
  EXPECT_THAT(store().ReplaceHint("hint", "1"), HasKind(ErrorKind::kUnavailable));
  EXPECT_TRUE(bucket_.AllFired());
}

TEST_F(S3Faults, NobodyListeningIsUnavailableForWritersToo) {
  settings_.place.endpoint = "http://127.0.0.1:1";
  EXPECT_THAT(store().PutIfAbsent("v1", "one"), HasKind(ErrorKind::kUnavailable));
  EXPECT_THAT(store().Get("v1"), HasKind(ErrorKind::kUnavailable));
  EXPECT_LE(clock_.slept(), settings_.retry.budget * 2);
}

TEST_F(S3Faults, AStormIsWaitedOutWithinTheBudget) {
  bucket_.Put("/b/t/a", "body");
  bucket_.Fail({.method = "GET", .target_part = "a", .times = 4, .answer = AnswerWith(503, "SlowDown", {{"Retry-After", "2"}})});
  EXPECT_EQ(store().Get("a").value(), "body");
  EXPECT_GE(clock_.slept(), std::chrono::seconds(8));
  EXPECT_TRUE(bucket_.AllFired());

  bucket_.Fail({.method = "GET", .target_part = "a", .times = 3, .answer = AnswerWith(503, "SlowDown", {{"Retry-After", "25"}})});
  EXPECT_THAT(store().Get("a"), HasKind(ErrorKind::kUnavailable)) << "the third wait would end after the minute";
  EXPECT_TRUE(bucket_.AllFired());
}

TEST_F(S3Faults, WhatIsMissingIsAskedForOnce) {
  EXPECT_THAT(store().Get("a"), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(store().Head("a"), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(store().OpenReader("a"), HasKind(ErrorKind::kNotFound));
  EXPECT_EQ(Methods(), "GET HEAD GET");
}

TEST_F(S3Faults, ATruncatedBodyIsFetchedAgain) {
  bucket_.Put("/b/t/a", std::string(10'000, 'x'));
  bucket_.Fail({.method = "GET", .target_part = "a", .times = 2, .apply = true, .answer = [](ScriptedAnswer answer) {
                  answer.cut_body_at = 5'000;
                  return answer;
                }});
  EXPECT_EQ(store().Get("a").value().size(), 10'000u);
  EXPECT_TRUE(bucket_.AllFired());
}

TEST_F(S3Faults, AWrongBodyIsNoticedByItsChecksum) {
  bucket_.Put("/b/t/a", "right");
  const auto spoilt = [](ScriptedAnswer answer) {
    answer.body = "wrong";
    return answer;
  };
  bucket_.Fail({.method = "GET", .target_part = "a", .apply = true, .answer = spoilt});
  EXPECT_EQ(store().Get("a").value(), "right");
  bucket_.Fail({.method = "GET", .target_part = "a", .times = 2, .apply = true, .answer = spoilt});
  const Result<Bytes> twice = store().Get("a");
  EXPECT_THAT(twice, HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(twice, HasMessage("s3://b/t/a"));
  EXPECT_TRUE(bucket_.AllFired());
}

TEST_F(S3Faults, TheRegionIsCorrectedOnce) {
  bucket_.Put("/b/t/a", "body");
  bucket_.Fail({.method = "GET", .target_part = "a", .answer = AnswerWith(301, "PermanentRedirect", {{"x-amz-bucket-region", "eu-north-1"}, {"Location", "http://127.0.0.1:1/"}})});
  EXPECT_EQ(store().Get("a").value(), "body");
  EXPECT_EQ(store().Get("a").value(), "body");
  const std::vector<SeenRequest> seen = server_.requests();
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_THAT(seen[0].Header("authorization"), HasSubstr("/us-east-1/s3/"));
  EXPECT_THAT(seen[1].Header("authorization"), HasSubstr("/eu-north-1/s3/"));
  EXPECT_THAT(seen[2].Header("authorization"), HasSubstr("/eu-north-1/s3/"));
  bucket_.Fail({.method = "GET", .target_part = "a", .times = 2, .answer = AnswerWith(301, "PermanentRedirect", {{"x-amz-bucket-region", "ap-east-1"}})});
  const Result<Bytes> again = store().Get("a");
  EXPECT_THAT(again, HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(again, HasMessage("lies in region 'ap-east-1'"));
}

TEST_F(S3Faults, TheClockIsCorrectedByTheServersDate) {
  bucket_.Put("/b/t/a", "body");
  bucket_.Fail({.method = "GET", .target_part = "a", .answer = AnswerWith(403, "RequestTimeTooSkewed", {{"Date", "Tue, 01 Jan 2030 01:00:00 GMT"}})});
  bucket_.Fail({.method = "GET", .target_part = "z", .times = 2, .answer = AnswerWith(403, "RequestTimeTooSkewed", {{"Date", "Tue, 01 Jan 2030 01:00:00 GMT"}})});
  EXPECT_EQ(store().Get("a").value(), "body");
  EXPECT_EQ(server_.requests()[0].Header("x-amz-date"), "20300101T000000Z");
  EXPECT_EQ(server_.requests()[1].Header("x-amz-date"), "20300101T010000Z");
  EXPECT_EQ(clock_.slept().count(), 0);
  EXPECT_THAT(store().Get("z"), HasKind(ErrorKind::kDenied)) << "no second correction to the same time";
}

TEST_F(S3Faults, ExpiredCredentialsAreRenewedOnce) {
  bucket_.Put("/b/t/a", "body");
  bucket_.Fail({.method = "GET", .target_part = "a", .answer = AnswerWith(400, "ExpiredToken")});
  EXPECT_EQ(store().Get("a").value(), "body");
  EXPECT_EQ(credentials_->renewals, 1);
  EXPECT_EQ(server_.requests()[0].Header("x-amz-security-token"), "token0");
  EXPECT_EQ(server_.requests()[1].Header("x-amz-security-token"), "token1");
  bucket_.Fail({.method = "HEAD", .target_part = "a", .answer = AnswerWith(400, "")});
  EXPECT_THAT(store().Head("a"), IsOk()) << "a HEAD has no body that would say why";
  EXPECT_EQ(credentials_->renewals, 2);
  bucket_.Fail({.method = "GET", .target_part = "a", .times = 2, .answer = AnswerWith(400, "ExpiredToken")});
  EXPECT_THAT(store().Get("a"), HasKind(ErrorKind::kDenied));
  EXPECT_TRUE(bucket_.AllFired());
}

TEST_F(S3Faults, ErrorsSayWhatToDoAndNoSecret) {
  struct Case {
    int status;
    std::string code;
    ErrorKind kind;
    std::string advice;
  };
  for (const Case& c : {Case{403, "AccessDenied", ErrorKind::kDenied, "rights to get, put, delete and list"},
                        Case{403, "InvalidAccessKeyId", ErrorKind::kDenied, "does not know the access key"},
                        Case{404, "XAdminUserNotFound", ErrorKind::kDenied, "does not know the access key"},
                        Case{403, "SignatureDoesNotMatch", ErrorKind::kDenied, "secret key does not belong"},
                        Case{404, "NoSuchBucket", ErrorKind::kInvalidArgument, "create the bucket"},
                        Case{501, "NotImplemented", ErrorKind::kUnsupported, "cannot do it"},
                        Case{409, "ObjectParentIsFile", ErrorKind::kUnsupported, "directory tree"},
                        Case{400, "Whatever", ErrorKind::kInvalidArgument, "is the endpoint an S3 server"}}) {
    bucket_.Fail({.method = "GET", .target_part = c.code, .answer = AnswerWith(c.status, c.code)});
    const Result<Bytes> got = store().Get(c.code);
    EXPECT_THAT(got, HasKind(c.kind)) << c.code;
    EXPECT_THAT(got, HasMessage("GET s3://b/t/" + c.code + ": expected success, found " + std::to_string(c.status) + " " + c.code));
    EXPECT_THAT(got, HasMessage(c.advice));
    EXPECT_THAT(got.error().message(), Not(testing::AnyOf(HasSubstr("topsecret"), HasSubstr("token0"), HasSubstr("Signature="))));
  }
  EXPECT_TRUE(bucket_.AllFired());
}

TEST_F(S3Faults, AServerThatOverwritesIsNotWrittenTo) {
  settings_.exclusive = S3StoreSettings::Exclusive::kProbe;
  bucket_.honours_conditions = false;
  const Status put = store().PutIfAbsent("v1", "one");
  EXPECT_THAT(put, HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(put, HasMessage("Use a server with conditional writes"));
  EXPECT_FALSE(bucket_.objects().contains("/b/t/v1"));
  const size_t requests = server_.requests().size();
  EXPECT_THAT(store().PutIfAbsent("v1", "one"), HasKind(ErrorKind::kUnsupported));
  EXPECT_EQ(server_.requests().size(), requests) << "it is known now";
}

TEST_F(S3Faults, AServerThatIgnoresIfMatchIsNotTrustedToCompare) {
  settings_.exclusive = S3StoreSettings::Exclusive::kProbe;
  bucket_.honours_matches = false;
  ASSERT_THAT(store().ReplaceIf("current", "one", ""), IsOk());
  const std::string tag = store().GetTagged("current").value().tag;
  EXPECT_THAT(store().ReplaceIf("current", "two", tag), HasKind(ErrorKind::kUnsupported));
  EXPECT_EQ(bucket_.objects()["/b/t/current"].body, "one") << "nothing was replaced, not even with the right tag";
  const size_t requests = server_.requests().size();
  EXPECT_THAT(store().ReplaceIf("current", "two", tag), HasMessage("If-Match"));
  EXPECT_EQ(server_.requests().size(), requests) << "it is known now";
}

TEST_F(S3Faults, ALostAnswerToAReplacementIsStillOurs) {
  ASSERT_THAT(store().Replace("current", "one"), IsOk());
  const std::string tag = store().GetTagged("current").value().tag;
  bucket_.Fail({.method = "PUT", .target_part = "current", .apply = true, .answer = LostAnswer});
  EXPECT_THAT(store().ReplaceIf("current", "two", tag), IsOk());
  EXPECT_TRUE(bucket_.AllFired());
  EXPECT_THAT(store().ReplaceIf("current", "three", tag), HasKind(ErrorKind::kConflict));
}

TEST_F(S3Faults, WhetherALostReplacementWasReplacedByAnotherIsNotKnown) {
  ASSERT_THAT(store().Replace("current", "one"), IsOk());
  const std::string tag = store().GetTagged("current").value().tag;
  bucket_.Fail({.method = "PUT", .target_part = "current", .apply = true, .answer = [&](ScriptedAnswer) {
    rival_is_due_ = true;
    return ScriptedAnswer{.lost = true};
  }});
  bucket_.before = [&](const SeenRequest&) {
    if (rival_is_due_.exchange(false)) bucket_.Put("/b/t/current", "a rival's");
  };
  EXPECT_THAT(store().ReplaceIf("current", "two", tag), HasKind(ErrorKind::kCommitUnknown));
  EXPECT_TRUE(bucket_.AllFired());
}

TEST_F(S3Faults, TheProbeIsMadeOnce) {
  settings_.exclusive = S3StoreSettings::Exclusive::kProbe;
  EXPECT_THAT(store().PutIfAbsent("v1", "one"), IsOk());
  EXPECT_EQ(Methods(), "PUT PUT PUT") << "the first probe of a bucket creates its object, the second must be refused";
  EXPECT_THAT(store().PutIfAbsent("v2", "two"), IsOk());
  EXPECT_EQ(Methods(), "PUT PUT PUT PUT");
  store_.reset();
  EXPECT_THAT(store().PutIfAbsent("v3", "three"), IsOk());
  EXPECT_EQ(server_.requests().size(), 6u) << "one request for whoever comes later";
}

TEST_F(S3Faults, AGroupIsOneRoundTrip) {
  settings_.exclusive = S3StoreSettings::Exclusive::kProbe;
  bucket_.Put("/b/t/.datashard-conditional-writes.tmp", "datashard\n");
  std::atomic<int> waiting = 0;
  bucket_.before = [&](const SeenRequest&) {
    ++waiting;
    while (waiting < 4) std::this_thread::yield();
  };
  const auto group = store().NewWriteGroup();
  for (const char* const key : {"data", "manifest", "list"}) ASSERT_THAT(group->Put(key, key), IsOk());
  EXPECT_EQ(server_.requests().size(), 0u);
  ASSERT_OK_AND_ASSIGN(const auto version, group->Prepare("v1", "metadata"));
  ASSERT_THAT(group->Sync(), IsOk());
  EXPECT_EQ(server_.requests().size(), 4u) << "three objects and the probe, at once";
  ASSERT_THAT(version->Publish(), IsOk());
  EXPECT_EQ(server_.requests().size(), 5u);
  EXPECT_TRUE(version->StillNamed().value());
}

TEST_F(S3Faults, AGroupWhoseAnswersAreLostIsWrittenOnce) {
  bucket_.Fail({.method = "PUT", .target_part = "t/data", .apply = true, .answer = LostAnswer});
  bucket_.Put("/b/t/taken", "before");
  const auto group = store().NewWriteGroup();
  ASSERT_THAT(group->Put("data", "1"), IsOk());
  ASSERT_THAT(group->Sync(), IsOk());
  ASSERT_THAT(group->Put("taken", "2"), IsOk());
  EXPECT_THAT(group->Sync(), HasKind(ErrorKind::kAlreadyExists));
  EXPECT_EQ(bucket_.objects().at("/b/t/taken").body, "before");
  EXPECT_TRUE(bucket_.AllFired());
}

TEST_F(S3Faults, CompletionThatFailsInside200IsRepeatedOrRecognised) {
  const std::string big(static_cast<size_t>(5 * kPartBytes), 'x');
  for (const bool applied : {false, true}) {
    const std::string key = applied ? "applied" : "not-applied";
    bucket_.Fail({.method = "POST", .target_part = key + "?uploadId", .apply = applied, .answer = AnswerWith(200, "InternalError")});
    const auto group = store().NewWriteGroup();
    EXPECT_THAT(group->Put(key, big), IsOk()) << key;
    EXPECT_EQ(bucket_.objects().at("/b/t/" + key).body.size(), big.size());
  }
  EXPECT_TRUE(bucket_.AllFired());
  EXPECT_THAT(Methods(), Not(HasSubstr("DELETE"))) << "nothing was aborted";
}

TEST_F(S3Faults, AnUploadThatFailsOrIsAbandonedIsAborted) {
  bucket_.Fail({.method = "PUT", .target_part = "partNumber=2", .answer = AnswerWith(403, "AccessDenied")});
  const std::string big(static_cast<size_t>(5 * kPartBytes), 'x');
  EXPECT_THAT(store().NewWriteGroup()->Put("big", big), HasKind(ErrorKind::kDenied));
  EXPECT_EQ(server_.requests().back().method, "DELETE");
  EXPECT_TRUE(bucket_.AllFired());
  const auto group = store().NewWriteGroup();
  ASSERT_OK_AND_ASSIGN(auto writer, group->Open("abandoned"));
  ASSERT_THAT(writer->Append(big), IsOk());
  writer.reset();
  EXPECT_THAT(server_.requests().back().target, HasSubstr("/b/t/abandoned?uploadId="));
  EXPECT_EQ(server_.requests().back().method, "DELETE");
  EXPECT_TRUE(bucket_.objects().empty());
}

TEST_F(S3Faults, AReaderNeverMixesTwoObjects) {
  const std::string body(300'000, 'a');
  bucket_.Put("/b/t/a", body);
  ASSERT_OK_AND_ASSIGN(const auto reader, store().OpenReader("a"));
  EXPECT_EQ(reader->size_bytes(), 300'000);
  std::string read(300'000, '\0');
  EXPECT_EQ(reader->ReadAt(0, 300'000, read.data()).value(), 300'000);
  EXPECT_TRUE(read == body);
  EXPECT_EQ(Methods(), "GET GET") << "the end came with opening";
  bucket_.Put("/b/t/a", std::string(300'000, 'b'));
  EXPECT_THAT(reader->ReadAt(0, 100, read.data()), HasKind(ErrorKind::kCorruption));
  EXPECT_EQ(reader->ReadAt(299'999, 1, read.data()).value(), 1) << "what was read stays";
  bucket_.Delete("/b/t/a");
  EXPECT_THAT(reader->ReadAt(0, 100, read.data()), HasKind(ErrorKind::kNotFound));
}

TEST_F(S3Faults, WhatIsNoS3ServerIsNamedAsSuch) {
  bucket_.Fail({.method = "GET", .target_part = "list-type=2", .answer = [](ScriptedAnswer) { return ScriptedAnswer{.body = "<html>hello</html>"}; }});
  const auto listed = store().List("");
  EXPECT_THAT(listed, HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(listed, HasMessage("expected <ListBucketResult>, found '<html>hello</html>'; is the endpoint an S3 server?"));
  EXPECT_TRUE(bucket_.AllFired());
}

TEST_F(S3Faults, AnInterruptionEndsRepetitions) {
  const InterruptScope scope([] { return Status(Unavailable("Ctrl-C was pressed")); });
  bucket_.Fail({.method = "GET", .target_part = "a", .answer = AnswerWith(503, "SlowDown")});
  EXPECT_THAT(store().Get("a"), HasMessage("Ctrl-C was pressed"));
  EXPECT_EQ(server_.requests().size(), 1u);
}

}  // namespace
}  // namespace datashard::s3
