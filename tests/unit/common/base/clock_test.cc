#include "common/base/clock.h"

#include <atomic>
#include <memory>
#include <vector>

#include "common/base/cancellation.h"
#include "common/base/mutex.h"
#include "common/base/thread.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

TEST(MonotonicTimeTest, DifferencesAreDurations) {
  const MonotonicTime start = MonotonicTime::SinceStart(absl::Seconds(5));
  EXPECT_EQ((start + absl::Seconds(3)) - start, absl::Seconds(3));
  EXPECT_EQ(start - absl::Seconds(5), MonotonicTime());
  EXPECT_LT(start, start + absl::Nanoseconds(1));
  EXPECT_LT(start + absl::Hours(1'000'000), MonotonicTime::InfiniteFuture());
  EXPECT_EQ(MonotonicTime::InfiniteFuture() + absl::Seconds(1), MonotonicTime::InfiniteFuture());
}

TEST(SystemClockTest, MonotonicTimeNeverGoesBack) {
  MonotonicTime previous = SystemClock().MonotonicNow();
  for (int i = 0; i < 10'000; ++i) {
    const MonotonicTime now = SystemClock().MonotonicNow();
    ASSERT_GE(now, previous);
    previous = now;
  }
}

TEST(SystemClockTest, WaitEndsNotBeforeItsDeadline) {
  Mutex mutex;
  CondVar never;
  MutexLock lock(&mutex);
  const MonotonicTime deadline = SystemClock().MonotonicNow() + absl::Milliseconds(20);
  while (SystemClock().WaitUntil(&never, &mutex, deadline)) {
  }
  EXPECT_GE(SystemClock().MonotonicNow(), deadline);
}

TEST(SystemClockTest, WaitForAPassedDeadlineReturnsAtOnce) {
  Mutex mutex;
  CondVar never;
  MutexLock lock(&mutex);
  EXPECT_FALSE(SystemClock().WaitUntil(&never, &mutex, SystemClock().MonotonicNow()));
  EXPECT_FALSE(SystemClock().WaitUntil(&never, &mutex, MonotonicTime()));
}

TEST(SystemClockTest, SignalEndsAWaitWithoutEnd) {
  Mutex mutex;
  CondVar changed;
  bool is_set = false;
  Thread setter("setter", [&] {
    MutexLock lock(&mutex);
    is_set = true;
    changed.Signal();
  });
  MutexLock lock(&mutex);
  while (!is_set) {
    EXPECT_TRUE(SystemClock().WaitUntil(&changed, &mutex, MonotonicTime::InfiniteFuture()));
  }
}

TEST(SystemClockTest, AlarmsRingInTheOrderOfTheirTimes) {
  Mutex mutex;
  CondVar changed;
  std::vector<int> rung;
  const auto ring = [&](int n) {
    return [&, n] {
      MutexLock lock(&mutex);
      rung.push_back(n);
      changed.SignalAll();
    };
  };
  const MonotonicTime now = SystemClock().MonotonicNow();
  const auto never = SystemClock().CallAt(MonotonicTime::InfiniteFuture(), ring(0));
  const auto late = SystemClock().CallAt(now + absl::Milliseconds(40), ring(3));
  const auto soon = SystemClock().CallAt(now + absl::Milliseconds(20), ring(2));
  const auto passed = SystemClock().CallAt(MonotonicTime(), ring(1));
  SystemClock().CallAt(now + absl::Milliseconds(30), ring(99)).reset();  // called off

  MutexLock lock(&mutex);
  while (rung.size() < 3) changed.Wait(&mutex);
  EXPECT_THAT(rung, testing::ElementsAre(1, 2, 3));
  EXPECT_GE(SystemClock().MonotonicNow() - now, absl::Milliseconds(40));
}

TEST(SystemClockTest, NewAlarmRingsSoonerThanOneThatIsWaitedFor) {
  Mutex mutex;
  CondVar changed;
  int rung = 0;
  const auto ring = [&] {
    MutexLock lock(&mutex);
    ++rung;
    changed.SignalAll();
  };
  const MonotonicTime start = SystemClock().MonotonicNow();
  const auto far = SystemClock().CallAt(start + absl::Hours(1), [] {});
  for (int i = 1; i <= 5; ++i) {
    const auto soon = SystemClock().CallAt(MonotonicTime(), ring);
    MutexLock lock(&mutex);
    while (rung < i) changed.Wait(&mutex);
  }
  EXPECT_LT(SystemClock().MonotonicNow() - start, absl::Seconds(8));
}

TEST(SystemClockTest, DestroyingAnAlarmWaitsForItsCall) {
  Mutex mutex;
  CondVar changed;
  bool is_running = false;
  bool may_return = false;
  std::atomic<bool> has_returned = false;
  auto alarm = SystemClock().CallAt(MonotonicTime(), [&] {
    MutexLock lock(&mutex);
    is_running = true;
    changed.SignalAll();
    while (!may_return) changed.Wait(&mutex);
    has_returned = true;
  });
  {
    MutexLock lock(&mutex);
    while (!is_running) changed.Wait(&mutex);
  }
  Thread releaser("releaser", [&] {
    MutexLock lock(&mutex);
    may_return = true;
    changed.SignalAll();
  });
  alarm.reset();
  EXPECT_TRUE(has_returned);
}

TEST(SystemClockTest, AlarmMayDestroyItself) {
  Mutex mutex;
  CondVar changed;
  bool has_rung = false;
  std::unique_ptr<Alarm> alarm;
  MutexLock lock(&mutex);
  alarm = SystemClock().CallAt(MonotonicTime(), [&] {
    MutexLock inner_lock(&mutex);
    alarm.reset();
    has_rung = true;
    changed.Signal();
  });
  while (!has_rung) changed.Wait(&mutex);
  EXPECT_EQ(alarm, nullptr);
}

TEST(SystemClockTest, SleepForSleeps) {
  const MonotonicTime start = SystemClock().MonotonicNow();
  EXPECT_OK(SleepFor(SystemClock(), absl::Milliseconds(10), Cancellation()));
  EXPECT_GE(SystemClock().MonotonicNow() - start, absl::Milliseconds(10));
}

}  // namespace
}  // namespace holdfast
