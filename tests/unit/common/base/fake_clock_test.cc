#include "tests/testing/fake_clock.h"

#include <memory>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/thread.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;

TEST(FakeClockTest, StandsStillUntilMoved) {
  FakeClock clock;
  const absl::Time wall = clock.Now();
  const MonotonicTime monotonic = clock.MonotonicNow();
  EXPECT_EQ(clock.Now(), wall);
  clock.Advance(absl::Minutes(5));
  EXPECT_EQ(clock.Now() - wall, absl::Minutes(5));
  EXPECT_EQ(clock.MonotonicNow() - monotonic, absl::Minutes(5));
}

TEST(FakeClockTest, WallClockJumpsAlone) {
  FakeClock clock;
  const MonotonicTime monotonic = clock.MonotonicNow();
  clock.SetWallTime(absl::UnixEpoch());
  EXPECT_EQ(clock.Now(), absl::UnixEpoch());
  EXPECT_EQ(clock.MonotonicNow(), monotonic);
}

TEST(FakeClockTest, AlarmsRingInOrderEachAtItsOwnTime) {
  FakeClock clock;
  const MonotonicTime start = clock.MonotonicNow();
  std::vector<absl::Duration> rung;
  const auto ring = [&] { rung.push_back(clock.MonotonicNow() - start); };
  const auto second = clock.CallAt(start + absl::Seconds(2), ring);
  const auto first = clock.CallAt(start + absl::Seconds(1), ring);
  std::unique_ptr<Alarm> chained;
  const auto third = clock.CallAt(start + absl::Seconds(3), [&] {
    ring();
    chained = clock.CallAt(start + absl::Seconds(4), ring);
  });
  const auto later = clock.CallAt(start + absl::Seconds(11), ring);

  clock.Advance(absl::Seconds(10));

  EXPECT_THAT(rung,
              ElementsAre(absl::Seconds(1), absl::Seconds(2), absl::Seconds(3), absl::Seconds(4)));
  EXPECT_EQ(clock.MonotonicNow() - start, absl::Seconds(10));
}

TEST(FakeClockTest, EveryDueWaiterIsWokenAndNoOther) {
  FakeClock clock;
  const MonotonicTime start = clock.MonotonicNow();
  Mutex mutex;
  CondVar never;
  int ended = 0;
  std::vector<Thread> threads;
  for (int i = 1; i <= 10; ++i) {
    threads.emplace_back("waiter", [&, i] {
      MutexLock lock(&mutex);
      while (clock.WaitUntil(&never, &mutex, start + absl::Seconds(i))) {
      }
      ++ended;
    });
  }
  clock.AwaitWaiters(10);
  clock.Advance(absl::Seconds(4));
  for (int i = 0; i < 4; ++i) threads[static_cast<size_t>(i)].Join();
  {
    MutexLock lock(&mutex);
    EXPECT_EQ(ended, 4);
  }
  clock.Advance(absl::Seconds(6));
  threads.clear();
  MutexLock lock(&mutex);
  EXPECT_EQ(ended, 10);
}

}  // namespace
}  // namespace holdfast
