#include "tests/testing/fake_clock.h"

#include <sched.h>

#include <algorithm>
#include <utility>

namespace holdfast {

FakeClock::FakeClock(absl::Time now)
    : now_(now), monotonic_now_(MonotonicTime::SinceStart(absl::Hours(1))) {}

absl::Time FakeClock::Now() {
  MutexLock lock(&mutex_);
  return now_;
}

MonotonicTime FakeClock::MonotonicNow() {
  MutexLock lock(&mutex_);
  return monotonic_now_;
}

bool FakeClock::WaitUntil(CondVar* cond_var, Mutex* mutex, MonotonicTime deadline) {
  std::list<Waiter>::iterator waiter;
  {
    MutexLock lock(&mutex_);
    ++waits_begun_;
    waiters_changed_.SignalAll();
    if (deadline <= monotonic_now_) return false;
    waiter = waiters_.insert(waiters_.end(), {cond_var, mutex, deadline});
  }
  cond_var->Wait(mutex);
  MutexLock lock(&mutex_);
  waiters_.erase(waiter);
  return monotonic_now_ < deadline;
}

std::unique_ptr<Alarm> FakeClock::CallAt(MonotonicTime when, absl::AnyInvocable<void()> callback) {
  return alarms_.Add(when, std::move(callback));
}

void FakeClock::Advance(absl::Duration duration) {
  const MonotonicTime target = MonotonicNow() + duration;
  while (alarms_.NextDue() <= target) {
    MoveTo(std::max(alarms_.NextDue(), MonotonicNow()));
    alarms_.RunOneDue(MonotonicNow());
  }
  MoveTo(target);
}

void FakeClock::SetWallTime(absl::Time now) {
  MutexLock lock(&mutex_);
  now_ = now;
}

void FakeClock::AwaitWaiters(size_t count) {
  MutexLock lock(&mutex_);
  while (true) {
    const auto finite = std::count_if(waiters_.begin(), waiters_.end(), [](const Waiter& waiter) {
      return waiter.deadline != MonotonicTime::InfiniteFuture();
    });
    if (static_cast<size_t>(finite) >= count) return;
    waiters_changed_.Wait(&mutex_);
  }
}

void FakeClock::AwaitWaitsBegun(size_t count) {
  MutexLock lock(&mutex_);
  while (waits_begun_ < count) waiters_changed_.Wait(&mutex_);
}

void FakeClock::MoveTo(MonotonicTime time) {
  {
    MutexLock lock(&mutex_);
    now_ += time - monotonic_now_;
    monotonic_now_ = time;
  }
  WakeDueWaiters();
}

void FakeClock::WakeDueWaiters() {
  while (true) {
    bool is_any_left = false;
    {
      // While this is held no waiter can leave the list, so what it points to is alive. A waiter's
      // mutex is only tried, for waiters lock theirs before ours.
      MutexLock lock(&mutex_);
      for (Waiter& waiter : waiters_) {
        if (waiter.is_woken || waiter.deadline > monotonic_now_) continue;
        if (waiter.mutex->TryLock()) {
          waiter.cond_var->SignalAll();
          waiter.mutex->Unlock();
          waiter.is_woken = true;
        } else {
          is_any_left = true;  // it holds its mutex, about to wait
        }
      }
    }
    if (!is_any_left) return;
    sched_yield();
  }
}

}  // namespace holdfast
