#ifndef HOLDFAST_BACKUP_AGENT_TRANSFER_WORKER_POOL_H_
#define HOLDFAST_BACKUP_AGENT_TRANSFER_WORKER_POOL_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "backup-agent/transfer/pending.h"
#include "common/base/clock.h"
#include "common/base/thread.h"

namespace holdfast {

// A WorkerPool runs tasks that may never end: a call into a share whose server is gone does not
// return, and nothing can end it. A pool is therefore not waited for longer than its owner wants
// to; threads that are stuck then are left behind, and reaped should they ever come back.
//
// Threads start as they are needed. Tasks must own all that they use, by value or by shared
// pointer.
//
// Thread-safe.
class WorkerPool {
 public:
  // `owner` says whose threads these are (a URL), for HasLeftBehind.
  WorkerPool(absl::string_view owner, int threads_max);
  // Waits for nothing.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Runs `work` on a thread of the pool. After Shutdown, or if that comes first, the result is
  // CANCELLED.
  template <typename R>
  Pending<R> Start(absl::AnyInvocable<R()> work) {
    Promise<R> promise;
    Pending<R> pending = promise.pending();
    Schedule(
        [promise = std::move(promise), work = std::move(work)]() mutable { promise.Set(work()); });
    return pending;
  }

  // Takes no more tasks, drops those that wait, and waits until the deadline for those that run.
  // Returns false if threads were left behind.
  bool Shutdown(Clock& clock, MonotonicTime deadline);

  // Whether any thread of `owner` is stuck since an earlier pool.
  static bool HasLeftBehind(absl::string_view owner);

  // Waits for all threads that were left behind. For tests, which first free what they are stuck
  // in.
  static void AwaitLeftBehind();

 private:
  struct State;
  struct LeftBehind;

  void Schedule(absl::AnyInvocable<void()> task);
  static void Work(State& state);

  const std::string owner_;
  const int threads_max_;
  const std::shared_ptr<State> state_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_TRANSFER_WORKER_POOL_H_
