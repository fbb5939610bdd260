#ifndef HOLDFAST_TESTS_TESTING_FAKE_CLOCK_H_
#define HOLDFAST_TESTS_TESTING_FAKE_CLOCK_H_

#include <cstddef>
#include <list>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/base/alarm_queue.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace holdfast {

// A FakeClock stands still until the test moves it. Waits end, and alarms ring, when it is moved to
// their time, so a test of hours takes no time and always goes the same way.
//
//   FakeClock clock;
//   Thread thread("sleeper", [&] { status = SleepFor(clock, absl::Hours(4), cancellation); });
//   clock.AwaitWaiters(1);            // it sleeps now
//   clock.Advance(absl::Hours(4));    // and is woken
//
// Thread-safe. Must outlive all waits and alarms.
class FakeClock : public Clock {
 public:
  // The wall clock starts at `now`, the monotonic one an hour after the machine's start.
  explicit FakeClock(absl::Time now = absl::FromUnixSeconds(1'795'372'500));  // 2026-11-22 18:35

  absl::Time Now() override;
  MonotonicTime MonotonicNow() override;
  bool WaitUntil(CondVar* cond_var, Mutex* mutex, MonotonicTime deadline)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) override;
  [[nodiscard]] std::unique_ptr<Alarm> CallAt(MonotonicTime when,
                                              absl::AnyInvocable<void()> callback) override;

  // Moves both clocks. Alarms on the way ring, in order, on this thread, each seeing its own time;
  // waits whose time has come are woken (but may not have gone on yet).
  // REQUIRES: the caller holds no lock that waiters or alarms take; not called by an alarm; one
  // thread at a time.
  void Advance(absl::Duration duration);

  // Makes only the wall clock jump, as an administrator would.
  void SetWallTime(absl::Time now);

  // Blocks until at least `count` waits with a finite deadline are under way.
  void AwaitWaiters(size_t count);

  // Blocks until at least `count` waits have begun since the clock was made, also ended ones.
  void AwaitWaitsBegun(size_t count);

 private:
  struct Waiter {
    CondVar* cond_var;
    Mutex* mutex;
    MonotonicTime deadline;
    bool is_woken = false;
  };

  void MoveTo(MonotonicTime time);
  void WakeDueWaiters();

  AlarmQueue alarms_;

  Mutex mutex_;
  CondVar waiters_changed_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_);
  MonotonicTime monotonic_now_ ABSL_GUARDED_BY(mutex_);
  std::list<Waiter> waiters_ ABSL_GUARDED_BY(mutex_);
  size_t waits_begun_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace holdfast

#endif  // HOLDFAST_TESTS_TESTING_FAKE_CLOCK_H_
