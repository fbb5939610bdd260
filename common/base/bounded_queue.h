#ifndef HOLDFAST_COMMON_BASE_BOUNDED_QUEUE_H_
#define HOLDFAST_COMMON_BASE_BOUNDED_QUEUE_H_

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace holdfast {

enum class PushResult {
  kPushed,
  kTimedOut,  // the queue stayed full until the deadline
  kClosed,
};

// A BoundedQueue hands items from producers to consumers, first in first out, and holds at most
// `items_max`, so that the memory between a quick and a slow end is bounded.
//
// Producers Push and one of them, at the end, calls Close; consumers Pop until there is nothing
// left. Whoever gives up calls Abandon, which frees both ends:
//   CancellationCallback give_up(cancellation, [&] { queue.Abandon(); });
//
// Thread-safe, for any number of producers and consumers.
template <typename T>
class BoundedQueue {
 public:
  // REQUIRES: items_max > 0.
  explicit BoundedQueue(size_t items_max) : items_max_(items_max) { HOLDFAST_CHECK(items_max > 0); }
  BoundedQueue(const BoundedQueue&) = delete;
  BoundedQueue& operator=(const BoundedQueue&) = delete;

  // Waits for room and adds the item. False, and the item is dropped, if the queue is closed.
  [[nodiscard]] bool Push(T item) {
    MutexLock lock(&mutex_);
    while (!is_closed_ && items_.size() >= items_max_) has_room_or_closed_.Wait(&mutex_);
    return AddUnlessClosed(item);
  }

  // Waits for room until the deadline; one that has passed waits not at all. `item` is moved from
  // only if the result is kPushed, so that the caller can take it elsewhere.
  [[nodiscard]] PushResult PushUntil(Clock& clock, MonotonicTime deadline, T& item) {
    MutexLock lock(&mutex_);
    while (!is_closed_ && items_.size() >= items_max_) {
      if (!clock.WaitUntil(&has_room_or_closed_, &mutex_, deadline)) break;
    }
    if (!is_closed_ && items_.size() >= items_max_) return PushResult::kTimedOut;
    return AddUnlessClosed(item) ? PushResult::kPushed : PushResult::kClosed;
  }

  // Waits for an item and takes it. nullopt once the queue is closed and empty.
  [[nodiscard]] std::optional<T> Pop() {
    MutexLock lock(&mutex_);
    while (!is_closed_ && items_.empty()) has_item_or_closed_.Wait(&mutex_);
    return TakeFirst();
  }

  // Takes an item if there is one now.
  [[nodiscard]] std::optional<T> TryPop() {
    MutexLock lock(&mutex_);
    return TakeFirst();
  }

  // Nothing more comes in; what is in the queue can still be taken. May be called again.
  void Close() {
    MutexLock lock(&mutex_);
    CloseLocked();
  }

  // As Close, and drops what is in the queue.
  void Abandon() {
    std::deque<T> dropped;  // destroyed without the lock
    MutexLock lock(&mutex_);
    dropped.swap(items_);
    CloseLocked();
  }

  size_t size() const {
    MutexLock lock(&mutex_);
    return items_.size();
  }

 private:
  bool AddUnlessClosed(T& item) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (is_closed_) return false;
    items_.push_back(std::move(item));
    has_item_or_closed_.Signal();
    return true;
  }

  std::optional<T> TakeFirst() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    has_room_or_closed_.Signal();
    return item;
  }

  void CloseLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    is_closed_ = true;
    has_item_or_closed_.SignalAll();
    has_room_or_closed_.SignalAll();
  }

  const size_t items_max_;

  mutable Mutex mutex_;
  CondVar has_item_or_closed_;
  CondVar has_room_or_closed_;
  std::deque<T> items_ ABSL_GUARDED_BY(mutex_);
  bool is_closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_BASE_BOUNDED_QUEUE_H_
