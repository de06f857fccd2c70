#include "sim/faulty_store.h"

#include <gtest/gtest.h>

#include "sim/sim_clock.h"
#include "support/matchers.h"

namespace datashard::sim {
namespace {

class FaultyStoreTest : public testing::Test {
 protected:
  bool Exists(std::string_view key) { return base_->Head(key).ok(); }
  std::vector<std::string> Log() const {
    std::vector<std::string> log;
    for (const StoreCall& call : store_.calls()) log.push_back(ToString(call));
    return log;
  }
  /// A commit in small: the calls that reach the store are Put, Sync, PutIfAbsent, Replace.
  Status Commit() {
    const std::unique_ptr<WriteGroup> group = store_.NewWriteGroup();
    DS_RETURN_IF_ERROR(group->Put("data", "d"));
    DS_RETURN_IF_ERROR(group->Sync());
    DS_RETURN_IF_ERROR(store_.PutIfAbsent("v1", "1"));
    return store_.Replace("hint", "1");
  }

  SimClock clock_;
  std::shared_ptr<ObjectStore> base_ = OpenMemoryStore("base", clock_);
  FaultyStore store_{base_};
};

TEST_F(FaultyStoreTest, CallsAreCountedAndLogged) {
  ASSERT_THAT(Commit(), IsOk());
  EXPECT_THAT(store_.PutIfAbsent("v1", "2"), HasKind(ErrorKind::kAlreadyExists));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectReader> reader, store_.OpenReader("v1"));
  char letter = 0;
  EXPECT_THAT(reader->ReadAt(0, 1, &letter), IsOk());
  EXPECT_THAT(Log(), testing::ElementsAre("Put data: ok", "Sync: ok", "PutIfAbsent v1: ok", "Replace hint: ok",
                                          "PutIfAbsent v1: already exists", "OpenReader v1: ok", "ReadAt v1: ok"));
  EXPECT_EQ(store_.call_count(), 7);
  EXPECT_EQ(store_.fired_count(), 0);
  EXPECT_TRUE(store_.all_fired()) << "nothing was planned";
}

TEST_F(FaultyStoreTest, EveryCrashPointIsReachedAndLastsUntilReopen) {
  int64_t crash_at = 0;
  for (;; ++crash_at) {
    base_ = OpenMemoryStore("base", clock_);
    FaultyStore store(base_, {.crash_after_calls = crash_at});
    const std::unique_ptr<WriteGroup> group = store.NewWriteGroup();
    const bool put = group->Put("a", "a").ok();
    const bool absent = store.PutIfAbsent("b", "b").ok();
    const bool replaced = store.Replace("c", "c").ok();
    EXPECT_EQ(put, crash_at > 0);
    EXPECT_EQ(absent, crash_at > 1);
    EXPECT_EQ(replaced, crash_at > 2);
    EXPECT_EQ(Exists("a"), put);
    EXPECT_EQ(Exists("b"), absent);
    EXPECT_EQ(Exists("c"), replaced);
    EXPECT_EQ(store.crashed(), crash_at < 3);
    EXPECT_EQ(store.all_fired(), crash_at < 3);
    EXPECT_EQ(store.call_count(), std::min<int64_t>(crash_at + 1, 3)) << "a dead process makes no calls";
    if (!store.crashed()) break;
    EXPECT_THAT(store.Get("a"), HasKind(ErrorKind::kUnavailable));
    EXPECT_THAT(store.Delete("a"), HasKind(ErrorKind::kUnavailable));
    store.Reopen();
    EXPECT_THAT(store.Replace("d", "d"), IsOk()) << "and the plan's crash does not happen again";
  }
  EXPECT_EQ(crash_at, 3);
}

TEST_F(FaultyStoreTest, ACrashMayComeAfterTheCallWasApplied) {
  store_.SetPlan({.crash_after_calls = 2, .crash_effect = Effect::kApplied});
  EXPECT_THAT(Commit(), HasKind(ErrorKind::kCommitUnknown));
  EXPECT_TRUE(Exists("v1"));
  EXPECT_FALSE(Exists("hint"));
}

TEST_F(FaultyStoreTest, AnOutageMayLastOneCall) {
  store_.SetPlan({.crash_after_calls = 0, .crash_persists = false});
  EXPECT_THAT(Commit(), HasKind(ErrorKind::kUnavailable));
  EXPECT_THAT(Commit(), IsOk());
  EXPECT_TRUE(store_.all_fired());
}

TEST_F(FaultyStoreTest, AFaultIsChosenByNumberOrByWhatTheCallDoes) {
  store_.SetPlan({.faults = {{.call = 1, .kind = ErrorKind::kDenied},
                             {.op = StoreOp::kPutIfAbsent, .key_part = "v2", .occurrence = 1},
                             {.key_part = "never"}}});
  EXPECT_THAT(store_.Get("x"), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(store_.Get("x"), HasKind(ErrorKind::kDenied));
  EXPECT_THAT(store_.PutIfAbsent("v1", ""), IsOk());
  EXPECT_THAT(store_.PutIfAbsent("v2", ""), IsOk());
  EXPECT_THAT(store_.Get("v2"), IsOk());
  const Status second = store_.PutIfAbsent("v2", "");
  EXPECT_THAT(second, HasKind(ErrorKind::kUnavailable));
  EXPECT_THAT(second, HasMessage("call 5: PutIfAbsent v2"));
  EXPECT_THAT(store_.PutIfAbsent("v2", ""), HasKind(ErrorKind::kAlreadyExists));
  EXPECT_EQ(store_.fired_count(), 2);
  EXPECT_FALSE(store_.all_fired()) << "one fault met no call";
  EXPECT_EQ(Log()[1], "Get x: denied (injected)");
}

TEST_F(FaultyStoreTest, ALostAnswerToPutIfAbsentIsUnknown) {
  store_.SetPlan({.faults = {{.op = StoreOp::kPutIfAbsent, .effect = Effect::kApplied},
                             {.op = StoreOp::kReplace, .effect = Effect::kApplied},
                             {.op = StoreOp::kPutIfAbsent, .key_part = "v2", .kind = ErrorKind::kCommitUnknown}}});
  EXPECT_THAT(store_.PutIfAbsent("v1", "1"), HasKind(ErrorKind::kCommitUnknown));
  EXPECT_TRUE(Exists("v1"));
  EXPECT_THAT(store_.Replace("hint", "1"), HasKind(ErrorKind::kUnavailable));
  EXPECT_TRUE(Exists("hint"));
  EXPECT_THAT(store_.PutIfAbsent("v2", "2"), HasKind(ErrorKind::kCommitUnknown));
  EXPECT_FALSE(Exists("v2")) << "unknown may also mean absent";
  EXPECT_TRUE(store_.all_fired());
}

TEST_F(FaultyStoreTest, ALateRequestArrivesAfterOthers) {
  store_.SetPlan({.faults = {{.op = StoreOp::kPutIfAbsent, .effect = Effect::kLate, .late_by_calls = 2},
                             {.op = StoreOp::kReplace, .effect = Effect::kLate, .late_by_calls = 100}}});
  EXPECT_THAT(store_.PutIfAbsent("v1", "late"), HasKind(ErrorKind::kCommitUnknown));
  EXPECT_THAT(store_.Get("v1"), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(store_.PutIfAbsent("v1", "second"), HasKind(ErrorKind::kAlreadyExists)) << "the late one came first";
  EXPECT_EQ(*base_->Get("v1"), "late");
  EXPECT_THAT(store_.Replace("hint", "1"), HasKind(ErrorKind::kUnavailable));
  EXPECT_FALSE(Exists("hint"));
  store_.SetPlan({});
  EXPECT_FALSE(Exists("hint"));
  store_.DeliverLate();
  EXPECT_TRUE(Exists("hint"));
}

TEST_F(FaultyStoreTest, AFullDiskRefusesBodiesUntilSpaceIsFreed) {
  store_.SetPlan({.disk_full_after_bytes = 10});
  const std::unique_ptr<WriteGroup> group = store_.NewWriteGroup();
  EXPECT_THAT(group->Put("a", "123456"), IsOk());
  const Status put = store_.PutIfAbsent("v1", "12345");
  EXPECT_THAT(put, HasKind(ErrorKind::kUnavailable));
  EXPECT_THAT(put, HasMessage("disk full"));
  EXPECT_FALSE(Exists("v1"));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectWriter> writer, group->Open("w"));
  EXPECT_THAT(writer->Append("12345"), HasMessage("disk full"));
  EXPECT_THAT(store_.Get("a"), IsOk()) << "reading needs no space";
  EXPECT_THAT(store_.Replace("hint", "1234"), IsOk()) << "the last bytes";
  EXPECT_TRUE(store_.all_fired());
  store_.FreeSpace();
  EXPECT_THAT(store_.PutIfAbsent("v1", "12345"), IsOk());
}

TEST_F(FaultyStoreTest, AGroupWhoseSyncFailedIsUseless) {
  store_.SetPlan({.faults = {{.op = StoreOp::kGroupSync}}});
  const std::unique_ptr<WriteGroup> group = store_.NewWriteGroup();
  ASSERT_THAT(group->Put("a", "a"), IsOk());
  EXPECT_THAT(group->Sync(), HasKind(ErrorKind::kUnavailable));
  EXPECT_THAT(group->Sync(), HasKind(ErrorKind::kUnavailable)) << "not even a second sync may succeed";
  EXPECT_THAT(group->Put("b", "b"), HasKind(ErrorKind::kUnavailable));
  EXPECT_THAT(store_.NewWriteGroup()->Sync(), IsOk());
}

TEST_F(FaultyStoreTest, TwoProcessesFailIndependentlyOnOneStore) {
  FaultyStore other(base_, {.crash_after_calls = 0});
  EXPECT_THAT(other.PutIfAbsent("v1", "other"), HasKind(ErrorKind::kUnavailable));
  EXPECT_THAT(store_.PutIfAbsent("v1", "ours"), IsOk());
  other.Reopen();
  EXPECT_THAT(other.PutIfAbsent("v1", "other"), HasKind(ErrorKind::kAlreadyExists));
}

}  // namespace
}  // namespace datashard::sim
