#include "backup-agent/retention/clock_witness.h"

#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"

namespace holdfast {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);

class ClockWitnessTest : public testing::Test {
 protected:
  ClockWitnessTest() { witness_.Look(clock_); }

  void Pass(absl::Duration duration) {
    clock_.Advance(duration);
    witness_.Look(clock_);
  }
  void Restart() {
    ClockWitness next;
    next.Load(witness_.last_look(), witness_.steady_for(), witness_.gaps());
    witness_ = next;
  }

  FakeClock clock_;
  ClockWitness witness_;
};

TEST_F(ClockWitnessTest, TimeThatPassesIsSteady) {
  EXPECT_EQ(witness_.steady_for(), absl::ZeroDuration());
  for (int i = 0; i < 10; ++i) Pass(kDay);
  EXPECT_EQ(witness_.steady_for(), 10 * kDay) << "also where it is long from look to look";
}

TEST_F(ClockWitnessTest, JumpEitherWayBeginsAnew) {
  for (const absl::Duration jump : {30 * kDay, -30 * kDay}) {
    Pass(8 * kDay);
    EXPECT_GT(witness_.steady_for(), 7 * kDay);
    clock_.SetWallTime(clock_.Now() + jump);
    Pass(absl::Hours(1));
    EXPECT_EQ(witness_.steady_for(), absl::ZeroDuration());
  }
}

TEST_F(ClockWitnessTest, ClockThatIsSetRightByHoursIsNoJump) {
  Pass(8 * kDay);
  clock_.SetWallTime(clock_.Now() + absl::Hours(3));
  Pass(absl::Hours(1));
  EXPECT_EQ(witness_.steady_for(), 8 * kDay + absl::Hours(1));
}

TEST_F(ClockWitnessTest, RestartGoesOnWhereTheMachineWasOff) {
  Pass(8 * kDay);
  Restart();
  Pass(absl::Hours(2));
  EXPECT_EQ(witness_.steady_for(), 8 * kDay + absl::Hours(2));
  Restart();
  Pass(ClockWitness::kGapMax + absl::Hours(1));
  EXPECT_EQ(witness_.steady_for(), absl::ZeroDuration()) << "or the clock was set, who knows";
  // A clock that was set back while the agent was down.
  Pass(8 * kDay);
  Restart();
  clock_.SetWallTime(clock_.Now() - absl::Hours(5));
  witness_.Look(clock_);
  EXPECT_EQ(witness_.steady_for(), 8 * kDay);
  Restart();
  clock_.SetWallTime(clock_.Now() - 2 * kDay);
  witness_.Look(clock_);
  EXPECT_EQ(witness_.steady_for(), absl::ZeroDuration());
}

// A machine that is off from Friday evening to Monday morning.
TEST_F(ClockWitnessTest, TimeOffIsNotCountedAndBeginsNothingAnew) {
  for (int week = 0; week < 10; ++week) {
    Restart();
    Pass(3 * kDay);
    for (int hours = 0; hours < 4 * 24; ++hours) Pass(absl::Hours(1));
  }
  EXPECT_EQ(witness_.steady_for(), 10 * 4 * kDay);
  EXPECT_EQ(witness_.WallTimeOf(4 * kDay), 4 * kDay);
  EXPECT_EQ(witness_.WallTimeOf(5 * kDay), 5 * kDay + 3 * kDay);
  EXPECT_EQ(witness_.WallTimeOf(7 * kDay), 7 * kDay + 3 * kDay);
  EXPECT_LE(witness_.gaps().size(), 3u) << "those that still matter";
}

// What was deleted just before is not old by a clock that was set forward while the agent was down.
TEST_F(ClockWitnessTest, AGapMakesNothingOld) {
  Pass(30 * kDay);
  const absl::Time deleted = clock_.Now();
  Restart();
  Pass(20 * kDay);
  Pass(6 * kDay);
  EXPECT_LT(clock_.Now() - witness_.WallTimeOf(7 * kDay), deleted);
  Pass(kDay);
  EXPECT_GT(clock_.Now() - witness_.WallTimeOf(7 * kDay), deleted);
}

TEST_F(ClockWitnessTest, TooManyGapsBeginAnew) {
  Pass(8 * kDay);
  for (size_t i = 0; i < ClockWitness::kGapsMax; ++i) {
    Restart();
    Pass(2 * kDay);
  }
  EXPECT_EQ(witness_.steady_for(), 8 * kDay);
  Restart();
  Pass(2 * kDay);
  EXPECT_EQ(witness_.steady_for(), absl::ZeroDuration());
}

}  // namespace
}  // namespace holdfast
