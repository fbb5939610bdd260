#include "common/base/executor.h"

#include <atomic>
#include <memory>

#include "common/base/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"

namespace holdfast {
namespace {

// Lets tasks wait until a test opens it.
class Gate {
 public:
  void Open() {
    MutexLock lock(&mutex_);
    is_open_ = true;
    changed_.SignalAll();
  }
  // As a task: tells that it runs, and waits for the gate.
  void Enter() {
    MutexLock lock(&mutex_);
    ++entered_;
    changed_.SignalAll();
    while (!is_open_) changed_.Wait(&mutex_);
  }
  void AwaitEntered(int count) {
    MutexLock lock(&mutex_);
    while (entered_ < count) changed_.Wait(&mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool is_open_ ABSL_GUARDED_BY(mutex_) = false;
  int entered_ ABSL_GUARDED_BY(mutex_) = 0;
};

TEST(BoundedExecutorTest, RunsEveryTaskOnce) {
  std::atomic<int> runs = 0;
  {
    BoundedExecutor executor({.name = "test", .threads = 4, .queue_max = 8});
    for (int i = 0; i < 1000; ++i) EXPECT_TRUE(executor.Schedule([&] { ++runs; }));
  }
  EXPECT_EQ(runs, 1000);
}

TEST(BoundedExecutorTest, AsManyTasksRunAtOnceAsThereAreThreads) {
  Gate gate;
  BoundedExecutor executor({.name = "test", .threads = 3, .queue_max = 3});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(executor.Schedule([&] { gate.Enter(); }));
  gate.AwaitEntered(3);  // for ever, were it fewer
  gate.Open();
}

TEST(BoundedExecutorTest, IsIdleOnceAllThatItTookHasEnded) {
  FakeClock clock;
  Gate gate;
  BoundedExecutor executor({.name = "test", .threads = 1, .queue_max = 2});
  EXPECT_TRUE(executor.AwaitIdle(clock, MonotonicTime::InfiniteFuture()));
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(executor.Schedule([&] { gate.Enter(); }));
  gate.AwaitEntered(1);
  EXPECT_EQ(executor.pending(), 2u) << "one runs, one waits";
  EXPECT_FALSE(executor.AwaitIdle(clock, clock.MonotonicNow()));
  gate.Open();
  EXPECT_TRUE(executor.AwaitIdle(clock, MonotonicTime::InfiniteFuture()));
  EXPECT_EQ(executor.pending(), 0u);
}

TEST(BoundedExecutorTest, RefusesWhatDoesNotFitIntoTheQueue) {
  Gate gate;
  std::atomic<int> runs = 0;
  BoundedExecutor executor({.name = "test", .threads = 1, .queue_max = 2});
  EXPECT_TRUE(executor.TrySchedule([&] { gate.Enter(); }));
  gate.AwaitEntered(1);
  EXPECT_TRUE(executor.TrySchedule([&] { ++runs; }));
  EXPECT_TRUE(executor.TrySchedule([&] { ++runs; }));
  EXPECT_FALSE(executor.TrySchedule([&] { ++runs; }));
  gate.Open();
  executor.Shutdown();
  EXPECT_EQ(runs, 2);
}

TEST(BoundedExecutorTest, RefusesTasksAfterShutdown) {
  BoundedExecutor executor({.name = "test", .threads = 1, .queue_max = 2});
  executor.Shutdown();
  executor.Shutdown();
  EXPECT_FALSE(executor.TrySchedule([] { FAIL(); }));
  EXPECT_FALSE(executor.Schedule([] { FAIL(); }));
}

TEST(BoundedExecutorTest, ShutdownFreesThoseWhoWaitForRoom) {
  Gate gate;
  BoundedExecutor executor({.name = "test", .threads = 1, .queue_max = 1});
  EXPECT_TRUE(executor.Schedule([&] { gate.Enter(); }));
  gate.AwaitEntered(1);
  EXPECT_TRUE(executor.Schedule([] {}));
  std::atomic<int> accepted = 0;
  Thread blocked("blocked", [&] { accepted += executor.Schedule([] {}) ? 1 : 0; });
  Thread shutdown("shutdown", [&] { executor.Shutdown(); });
  // The only room is made by the gate; without it only a shutdown ends the wait.
  blocked.Join();
  EXPECT_EQ(accepted, 0);
  gate.Open();
}

TEST(BoundedExecutorTest, TaskIsDestroyedOnceItHasRun) {
  BoundedExecutor executor({.name = "test", .threads = 1, .queue_max = 1});
  auto held = std::make_shared<int>(1);
  EXPECT_TRUE(executor.Schedule([held] {}));
  executor.Shutdown();
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace holdfast
