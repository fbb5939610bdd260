#include "common/base/backoff.h"

#include <algorithm>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/seeded_random.h"

namespace holdfast {
namespace {

constexpr Backoff::Options kOptions = {
    .initial = absl::Seconds(1), .max = absl::Seconds(10), .multiplier = 3.0};

TEST(BackoffTest, DelaysStayBelowABoundThatGrowsToTheMaximum) {
  SeededRandom random;
  for (int round = 0; round < 1000; ++round) {
    Backoff backoff(kOptions, random);
    for (absl::Duration bound : {absl::Seconds(1), absl::Seconds(3), absl::Seconds(9),
                                 absl::Seconds(10), absl::Seconds(10)}) {
      const absl::Duration delay = backoff.Next();
      EXPECT_GE(delay, absl::ZeroDuration());
      EXPECT_LT(delay, bound);
    }
  }
}

TEST(BackoffTest, DelaysFillTheWholeRange) {
  SeededRandom random;
  absl::Duration shortest = absl::InfiniteDuration();
  absl::Duration longest = absl::ZeroDuration();
  for (int round = 0; round < 1000; ++round) {
    const absl::Duration delay = Backoff(kOptions, random).Next();
    shortest = std::min(shortest, delay);
    longest = std::max(longest, delay);
  }
  EXPECT_LT(shortest, absl::Milliseconds(50));
  EXPECT_GT(longest, absl::Milliseconds(950));
}

TEST(BackoffTest, NeverShorterThanTheMinimum) {
  SeededRandom random;
  Backoff::Options options = kOptions;
  options.min = absl::Milliseconds(900);
  for (int round = 0; round < 1000; ++round) {
    EXPECT_GE(Backoff(options, random).Next(), absl::Milliseconds(900));
  }
}

TEST(BackoffTest, ResetStartsAgainAtTheFirstBound) {
  SeededRandom random;
  Backoff backoff(kOptions, random);
  for (int i = 0; i < 10; ++i) backoff.Next();
  EXPECT_EQ(backoff.attempts(), 10);

  backoff.Reset();

  EXPECT_EQ(backoff.attempts(), 0);
  EXPECT_LT(backoff.Next(), absl::Seconds(1));
  EXPECT_EQ(backoff.attempts(), 1);
}

}  // namespace
}  // namespace holdfast
