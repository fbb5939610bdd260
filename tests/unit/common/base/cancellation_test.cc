#include "common/base/cancellation.h"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/thread.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;

constexpr auto kCancelled = absl::StatusCode::kCancelled;

TEST(CancellationTest, DefaultIsNeverCancelled) {
  Cancellation cancellation;
  CancellationCallback callback(cancellation, [] { FAIL(); });
  EXPECT_FALSE(cancellation.IsCancelled());
  EXPECT_OK(cancellation.status());
}

TEST(CancellationTest, FirstReasonStays) {
  CancellationSource source;
  const Cancellation cancellation = source.token();
  EXPECT_OK(cancellation.status());

  EXPECT_TRUE(source.Cancel(absl::CancelledError("first")));
  EXPECT_FALSE(source.Cancel(absl::AbortedError("second")));

  EXPECT_TRUE(cancellation.IsCancelled());
  EXPECT_THAT(cancellation.status(), StatusIs(kCancelled, "first"));
}

TEST(CancellationTest, TokensOutliveTheirSource) {
  auto source = std::make_unique<CancellationSource>();
  const Cancellation untouched = source->token();
  source.reset();
  EXPECT_FALSE(untouched.IsCancelled());
}

TEST(CancellationTest, CallbacksAreCalledOnceBeforeCancelReturns) {
  CancellationSource source;
  std::vector<std::string> calls;
  CancellationCallback first(source.token(), [&] { calls.push_back("first"); });
  {
    CancellationCallback gone(source.token(), [&] { calls.push_back("gone"); });
  }
  CancellationCallback second(source.token(), [&] { calls.push_back("second"); });
  source.Cancel(absl::CancelledError("stop"));
  EXPECT_THAT(calls, ElementsAre("first", "second"));
}

TEST(CancellationTest, CallbackOfACancelledTokenIsCalledAtOnce) {
  CancellationSource source;
  source.Cancel(absl::CancelledError("stop"));
  int calls = 0;
  CancellationCallback callback(source.token(), [&] { ++calls; });
  EXPECT_EQ(calls, 1);
}

TEST(CancellationTest, DestroyingACallbackWaitsUntilItHasReturned) {
  CancellationSource source;
  Mutex mutex;
  CondVar changed;
  bool is_running = false;
  bool may_return = false;
  std::atomic<bool> has_returned = false;
  auto callback = std::make_unique<CancellationCallback>(source.token(), [&] {
    MutexLock lock(&mutex);
    is_running = true;
    changed.SignalAll();
    while (!may_return) changed.Wait(&mutex);
    has_returned = true;
  });
  Thread canceller("canceller", [&] { source.Cancel(absl::CancelledError("stop")); });
  {
    MutexLock lock(&mutex);
    while (!is_running) changed.Wait(&mutex);
  }
  Thread releaser("releaser", [&] {
    MutexLock lock(&mutex);
    may_return = true;
    changed.SignalAll();
  });
  callback.reset();
  EXPECT_TRUE(has_returned);
}

TEST(CancellationTest, CallbackMayDestroyItself) {
  CancellationSource source;
  std::unique_ptr<CancellationCallback> callback;
  auto held = std::make_shared<int>(1);
  callback = std::make_unique<CancellationCallback>(source.token(), [&callback, held] {
    callback.reset();
    EXPECT_EQ(*held, 1);  // what it captured is still there
  });
  source.Cancel(absl::CancelledError("stop"));
  EXPECT_EQ(callback, nullptr);
  EXPECT_EQ(held.use_count(), 1);
}

TEST(CancellationTest, ParentCancelsItsChildrenButNotTheReverse) {
  CancellationSource parent;
  CancellationSource child(parent.token());
  CancellationSource other_child(parent.token());
  CancellationSource grandchild(child.token());

  child.Cancel(absl::CancelledError("only this branch"));
  EXPECT_THAT(grandchild.token().status(), StatusIs(kCancelled, "only this branch"));
  EXPECT_FALSE(parent.token().IsCancelled());
  EXPECT_FALSE(other_child.token().IsCancelled());

  parent.Cancel(absl::UnavailableError("shutting down"));
  EXPECT_THAT(child.token().status(), StatusIs(kCancelled));
  EXPECT_THAT(other_child.token().status(),
              StatusIs(absl::StatusCode::kUnavailable, "shutting down"));
}

TEST(CancellationTest, ChildOfACancelledParentIsBornCancelled) {
  CancellationSource parent;
  parent.Cancel(absl::CancelledError("stop"));
  CancellationSource child(parent.token());
  EXPECT_THAT(child.token().status(), StatusIs(kCancelled, "stop"));
}

TEST(CancellationTest, TokenOfAChildHearsTheParentAfterTheChildSourceIsGone) {
  CancellationSource parent;
  Cancellation token = CancellationSource(parent.token()).token();
  parent.Cancel(absl::CancelledError("stop"));
  EXPECT_TRUE(token.IsCancelled());
}

TEST(CancellationTest, ParentOutlivesOrPrecedesItsChildren) {
  auto parent = std::make_unique<CancellationSource>();
  CancellationSource child(parent->token());
  parent.reset();
  EXPECT_FALSE(child.token().IsCancelled());
  EXPECT_TRUE(child.Cancel(absl::CancelledError("stop")));
}

TEST(CancellationTest, CancelsAtTheDeadline) {
  FakeClock clock;
  CancellationSource source;
  int calls = 0;
  CancellationCallback callback(source.token(), [&] { ++calls; });
  source.CancelAt(clock, clock.MonotonicNow() + absl::Seconds(10));

  clock.Advance(absl::Seconds(10) - absl::Nanoseconds(1));
  EXPECT_FALSE(source.token().IsCancelled());
  clock.Advance(absl::Nanoseconds(1));
  EXPECT_THAT(source.token().status(), StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_EQ(calls, 1);
}

TEST(CancellationTest, NewDeadlineReplacesTheOld) {
  FakeClock clock;
  CancellationSource source;
  source.CancelAt(clock, clock.MonotonicNow() + absl::Seconds(10));
  source.CancelAt(clock, clock.MonotonicNow() + absl::Seconds(20), absl::AbortedError("too slow"));
  clock.Advance(absl::Seconds(19));
  EXPECT_FALSE(source.token().IsCancelled());
  source.CancelAt(clock, MonotonicTime::InfiniteFuture());
  clock.Advance(absl::Seconds(100));
  EXPECT_FALSE(source.token().IsCancelled());
  source.CancelAt(clock, clock.MonotonicNow(), absl::AbortedError("too slow"));
  EXPECT_THAT(source.token().status(), StatusIs(absl::StatusCode::kAborted, "too slow"));
}

TEST(CancellationTest, DeadlineOfADestroyedSourceWithoutTokensIsForgotten) {
  FakeClock clock;
  {
    CancellationSource source;
    source.CancelAt(clock, clock.MonotonicNow() + absl::Seconds(10));
  }
  clock.Advance(absl::Seconds(20));  // would touch what is gone
}

TEST(SleepForTest, ReturnsWhenTheTimeHasPassed) {
  FakeClock clock;
  std::optional<absl::Status> status;
  Thread thread("sleeper", [&] { status = SleepFor(clock, absl::Hours(4), Cancellation()); });
  clock.AwaitWaiters(1);
  clock.Advance(absl::Hours(4) - absl::Nanoseconds(1));
  clock.AwaitWaiters(1);
  clock.Advance(absl::Nanoseconds(1));
  thread.Join();
  ASSERT_TRUE(status.has_value());
  EXPECT_OK(*status);
}

TEST(SleepForTest, ReturnsTheReasonWhenCancelled) {
  FakeClock clock;
  CancellationSource source;
  absl::Status status;
  Thread thread("sleeper", [&] { status = SleepFor(clock, absl::Hours(4), source.token()); });
  clock.AwaitWaiters(1);
  source.Cancel(absl::CancelledError("stop"));
  thread.Join();
  EXPECT_THAT(status, StatusIs(kCancelled, "stop"));
}

TEST(SleepForTest, NoTimeIsNoWaitButACancellationIsSeen) {
  FakeClock clock;
  CancellationSource source;
  EXPECT_OK(SleepFor(clock, absl::ZeroDuration(), source.token()));
  source.Cancel(absl::CancelledError("stop"));
  EXPECT_THAT(SleepFor(clock, absl::ZeroDuration(), source.token()), StatusIs(kCancelled));
}

TEST(CancellationTest, RegisteringAndCancellingAtTheSameTimeCallsEachOnce) {
  for (int round = 0; round < 200; ++round) {
    CancellationSource source;
    std::atomic<int> calls = 0;
    std::atomic<int> destroyed_in_time = 0;
    Thread canceller("canceller", [&] { source.Cancel(absl::CancelledError("stop")); });
    for (int i = 0; i < 20; ++i) {
      int before = calls;
      {
        CancellationCallback callback(source.token(), [&] { ++calls; });
      }
      if (calls == before) ++destroyed_in_time;
    }
    canceller.Join();
    EXPECT_EQ(calls + destroyed_in_time, 20);
  }
}

}  // namespace
}  // namespace holdfast
