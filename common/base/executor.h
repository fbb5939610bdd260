#ifndef HOLDFAST_COMMON_BASE_EXECUTOR_H_
#define HOLDFAST_COMMON_BASE_EXECUTOR_H_

#include <cstddef>
#include <deque>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/thread.h"

namespace holdfast {

// An Executor runs tasks, each once, at some time, on a thread of its own.
//
// Thread-safe.
class Executor {
 public:
  using Task = absl::AnyInvocable<void()>;

  virtual ~Executor() = default;

  // Takes the task if there is room, never waits. On false the task is destroyed unrun: there was
  // no room, or the executor is shut down.
  [[nodiscard]] virtual bool TrySchedule(Task task) = 0;

  // Takes the task as soon as there is room, waiting for it. On false the task is destroyed unrun:
  // the executor is shut down.
  // REQUIRES: not called by a task of this executor, which may wait for itself.
  [[nodiscard]] virtual bool Schedule(Task task) = 0;
};

// A BoundedExecutor is an Executor of a fixed number of threads and a bounded queue.
class BoundedExecutor : public Executor {
 public:
  struct Options {
    std::string name;         // of its threads
    int threads = 1;          // at least 1
    size_t queue_max = 64;    // tasks that wait, beyond those that run; at least 1
    bool steps_back = false;  // its threads let others go first (StepBack)
  };

  explicit BoundedExecutor(const Options& options);
  // As Shutdown.
  ~BoundedExecutor() override;
  BoundedExecutor(const BoundedExecutor&) = delete;
  BoundedExecutor& operator=(const BoundedExecutor&) = delete;

  [[nodiscard]] bool TrySchedule(Task task) override;
  [[nodiscard]] bool Schedule(Task task) override;

  // How many tasks it has taken that have not ended.
  size_t pending();

  // Waits until none is, though tasks may be taken meanwhile and afterwards. False at the deadline.
  bool AwaitIdle(Clock& clock, MonotonicTime deadline);

  // Takes no more tasks, runs all that it has taken, waits for them. May be called again.
  // REQUIRES: not called by a task of this executor.
  void Shutdown();

 private:
  void Run();

  const size_t queue_max_;

  Mutex shutdown_mutex_;  // held while joining; before mutex_
  std::vector<Thread> threads_ ABSL_GUARDED_BY(shutdown_mutex_);

  Mutex mutex_;
  CondVar has_task_or_shut_down_;
  CondVar has_room_or_shut_down_;
  CondVar idle_;
  std::deque<Task> queue_ ABSL_GUARDED_BY(mutex_);
  size_t running_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_shut_down_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_BASE_EXECUTOR_H_
