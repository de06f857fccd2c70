#include "sim/power_loss_store.h"

#include <gtest/gtest.h>

#include <set>

#include "sim/sim_clock.h"
#include "support/matchers.h"

namespace datashard::sim {
namespace {

/// What `key` holds after a power loss of the disk that `prepare` made, over many seeds; "(absent)" for nothing.
template <typename Prepare>
std::set<std::string> Outcomes(std::string_view key, Prepare prepare) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SimClock clock;
    PowerLossStore disk("disk", clock);
    prepare(disk);
    const std::unique_ptr<Random> random = SeededRandom(seed);
    disk.PowerLoss(*random);
    EXPECT_EQ(disk.unsynced_count(), 0);
    const Result<Bytes> body = disk.Get(key);
    outcomes.insert(body.ok() ? *body : "(absent)");
  }
  return outcomes;
}

TEST(PowerLossStore, WhatWasSyncedStays) {
  EXPECT_THAT(Outcomes("a", [](PowerLossStore& disk) {
                const std::unique_ptr<WriteGroup> group = disk.NewWriteGroup();
                ASSERT_THAT(group->Put("a", "body"), IsOk());
                ASSERT_THAT(group->Sync(), IsOk());
              }), testing::ElementsAre("body"));
  EXPECT_THAT(Outcomes("w", [](PowerLossStore& disk) {
                const std::unique_ptr<WriteGroup> group = disk.NewWriteGroup();
                ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectWriter> writer, group->Open("w"));
                ASSERT_THAT(writer->Append("bo"), IsOk());
                ASSERT_THAT(writer->Append("dy"), IsOk());
                ASSERT_THAT(writer->Finish(), IsOk());
                ASSERT_THAT(group->Sync(), IsOk());
              }), testing::ElementsAre("body"));
  EXPECT_THAT(Outcomes("v1", [](PowerLossStore& disk) { ASSERT_THAT(disk.PutIfAbsent("v1", "body"), IsOk()); }),
              testing::ElementsAre("body"));
}

TEST(PowerLossStore, WhatWasNotSyncedMaySurviveWholeDamagedOrNotAtAll) {
  const std::set<std::string> all = {"(absent)", "", "a", "ab", std::string("a\0", 2), std::string("\0\0", 2)};
  EXPECT_EQ(Outcomes("a", [](PowerLossStore& disk) { ASSERT_THAT(disk.NewWriteGroup()->Put("a", "ab"), IsOk()); }), all);
  EXPECT_EQ(Outcomes("a", [](PowerLossStore& disk) {
              // Another group's sync, or another file's, covers nothing of this one.
              const std::unique_ptr<WriteGroup> group = disk.NewWriteGroup();
              ASSERT_THAT(group->Put("b", "b"), IsOk());
              ASSERT_THAT(disk.NewWriteGroup()->Put("a", "ab"), IsOk());
              ASSERT_THAT(group->Sync(), IsOk());
              ASSERT_THAT(disk.PutIfAbsent("v1", "1"), IsOk());
            }), all);
}

TEST(PowerLossStore, ReplaceAndDeleteMayBeUndone) {
  EXPECT_THAT(Outcomes("hint", [](PowerLossStore& disk) {
                ASSERT_THAT(disk.PutIfAbsent("hint", "1"), IsOk());
                ASSERT_THAT(disk.Replace("hint", "2"), IsOk());
                ASSERT_THAT(disk.Replace("hint", "3"), IsOk());
              }), testing::UnorderedElementsAre("1", "2", "3", "", std::string("\0", 1), "(absent)"));
  EXPECT_THAT(Outcomes("a", [](PowerLossStore& disk) {
                ASSERT_THAT(disk.PutIfAbsent("a", "1"), IsOk());
                ASSERT_THAT(disk.Delete("a"), IsOk());
                EXPECT_THAT(disk.Get("a"), HasKind(ErrorKind::kNotFound));
                EXPECT_EQ(disk.unsynced_count(), 1);
              }), testing::UnorderedElementsAre("1", "(absent)"));
}

TEST(PowerLossStore, ANameWhoseSyncFailedIsWholeOrAbsent) {
  EXPECT_THAT(Outcomes("v1", [](PowerLossStore& disk) {
                disk.FailNameSyncs(1);
                EXPECT_THAT(disk.PutIfAbsent("v1", "body"), HasKind(ErrorKind::kCommitUnknown));
                EXPECT_THAT(disk.PutIfAbsent("v1", "body"), HasKind(ErrorKind::kAlreadyExists));
                EXPECT_THAT(disk.PutIfAbsent("v2", "body"), IsOk()) << "only one was to fail";
              }), testing::UnorderedElementsAre("body", "(absent)"));
}

TEST(PowerLossStore, AFailedSyncIsNotMadeUpForByALaterOne) {
  const auto prepare = [](bool fails) {
    return [fails](PowerLossStore& disk) {
      ASSERT_THAT(disk.PutIfAbsent("v1", "1"), IsOk());
      ASSERT_THAT(disk.DropBody("v1", "dropped"), IsOk());
      disk.FailNameSyncs(fails ? 1 : 0);
      EXPECT_EQ(disk.PutIfAbsent("v2", "2").ok(), !fails);
      ASSERT_THAT(disk.PutIfAbsent("v3", "3"), IsOk());
    };
  };
  EXPECT_THAT(Outcomes("v1", prepare(false)), testing::ElementsAre("dropped"));
  EXPECT_THAT(Outcomes("v1", prepare(true)), testing::UnorderedElementsAre("1", "dropped", "(absent)"));
  EXPECT_THAT(Outcomes("v2", prepare(true)), testing::UnorderedElementsAre("2", "(absent)"));
  EXPECT_THAT(Outcomes("v3", prepare(true)), testing::ElementsAre("3"));
}

TEST(PowerLossStore, KeysFallBackIndependently) {
  std::set<std::pair<bool, bool>> survivors;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SimClock clock;
    PowerLossStore disk("disk", clock);
    const std::unique_ptr<WriteGroup> group = disk.NewWriteGroup();
    ASSERT_THAT(group->Put("first", "1"), IsOk());
    ASSERT_THAT(group->Put("second", "2"), IsOk());
    const std::unique_ptr<Random> random = SeededRandom(seed);
    disk.PowerLoss(*random);
    survivors.emplace(disk.Head("first").ok(), disk.Head("second").ok());
  }
  EXPECT_EQ(survivors.size(), 4u) << "a later write may survive an earlier one";
}

TEST(PowerLossStore, TheSameSeedLosesTheSame) {
  std::set<std::string> outcomes;
  for (int run = 0; run < 10; ++run) {
    SimClock clock;
    PowerLossStore disk("disk", clock);
    ASSERT_THAT(disk.NewWriteGroup()->Put("a", "0123456789"), IsOk());
    const std::unique_ptr<Random> random = SeededRandom(5);
    disk.PowerLoss(*random);
    const Result<Bytes> body = disk.Get("a");
    outcomes.insert(body.ok() ? *body : "(absent)");
  }
  EXPECT_EQ(outcomes.size(), 1u);
}

TEST(PowerLossStore, HandlesFromBeforeAreDead) {
  SimClock clock;
  PowerLossStore disk("disk", clock);
  ASSERT_THAT(disk.PutIfAbsent("v1", "1"), IsOk());
  const std::unique_ptr<WriteGroup> group = disk.NewWriteGroup();
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectWriter> writer, group->Open("w"));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectReader> reader, disk.OpenReader("v1"));
  const std::unique_ptr<Random> random = SeededRandom(1);
  disk.PowerLoss(*random);
  char letter = 0;
  EXPECT_THAT(group->Put("a", "a"), HasKind(ErrorKind::kUnavailable));
  EXPECT_THAT(group->Sync(), HasKind(ErrorKind::kUnavailable));
  EXPECT_THAT(writer->Append("w"), HasKind(ErrorKind::kUnavailable));
  EXPECT_THAT(writer->Finish(), HasKind(ErrorKind::kUnavailable));
  EXPECT_THAT(reader->ReadAt(0, 1, &letter), HasKind(ErrorKind::kUnavailable));
  EXPECT_THAT(disk.Get("v1"), IsOk());
  EXPECT_THAT(disk.NewWriteGroup()->Put("a", "a"), IsOk());
}

}  // namespace
}  // namespace datashard::sim
