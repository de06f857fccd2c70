#include "commit/pending_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/sim_clock.h"
#include "support/matchers.h"

namespace datashard::commit {
namespace {

PendingGroup Group(char digit) {
  PendingGroup group{.id = std::string(32, digit), .table_uuid = "7c3f4d7e-0000-4000-8000-000000000001", .ring_id = std::string(32, '7')};
  group.parts.push_back({.schema_id = 1, .members = {{64, 17}, {65, 9}}, .manifest = {.added_bytes = 4711}});
  group.parts.push_back({.transaction = true, .schema_id = 1, .spec_id = 2, .members = {{3, 1}}});
  for (PendingPart& part : group.parts) {
    part.manifest.line.manifest_path = "memory://t/metadata/m/0/x.avro";
    part.manifest.line.manifest_length = 99;
    part.manifest.line.added_rows_count = 5;
  }
  return group;
}

Bytes Encoded(const PendingGroup& group) { return EncodePending(group).value(); }

TEST(PendingGroup, IsReadAsItWasWritten) {
  const PendingGroup group = Group('a');
  ASSERT_OK_AND_ASSIGN(const PendingGroup read, DecodePending(group.id, Encoded(group), "object"));
  EXPECT_EQ(read.key(), "metadata/pending/" + std::string(32, 'a'));
  EXPECT_EQ(read.table_uuid, group.table_uuid);
  EXPECT_EQ(read.ring_id, std::string(32, '7'));
  ASSERT_EQ(read.parts.size(), 2u);
  EXPECT_EQ(read.parts[0].members, group.parts[0].members);
  EXPECT_EQ(read.parts[0].manifest.added_bytes, 4711);
  EXPECT_EQ(read.parts[0].manifest.line.manifest_path, "memory://t/metadata/m/0/x.avro");
  EXPECT_FALSE(read.parts[0].transaction);
  EXPECT_TRUE(read.parts[1].transaction);
  EXPECT_EQ(read.parts[1].spec_id, 2);
  EXPECT_EQ(read.parts[1].manifest.line.added_rows_count, 5);
}

TEST(PendingGroup, WhatIsCutOffOrChangedIsCorruption) {
  const Bytes body = Encoded(Group('a'));
  for (size_t size = 0; size < body.size(); ++size)
    EXPECT_THAT(DecodePending("a", ByteView(body).substr(0, size), "object"), HasKind(ErrorKind::kCorruption)) << size;
  PendingGroup one = Group('a');
  one.parts.pop_back();
  const Bytes body_of_one = Encoded(one);
  const Bytes list = body_of_one.substr(body_of_one.find("Obj"));
  const std::string text = "datashard-pending 1\nu\n" + one.ring_id + "\n1\nappend 1 0 7 ";
  EXPECT_THAT(DecodePending("a", text + "1 1023:281474976710655 \n" + list, "object"), IsOk());
  for (const char* rest : {"1 1024:1 \n", "1 4294967297:1 \n", "1 1:281474976710656 \n", "0 \n", "2 1:1 \n", "1 1:x \n", "1 -1:1 \n",
                           "99999999999999999999 1:1 \n"})
    EXPECT_THAT(DecodePending("a", text + rest + list, "object"), HasKind(ErrorKind::kCorruption)) << rest;
}

TEST(PendingGroup, OfARingWithAnotherNameIsCorruption) {
  for (const std::string& ring_id : {std::string(), std::string("7"), std::string(31, '7'), std::string(32, 'x'), std::string(33, '7')}) {
    PendingGroup group = Group('a');
    group.ring_id = ring_id;
    EXPECT_THAT(DecodePending(group.id, Encoded(group), "object"), HasKind(ErrorKind::kCorruption)) << ring_id;
  }
}

TEST(PendingGroup, IsSettledOnceAMemberOfEachPartIsMarked) {
  const PendingGroup group = Group('a');
  Marks marks;
  EXPECT_FALSE(IsSettled(group, marks));
  marks.Raise(65, 9);
  EXPECT_FALSE(IsSettled(group, marks)) << "the second part is still to be added";
  marks.Raise(3, 1);
  EXPECT_TRUE(IsSettled(group, marks));
}

TEST(PendingGroup, OnlyItsOwnNamesAreKeysOfOne) {
  EXPECT_TRUE(IsPendingKey("metadata/pending/" + std::string(32, '0')));
  for (const char* key : {"metadata/pending/0", "metadata/pending/0000000000000000000000000000000G",
                          "metadata/00000000000000000000000000000000", "metadata/pending/"})
    EXPECT_FALSE(IsPendingKey(key)) << key;
}

TEST(PendingGroup, IdsSortByTime) {
  const std::string first = NewPendingId(sim::SimClock::kStart, SystemRandom());
  const std::string second = NewPendingId(sim::SimClock::kStart + std::chrono::milliseconds(1), SystemRandom());
  EXPECT_LT(first, second);
  EXPECT_TRUE(IsPendingKey(std::string(kPendingPrefix) + first));
}

class Pending : public testing::Test {
 protected:
  void Put(const PendingGroup& group) { ASSERT_THAT(store->PutIfAbsent(group.key(), Encoded(group)), IsOk()); }
  std::vector<char> Look(PendingGroups& groups) {
    std::vector<char> digits;
    const auto ids = groups.List();
    EXPECT_THAT(ids, IsOk());
    for (const PendingPtr& group : groups.Read(*ids, Group('0').table_uuid)) digits.push_back(group->id[0]);
    return digits;
  }

  void Pass(std::chrono::microseconds time) {
    clock.Sleep(time);
    store_clock.Sleep(time);
  }

  sim::SimClock clock{sim::SimClock::kStart + std::chrono::hours(1)};  // ours is wrong
  sim::SimClock store_clock;
  MetricSums metrics;
  Outside outside{clock, SystemRandom(), metrics, SilentLog()};
  std::unique_ptr<ObjectStore> store = OpenMemoryStore("t", store_clock, /*remote=*/true);
  PendingGroups groups{*store, outside};
};

TEST_F(Pending, AreFoundByIdWithinAMinute) {
  EXPECT_THAT(Look(groups), testing::IsEmpty());
  Put(Group('c'));
  Pass(std::chrono::seconds(1));
  Put(Group('a'));
  EXPECT_THAT(Look(groups), testing::ElementsAre('a', 'c'));
  ASSERT_THAT(store->Delete(Group('c').key()), IsOk());
  EXPECT_THAT(Look(groups), testing::ElementsAre('a'));
  Pass(kPendingAgeMax - std::chrono::seconds(1));
  EXPECT_THAT(Look(groups), testing::ElementsAre('a'));
  Pass(std::chrono::seconds(2));
  EXPECT_THAT(Look(groups), testing::IsEmpty()) << "its files may soon be garbage";
}

TEST_F(Pending, OfOtherTablesOrUnreadableAreLeftOut) {
  PendingGroup other = Group('b');
  other.table_uuid = "another";
  Put(other);
  Put(Group('a'));
  ASSERT_THAT(store->PutIfAbsent("metadata/pending/" + std::string(32, 'd'), "garbage"), IsOk());
  ASSERT_THAT(store->PutIfAbsent("metadata/pending/notes.txt", "x"), IsOk());
  EXPECT_THAT(Look(groups), testing::ElementsAre('a'));
}

}  // namespace
}  // namespace datashard::commit
