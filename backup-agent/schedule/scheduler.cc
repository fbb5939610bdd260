#include "backup-agent/schedule/scheduler.h"

#include <algorithm>
#include <utility>

#include "common/base/backoff.h"

namespace holdfast {

namespace {

// The wall clock may jump without telling, so it is looked at this often.
constexpr absl::Duration kLookAgainMax = absl::Minutes(1);
// How much earlier than expected a time may come without a suspicion that the clock was set
// forward: slow corrections of the clock add up over days.
constexpr absl::Duration kClockDriftMax = absl::Minutes(1);

constexpr absl::Duration kRetryMin = absl::Seconds(30);
constexpr absl::Duration kRetryInitial = absl::Minutes(1);
constexpr absl::Duration kRetryMax = absl::Minutes(30);
// After so many failures the delay has long reached its maximum.
constexpr uint32_t kRetryDoublingsMax = 10;

}  // namespace

Scheduler::Scheduler(Clock& clock, RandomSource& random, std::optional<ScheduleTimes> times,
                     const Remembered& remembered)
    : clock_(clock), random_(random), times_(times) {
  if (!times_.has_value()) return;
  FindDue();
  if (remembered.due.has_value() && *remembered.due <= clock_.Now()) {
    SetDue(*remembered.due);
    is_caught_up_ = true;
    if (remembered.consecutive_failures > 0) {
      not_before_ = RetryTime(remembered.consecutive_failures);
    }
  } else if (remembered.must_retry) {
    retry_ = RetryTime(remembered.consecutive_failures);
  }
}

bool Scheduler::IsOwn(v1::Run::Cause cause) { return cause != v1::Run::CAUSE_TRIGGERED; }

void Scheduler::SetTimes(std::optional<ScheduleTimes> times) {
  times_ = times;
  retry_.reset();
  is_caught_up_ = false;
  if (times_.has_value()) FindDue();
}

void Scheduler::SetDue(absl::Time time) {
  due_ = time;
  due_expected_ = clock_.MonotonicNow() + (time - clock_.Now());
  due_latest_ = due_expected_ + times_->interval();
}

void Scheduler::FindDue() { SetDue(times_->NextAfter(clock_.Now())); }

MonotonicTime Scheduler::RetryTime(uint32_t consecutive_failures) {
  const absl::Duration max =
      times_.has_value() ? std::min(times_->interval(), kRetryMax) : kRetryMax;
  Backoff backoff({.initial = std::min(kRetryInitial, max), .max = max, .min = kRetryMin}, random_);
  absl::Duration delay;
  for (uint32_t i = 0; i < std::clamp(consecutive_failures, 1u, kRetryDoublingsMax); ++i) {
    delay = backoff.Next();
  }
  return clock_.MonotonicNow() + delay;
}

Scheduler::Decision Scheduler::Decide() {
  if (!times_.has_value()) return {};
  const absl::Time now = clock_.Now();
  const MonotonicTime monotonic_now = clock_.MonotonicNow();

  const MonotonicTime after_last_start =
      last_start_.has_value() ? *last_start_ + times_->interval() / 2 : MonotonicTime();
  if (due_ - now > times_->GapMax() + times_->interval() / 4) {
    // The clock was set back. What the clock that never jumps says of the old time stays.
    const MonotonicTime latest = due_latest_;
    FindDue();
    due_latest_ = std::min(due_latest_, latest);
    not_before_ = std::max(not_before_, after_last_start);
  }

  MonotonicTime look_again = monotonic_now + kLookAgainMax;
  if (now >= due_ || monotonic_now >= due_latest_) {
    // Where the clock was set forward.
    if (monotonic_now + kClockDriftMax < due_expected_) {
      not_before_ = std::max(not_before_, after_last_start);
    }
    if (monotonic_now >= not_before_) {
      return {.start = is_caught_up_ ? v1::Run::CAUSE_CAUGHT_UP : v1::Run::CAUSE_SCHEDULED};
    }
    look_again = std::min(look_again, not_before_);
  } else {
    look_again = std::min({look_again, monotonic_now + (due_ - now), due_latest_});
  }
  if (retry_.has_value()) {
    if (monotonic_now >= *retry_) return {.start = v1::Run::CAUSE_RETRIED};
    look_again = std::min(look_again, *retry_);
  }
  return {.look_again = look_again};
}

void Scheduler::OnRunStarted(v1::Run::Cause cause) {
  if (!IsOwn(cause)) return;
  last_start_ = clock_.MonotonicNow();
  retry_.reset();
}

void Scheduler::OnRunEnded(v1::Run::Cause cause, RunEnd end, uint32_t consecutive_failures) {
  if (end == RunEnd::kAgentStopped) return;
  if (end == RunEnd::kSucceeded) {
    retry_.reset();
    not_before_ = MonotonicTime();
  }
  if (!IsOwn(cause) || !times_.has_value()) return;
  if (end == RunEnd::kFailed) retry_ = RetryTime(consecutive_failures);
  // A retry does not stand for a time that came meanwhile.
  if (cause != v1::Run::CAUSE_RETRIED) {
    is_caught_up_ = false;
    not_before_ = MonotonicTime();
    FindDue();
  }
}

std::optional<absl::Time> Scheduler::due() const {
  if (!times_.has_value()) return std::nullopt;
  return due_;
}

std::optional<absl::Time> Scheduler::NextStart() {
  if (!times_.has_value()) return std::nullopt;
  const absl::Time now = clock_.Now();
  const MonotonicTime monotonic_now = clock_.MonotonicNow();
  absl::Time next = std::max({due_, now, now + (not_before_ - monotonic_now)});
  if (retry_.has_value()) next = std::min(next, std::max(now, now + (*retry_ - monotonic_now)));
  return next;
}

}  // namespace holdfast
