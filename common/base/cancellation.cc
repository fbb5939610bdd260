#include "common/base/cancellation.h"

#include <algorithm>
#include <atomic>
#include <list>
#include <memory>
#include <thread>
#include <utility>

#include "common/base/check.h"
#include "common/base/mutex.h"

namespace holdfast {

struct CancellationCallback::Node {
  explicit Node(absl::AnyInvocable<void()> function) : function(std::move(function)) {}

  absl::AnyInvocable<void()> function;
};

namespace internal {

// What a CancellationSource, its Cancellations and their callbacks share.
class CancellationState {
 public:
  using NodePtr = std::shared_ptr<CancellationCallback::Node>;

  bool IsCancelled() const { return is_cancelled_.load(std::memory_order_acquire); }

  absl::Status status() const {
    MutexLock lock(&mutex_);
    return status_;
  }

  bool Cancel(absl::Status reason) {
    HOLDFAST_CHECK(!reason.ok(), "a cancellation needs a reason");
    {
      MutexLock lock(&mutex_);
      if (!status_.ok()) return false;
      status_ = std::move(reason);
      is_cancelled_.store(true, std::memory_order_release);
      calling_thread_ = std::this_thread::get_id();
    }
    while (NodePtr node = TakeNext()) {
      node->function();
      node->function = nullptr;  // what it holds is gone before Unregister returns
      MutexLock lock(&mutex_);
      calling_ = nullptr;
      call_ended_.SignalAll();
    }
    return true;
  }

  // Returns false, without keeping the node, if it is cancelled already.
  bool Register(const NodePtr& node) {
    MutexLock lock(&mutex_);
    if (!status_.ok()) return false;
    nodes_.push_back(node);
    return true;
  }

  void Unregister(const NodePtr& node) {
    MutexLock lock(&mutex_);
    if (auto it = std::find(nodes_.begin(), nodes_.end(), node); it != nodes_.end()) {
      nodes_.erase(it);
      return;
    }
    if (calling_thread_ == std::this_thread::get_id()) return;
    while (calling_ == node) call_ended_.Wait(&mutex_);
  }

  // Called once, before the state is shared.
  void LinkToParent(const Cancellation& parent, std::weak_ptr<CancellationState> self) {
    parent_link_ = std::make_unique<CancellationCallback>(parent, [parent, self = std::move(self)] {
      // Kept alive while it cancels, also if a callback drops the last other reference.
      if (std::shared_ptr<CancellationState> state = self.lock()) state->Cancel(parent.status());
    });
  }

  // Returns the alarm that was there before, for the caller to destroy without the lock.
  std::unique_ptr<Alarm> ReplaceAlarm(std::unique_ptr<Alarm> alarm) {
    MutexLock lock(&mutex_);
    alarm_.swap(alarm);
    return alarm;
  }

 private:
  NodePtr TakeNext() {
    MutexLock lock(&mutex_);
    if (nodes_.empty()) return nullptr;
    calling_ = std::move(nodes_.front());
    nodes_.pop_front();
    return calling_;
  }

  std::unique_ptr<CancellationCallback> parent_link_;

  std::atomic<bool> is_cancelled_ = false;  // a quick look at whether status_ is an error

  mutable Mutex mutex_;
  CondVar call_ended_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::list<NodePtr> nodes_ ABSL_GUARDED_BY(mutex_);
  NodePtr calling_ ABSL_GUARDED_BY(mutex_);
  std::thread::id calling_thread_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Alarm> alarm_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace internal

bool Cancellation::IsCancelled() const { return state_ != nullptr && state_->IsCancelled(); }

absl::Status Cancellation::status() const {
  return IsCancelled() ? state_->status() : absl::OkStatus();
}

CancellationSource::CancellationSource()
    : state_(std::make_shared<internal::CancellationState>()) {}

CancellationSource::CancellationSource(const Cancellation& parent) : CancellationSource() {
  state_->LinkToParent(parent, state_);
}

bool CancellationSource::Cancel(absl::Status reason) { return state_->Cancel(std::move(reason)); }

void CancellationSource::CancelAt(Clock& clock, MonotonicTime deadline) {
  CancelAt(clock, deadline, absl::DeadlineExceededError("the deadline has passed"));
}

void CancellationSource::CancelAt(Clock& clock, MonotonicTime deadline, absl::Status reason) {
  HOLDFAST_CHECK(!reason.ok(), "a cancellation needs a reason");
  state_->ReplaceAlarm(nullptr);
  if (deadline == MonotonicTime::InfiniteFuture()) return;
  if (deadline <= clock.MonotonicNow()) {
    state_->Cancel(std::move(reason));
    return;
  }
  std::weak_ptr<internal::CancellationState> weak_state = state_;
  state_->ReplaceAlarm(clock.CallAt(deadline, [weak_state, reason = std::move(reason)] {
    if (auto state = weak_state.lock()) state->Cancel(reason);
  }));
}

CancellationCallback::CancellationCallback(const Cancellation& cancellation,
                                           absl::AnyInvocable<void()> function)
    : state_(cancellation.state_) {
  if (state_ == nullptr) return;
  node_ = std::make_shared<Node>(std::move(function));
  if (!state_->Register(node_)) node_->function();
}

CancellationCallback::~CancellationCallback() {
  if (state_ != nullptr) state_->Unregister(node_);
}

absl::Status SleepUntil(Clock& clock, MonotonicTime time, const Cancellation& cancellation) {
  Mutex mutex;
  CondVar cancelled;
  CancellationCallback wake(cancellation, [&] {
    MutexLock lock(&mutex);
    cancelled.SignalAll();
  });
  MutexLock lock(&mutex);
  while (!cancellation.IsCancelled()) {
    if (!clock.WaitUntil(&cancelled, &mutex, time)) break;
  }
  return cancellation.status();
}

absl::Status SleepFor(Clock& clock, absl::Duration duration, const Cancellation& cancellation) {
  return SleepUntil(clock, clock.MonotonicNow() + duration, cancellation);
}

}  // namespace holdfast
