#ifndef HOLDFAST_COMMON_BASE_ALARM_QUEUE_H_
#define HOLDFAST_COMMON_BASE_ALARM_QUEUE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <thread>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace holdfast {

// An AlarmQueue holds the alarms of a Clock, ordered by time. Only implementations of Clock use it:
// Add makes what CallAt returns, and RunDue makes the calls that have become due.
//
// Thread-safe. Must outlive the alarms it made.
class AlarmQueue {
 public:
  AlarmQueue() = default;
  // REQUIRES: all alarms are destroyed.
  ~AlarmQueue();
  AlarmQueue(const AlarmQueue&) = delete;
  AlarmQueue& operator=(const AlarmQueue&) = delete;

  std::unique_ptr<Alarm> Add(MonotonicTime when, absl::AnyInvocable<void()> callback);

  // The time of the earliest alarm, InfiniteFuture if there is none.
  MonotonicTime NextDue() const;

  // Makes the earliest call if it is due at `now`, on this thread and with no lock held. Returns
  // whether it made one.
  // REQUIRES: one thread at a time calls this.
  bool RunOneDue(MonotonicTime now);

 private:
  class Entry;
  using Key = std::pair<MonotonicTime, uint64_t>;  // the number keeps alarms of one time in order

  void Remove(const Key& key);

  mutable Mutex mutex_;
  CondVar call_ended_;
  uint64_t next_number_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<Key, absl::AnyInvocable<void()>> waiting_ ABSL_GUARDED_BY(mutex_);
  // The call that is being made, and by which thread; meaningless while is_calling_ is false.
  bool is_calling_ ABSL_GUARDED_BY(mutex_) = false;
  Key calling_ ABSL_GUARDED_BY(mutex_);
  std::thread::id calling_thread_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_BASE_ALARM_QUEUE_H_
