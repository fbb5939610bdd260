#include "backup-agent/transfer/worker_pool.h"

#include <memory>

#include "common/base/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/backup-agent/transfer/backup_runner_fixture.h"

namespace holdfast {
namespace {

TEST(WorkerPoolTest, RunsWhatItIsGiven) {
  WorkerPool pool("owner", 2);
  Pending<absl::StatusOr<int>> pending =
      pool.Start<absl::StatusOr<int>>([]() -> absl::StatusOr<int> { return 7; });
  ASSERT_OK(pending.Await(SystemClock(), {}, absl::Minutes(1)));
  EXPECT_THAT(pending.Take(), IsOkAndHolds(7));
  EXPECT_TRUE(pool.Shutdown(SystemClock(), MonotonicTime::InfiniteFuture()));
}

TEST(WorkerPoolTest, TasksRunAtTheSameTimeUpToTheBound) {
  WorkerPool pool("owner", 2);
  auto gate = std::make_shared<Gate>();
  for (int i = 0; i < 3; ++i) {
    static_cast<void>(pool.Start<absl::Status>([gate] {
      gate->Pass();
      return absl::OkStatus();
    }));
  }
  gate->AwaitArrival(2);
  gate->Open();
  gate->AwaitArrival(3);
  EXPECT_TRUE(pool.Shutdown(SystemClock(), MonotonicTime::InfiniteFuture()));
}

TEST(WorkerPoolTest, StuckThreadsAreLeftBehindAndNamed) {
  auto gate = std::make_shared<Gate>();
  {
    WorkerPool pool("stuck owner", 1);
    Pending<absl::Status> stuck = pool.Start<absl::Status>([gate] {
      gate->Pass();
      return absl::OkStatus();
    });
    Pending<absl::Status> waiting = pool.Start<absl::Status>([] { return absl::OkStatus(); });
    gate->AwaitArrival();
    EXPECT_FALSE(pool.Shutdown(SystemClock(), MonotonicTime()));
    ASSERT_TRUE(waiting.IsReady());
    EXPECT_THAT(waiting.Take(), StatusIs(absl::StatusCode::kCancelled));
    EXPECT_FALSE(stuck.IsReady());
    Pending<absl::Status> late = pool.Start<absl::Status>([] { return absl::OkStatus(); });
    EXPECT_THAT(late.Take(), StatusIs(absl::StatusCode::kCancelled));
  }
  EXPECT_TRUE(WorkerPool::HasLeftBehind("stuck owner"));
  EXPECT_FALSE(WorkerPool::HasLeftBehind("another"));
  gate->Open();
  WorkerPool::AwaitLeftBehind();
  EXPECT_FALSE(WorkerPool::HasLeftBehind("stuck owner"));
}

TEST(PendingTest, WaitEndsWhenCancelled) {
  Promise<absl::Status> promise;
  CancellationSource cancel;
  cancel.Cancel(absl::CancelledError("enough"));
  EXPECT_THAT(promise.pending().Await(SystemClock(), cancel.token(), absl::Hours(1)),
              StatusIs(absl::StatusCode::kCancelled, "enough"));
}

TEST(PendingTest, WaitGoesOnWhileThereIsProgress) {
  FakeClock clock;
  Promise<absl::Status> promise;
  const ProgressCounter progress = MakeProgressCounter();
  absl::Status waited;
  Thread thread("waiter", [&, pending = promise.pending()] {
    waited = pending.Await(clock, {}, absl::Seconds(30), progress);
  });
  clock.AwaitWaiters(1);
  progress->fetch_add(1);
  clock.Advance(absl::Seconds(30));
  clock.AwaitWaitsBegun(2);
  clock.Advance(absl::Seconds(30));
  thread.Join();
  EXPECT_THAT(waited, StatusIs(absl::StatusCode::kDeadlineExceeded));
  promise.Set(absl::OkStatus());
}

}  // namespace
}  // namespace holdfast
