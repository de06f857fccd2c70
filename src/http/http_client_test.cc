#include "http/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <map>

#include "base/error.h"
#include "http/http_test_support.h"
#include "datashard/interrupt.h"
#include "support/matchers.h"

namespace datashard {
namespace {

using std::chrono::milliseconds;

TEST(HttpClient, SendsMethodHeadersAndBodyAsTheyStand) {
  ScriptedServer server([](const SeenRequest&) { return ScriptedAnswer{.status = 201, .headers = {{"X-Answer", " yes "}}, .body = "done"}; });
  const auto client = NewHttpClient({});
  ASSERT_OK_AND_ASSIGN(const HttpResponse answer,
                       client->Perform({.method = "PUT", .url = server.url() + "/a/../b%20c%2F?x=%2B&y=",
                                        .headers = {{"If-None-Match", "*"}, {"X-Empty", ""}}, .body = "payload"}));
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.body, "done");
  EXPECT_EQ(answer.Header("x-answer"), "yes");
  EXPECT_EQ(answer.Header("x-other"), "");
  ASSERT_EQ(server.requests().size(), 1u);
  const SeenRequest seen = server.requests()[0];
  EXPECT_EQ(seen.method, "PUT");
  EXPECT_EQ(seen.target, "/a/../b%20c%2F?x=%2B&y=");
  EXPECT_EQ(seen.body, "payload");
  EXPECT_EQ(seen.Header("if-none-match"), "*");
  EXPECT_EQ(seen.Header("expect"), "");
  EXPECT_EQ(seen.Header("transfer-encoding"), "");
}

TEST(HttpClient, KnowsTheFiveMethods) {
  ScriptedServer server([](const SeenRequest& request) {
    return ScriptedAnswer{.status = request.method == "DELETE" ? 204 : 200, .body = request.method == "DELETE" ? "" : "body"};
  });
  const auto client = NewHttpClient({});
  for (const std::string method : {"GET", "HEAD", "PUT", "POST", "DELETE"}) {
    ASSERT_OK_AND_ASSIGN(const HttpResponse answer, client->Perform({.method = method, .url = server.url() + "/x"}));
    EXPECT_EQ(server.requests().back().method, method);
    EXPECT_EQ(answer.body, method == "HEAD" || method == "DELETE" ? "" : "body") << method;
    EXPECT_EQ(server.requests().back().Header("content-length"), method == "PUT" || method == "POST" ? "0" : "") << method;
  }
  EXPECT_EQ(server.connection_count(), 1) << "the connection is kept";
}

TEST(HttpClient, SendsSeveralRequestsAtOnceAndKeepsTheirOrder) {
  std::atomic<int> waiting = 0;
  ScriptedServer server([&](const SeenRequest& request) {
    ++waiting;
    while (waiting < 4) std::this_thread::yield();  // answers none before all have come
    return ScriptedAnswer{.body = request.target};
  });
  const auto client = NewHttpClient({});
  std::vector<HttpRequest> requests;
  for (int i = 0; i < 4; ++i) requests.push_back({.method = "PUT", .url = server.url() + "/" + std::to_string(i), .body = "x"});
  for (int round = 0; round < 2; ++round) {
    waiting = 0;
    const std::vector<Result<HttpResponse>> answers = client->PerformAll(requests);
    ASSERT_EQ(answers.size(), 4u);
    for (size_t i = 0; i < 4; ++i) {
      ASSERT_THAT(answers[i], IsOk());
      EXPECT_EQ(answers[i]->body, "/" + std::to_string(i));
    }
  }
  EXPECT_EQ(server.connection_count(), 4) << "all four are used again";
}

TEST(HttpClient, TellsWhatWasNotSentFromWhatMayHaveLanded) {
  ScriptedServer server([](const SeenRequest&) { return ScriptedAnswer{.lost = true}; });
  const auto client = NewHttpClient({});
  EXPECT_THAT(client->Perform({.method = "PUT", .url = server.url() + "/x", .body = "x"}), HasKind(ErrorKind::kCommitUnknown));
  EXPECT_THAT(client->Perform({.method = "DELETE", .url = server.url() + "/x"}), HasKind(ErrorKind::kCommitUnknown));
  EXPECT_THAT(client->Perform({.method = "GET", .url = server.url() + "/x"}), HasKind(ErrorKind::kUnavailable));
  EXPECT_EQ(server.requests().size(), 3u);
  const std::string nobody = "http://127.0.0.1:1/x?secret=1";
  const Result<HttpResponse> refused = client->Perform({.method = "PUT", .url = nobody, .body = "x"});
  EXPECT_THAT(refused, HasKind(ErrorKind::kUnavailable));
  EXPECT_THAT(refused, HasMessage("PUT http://127.0.0.1:1/x: "));
  EXPECT_THAT(refused, testing::Not(HasMessage("secret")));
  EXPECT_THAT(client->Perform({.url = "ftp://127.0.0.1/x"}), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(client->Perform({.url = "no url"}), HasKind(ErrorKind::kInvalidArgument));
}

TEST(HttpClient, SaysSoWhenAKeptConnectionDiedAndTheRequestWentOutTwice) {
  std::atomic<int> count = 0;
  ScriptedServer server([&](const SeenRequest&) { return ScriptedAnswer{.lost = ++count == 2}; });
  const auto client = NewHttpClient({});
  const HttpRequest put{.method = "PUT", .url = server.url() + "/x", .body = "x"};
  ASSERT_OK_AND_ASSIGN(const HttpResponse first, client->Perform(put));
  EXPECT_FALSE(first.resent);
  ASSERT_OK_AND_ASSIGN(const HttpResponse second, client->Perform(put));
  EXPECT_TRUE(second.resent);
  EXPECT_EQ(server.requests().size(), 3u);
}

TEST(HttpClient, NoticesTruncatedSlowAndOverlongBodies) {
  std::map<std::string, ScriptedAnswer> script = {
      {"/cut", {.body = std::string(100, 'x'), .cut_body_at = 50}},
      {"/slow", {.body = "x", .body_delay = milliseconds(600)}},
      {"/long", {.body = std::string(100, 'x')}},
      {"/error", {.status = 403, .body = std::string(100, 'x')}},
      {"/late", {.body = "x", .delay = milliseconds(600)}}};
  ScriptedServer server([&](const SeenRequest& request) { return script.at(request.target); });
  const auto client = NewHttpClient({});
  EXPECT_THAT(client->Perform({.url = server.url() + "/cut"}), HasKind(ErrorKind::kUnavailable));
  EXPECT_THAT(client->Perform({.url = server.url() + "/slow", .timeout = milliseconds(150)}), HasKind(ErrorKind::kUnavailable));
  EXPECT_THAT(client->Perform({.method = "PUT", .url = server.url() + "/late", .body = "x", .timeout = milliseconds(150)}),
              HasKind(ErrorKind::kCommitUnknown));
  EXPECT_THAT(client->Perform({.url = server.url() + "/long", .body_bytes_max = 99}), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(client->Perform({.url = server.url() + "/long", .body_bytes_max = 100}), IsOk());
  EXPECT_THAT(client->Perform({.url = server.url() + "/error", .body_bytes_max = 9}), IsOk()) << "an error is read whole";
}

TEST(HttpClient, ASinkGetsTheBodyOfSuccessOnly) {
  ScriptedServer server([](const SeenRequest& request) {
    return ScriptedAnswer{.status = request.target == "/bad" ? 404 : 206, .body = std::string(1'000'000, 'b')};
  });
  const auto client = NewHttpClient({});
  std::string received;
  const BodySink sink = [&](ByteView piece) {
    received.append(piece);
    return true;
  };
  ASSERT_OK_AND_ASSIGN(const HttpResponse good, client->Perform({.url = server.url() + "/good", .sink = sink}));
  EXPECT_EQ(received.size(), 1'000'000u);
  EXPECT_EQ(good.body, "");
  received.clear();
  ASSERT_OK_AND_ASSIGN(const HttpResponse bad, client->Perform({.url = server.url() + "/bad", .sink = sink}));
  EXPECT_EQ(received, "");
  EXPECT_EQ(bad.body.size(), 1'000'000u);
  EXPECT_THAT(client->Perform({.url = server.url() + "/good", .sink = [](ByteView) { return false; }}), HasMessage("stopped"));
}

TEST(HttpClient, AnInterruptionEndsTheWait) {
  ScriptedServer server([](const SeenRequest&) { return ScriptedAnswer{.delay = milliseconds(2000)}; });
  int asked = 0;
  const auto client = NewHttpClient({});
  const InterruptScope scope([&]() -> Status {
    if (++asked < 3) return {};
    return Unavailable("Ctrl-C was pressed");
  });
  const Result<HttpResponse> put = client->Perform({.method = "PUT", .url = server.url() + "/x", .body = "x"});
  EXPECT_THAT(put, HasKind(ErrorKind::kCommitUnknown));
  EXPECT_THAT(put, HasMessage("Ctrl-C was pressed"));
}

TEST(HttpClient, AnAnswerWithinATenthOfASecondIsNotInterrupted) {
  ScriptedServer server([](const SeenRequest&) { return ScriptedAnswer{.body = "x"}; });
  const auto client = NewHttpClient({});
  const InterruptScope scope([]() -> Status { return Unavailable("Ctrl-C was pressed"); });
  ASSERT_OK_AND_ASSIGN(const HttpResponse answer, client->Perform({.url = server.url() + "/x"}));
  EXPECT_EQ(answer.body, "x");
}

TEST(HttpClient, FollowsNoRedirect) {
  ScriptedServer server([](const SeenRequest&) { return ScriptedAnswer{.status = 307, .headers = {{"Location", "http://127.0.0.1:1/"}}}; });
  const auto client = NewHttpClient({});
  ASSERT_OK_AND_ASSIGN(const HttpResponse answer, client->Perform({.url = server.url() + "/x"}));
  EXPECT_EQ(answer.status, 307);
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST(HttpClient, AChildUsesConnectionsOfItsOwn) {
  ScriptedServer server([](const SeenRequest&) { return ScriptedAnswer{.body = "x"}; });
  const auto client = NewHttpClient({});
  const HttpRequest get{.url = server.url() + "/x"};
  ASSERT_THAT(client->Perform(get), IsOk());
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(client->Perform(get).ok() ? 0 : 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  ASSERT_THAT(client->Perform(get), IsOk());
  ASSERT_EQ(server.requests().size(), 3u);
  EXPECT_EQ(server.requests()[0].connection, server.requests()[2].connection);
  EXPECT_NE(server.requests()[0].connection, server.requests()[1].connection);
}

TEST(HttpClient, ServesManyThreads) {
  ScriptedServer server([](const SeenRequest& request) { return ScriptedAnswer{.body = request.body}; });
  const auto client = NewHttpClient({});
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 50; ++i) {
        const std::string body = std::to_string(thread * 1000 + i);
        const Result<HttpResponse> answer = client->Perform({.method = "PUT", .url = server.url() + "/x", .body = body});
        if (!answer.ok() || answer->body != body) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_LE(server.connection_count(), 8);
}

TEST(PercentEncode, KeepsUnreservedBytesOnly) {
  EXPECT_EQ(PercentEncode("aZ9-._~", false), "aZ9-._~");
  EXPECT_EQ(PercentEncode("a b+c%/é", true), "a%20b%2Bc%25/%C3%A9");
  EXPECT_EQ(PercentEncode("a/b", false), "a%2Fb");
}

}  // namespace
}  // namespace datashard
