#ifndef HOLDFAST_COMMON_BASE_CANCELLATION_H_
#define HOLDFAST_COMMON_BASE_CANCELLATION_H_

#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"

namespace holdfast {

namespace internal {
class CancellationState;
}  // namespace internal

// A Cancellation tells work that it is no longer wanted, and why. It is handed down by value; only
// the CancellationSource it came from can cancel.
//
//   HOLDFAST_RETURN_IF_ERROR(cancellation.status());     // between two steps
//   CancellationCallback wake(cancellation, [&] { … });  // to end a wait
//
// Thread-safe. Copies are cheap and may outlive the source.
class Cancellation {
 public:
  // One that is never cancelled.
  Cancellation() = default;

  bool IsCancelled() const;

  // OK until cancelled, then the reason for ever.
  absl::Status status() const;

 private:
  friend class CancellationCallback;
  friend class CancellationSource;

  explicit Cancellation(std::shared_ptr<internal::CancellationState> state)
      : state_(std::move(state)) {}

  std::shared_ptr<internal::CancellationState> state_;  // null: never cancelled
};

// A CancellationSource makes Cancellations and cancels them, once. Destroying it cancels nothing.
//
// Thread-safe.
class CancellationSource {
 public:
  CancellationSource();
  // A child: cancelled, with the same reason, when the parent is. Cancelling it leaves the parent.
  explicit CancellationSource(const Cancellation& parent);

  CancellationSource(const CancellationSource&) = delete;
  CancellationSource& operator=(const CancellationSource&) = delete;

  Cancellation token() const { return Cancellation(state_); }

  // Cancels and makes all callbacks, on this thread, before it returns. Returns false, and does
  // nothing, if it was cancelled before: the first reason stays.
  // REQUIRES: `reason` is not OK; the caller holds no lock that a callback takes.
  bool Cancel(absl::Status reason);

  // Cancels at the deadline, with DEADLINE_EXCEEDED unless another reason is given. Called again it
  // replaces the deadline. `clock` must outlive every Cancellation of this source.
  void CancelAt(Clock& clock, MonotonicTime deadline);
  void CancelAt(Clock& clock, MonotonicTime deadline, absl::Status reason);

 private:
  std::shared_ptr<internal::CancellationState> state_;
};

// While a CancellationCallback lives, its function is called once when `cancellation` is cancelled:
// on the thread that cancels, or by the constructor if that has happened already. Once it is
// destroyed the function is neither running nor will it run (destroyed by the function itself, it
// does not wait). The function must be quick and not block.
//
// REQUIRES: not destroyed while holding a lock that the function takes.
class CancellationCallback {
 public:
  CancellationCallback(const Cancellation& cancellation, absl::AnyInvocable<void()> function);
  ~CancellationCallback();
  CancellationCallback(const CancellationCallback&) = delete;
  CancellationCallback& operator=(const CancellationCallback&) = delete;

 private:
  friend class internal::CancellationState;
  struct Node;

  std::shared_ptr<internal::CancellationState> state_;  // null: never cancelled
  std::shared_ptr<Node> node_;
};

// Waits. Returns OK when the duration (or the time) has passed, or at once the reason when
// `cancellation` is cancelled.
absl::Status SleepFor(Clock& clock, absl::Duration duration, const Cancellation& cancellation);
absl::Status SleepUntil(Clock& clock, MonotonicTime time, const Cancellation& cancellation);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_BASE_CANCELLATION_H_
