#include <algorithm>
#include <ctime>
#include <memory>
#include <utility>

#include "absl/time/clock.h"
#include "common/base/alarm_queue.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/thread.h"

namespace holdfast {

namespace {

// Waits are made of pieces no longer than this, because the C library waits by a clock that stands
// still while the machine is suspended.
constexpr absl::Duration kWaitPieceMax = absl::Seconds(10);

}  // namespace

class SystemClockImpl : public Clock {
 public:
  absl::Time Now() override { return absl::Now(); }

  MonotonicTime MonotonicNow() override {
    timespec now;
    HOLDFAST_CHECK(clock_gettime(CLOCK_BOOTTIME, &now) == 0);
    return MonotonicTime::SinceStart(absl::DurationFromTimespec(now));
  }

  bool WaitUntil(CondVar* cond_var, Mutex* mutex, MonotonicTime deadline)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) override {
    const absl::Duration remaining = deadline - MonotonicNow();
    if (remaining <= absl::ZeroDuration()) return false;
    cond_var->WaitForAtMost(mutex, std::min(remaining, kWaitPieceMax));
    return MonotonicNow() < deadline;
  }

  std::unique_ptr<Alarm> CallAt(MonotonicTime when, absl::AnyInvocable<void()> callback) override {
    std::unique_ptr<Alarm> alarm = alarms_.Add(when, std::move(callback));
    MutexLock lock(&mutex_);
    if (!is_alarm_thread_started_) {
      is_alarm_thread_started_ = true;
      alarm_thread_ = Thread("alarms", [this] { RingAlarms(); });
    }
    alarm_added_.Signal();
    return alarm;
  }

 private:
  [[noreturn]] void RingAlarms() {
    while (true) {
      while (alarms_.RunOneDue(MonotonicNow())) {
      }
      MutexLock lock(&mutex_);
      // An alarm that is added from here on signals once the wait has released the lock.
      WaitUntil(&alarm_added_, &mutex_, alarms_.NextDue());
    }
  }

  AlarmQueue alarms_;

  Mutex mutex_;
  CondVar alarm_added_;
  bool is_alarm_thread_started_ ABSL_GUARDED_BY(mutex_) = false;
  Thread alarm_thread_ ABSL_GUARDED_BY(mutex_);
};

Clock& SystemClock() {
  // Never destroyed: threads may look at the clock until the process is gone.
  static Clock& clock = *new SystemClockImpl();
  return clock;
}

}  // namespace holdfast
