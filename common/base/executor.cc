#include "common/base/executor.h"

#include <utility>

#include "common/base/check.h"

namespace holdfast {

BoundedExecutor::BoundedExecutor(const Options& options) : queue_max_(options.queue_max) {
  HOLDFAST_CHECK(options.threads > 0);
  HOLDFAST_CHECK(options.queue_max > 0);
  MutexLock lock(&shutdown_mutex_);
  for (int i = 0; i < options.threads; ++i) {
    threads_.emplace_back(options.name, [this, steps_back = options.steps_back] {
      if (steps_back) StepBack();
      Run();
    });
  }
}

BoundedExecutor::~BoundedExecutor() { Shutdown(); }

bool BoundedExecutor::TrySchedule(Task task) {
  MutexLock lock(&mutex_);
  if (is_shut_down_ || queue_.size() >= queue_max_) return false;
  queue_.push_back(std::move(task));
  has_task_or_shut_down_.Signal();
  return true;
}

bool BoundedExecutor::Schedule(Task task) {
  MutexLock lock(&mutex_);
  while (!is_shut_down_ && queue_.size() >= queue_max_) has_room_or_shut_down_.Wait(&mutex_);
  if (is_shut_down_) return false;
  queue_.push_back(std::move(task));
  has_task_or_shut_down_.Signal();
  return true;
}

size_t BoundedExecutor::pending() {
  MutexLock lock(&mutex_);
  return queue_.size() + running_;
}

bool BoundedExecutor::AwaitIdle(Clock& clock, MonotonicTime deadline) {
  MutexLock lock(&mutex_);
  while (!queue_.empty() || running_ > 0) {
    if (!clock.WaitUntil(&idle_, &mutex_, deadline)) break;
  }
  return queue_.empty() && running_ == 0;
}

void BoundedExecutor::Shutdown() {
  {
    MutexLock lock(&mutex_);
    is_shut_down_ = true;
    has_task_or_shut_down_.SignalAll();
    has_room_or_shut_down_.SignalAll();
  }
  MutexLock lock(&shutdown_mutex_);
  for (Thread& thread : threads_) thread.Join();
}

void BoundedExecutor::Run() {
  while (true) {
    Task task;
    {
      MutexLock lock(&mutex_);
      while (!is_shut_down_ && queue_.empty()) has_task_or_shut_down_.Wait(&mutex_);
      if (queue_.empty()) return;
      task = std::move(queue_.front());
      queue_.pop_front();
      ++running_;
      has_room_or_shut_down_.Signal();
    }
    task();
    task = nullptr;  // what it holds is gone before it counts as ended
    MutexLock lock(&mutex_);
    --running_;
    if (running_ == 0 && queue_.empty()) idle_.SignalAll();
  }
}

}  // namespace holdfast
