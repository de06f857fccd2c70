// The contract of ObjectStore as a test suite over any store. One source of a test executable includes this and says
// which stores it runs on (see conformance_test.cc).
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "storage/object_store.h"
#include "support/matchers.h"

namespace datashard {

/// A fresh, empty store, and what must live as long (a temporary directory, a clock).
struct StoreUnderTest {
  std::shared_ptr<void> surroundings;
  std::shared_ptr<ObjectStore> store;
};
struct StoreMaker {
  std::string name;
  std::function<StoreUnderTest()> make;    ///< no store: the tests are skipped
  bool put_waits_for_sync = false;         ///< what a group was given is seen only after its Sync
  std::chrono::seconds clock_lag{0};       ///< how far ServerTime may stay behind the clock that stamps objects
};
inline void PrintTo(const StoreMaker& maker, std::ostream* out) { *out << maker.name; }

class StoreConformance : public testing::TestWithParam<StoreMaker> {
 protected:
  StoreConformance() : made_(GetParam().make()), store_(made_.store ? *made_.store : *none_) {}
  void SetUp() override {
    if (!made_.store) GTEST_SKIP() << "there is no server for the store '" << GetParam().name << "'; see its room's README.md";
  }

  std::vector<std::string> Keys(std::string_view prefix) {
    const Result<std::vector<ObjectInfo>> objects = store_.List(prefix);
    EXPECT_THAT(objects, IsOk());
    std::vector<std::string> keys;
    if (objects.ok()) {
      for (const ObjectInfo& object : *objects) keys.push_back(object.key);
    }
    return keys;
  }
  std::string Body(std::string_view key) {
    const Result<Bytes> body = store_.Get(key);
    EXPECT_THAT(body, IsOk());
    return body.ok() ? *body : std::string();
  }

  const std::unique_ptr<ObjectStore> none_ = OpenMemoryStore("none", SystemClock());
  StoreUnderTest made_;
  ObjectStore& store_;
};

/// Runs the suite on the stores of `maker`.
#define DS_STORE_CONFORMANCE(Name, maker)                                  \
  INSTANTIATE_TEST_SUITE_P(Name, StoreConformance, testing::Values(maker), \
                           [](const testing::TestParamInfo<StoreMaker>& info) { return info.param.name; })

TEST_P(StoreConformance, PutIsReadBackWhole) {
  const std::unique_ptr<WriteGroup> group = store_.NewWriteGroup();
  const std::string big(3'000'001, 'x');
  ASSERT_THAT(group->Put("data/a", "alpha"), IsOk());
  ASSERT_THAT(group->Put("data/deeper/b", ""), IsOk());
  ASSERT_THAT(group->Put("big", big), IsOk());
  if (!GetParam().put_waits_for_sync) {
    EXPECT_EQ(Body("data/a"), "alpha");
  }
  ASSERT_THAT(group->Sync(), IsOk());
  EXPECT_EQ(Body("data/a"), "alpha");
  EXPECT_EQ(Body("data/deeper/b"), "");
  EXPECT_TRUE(Body("big") == big);
  ASSERT_THAT(group->Sync(), IsOk()) << "a sync of nothing";
}

TEST_P(StoreConformance, ReplaceIfComparesFirst) {
  const Status first = store_.ReplaceIf("p/current", "one", "");
  if (!first.ok() && first.kind() == ErrorKind::kUnsupported) GTEST_SKIP() << first.error().ToString();
  ASSERT_THAT(first, IsOk());
  EXPECT_THAT(store_.ReplaceIf("p/current", "another", ""), HasKind(ErrorKind::kConflict));
  ASSERT_OK_AND_ASSIGN(const TaggedBody one, store_.GetTagged("p/current"));
  EXPECT_EQ(one.body, "one");
  EXPECT_FALSE(one.tag.empty());
  ASSERT_THAT(store_.ReplaceIf("p/current", "two", one.tag), IsOk());
  EXPECT_THAT(store_.ReplaceIf("p/current", "three", one.tag), HasKind(ErrorKind::kConflict));
  EXPECT_EQ(Body("p/current"), "two");
  ASSERT_OK_AND_ASSIGN(const TaggedBody two, store_.GetTagged("p/current"));
  ASSERT_THAT(store_.Delete("p/current"), IsOk());
  EXPECT_THAT(store_.ReplaceIf("p/current", "three", two.tag), HasKind(ErrorKind::kConflict)) << "there is nothing";
  EXPECT_THAT(store_.GetTagged("p/current"), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(Keys(""), testing::IsEmpty());
}

TEST_P(StoreConformance, OfThreadsThatReplaceWhatTheyHaveReadNoneIsLost) {
  const Status first = store_.ReplaceIf("p/count", "0", "");
  if (!first.ok() && first.kind() == ErrorKind::kUnsupported) GTEST_SKIP() << first.error().ToString();
  ASSERT_THAT(first, IsOk());
  constexpr int kThreads = 4, kEach = 10;
  std::atomic<int> failures = 0;
  const auto count_up = [&] {
    for (int done = 0; done < kEach && failures == 0;) {
      const Result<TaggedBody> seen = store_.GetTagged("p/count");
      const Status replaced =
          seen.ok() ? store_.ReplaceIf("p/count", std::to_string(std::stoi(seen->body) + 1), seen->tag) : Status(seen.error());
      done += replaced.ok() ? 1 : 0;
      if (!replaced.ok() && replaced.kind() != ErrorKind::kConflict) ++failures;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(count_up);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(Body("p/count"), std::to_string(kThreads * kEach));
}

TEST_P(StoreConformance, APreparedObjectHasNoNameBeforeItIsPublished) {
  const std::unique_ptr<WriteGroup> group = store_.NewWriteGroup();
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<UnnamedObject> first, group->Prepare("m/v1", "one"));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<UnnamedObject> second, group->Prepare("m/v1", "two"));
  EXPECT_THAT(first->Publish(), HasKind(ErrorKind::kInternal)) << "its group was not synced";
  ASSERT_THAT(group->Sync(), IsOk());
  EXPECT_THAT(store_.Head("m/v1"), HasKind(ErrorKind::kNotFound));
  ASSERT_THAT(second->Publish(), IsOk());
  EXPECT_THAT(first->Publish(), HasKind(ErrorKind::kAlreadyExists));
  EXPECT_EQ(Body("m/v1"), "two");
}

TEST_P(StoreConformance, APreparedObjectThatIsDroppedLeavesNothing) {
  const std::unique_ptr<WriteGroup> group = store_.NewWriteGroup();
  { ASSERT_THAT(group->Prepare("m/v1", "one"), IsOk()); }
  ASSERT_THAT(group->Sync(), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::vector<ObjectInfo> left, store_.List(""));
  EXPECT_TRUE(left.empty());
}

TEST_P(StoreConformance, PutAndFinishRefuseATakenName) {
  const std::unique_ptr<WriteGroup> group = store_.NewWriteGroup();
  ASSERT_THAT(group->Put("a", "first"), IsOk());
  EXPECT_THAT(group->Put("a", "second"), HasKind(ErrorKind::kAlreadyExists));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectWriter> writer, group->Open("a"));
  ASSERT_THAT(writer->Append("third"), IsOk());
  EXPECT_THAT(writer->Finish(), HasKind(ErrorKind::kAlreadyExists));
  EXPECT_THAT(group->Sync(), IsOk());
  EXPECT_EQ(Body("a"), "first");
}

TEST_P(StoreConformance, AWriterIsSeenOnlyWhenFinished) {
  const std::unique_ptr<WriteGroup> group = store_.NewWriteGroup();
  std::string expected;
  {
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectWriter> writer, group->Open("data/w"));
    for (const size_t size : {size_t{1}, size_t{0}, size_t{100'000}, size_t{2'000'000}, size_t{7}}) {
      const std::string piece(size, static_cast<char>('a' + expected.size() % 26));
      ASSERT_THAT(writer->Append(piece), IsOk());
      expected += piece;
      EXPECT_EQ(writer->size_bytes(), static_cast<int64_t>(expected.size()));
      EXPECT_THAT(store_.Head("data/w"), HasKind(ErrorKind::kNotFound));
      EXPECT_THAT(Keys(""), testing::IsEmpty());
    }
    ASSERT_THAT(writer->Finish(), IsOk());
  }
  ASSERT_THAT(group->Sync(), IsOk());
  EXPECT_TRUE(Body("data/w") == expected);
}

TEST_P(StoreConformance, AnAbandonedWriterLeavesNothing) {
  const std::unique_ptr<WriteGroup> group = store_.NewWriteGroup();
  {
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectWriter> writer, group->Open("data/w"));
    ASSERT_THAT(writer->Append(std::string(1'000'000, 'x')), IsOk());
  }
  EXPECT_THAT(group->Sync(), IsOk());
  EXPECT_THAT(Keys(""), testing::IsEmpty());
}

TEST_P(StoreConformance, AGroupTakesHundredsOfObjectsInAsManyDirectories) {
  const std::unique_ptr<WriteGroup> group = store_.NewWriteGroup();
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<ObjectWriter> writer, group->Open("slow/w"));
  for (int i = 0; i < 300; ++i) {
    const std::string number = std::to_string(i);
    ASSERT_THAT(group->Put("data/day=" + number + "/f", number), IsOk());
  }
  ASSERT_THAT(writer->Finish(), IsOk());
  writer.reset();
  ASSERT_THAT(group->Sync(), IsOk());
  EXPECT_EQ(Keys("data/").size(), 300u);
  EXPECT_EQ(Body("data/day=217/f"), "217");
  EXPECT_EQ(Body("slow/w"), "");
}

TEST_P(StoreConformance, PutIfAbsentTakesAFreeNameOnce) {
  ASSERT_THAT(store_.PutIfAbsent("metadata/v1.metadata.json", "first"), IsOk());
  EXPECT_THAT(store_.PutIfAbsent("metadata/v1.metadata.json", "second"), HasKind(ErrorKind::kAlreadyExists));
  EXPECT_THAT(store_.PutIfAbsent("metadata/v1.metadata.json", "first"), HasKind(ErrorKind::kAlreadyExists));
  EXPECT_EQ(Body("metadata/v1.metadata.json"), "first");
  ASSERT_THAT(store_.Delete("metadata/v1.metadata.json"), IsOk());
  EXPECT_THAT(store_.PutIfAbsent("metadata/v1.metadata.json", "third"), IsOk());
  EXPECT_EQ(Body("metadata/v1.metadata.json"), "third");
}

TEST_P(StoreConformance, OfManyThreadsExactlyOneWinsEachName) {
  constexpr int kThreads = 8;
  constexpr int kNames = 25;
  std::vector<std::atomic<int>> winner(kNames);
  for (std::atomic<int>& name : winner) name = -1;
  std::atomic<int> wins = 0;
  std::atomic<int> others = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int name = 0; name < kNames; ++name) {
        const Status put = store_.PutIfAbsent("m/v" + std::to_string(name), std::to_string(thread));
        if (put.ok()) {
          winner[static_cast<size_t>(name)] = thread;
          ++wins;
        } else if (put.kind() != ErrorKind::kAlreadyExists) {
          ++others;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wins, kNames);
  EXPECT_EQ(others, 0);
  for (int name = 0; name < kNames; ++name)
    EXPECT_EQ(Body("m/v" + std::to_string(name)), std::to_string(winner[static_cast<size_t>(name)]));
  EXPECT_EQ(Keys("").size(), static_cast<size_t>(kNames)) << "losers leave nothing behind";
}

TEST_P(StoreConformance, ReplaceCreatesAndReplaces) {
  ASSERT_THAT(store_.Replace("metadata/version-hint.text", "1"), IsOk());
  EXPECT_EQ(Body("metadata/version-hint.text"), "1");
  ASSERT_THAT(store_.Replace("metadata/version-hint.text", "22"), IsOk());
  EXPECT_EQ(Body("metadata/version-hint.text"), "22");
  EXPECT_THAT(Keys(""), testing::ElementsAre("metadata/version-hint.text"));
}

TEST_P(StoreConformance, ADroppedBodyLeavesANameThatIsTaken) {
  const std::unique_ptr<WriteGroup> group = store_.NewWriteGroup();
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<UnnamedObject> v1, group->Prepare("m/v1", "a body"));
  ASSERT_THAT(group->Sync(), IsOk());
  ASSERT_THAT(v1->Publish(), IsOk());
  ASSERT_THAT(store_.PutIfAbsent("m/v2", "another"), IsOk());
  for (int repeated = 0; repeated < 3; ++repeated) {
    for (const char* const key : {"m/v1", "m/v2"}) {
      ASSERT_THAT(store_.DropBody(key, "gone"), IsOk());
      EXPECT_EQ(Body(key), "gone");
      EXPECT_EQ(store_.Head(key)->size_bytes, 4);
      EXPECT_THAT(store_.PutIfAbsent(key, "x"), HasKind(ErrorKind::kAlreadyExists));
    }
    EXPECT_THAT(Keys(""), testing::ElementsAre("m/v1", "m/v2")) << "nothing else is to be seen";
  }
  ASSERT_THAT(store_.DropBody("m/v1", "another tombstone"), IsOk());
  EXPECT_EQ(Body("m/v1"), "another tombstone");
  EXPECT_EQ(Body("m/v2"), "gone");
  ASSERT_THAT(store_.Replace("m/v1", "a new body"), IsOk());
  ASSERT_THAT(store_.Delete("m/v2"), IsOk());
  ASSERT_THAT(store_.DropBody("m/v3", "gone"), IsOk());
  EXPECT_EQ(Body("m/v1"), "a new body");
  EXPECT_EQ(Body("m/v3"), "gone");
  EXPECT_THAT(store_.DropBody("../v1", "gone"), HasKind(ErrorKind::kInvalidArgument));
}

TEST_P(StoreConformance, WhoHoldsAnObjectLearnsWhetherItsNameStillLeadsToIt) {
  const std::vector<std::pair<std::string, std::function<Status(const std::string&)>>> ends = {
      {"replaced", [&](const std::string& key) { return store_.Replace(key, "one"); }},
      {"dropped", [&](const std::string& key) { return store_.DropBody(key, "gone"); }},
      {"deleted", [&](const std::string& key) { return store_.Delete(key); }},
      {"made-again", [&](const std::string& key) -> Status {
         DS_RETURN_IF_ERROR(store_.Delete(key));
         return store_.PutIfAbsent(key, "one");
       }}};
  for (const auto& [name, end] : ends) {
    SCOPED_TRACE(name);
    const std::string key = "m/" + name;
    const std::unique_ptr<WriteGroup> group = store_.NewWriteGroup();
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<UnnamedObject> winner, group->Prepare(key, "one"));
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<UnnamedObject> loser, group->Prepare(key, "one"));
    ASSERT_THAT(group->Sync(), IsOk());
    EXPECT_FALSE(winner->StillNamed().value());
    ASSERT_THAT(winner->Publish(), IsOk());
    EXPECT_THAT(loser->Publish(), HasKind(ErrorKind::kAlreadyExists));
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectReader> reader, store_.OpenReader(key));
    EXPECT_TRUE(winner->StillNamed().value());
    EXPECT_FALSE(loser->StillNamed().value());
    EXPECT_TRUE(reader->StillNamed().value());
    ASSERT_THAT(end(key), IsOk());
    EXPECT_FALSE(winner->StillNamed().value());
    EXPECT_FALSE(reader->StillNamed().value());
  }
}

TEST_P(StoreConformance, AWatchTellsTheNamesThatAreThere) {
  const std::unique_ptr<WriteGroup> group = store_.NewWriteGroup();
  const std::unique_ptr<NameWatch> watch = store_.WatchNames("m", [](std::string_view name) { return name.ends_with(".x"); });
  if (watch == nullptr) GTEST_SKIP() << "this store has no such thing";
  const auto seen = [&] {
    Result<std::vector<std::string>> keys = watch->Matching();
    EXPECT_THAT(keys, IsOk());
    return keys.ok() ? *keys : std::vector<std::string>();
  };
  EXPECT_THAT(seen(), testing::IsEmpty()) << "there is no directory yet";
  ASSERT_THAT(group->Put("m/a.x", "1"), IsOk());
  EXPECT_THAT(seen(), testing::ElementsAre("m/a.x"));
  ASSERT_THAT(store_.PutIfAbsent("m/b.x", "2"), IsOk());
  ASSERT_THAT(store_.PutIfAbsent("m/b.y", "2"), IsOk());
  ASSERT_THAT(store_.Replace("m/c.x", "3"), IsOk());
  ASSERT_THAT(store_.PutIfAbsent("m/below/d.x", "4"), IsOk());
  ASSERT_THAT(store_.DropBody("m/b.y", "gone"), IsOk());
  EXPECT_THAT(seen(), testing::ElementsAre("m/a.x", "m/b.x", "m/c.x"));
  ASSERT_THAT(store_.Delete("m/a.x"), IsOk());
  ASSERT_THAT(store_.Replace("m/b.x", "5"), IsOk());
  EXPECT_THAT(seen(), testing::ElementsAre("m/b.x", "m/c.x"));
  const int64_t events = watch->Last().number;
  EXPECT_THAT(seen(), testing::ElementsAre("m/b.x", "m/c.x")) << "nothing has happened since";
  EXPECT_EQ(watch->Last().number, events);
  ASSERT_THAT(store_.Delete("m/b.x"), IsOk());
  ASSERT_THAT(store_.Delete("m/c.x"), IsOk());
  EXPECT_THAT(seen(), testing::IsEmpty());
  EXPECT_EQ(watch->Last().kind, NameEvent::Kind::kDeleted);
  EXPECT_EQ(watch->Last().number, events + 2);
  ASSERT_THAT(store_.PutIfAbsent("m/d.x", "6"), IsOk());
  EXPECT_THAT(seen(), testing::ElementsAre("m/d.x"));
  EXPECT_EQ(watch->Last().kind, NameEvent::Kind::kAppeared);
}

TEST_P(StoreConformance, AReaderBesideReplaceSeesWholeBodies) {
  ASSERT_THAT(store_.Replace("hint", std::string(1, '1')), IsOk());
  std::atomic<bool> stop = false;
  std::atomic<int> failures = 0;
  std::thread writer([&] {
    for (int i = 0; i < 200; ++i) {
      const auto digit = static_cast<char>('1' + i % 9);
      if (!store_.Replace("hint", std::string(static_cast<size_t>(digit - '0') * 1000, digit)).ok()) ++failures;
    }
    stop = true;
  });
  int torn = 0;
  while (!stop) {
    const Result<Bytes> body = store_.Get("hint");
    if (!body.ok()) {
      ++failures;
    } else if (body->size() > 1 && *body != std::string(static_cast<size_t>((*body)[0] - '0') * 1000, (*body)[0])) {
      ++torn;
    }
  }
  writer.join();
  EXPECT_EQ(torn, 0);
  EXPECT_EQ(failures, 0);
}

TEST_P(StoreConformance, AReaderKeepsTheObjectItOpened) {
  ASSERT_THAT(store_.Replace("a", "0123456789"), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectReader> reader, store_.OpenReader("a"));
  ASSERT_THAT(store_.Replace("a", "new"), IsOk());
  ASSERT_THAT(store_.Delete("a"), IsOk());
  EXPECT_EQ(reader->size_bytes(), 10);
  char buffer[16] = {};
  ASSERT_OK_AND_ASSIGN(const int64_t count, reader->ReadAt(0, 10, buffer));
  EXPECT_EQ(std::string(buffer, static_cast<size_t>(count)), "0123456789");
}

TEST_P(StoreConformance, RangesAreCutAtTheEnd) {
  ASSERT_THAT(store_.Replace("a", "0123456789"), IsOk());
  struct Case {
    int64_t offset, size;
    std::string expected;
  };
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectReader> reader, store_.OpenReader("a"));
  for (const Case& c : {Case{0, 4, "0123"}, Case{8, 2, "89"}, Case{8, 5, "89"}, Case{0, INT64_MAX, "0123456789"},
                        Case{10, 1, ""}, Case{INT64_MAX, INT64_MAX, ""}, Case{3, 0, ""}}) {
    const Result<Bytes> range = store_.GetRange("a", {.offset_bytes = c.offset, .size_bytes = c.size});
    ASSERT_THAT(range, IsOk()) << c.offset;
    EXPECT_EQ(*range, c.expected) << c.offset;
    char buffer[16] = {};
    const Result<int64_t> count = reader->ReadAt(c.offset, c.size, buffer);
    ASSERT_THAT(count, IsOk()) << c.offset;
    EXPECT_EQ(std::string(buffer, static_cast<size_t>(*count)), c.expected) << c.offset;
  }
  for (const ByteRange& bad : {ByteRange{-1, 1}, ByteRange{1, -1}, ByteRange{INT64_MIN, INT64_MIN}}) {
    EXPECT_THAT(store_.GetRange("a", bad), HasKind(ErrorKind::kInvalidArgument));
    char buffer[1];
    EXPECT_THAT(reader->ReadAt(bad.offset_bytes, bad.size_bytes, buffer), HasKind(ErrorKind::kInvalidArgument));
  }
}

TEST_P(StoreConformance, OneReaderServesSeveralThreads) {
  std::string body;
  for (int i = 0; i < 100'000; ++i) body += static_cast<char>(i * 31 % 251);
  ASSERT_THAT(store_.Replace("a", body), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectReader> reader, store_.OpenReader("a"));
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      std::string piece(997, '\0');
      for (int64_t offset = thread; offset + 997 < 100'000; offset += 1009) {
        const Result<int64_t> count = reader->ReadAt(offset, 997, piece.data());
        if (!count.ok() || *count != 997 || piece != body.substr(static_cast<size_t>(offset), 997)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_P(StoreConformance, WhatIsMissingIsNotFound) {
  ASSERT_THAT(store_.Replace("dir/object", "x"), IsOk());
  for (const char* const key : {"missing", "dir", "dir/missing", "missing/deeper", "dir/object/below"}) {
    EXPECT_THAT(store_.Get(key), HasKind(ErrorKind::kNotFound)) << key;
    EXPECT_THAT(store_.GetRange(key, {.offset_bytes = 0, .size_bytes = 1}), HasKind(ErrorKind::kNotFound)) << key;
    EXPECT_THAT(store_.OpenReader(key), HasKind(ErrorKind::kNotFound)) << key;
    EXPECT_THAT(store_.Head(key), HasKind(ErrorKind::kNotFound)) << key;
    EXPECT_THAT(store_.Delete(key), IsOk()) << key;
    EXPECT_THAT(store_.Get(key), HasMessage(key)) << "the message names the object";
  }
  EXPECT_EQ(Body("dir/object"), "x");
}

TEST_P(StoreConformance, HeadTellsSizeAndTimeByTheStoresClock) {
  ASSERT_OK_AND_ASSIGN(const Instant before, store_.ServerTime());
  ASSERT_THAT(store_.Replace("a", "12345"), IsOk());
  ASSERT_OK_AND_ASSIGN(const ObjectInfo info, store_.Head("a"));
  ASSERT_OK_AND_ASSIGN(const Instant after, store_.ServerTime());
  EXPECT_EQ(info.key, "a");
  EXPECT_EQ(info.size_bytes, 5);
  EXPECT_LE(before, info.modified);
  EXPECT_LE(info.modified, after + GetParam().clock_lag);
  EXPECT_THAT(Keys(""), testing::ElementsAre("a")) << "asking for the time leaves nothing behind";
}

TEST_P(StoreConformance, ListIsSortedByBytesAndFollowsWholeSegments) {
  for (const char* const key : {"b/z", "a/b", "a-b", "a/b2/c", "ab", "a/B", "a/é", "b"  "c"})
    ASSERT_THAT(store_.Replace(key, key), IsOk());
  EXPECT_THAT(Keys(""), testing::ElementsAre("a-b", "a/B", "a/b", "a/b2/c", "a/é", "ab", "b/z", "bc"));
  EXPECT_THAT(Keys("a/"), testing::ElementsAre("a/B", "a/b", "a/b2/c", "a/é"));
  EXPECT_THAT(Keys("a/b2/"), testing::ElementsAre("a/b2/c"));
  EXPECT_THAT(Keys("a/b/"), testing::IsEmpty());
  EXPECT_THAT(Keys("missing/"), testing::IsEmpty());
  ASSERT_OK_AND_ASSIGN(const std::vector<ObjectInfo> objects, store_.List("a/b2/"));
  EXPECT_EQ(objects[0].size_bytes, 6);
  ASSERT_OK_AND_ASSIGN(const ObjectInfo head, store_.Head("a/b2/c"));
  EXPECT_EQ(objects[0].modified, head.modified);
  for (const char* const prefix : {"a", "/", "a//", "../", "a/../", "/a/"})
    EXPECT_THAT(store_.List(prefix), HasKind(ErrorKind::kInvalidArgument)) << prefix;
}

TEST_P(StoreConformance, DeleteRemovesOneObject) {
  ASSERT_THAT(store_.Replace("d/a", "a"), IsOk());
  ASSERT_THAT(store_.Replace("d/b", "b"), IsOk());
  ASSERT_THAT(store_.Delete("d/a"), IsOk());
  ASSERT_THAT(store_.Delete("d/a"), IsOk());
  EXPECT_THAT(store_.Head("d/a"), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(Keys(""), testing::ElementsAre("d/b"));
}

TEST_P(StoreConformance, OddNamesAreNamesLikeOthers) {
  const std::vector<std::string> keys = {"%2F%00/+&?#.txt", ".v1.metadata.json.crc", "a\nb/c\\d\"e'",
                                         "data/year=2013/carrier=A B/part 1.parquet", "données/ключ/表/😀.bin"};
  const std::unique_ptr<WriteGroup> group = store_.NewWriteGroup();
  for (const std::string& key : keys) ASSERT_THAT(group->Put(key, key), IsOk());
  ASSERT_THAT(group->Sync(), IsOk());
  EXPECT_EQ(Keys(""), keys);
  for (const std::string& key : keys) EXPECT_EQ(Body(key), key);
}

TEST_P(StoreConformance, BadNamesAreRefusedEverywhere) {
  const std::unique_ptr<WriteGroup> group = store_.NewWriteGroup();
  for (const std::string& key : {std::string(), std::string("/"), std::string("/etc/passwd"), std::string("a/../b"),
                                 std::string(".."), std::string("a//b"), std::string("a/"), std::string("./a"),
                                 std::string("a\0b", 3), std::string("m/.datashard-0123456789abcdef.tmp"),
                                 std::string(".datashard-tombstone-0")}) {
    EXPECT_THAT(group->Put(key, "x"), HasKind(ErrorKind::kInvalidArgument)) << key;
    EXPECT_THAT(group->Open(key), HasKind(ErrorKind::kInvalidArgument)) << key;
    EXPECT_THAT(store_.PutIfAbsent(key, "x"), HasKind(ErrorKind::kInvalidArgument)) << key;
    EXPECT_THAT(store_.Replace(key, "x"), HasKind(ErrorKind::kInvalidArgument)) << key;
    EXPECT_THAT(store_.Get(key), HasKind(ErrorKind::kInvalidArgument)) << key;
    EXPECT_THAT(store_.GetRange(key, {}), HasKind(ErrorKind::kInvalidArgument)) << key;
    EXPECT_THAT(store_.OpenReader(key), HasKind(ErrorKind::kInvalidArgument)) << key;
    EXPECT_THAT(store_.Head(key), HasKind(ErrorKind::kInvalidArgument)) << key;
    EXPECT_THAT(store_.Delete(key), HasKind(ErrorKind::kInvalidArgument)) << key;
  }
  EXPECT_THAT(Keys(""), testing::IsEmpty());
}

}  // namespace datashard
