#include "storage/metered_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/conformance.h"
#include "support/matchers.h"

namespace datashard {
namespace {

struct Surroundings {
  MetricSums metrics;
  Outside outside{SystemClock(), SystemRandom(), metrics, SilentLog()};
};

StoreUnderTest MakeMeteredStore() {
  auto surroundings = std::make_shared<Surroundings>();
  std::shared_ptr<ObjectStore> memory = OpenMemoryStore("metered", SystemClock());
  return {.surroundings = surroundings, .store = MeteredStore(std::move(memory), surroundings->outside)};
}

DS_STORE_CONFORMANCE(Metered, (StoreMaker{"metered", MakeMeteredStore}));

TEST(MeteredStore, CountsCallsBytesAndFailuresByOperation) {
  Surroundings here;
  const std::unique_ptr<ObjectStore> store = MeteredStore(OpenMemoryStore("x", SystemClock()), here.outside);
  const std::unique_ptr<WriteGroup> group = store->NewWriteGroup();
  ASSERT_THAT(group->Put("a", "12345"), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<UnnamedObject> unnamed, group->Prepare("v1", "123"));
  ASSERT_THAT(group->Sync(), IsOk());
  ASSERT_THAT(unnamed->Publish(), IsOk());
  EXPECT_THAT(store->PutIfAbsent("v1", "x"), HasKind(ErrorKind::kAlreadyExists));
  EXPECT_THAT(store->Get("missing"), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(store->Get("../x"), HasKind(ErrorKind::kInvalidArgument));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectReader> reader, store->OpenReader("a"));
  char buffer[8];
  ASSERT_THAT(reader->ReadAt(2, 8, buffer), IsOk());
  std::map<std::string, double> counts;
  for (const auto& [name, sum] : here.metrics.Read()) {
    if (!name.ends_with("_seconds")) counts.emplace(name.substr(std::string("datashard_store_").size()), sum);
  }
  const std::map<std::string, double> expected = {
      {"group_put_calls_total", 1}, {"group_put_bytes_total", 5}, {"group_prepare_calls_total", 1}, {"group_prepare_bytes_total", 3},
      {"group_sync_calls_total", 1}, {"publish_calls_total", 1}, {"put_if_absent_calls_total", 1}, {"get_calls_total", 2},
      {"get_failures_total", 1}, {"open_reader_calls_total", 1}, {"read_at_calls_total", 1}, {"read_at_bytes_total", 3}};
  EXPECT_EQ(counts, expected);
}

}  // namespace
}  // namespace datashard
