#include <gtest/gtest.h>

#include "datashard/object_access.h"
#include "storage/temporary_directory.h"
#include "support/matchers.h"

namespace datashard {
namespace {

TEST(ObjectAccess, ObjectsOfADirectoryComeAndGo) {
  TemporaryDirectory directory;
  const auto access = ObjectAccess::Open("file://" + directory.path() + "/objects");
  ASSERT_THAT(access, IsOk());
  ObjectAccess& objects = **access;
  ASSERT_THAT(objects.Put("a/one", "body"), IsOk());
  ASSERT_THAT(objects.Put("a/one", "new"), IsOk());
  EXPECT_EQ(*objects.Get("a/one"), "new");
  EXPECT_EQ(objects.Head("a/one")->size_bytes, 3);
  EXPECT_EQ(objects.List("a/")->size(), 1u);
  ASSERT_THAT(objects.Delete({"a/one", "a/nothing"}), IsOk());
  EXPECT_THAT(objects.Get("a/one"), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(objects.Put("../out", ""), HasKind(ErrorKind::kInvalidArgument));
}

TEST(ObjectAccess, WhatIsNoPlaceIsRefused) { EXPECT_THAT(ObjectAccess::Open("s3://"), HasKind(ErrorKind::kInvalidArgument)); }

}  // namespace
}  // namespace datashard
