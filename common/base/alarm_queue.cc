#include "common/base/alarm_queue.h"

#include "common/base/check.h"

namespace holdfast {

class AlarmQueue::Entry : public Alarm {
 public:
  Entry(AlarmQueue& queue, const Key& key) : queue_(queue), key_(key) {}
  ~Entry() override { queue_.Remove(key_); }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

 private:
  AlarmQueue& queue_;
  const Key key_;
};

AlarmQueue::~AlarmQueue() {
  MutexLock lock(&mutex_);
  HOLDFAST_CHECK(waiting_.empty(), "an alarm outlives its clock");
}

std::unique_ptr<Alarm> AlarmQueue::Add(MonotonicTime when, absl::AnyInvocable<void()> callback) {
  MutexLock lock(&mutex_);
  const Key key(when, next_number_++);
  waiting_.emplace(key, std::move(callback));
  return std::make_unique<Entry>(*this, key);
}

MonotonicTime AlarmQueue::NextDue() const {
  MutexLock lock(&mutex_);
  return waiting_.empty() ? MonotonicTime::InfiniteFuture() : waiting_.begin()->first.first;
}

bool AlarmQueue::RunOneDue(MonotonicTime now) {
  absl::AnyInvocable<void()> callback;
  {
    MutexLock lock(&mutex_);
    if (waiting_.empty() || waiting_.begin()->first.first > now) return false;
    HOLDFAST_CHECK(!is_calling_);
    is_calling_ = true;
    calling_ = waiting_.begin()->first;
    calling_thread_ = std::this_thread::get_id();
    callback = std::move(waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
  }
  callback();
  callback = nullptr;  // what it holds is gone before Remove returns
  MutexLock lock(&mutex_);
  is_calling_ = false;
  call_ended_.SignalAll();
  return true;
}

void AlarmQueue::Remove(const Key& key) {
  absl::AnyInvocable<void()> removed;  // destroyed without the lock
  MutexLock lock(&mutex_);
  if (auto it = waiting_.find(key); it != waiting_.end()) {
    removed = std::move(it->second);
    waiting_.erase(it);
    return;
  }
  if (calling_thread_ == std::this_thread::get_id()) return;
  while (is_calling_ && calling_ == key) call_ended_.Wait(&mutex_);
}

}  // namespace holdfast
