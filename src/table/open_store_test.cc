#include "table/open_store.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "sim/sim_clock.h"
#include "storage/temporary_directory.h"
#include "support/matchers.h"

namespace datashard {
namespace {

TEST(OpenTablePlace, AUriOfAnotherKindIsNoDirectory) {
  const TemporaryDirectory directory;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(directory.path());
  sim::SimClock clock;
  MetricSums metrics;
  const std::unique_ptr<Random> random = SeededRandom(1);
  const Outside outside{clock, *random, metrics, SilentLog()};
  for (const Variables& variables : {Variables{}, Variables{{"DATASHARD_STORAGE_TYPE", "s3"}, {"DATASHARD_S3_BUCKET", "b"}}}) {
    for (const char* path : {"gs://bucket/t", "file:///tmp/t", "https://host/t", "s3:/bucket/t", "a b://c"}) {
      const auto opened = OpenTablePlace(path, /*create=*/true, GivenEnvironment(variables), outside);
      EXPECT_THAT(opened, HasKind(ErrorKind::kInvalidArgument)) << path;
      EXPECT_THAT(opened, HasMessage("a directory or s3://bucket/path, not " + std::string(path)));
    }
  }
  EXPECT_THAT(OpenTablePlace("s3a://bucket/t", /*create=*/true, GivenEnvironment({}), outside), IsOk());
  EXPECT_THAT(OpenTablePlace("key=a:b", /*create=*/true, GivenEnvironment({}), outside), IsOk());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator("."), {}), 1) << "only key=a:b";
  std::filesystem::current_path(before);
}

}  // namespace
}  // namespace datashard
