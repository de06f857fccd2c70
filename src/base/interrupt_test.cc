#include "base/interrupt.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "support/matchers.h"

namespace datashard {
namespace {

Interrupted Says(std::string text) {
  return [text = std::move(text)]() -> Status { return Unavailable("{}", text); };
}

TEST(Interrupt, WithoutAScopeNothingIsInterrupted) { EXPECT_THAT(AskInterrupted(), IsOk()); }

TEST(Interrupt, TheInnermostErrorIsHeardFirstAndOuterOnesToo) {
  InterruptScope outer(Says("outer"));
  {
    InterruptScope nothing({});
    EXPECT_THAT(AskInterrupted(), HasMessage("outer"));
    InterruptScope inner(Says("inner"));
    EXPECT_THAT(AskInterrupted(), HasMessage("inner"));
  }
  EXPECT_THAT(AskInterrupted(), HasMessage("outer"));
}

TEST(Interrupt, AnotherThreadHasScopesOfItsOwn) {
  InterruptScope scope(Says("here"));
  Status there = Unavailable("not asked");
  std::thread([&] { there = AskInterrupted(); }).join();
  EXPECT_THAT(there, IsOk());
}

TEST(Interrupt, WorkGoesOnForItsGraceOnceAnErrorWasHeard) {
  InterruptScope outer(Says("outer"));
  {
    InterruptScope patient({}, std::chrono::minutes(10));
    EXPECT_THAT(AskInterrupted(), IsOk());
    EXPECT_THAT(AskInterrupted(), IsOk());
  }
  InterruptScope hasty({}, std::chrono::milliseconds(1));
  EXPECT_THAT(AskInterrupted(), IsOk());
  SystemClock().Sleep(std::chrono::milliseconds(2));
  EXPECT_THAT(AskInterrupted(), HasMessage("outer"));
}

}  // namespace
}  // namespace datashard
