#ifndef HOLDFAST_BACKUP_AGENT_TRANSFER_PENDING_H_
#define HOLDFAST_BACKUP_AGENT_TRANSFER_PENDING_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace holdfast {

// Counts whatever shows that work goes on (bytes, steps); shared by who works and who waits.
using ProgressCounter = std::shared_ptr<std::atomic<uint64_t>>;
inline ProgressCounter MakeProgressCounter() { return std::make_shared<std::atomic<uint64_t>>(0); }

// A StallWatch tells whether work that somebody waits for goes on: it has stalled once `progress`
// (may be null) did not change for `stall_max`, from when the watch is made.
//
//   while (true) {
//     … wait for the work until watch.deadline() …
//     if (watch.HasStalled()) … give up …
//   }
//
// Not thread-safe. `clock` must outlive it.
class StallWatch {
 public:
  StallWatch(Clock& clock, absl::Duration stall_max, ProgressCounter progress = nullptr)
      : clock_(&clock),
        stall_max_(stall_max),
        progress_(std::move(progress)),
        last_progress_(ReadProgress()),
        deadline_(clock.MonotonicNow() + stall_max) {}

  // When it can have stalled at the earliest.
  MonotonicTime deadline() const { return deadline_; }

  // Where there was progress since the deadline was set, it is put off.
  bool HasStalled() {
    if (clock_->MonotonicNow() < deadline_) return false;
    const uint64_t progress = ReadProgress();
    if (progress == last_progress_) return true;
    last_progress_ = progress;
    deadline_ = clock_->MonotonicNow() + stall_max_;
    return false;
  }

  absl::Status ToStatus() const {
    return absl::DeadlineExceededError(
        absl::StrCat("did not answer for ", absl::FormatDuration(stall_max_)));
  }

 private:
  uint64_t ReadProgress() const { return progress_ == nullptr ? 0 : progress_->load(); }

  Clock* clock_;
  absl::Duration stall_max_;
  ProgressCounter progress_;
  uint64_t last_progress_;
  MonotonicTime deadline_;
};

template <typename R>
class Pending;

namespace internal {

template <typename R>
struct PendingState {
  Mutex mutex;
  CondVar is_set;
  std::optional<R> result ABSL_GUARDED_BY(mutex);
};

}  // namespace internal

// The end of a Pending that whoever works holds. R is absl::Status or an absl::StatusOr. One that
// is destroyed without a result leaves CANCELLED: the work was never done.
//
// Not thread-safe. Movable.
template <typename R>
class Promise {
 public:
  Promise() : state_(std::make_shared<internal::PendingState<R>>()) {}
  ~Promise() {
    if (state_ != nullptr) Set(absl::CancelledError("was not begun"));
  }
  Promise(Promise&& other) noexcept = default;
  Promise& operator=(Promise&& other) = delete;

  Pending<R> pending() const { return Pending<R>(state_); }

  // REQUIRES: called once.
  void Set(R result) {
    {
      MutexLock lock(&state_->mutex);
      state_->result.emplace(std::move(result));
      state_->is_set.SignalAll();
    }
    state_.reset();
  }

 private:
  std::shared_ptr<internal::PendingState<R>> state_;
};

// A Pending is the result of work that another thread does, and that perhaps never ends: whoever
// waits for it gives up after a while, and what the work uses must not be his.
//
//   HOLDFAST_RETURN_IF_ERROR(pending.Await(clock, cancellation, kStallMax, progress));
//   R result = pending.Take();
//
// Thread-safe; one thread takes the result. Copies stand for the same result.
template <typename R>
class Pending {
 public:
  // Waits until there is a result: OK. The reason of `cancellation` once that is cancelled;
  // DEADLINE_EXCEEDED once `progress` (may be null) has not changed for `stall_max`.
  absl::Status Await(Clock& clock, const Cancellation& cancellation, absl::Duration stall_max,
                     const ProgressCounter& progress = nullptr) const {
    StallWatch watch(clock, stall_max, progress);
    return Await(clock, cancellation, watch);
  }
  absl::Status Await(Clock& clock, const Cancellation& cancellation, StallWatch& watch) const {
    while (true) {
      const absl::Status waited = AwaitUntil(clock, cancellation, watch.deadline());
      if (!absl::IsDeadlineExceeded(waited) || cancellation.IsCancelled()) return waited;
      if (watch.HasStalled()) return watch.ToStatus();
    }
  }

  // Waits until there is a result: OK. The reason of `cancellation` once that is cancelled;
  // DEADLINE_EXCEEDED at the deadline.
  absl::Status AwaitUntil(Clock& clock, const Cancellation& cancellation,
                          MonotonicTime deadline) const {
    CancellationCallback wake(cancellation, [state = state_] {
      MutexLock lock(&state->mutex);
      state->is_set.SignalAll();
    });
    MutexLock lock(&state_->mutex);
    while (!state_->result.has_value()) {
      if (cancellation.IsCancelled()) return cancellation.status();
      if (!clock.WaitUntil(&state_->is_set, &state_->mutex, deadline)) break;
    }
    if (state_->result.has_value()) return absl::OkStatus();
    return absl::DeadlineExceededError("there is no result yet");
  }

  bool IsReady() const {
    MutexLock lock(&state_->mutex);
    return state_->result.has_value();
  }

  // REQUIRES: there is a result; called once.
  R Take() {
    MutexLock lock(&state_->mutex);
    HOLDFAST_CHECK(state_->result.has_value());
    return *std::move(state_->result);
  }

 private:
  friend class Promise<R>;
  explicit Pending(std::shared_ptr<internal::PendingState<R>> state) : state_(std::move(state)) {}

  std::shared_ptr<internal::PendingState<R>> state_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_TRANSFER_PENDING_H_
