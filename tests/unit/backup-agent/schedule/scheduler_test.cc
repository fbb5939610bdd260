#include "backup-agent/schedule/scheduler.h"

#include <optional>
#include <string>

#include "common/messages/proto_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::Eq;
using ::testing::Ge;
using ::testing::Le;
using ::testing::Optional;
using RunEnd = Scheduler::RunEnd;

class SchedulerTest : public ::testing::Test {
 protected:
  // 2026-11-22 18:35 UTC; the schedule's times are 00:00, 04:00, … 20:00 UTC.
  SchedulerTest() : clock_(absl::FromUnixSeconds(1'795'372'500)) {}

  static ScheduleTimes Every(absl::Duration interval) {
    v1::Schedule schedule;
    *schedule.mutable_interval() = ToProto(interval);
    return *ScheduleTimes::Create(schedule);
  }

  absl::Time Today(int hour, int minute = 0) const {
    return absl::FromUnixSeconds(1'795'305'600) + absl::Hours(hour) + absl::Minutes(minute);
  }

  Scheduler Make(const Scheduler::Remembered& remembered = {}) {
    return Scheduler(clock_, random_, Every(absl::Hours(4)), remembered);
  }

  // Follows `look_again` until a run shall start, and returns how long that took.
  struct Started {
    v1::Run::Cause cause;
    absl::Duration after;
  };
  Started AdvanceToStart(Scheduler& scheduler) {
    const MonotonicTime begin = clock_.MonotonicNow();
    for (int i = 0; i < 100'000; ++i) {
      const Scheduler::Decision decision = scheduler.Decide();
      if (decision.start.has_value()) return {*decision.start, clock_.MonotonicNow() - begin};
      const absl::Duration wait = decision.look_again - clock_.MonotonicNow();
      EXPECT_GT(wait, absl::ZeroDuration()) << "it would spin";
      clock_.Advance(wait);
    }
    ADD_FAILURE() << "no run starts";
    return {v1::Run::CAUSE_UNSPECIFIED, absl::InfiniteDuration()};
  }

  // A run of the scheduler's that takes a minute.
  void Run(Scheduler& scheduler, v1::Run::Cause cause, RunEnd end, uint32_t failures = 0) {
    scheduler.OnRunStarted(cause);
    clock_.Advance(absl::Minutes(1));
    scheduler.OnRunEnded(cause, end, failures);
  }

  FakeClock clock_;
  SeededRandom random_;
};

TEST_F(SchedulerTest, RunsStartAtTheTimesOfTheSchedule) {
  Scheduler scheduler = Make();
  EXPECT_THAT(scheduler.due(), Optional(Today(20)));
  for (const int hour : {20, 24, 28}) {
    const Started started = AdvanceToStart(scheduler);
    EXPECT_EQ(started.cause, v1::Run::CAUSE_SCHEDULED);
    EXPECT_EQ(clock_.Now(), Today(hour));
    Run(scheduler, started.cause, RunEnd::kSucceeded);
  }
}

TEST_F(SchedulerTest, NothingStartsWhereAutomaticBackupsAreOff) {
  Scheduler scheduler(clock_, random_, std::nullopt, {.due = Today(12)});
  EXPECT_FALSE(scheduler.Decide().start.has_value());
  EXPECT_EQ(scheduler.Decide().look_again, MonotonicTime::InfiniteFuture());
  EXPECT_EQ(scheduler.due(), std::nullopt);
  EXPECT_EQ(scheduler.NextStart(), std::nullopt);
}

TEST_F(SchedulerTest, MissedTimesAreCaughtUpOnce) {
  // Four times were missed.
  Scheduler scheduler = Make({.due = Today(4)});
  EXPECT_THAT(scheduler.Decide().start, Optional(Eq(v1::Run::CAUSE_CAUGHT_UP)));
  Run(scheduler, v1::Run::CAUSE_CAUGHT_UP, RunEnd::kSucceeded);
  const Started next = AdvanceToStart(scheduler);
  EXPECT_EQ(next.cause, v1::Run::CAUSE_SCHEDULED);
  EXPECT_EQ(clock_.Now(), Today(20));
}

TEST_F(SchedulerTest, TimeThatIsStillToComeIsNotCaughtUp) {
  Scheduler scheduler = Make({.due = Today(20)});
  EXPECT_FALSE(scheduler.Decide().start.has_value());
  EXPECT_EQ(AdvanceToStart(scheduler).cause, v1::Run::CAUSE_SCHEDULED);
}

TEST_F(SchedulerTest, AgentThatDiesInEveryRunDoesNotStorm) {
  Scheduler scheduler = Make({.due = Today(16), .consecutive_failures = 20});
  const Started started = AdvanceToStart(scheduler);
  EXPECT_EQ(started.cause, v1::Run::CAUSE_CAUGHT_UP);
  EXPECT_GE(started.after, absl::Seconds(30));
  EXPECT_LE(started.after, absl::Minutes(31));
}

TEST_F(SchedulerTest, RunThatWasCutByTheAgentsEndStaysDue) {
  Scheduler scheduler = Make();
  const Started started = AdvanceToStart(scheduler);
  Run(scheduler, started.cause, RunEnd::kAgentStopped);
  EXPECT_THAT(scheduler.due(), Optional(Today(20)));
  Scheduler next_process = Make({.due = scheduler.due()});
  EXPECT_THAT(next_process.Decide().start, Optional(Eq(v1::Run::CAUSE_CAUGHT_UP)));
}

TEST_F(SchedulerTest, FailedRunIsRetriedMoreAndMoreSeldom) {
  Scheduler scheduler = Make();
  Started started = AdvanceToStart(scheduler);
  Run(scheduler, started.cause, RunEnd::kFailed, 1);
  started = AdvanceToStart(scheduler);
  EXPECT_EQ(started.cause, v1::Run::CAUSE_RETRIED);
  EXPECT_THAT(started.after, AllOf(Ge(absl::Seconds(30)), Le(absl::Minutes(1))));

  absl::Duration longest;
  for (uint32_t failures = 2; failures < 200; ++failures) {
    Run(scheduler, started.cause, RunEnd::kFailed, failures);
    started = AdvanceToStart(scheduler);
    EXPECT_LE(started.after, absl::Minutes(30));
    longest = std::max(longest, started.after);
  }
  EXPECT_GE(longest, absl::Minutes(10));

  // Once it works there are no more retries.
  Run(scheduler, started.cause, RunEnd::kSucceeded);
  EXPECT_EQ(AdvanceToStart(scheduler).cause, v1::Run::CAUSE_SCHEDULED);
}

TEST_F(SchedulerTest, RetryNeverWaitsLongerThanTheInterval) {
  Scheduler scheduler(clock_, random_, Every(absl::Minutes(2)), {});
  for (uint32_t failures = 1; failures < 50; ++failures) {
    const Started started = AdvanceToStart(scheduler);
    EXPECT_LE(started.after, absl::Minutes(2));
    Run(scheduler, started.cause, RunEnd::kFailed, failures);
  }
}

TEST_F(SchedulerTest, RetryThatWasPendingIsTakenUpByTheNextProcess) {
  Scheduler scheduler = Make({.due = Today(20), .consecutive_failures = 1, .must_retry = true});
  const Started started = AdvanceToStart(scheduler);
  EXPECT_EQ(started.cause, v1::Run::CAUSE_RETRIED);
  EXPECT_LE(started.after, absl::Minutes(1));
}

TEST_F(SchedulerTest, TriggeredRunThatFailsIsNotRetried) {
  Scheduler scheduler = Make();
  Run(scheduler, v1::Run::CAUSE_TRIGGERED, RunEnd::kFailed, 1);
  EXPECT_EQ(AdvanceToStart(scheduler).cause, v1::Run::CAUSE_SCHEDULED);
}

TEST_F(SchedulerTest, TriggeredRunThatSucceedsEndsTheRetries) {
  Scheduler scheduler = Make();
  const Started started = AdvanceToStart(scheduler);
  Run(scheduler, started.cause, RunEnd::kFailed, 1);
  Run(scheduler, v1::Run::CAUSE_TRIGGERED, RunEnd::kSucceeded);
  EXPECT_EQ(AdvanceToStart(scheduler).cause, v1::Run::CAUSE_SCHEDULED);
  EXPECT_EQ(clock_.Now(), Today(24));
}

TEST_F(SchedulerTest, CancelledRunWaitsForTheNextTime) {
  Scheduler scheduler = Make();
  const Started started = AdvanceToStart(scheduler);
  Run(scheduler, started.cause, RunEnd::kCancelled);
  EXPECT_EQ(AdvanceToStart(scheduler).cause, v1::Run::CAUSE_SCHEDULED);
  EXPECT_EQ(clock_.Now(), Today(24));
}

TEST_F(SchedulerTest, TimeThatComesDuringATriggeredRunIsTakenAfterIt) {
  Scheduler scheduler = Make();
  clock_.Advance(Today(19, 59) - clock_.Now());
  scheduler.OnRunStarted(v1::Run::CAUSE_TRIGGERED);
  clock_.Advance(absl::Minutes(10));
  scheduler.OnRunEnded(v1::Run::CAUSE_TRIGGERED, RunEnd::kSucceeded, 0);
  EXPECT_THAT(scheduler.Decide().start, Optional(Eq(v1::Run::CAUSE_SCHEDULED)));
}

TEST_F(SchedulerTest, RunLongerThanTheIntervalDoesNotPileUp) {
  Scheduler scheduler = Make();
  const Started started = AdvanceToStart(scheduler);
  scheduler.OnRunStarted(started.cause);
  clock_.Advance(absl::Hours(9));
  scheduler.OnRunEnded(started.cause, RunEnd::kSucceeded, 0);
  AdvanceToStart(scheduler);
  EXPECT_EQ(clock_.Now(), Today(32));
}

TEST_F(SchedulerTest, ClockSetForwardStartsOneRun) {
  Scheduler scheduler = Make();
  clock_.SetWallTime(clock_.Now() + absl::Hours(24 * 365));
  EXPECT_THAT(scheduler.Decide().start, Optional(Eq(v1::Run::CAUSE_SCHEDULED)));
  Run(scheduler, v1::Run::CAUSE_SCHEDULED, RunEnd::kSucceeded);
  EXPECT_FALSE(scheduler.Decide().start.has_value());
}

TEST_F(SchedulerTest, ClockSetForwardAgainAndAgainDoesNotStorm) {
  Scheduler scheduler = Make();
  int runs = 0;
  // For 8 hours the clock jumps an hour forward every minute.
  for (int minute = 0; minute < 8 * 60; ++minute) {
    clock_.Advance(absl::Minutes(1));
    clock_.SetWallTime(clock_.Now() + absl::Hours(1));
    const Scheduler::Decision decision = scheduler.Decide();
    if (!decision.start.has_value()) continue;
    ++runs;
    scheduler.OnRunStarted(*decision.start);
    scheduler.OnRunEnded(*decision.start, RunEnd::kSucceeded, 0);
  }
  // One at most every half interval.
  EXPECT_LE(runs, 5);
  EXPECT_GE(runs, 2);
}

TEST_F(SchedulerTest, ClockSetBackDoesNotStall) {
  Scheduler scheduler = Make();
  Started started = AdvanceToStart(scheduler);
  Run(scheduler, started.cause, RunEnd::kSucceeded);
  clock_.SetWallTime(clock_.Now() - absl::Hours(24 * 365));
  started = AdvanceToStart(scheduler);
  EXPECT_LE(started.after, absl::Hours(4));
}

TEST_F(SchedulerTest, ClockSetBackALittleDoesNotTakeATimeTwice) {
  Scheduler scheduler = Make();
  const Started started = AdvanceToStart(scheduler);
  Run(scheduler, started.cause, RunEnd::kSucceeded);
  clock_.SetWallTime(Today(19, 55));
  EXPECT_GE(AdvanceToStart(scheduler).after, absl::Hours(4));
  EXPECT_EQ(clock_.Now(), Today(24));
}

TEST_F(SchedulerTest, ClockSetBackAgainAndAgainDoesNotStall) {
  Scheduler scheduler = Make();
  // The wall clock never gets anywhere.
  const absl::Time stuck = clock_.Now();
  absl::Duration waited;
  while (!scheduler.Decide().start.has_value()) {
    ASSERT_LT(waited, absl::Hours(8));
    clock_.Advance(absl::Minutes(1));
    clock_.SetWallTime(stuck);
    waited += absl::Minutes(1);
  }
}

TEST_F(SchedulerTest, DueTimeOfAClockThatWasWrongIsNotBelieved) {
  // An earlier process ran in the year 2036.
  Scheduler scheduler = Make({.due = clock_.Now() + absl::Hours(24 * 3650)});
  EXPECT_THAT(scheduler.due(), Optional(Today(20)));
}

TEST_F(SchedulerTest, ChangedScheduleAppliesAtOnce) {
  Scheduler scheduler = Make({.due = Today(4)});
  scheduler.SetTimes(Every(absl::Minutes(10)));
  const Started started = AdvanceToStart(scheduler);
  EXPECT_EQ(started.cause, v1::Run::CAUSE_SCHEDULED);
  EXPECT_EQ(clock_.Now(), Today(18, 40));
  scheduler.SetTimes(std::nullopt);
  EXPECT_FALSE(scheduler.Decide().start.has_value());
}

TEST_F(SchedulerTest, NextStartIsWhatWillHappen) {
  Scheduler scheduler = Make();
  EXPECT_THAT(scheduler.NextStart(), Optional(Today(20)));
  const Started started = AdvanceToStart(scheduler);
  Run(scheduler, started.cause, RunEnd::kFailed, 1);
  const std::optional<absl::Time> next = scheduler.NextStart();
  AdvanceToStart(scheduler);
  EXPECT_THAT(next, Optional(clock_.Now()));
  // What is overdue starts now, not in the past.
  Scheduler missed = Make({.due = Today(4)});
  EXPECT_THAT(missed.NextStart(), Optional(clock_.Now()));
}

}  // namespace
}  // namespace holdfast
