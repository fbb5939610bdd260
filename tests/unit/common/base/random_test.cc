#include "common/base/random.h"

#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/seeded_random.h"

namespace holdfast {
namespace {

using ::testing::Each;
using ::testing::Ge;
using ::testing::MatchesRegex;

TEST(SystemRandomTest, FillsAllBytes) {
  // A byte that is never touched stays zero; a random one is zero each time once in 2^64.
  std::vector<uint8_t> seen(100'000);
  for (int round = 0; round < 8; ++round) {
    std::vector<uint8_t> bytes(seen.size());
    SystemRandom().Fill(absl::MakeSpan(bytes));
    for (size_t i = 0; i < bytes.size(); ++i) seen[i] |= bytes[i];
  }
  EXPECT_THAT(seen, Each(Ge(1)));
  SystemRandom().Fill({});
}

TEST(RandomSourceTest, UniformReachesAllBelowItsBoundAboutAsOften) {
  SeededRandom random(1);
  std::vector<int> counts(7);
  for (int i = 0; i < 70'000; ++i) ++counts.at(random.Uniform(7));
  EXPECT_THAT(counts, Each(testing::AllOf(testing::Gt(9'500), testing::Lt(10'500))));
}

TEST(RandomSourceTest, UniformHasNoBiasForHugeBounds) {
  // With a plain remainder two thirds of the results would be in the lower half.
  SeededRandom random(1);
  const uint64_t bound = uint64_t{3} << 62;
  int lower = 0;
  for (int i = 0; i < 10'000; ++i) lower += random.Uniform(bound) < bound / 2 ? 1 : 0;
  EXPECT_GT(lower, 4'800);
  EXPECT_LT(lower, 5'200);
}

TEST(RandomSourceTest, UniformOfOneIsZero) { EXPECT_EQ(SystemRandom().Uniform(1), 0); }

TEST(RandomSourceTest, UniformDurationStaysBelowItsBound) {
  SeededRandom random;
  for (int i = 0; i < 1000; ++i) {
    const absl::Duration duration = random.UniformDuration(absl::Microseconds(1));
    EXPECT_GE(duration, absl::ZeroDuration());
    EXPECT_LT(duration, absl::Microseconds(1));
  }
  EXPECT_EQ(random.UniformDuration(absl::ZeroDuration()), absl::ZeroDuration());
  EXPECT_EQ(random.UniformDuration(-absl::Seconds(1)), absl::ZeroDuration());
}

TEST(RandomSourceTest, HexIsTwoDigitsAByteAndNeverTheSame) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string hex = SystemRandom().Hex(8);
    EXPECT_THAT(hex, MatchesRegex("[0-9a-f]+"));
    EXPECT_EQ(hex.size(), 16);
    seen.insert(hex);
  }
  EXPECT_EQ(seen.size(), 1000);
}

TEST(SeededRandomTest, SameSeedSameBytes) {
  SeededRandom a(7);
  SeededRandom b(7);
  SeededRandom c(8);
  const std::string bytes = a.Hex(100);
  EXPECT_EQ(bytes, b.Hex(100));
  EXPECT_NE(bytes, c.Hex(100));
  EXPECT_NE(bytes, a.Hex(100));
}

}  // namespace
}  // namespace holdfast
