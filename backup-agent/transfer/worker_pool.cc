#include "backup-agent/transfer/worker_pool.h"

#include <algorithm>
#include <deque>

#include "common/base/mutex.h"

namespace holdfast {

struct WorkerPool::State {
  Mutex mutex;
  CondVar has_task_or_closed;
  CondVar thread_ended;
  std::deque<absl::AnyInvocable<void()>> tasks ABSL_GUARDED_BY(mutex);
  std::vector<Thread> threads ABSL_GUARDED_BY(mutex);
  int idle ABSL_GUARDED_BY(mutex) = 0;
  int alive ABSL_GUARDED_BY(mutex) = 0;
  bool is_closed ABSL_GUARDED_BY(mutex) = false;
};

// The threads that were left behind, of all pools. Never destroyed: at exit they may still be
// stuck.
struct WorkerPool::LeftBehind {
  struct Group {
    std::string owner;
    std::shared_ptr<State> state;
    std::vector<Thread> threads;
  };

  static LeftBehind& Instance() {
    static LeftBehind& instance = *new LeftBehind;
    return instance;
  }

  // Takes out the groups whose threads have all ended; they are joined when those are destroyed.
  std::vector<Group> TakeEnded() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    const auto ended = std::partition(groups.begin(), groups.end(), [](Group& group) {
      MutexLock lock(&group.state->mutex);
      return group.state->alive > 0;
    });
    std::vector<Group> taken(std::make_move_iterator(ended), std::make_move_iterator(groups.end()));
    groups.erase(ended, groups.end());
    return taken;
  }

  Mutex mutex;  // before State::mutex
  std::vector<Group> groups ABSL_GUARDED_BY(mutex);
};

WorkerPool::WorkerPool(absl::string_view owner, int threads_max)
    : owner_(owner), threads_max_(threads_max), state_(std::make_shared<State>()) {}

WorkerPool::~WorkerPool() { Shutdown(SystemClock(), MonotonicTime()); }

void WorkerPool::Schedule(absl::AnyInvocable<void()> task) {
  MutexLock lock(&state_->mutex);
  if (state_->is_closed) return;
  state_->tasks.push_back(std::move(task));
  if (static_cast<size_t>(state_->idle) >= state_->tasks.size() ||
      state_->threads.size() >= static_cast<size_t>(threads_max_)) {
    state_->has_task_or_closed.Signal();
    return;
  }
  ++state_->alive;
  state_->threads.emplace_back("destination", [state = state_] { Work(*state); });
}

void WorkerPool::Work(State& state) {
  while (true) {
    absl::AnyInvocable<void()> task;
    {
      MutexLock lock(&state.mutex);
      ++state.idle;
      while (state.tasks.empty() && !state.is_closed) state.has_task_or_closed.Wait(&state.mutex);
      --state.idle;
      if (state.tasks.empty()) {
        --state.alive;
        state.thread_ended.SignalAll();
        return;
      }
      task = std::move(state.tasks.front());
      state.tasks.pop_front();
    }
    task();
  }
}

bool WorkerPool::Shutdown(Clock& clock, MonotonicTime deadline) {
  std::deque<absl::AnyInvocable<void()>> dropped;  // destroyed without the lock
  std::vector<Thread> threads;
  bool all_ended = false;
  {
    MutexLock lock(&state_->mutex);
    state_->is_closed = true;
    dropped.swap(state_->tasks);
    state_->has_task_or_closed.SignalAll();
    while (state_->alive > 0) {
      if (!clock.WaitUntil(&state_->thread_ended, &state_->mutex, deadline)) break;
    }
    threads.swap(state_->threads);
    if (state_->alive == 0) all_ended = true;
  }
  if (all_ended || threads.empty()) return all_ended;  // `threads` are joined here
  LeftBehind& left_behind = LeftBehind::Instance();
  MutexLock lock(&left_behind.mutex);
  left_behind.groups.push_back({owner_, state_, std::move(threads)});
  return false;
}

bool WorkerPool::HasLeftBehind(absl::string_view owner) {
  LeftBehind& left_behind = LeftBehind::Instance();
  std::vector<LeftBehind::Group> ended;  // joined without the lock
  MutexLock lock(&left_behind.mutex);
  ended = left_behind.TakeEnded();
  return std::any_of(left_behind.groups.begin(), left_behind.groups.end(),
                     [&](const LeftBehind::Group& group) { return group.owner == owner; });
}

void WorkerPool::AwaitLeftBehind() {
  LeftBehind& left_behind = LeftBehind::Instance();
  std::vector<LeftBehind::Group> groups;
  {
    MutexLock lock(&left_behind.mutex);
    groups.swap(left_behind.groups);
  }
}

}  // namespace holdfast
