// The client and the store on a real S3 server; skipped where none is named (see s3_test_support.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "s3/s3_client.h"
#include "s3/s3_test_support.h"
#include "s3/upload.h"
#include "support/matchers.h"

namespace datashard::s3 {
namespace {

class S3Server : public testing::Test {
 protected:
  void SetUp() override {
    DS_SKIP_WITHOUT_S3();
    store_ = FreshStore(server_, here_.outside, &prefix_);
    prefix_ += "/";
  }
  double Requests() const {
    const auto sums = here_.metrics.Read();
    const auto found = sums.find("datashard_s3_requests_total");
    return found == sums.end() ? 0 : found->second;
  }
  Result<Bytes> GetWith(Place place, Credentials credentials) {
    StaticCredentials provider(std::move(credentials));
    S3Client client(std::move(place), {}, *http_, provider, here_.outside);
    DS_ASSIGN_OR_RETURN(GotObject got, client.Get(prefix_ + "a", 1000));
    return std::move(got.body);
  }

  const TestServer server_ = ServerFromEnvironment();
  TestOutside here_;
  std::string prefix_;
  std::unique_ptr<ObjectStore> store_;
  std::unique_ptr<HttpClient> http_ = NewHttpClient({});
  StaticCredentials credentials_{{.access_key = server_.access_key, .secret_key = server_.secret_key}};
  S3Client client_{server_.place(), {}, *http_, credentials_, here_.outside};
};

std::string Numbered(size_t size) {
  std::string text;
  text.reserve(size + 16);
  while (text.size() < size) text += std::to_string(text.size()) + ",";
  text.resize(size);
  return text;
}

TEST_F(S3Server, LargeObjectsGoUpAndComeBackInParts) {
  const std::string body = Numbered(45'000'001);
  const auto group = store_->NewWriteGroup();
  ASSERT_THAT(group->Put("put", body), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto writer, group->Open("written"));
  for (size_t at = 0; at < body.size(); at += 1'000'000) ASSERT_THAT(writer->Append(std::string_view(body).substr(at, 1'000'000)), IsOk());
  ASSERT_THAT(writer->Finish(), IsOk());
  ASSERT_THAT(group->Sync(), IsOk());
  for (const char* const key : {"put", "written"}) {
    ASSERT_OK_AND_ASSIGN(const auto reader, store_->OpenReader(key));
    EXPECT_EQ(reader->size_bytes(), 45'000'001);
    std::string read(body.size(), '\0');
    EXPECT_EQ(reader->ReadAt(0, static_cast<int64_t>(read.size()), read.data()).value(), 45'000'001);
    EXPECT_TRUE(read == body) << key;
    ASSERT_OK_AND_ASSIGN(const Bytes whole, store_->Get(key));
    EXPECT_TRUE(whole == body) << key;
    EXPECT_TRUE(reader->StillNamed().value());
  }
  const auto taken = store_->NewWriteGroup();
  EXPECT_THAT(taken->Put("put", body), HasKind(ErrorKind::kAlreadyExists)) << "completing an upload is exclusive too";
}

TEST_F(S3Server, AListHasManyPagesAndManyAreDeletedAtOnce) {
  constexpr int kCount = 1'101;
  std::vector<std::string> keys;
  for (int i = 0; i < kCount; ++i) keys.push_back(prefix_ + "l/" + std::to_string(100'000 + i) + " +%é&<");
  const auto group = store_->NewWriteGroup();
  for (const std::string& key : keys) ASSERT_THAT(group->Put(key.substr(prefix_.size()), "x"), IsOk());
  ASSERT_THAT(group->Sync(), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::vector<ListedObject> listed, client_.List(prefix_ + "l/"));
  ASSERT_EQ(listed.size(), keys.size());
  for (size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(listed[i].key, keys[i]);
  ASSERT_THAT(client_.DeleteAll(keys), IsOk());
  EXPECT_THAT(client_.List(prefix_ + "l/").value(), testing::IsEmpty());
}

TEST_F(S3Server, ConditionalReplacementKnowsWhatItReplaces) {
  ASSERT_OK_AND_ASSIGN(const std::string etag, client_.Put({.key = prefix_ + "a", .body = "1"}));
  EXPECT_THAT(client_.Put({.key = prefix_ + "a", .body = "2", .if_match = etag}), IsOk());
  EXPECT_THAT(client_.Put({.key = prefix_ + "a", .body = "3", .if_match = etag}), HasKind(ErrorKind::kConflict));
  EXPECT_THAT(client_.Put({.key = prefix_ + "missing", .body = "3", .if_match = etag}), HasKind(ErrorKind::kNotFound));
  EXPECT_EQ(client_.Get(prefix_ + "a", 1000)->body, "2");
}

TEST_F(S3Server, ACopyIsReadBack) {
  ASSERT_THAT(client_.Put({.key = prefix_ + "a +%", .body = "1"}), IsOk());
  ASSERT_THAT(client_.Copy(prefix_ + "a +%", prefix_ + "b"), IsOk());
  EXPECT_EQ(client_.Get(prefix_ + "b", 1000)->body, "1");
  EXPECT_THAT(client_.Copy(prefix_ + "missing", prefix_ + "c"), HasKind(ErrorKind::kNotFound));
}

TEST_F(S3Server, WrongKeysAndPlacesAreToldApart) {
  const Credentials right{.access_key = server_.access_key, .secret_key = server_.secret_key};
  EXPECT_THAT(GetWith(server_.place(), right), HasKind(ErrorKind::kNotFound));
  Credentials wrong = right;
  wrong.secret_key = "not-the-secret";
  EXPECT_THAT(GetWith(server_.place(), wrong), HasKind(ErrorKind::kDenied));
  wrong = right;
  wrong.access_key = "nobody";
  EXPECT_THAT(GetWith(server_.place(), wrong), HasKind(ErrorKind::kDenied));
  Place place = server_.place();
  place.bucket = "no-such-bucket-" + RandomHex(SystemRandom(), 8);
  const Result<Bytes> nowhere = GetWith(place, right);
  EXPECT_THAT(nowhere, HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(nowhere, HasMessage("create the bucket"));
}

TEST_F(S3Server, AWarmCommitIsTwoRoundTripsAndAnOpenReaderOne) {
  ASSERT_THAT(store_->PutIfAbsent("v1", "1"), IsOk()) << "the probe is behind us";
  const double before = Requests();
  const auto group = store_->NewWriteGroup();
  for (const char* const key : {"data", "manifest", "list"}) ASSERT_THAT(group->Put(key, key), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto version, group->Prepare("v2", "2"));
  ASSERT_THAT(group->Sync(), IsOk());
  EXPECT_EQ(Requests() - before, 3);
  ASSERT_THAT(version->Publish(), IsOk());
  EXPECT_EQ(Requests() - before, 4);
  ASSERT_OK_AND_ASSIGN(const auto reader, store_->OpenReader("data"));
  char buffer[4];
  EXPECT_EQ(reader->ReadAt(0, 4, buffer).value(), 4);
  EXPECT_EQ(Requests() - before, 5) << "a small object comes with opening it";
}

TEST_F(S3Server, OfManyProcessesExactlyOneWinsEachName) {
  constexpr int kProcesses = 4;
  constexpr int kNames = 25;
  std::vector<pid_t> children;
  for (int process = 0; process < kProcesses; ++process) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      int wins = 0;
      for (int name = 0; name < kNames; ++name) {
        const Status put = store_->PutIfAbsent("v" + std::to_string(name), std::to_string(process));
        if (put.ok()) ++wins;
        else if (put.kind() != ErrorKind::kAlreadyExists) _exit(255);
      }
      _exit(wins);
    }
    children.push_back(child);
  }
  int wins = 0;
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) != 255);
    wins += WEXITSTATUS(status);
  }
  EXPECT_EQ(wins, kNames);
}

}  // namespace
}  // namespace datashard::s3
