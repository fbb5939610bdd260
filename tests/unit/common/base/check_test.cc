#include "common/base/check.h"

#include "gtest/gtest.h"

namespace holdfast {
namespace {

TEST(CheckDeathTest, FalseEndsTheProcessAndSaysWhere) {
  EXPECT_DEATH(HOLDFAST_CHECK(1 == 2), "check_test.cc:.*check failed: 1 == 2");
  EXPECT_DEATH(HOLDFAST_CHECK(false, "a bad day"), "check failed: false: a bad day");
}

TEST(CheckTest, TrueDoesNothing) {
  int evaluated = 0;
  HOLDFAST_CHECK(++evaluated == 1, "never shown");
  EXPECT_EQ(evaluated, 1);
}

}  // namespace
}  // namespace holdfast
