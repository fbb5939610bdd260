#ifndef HOLDFAST_COMMON_BASE_CLOCK_H_
#define HOLDFAST_COMMON_BASE_CLOCK_H_

#include <compare>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"

namespace holdfast {

// A MonotonicTime is a point in the life of this machine, for measuring and for deadlines. It never
// jumps and never goes back, whatever happens to the wall clock, and it counts while the machine is
// suspended. It means nothing on another machine or after a reboot: never store it.
//
// A value type.
class MonotonicTime {
 public:
  // The machine's start: earlier than, or equal to, every reading of a clock.
  constexpr MonotonicTime() = default;
  // Later than every reading of a clock: a deadline that never comes.
  static constexpr MonotonicTime InfiniteFuture() {
    return MonotonicTime(absl::InfiniteDuration());
  }
  // For implementations of Clock.
  static constexpr MonotonicTime SinceStart(absl::Duration duration) {
    return MonotonicTime(duration);
  }

  friend absl::Duration operator-(MonotonicTime a, MonotonicTime b) {
    return a.since_start_ - b.since_start_;
  }
  friend MonotonicTime operator+(MonotonicTime time, absl::Duration duration) {
    return MonotonicTime(time.since_start_ + duration);
  }
  friend MonotonicTime operator-(MonotonicTime time, absl::Duration duration) {
    return MonotonicTime(time.since_start_ - duration);
  }
  MonotonicTime& operator+=(absl::Duration duration) { return *this = *this + duration; }

  friend bool operator==(MonotonicTime a, MonotonicTime b) {
    return a.since_start_ == b.since_start_;
  }
  friend std::strong_ordering operator<=>(MonotonicTime a, MonotonicTime b) {
    if (a.since_start_ < b.since_start_) return std::strong_ordering::less;
    if (a.since_start_ > b.since_start_) return std::strong_ordering::greater;
    return std::strong_ordering::equal;
  }

 private:
  constexpr explicit MonotonicTime(absl::Duration since_start) : since_start_(since_start) {}

  absl::Duration since_start_;
};

// An Alarm is a call that a Clock will make. Destroying it calls it off: afterwards the callback is
// neither running nor will it run (destroyed by the callback itself, it does not wait).
//
// REQUIRES: not destroyed while holding a lock that the callback takes.
class Alarm {
 public:
  virtual ~Alarm() = default;
};

// A Clock tells the time, and is the only way to wait for it: nothing outside common/base sleeps.
// With the fake clock of the tests hours of waiting pass at once.
//
// To wait for a change or for a deadline, whichever comes first:
//   MutexLock lock(&mutex_);
//   while (!ready_) {
//     if (!clock_.WaitUntil(&ready_changed_, &mutex_, deadline)) break;
//   }
//   return ready_;   // looked at again: the change may come at the last moment
// To only wait, see SleepFor in cancellation.h.
//
// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;

  // The wall clock. It may jump, also back: for people, names and schedules; never for measuring.
  virtual absl::Time Now() = 0;

  // For measuring, leases, timeouts and deadlines.
  virtual MonotonicTime MonotonicNow() = 0;

  // Waits until `cond_var` is signalled or the deadline has passed. Returns false if it has passed.
  // May also return true for no reason.
  virtual bool WaitUntil(CondVar* cond_var, Mutex* mutex, MonotonicTime deadline)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) = 0;

  // Arranges that `callback` is called once, at or soon after `when`, on a thread of the clock's
  // that all alarms share, unless the Alarm is destroyed before. It must be quick and not block.
  // The clock must outlive the Alarm.
  [[nodiscard]] virtual std::unique_ptr<Alarm> CallAt(MonotonicTime when,
                                                      absl::AnyInvocable<void()> callback) = 0;

  // As WaitUntil, with the deadline `timeout` from now. In a loop this would start anew each time.
  bool WaitFor(CondVar* cond_var, Mutex* mutex, absl::Duration timeout)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    return WaitUntil(cond_var, mutex, MonotonicNow() + timeout);
  }
};

// The machine's clock. Monotonic time is CLOCK_BOOTTIME, which counts while the machine is
// suspended; a wait that is under way during a suspension may end up to 10 s late.
Clock& SystemClock();

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_BASE_CLOCK_H_
