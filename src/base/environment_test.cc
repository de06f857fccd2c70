#include "base/environment.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace datashard {
namespace {

TEST(Environment, AVariableOfTheProcessIsReadWhenAsked) {
  ASSERT_EQ(setenv("DATASHARD_TEST_VARIABLE", "first", 1), 0);
  EXPECT_EQ(ProcessEnvironment().Get("DATASHARD_TEST_VARIABLE"), "first");
  ASSERT_EQ(setenv("DATASHARD_TEST_VARIABLE", "second", 1), 0);
  EXPECT_EQ(ProcessEnvironment().Get("DATASHARD_TEST_VARIABLE"), "second");
  ASSERT_EQ(unsetenv("DATASHARD_TEST_VARIABLE"), 0);
  EXPECT_EQ(ProcessEnvironment().Get("DATASHARD_TEST_VARIABLE"), "");
}

TEST(Environment, AGivenOneHasNothingElse) {
  const GivenEnvironment environment(Variables{{"A", "1"}});
  EXPECT_EQ(environment.Get("A"), "1");
  EXPECT_EQ(environment.Get("PATH"), "");
}

}  // namespace
}  // namespace datashard
