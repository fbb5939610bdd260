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
    CancellationCallback wake(cancellation, [state = state_] {
      MutexLock lock(&state->mutex);
      state->is_set.SignalAll();
    });
    const auto read_progress = [&progress] { return progress == nullptr ? 0 : progress->load(); };
    MutexLock lock(&state_->mutex);
    uint64_t last_progress = read_progress();
    MonotonicTime deadline = clock.MonotonicNow() + stall_max;
    while (!state_->result.has_value()) {
      if (cancellation.IsCancelled()) return cancellation.status();
      if (clock.WaitUntil(&state_->is_set, &state_->mutex, deadline)) continue;
      const uint64_t now_progress = read_progress();
      if (now_progress == last_progress) break;
      last_progress = now_progress;
      deadline = clock.MonotonicNow() + stall_max;
    }
    if (state_->result.has_value()) return absl::OkStatus();
    return absl::DeadlineExceededError(
        absl::StrCat("did not answer for ", absl::FormatDuration(stall_max)));
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
