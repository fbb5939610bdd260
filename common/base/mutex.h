#ifndef HOLDFAST_COMMON_BASE_MUTEX_H_
#define HOLDFAST_COMMON_BASE_MUTEX_H_

#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

// Locks, with the annotations that clang checks. Nothing outside common/base uses any others.
//
// They stand on the C library's mutexes and not on absl::Mutex: Debian's Abseil is built without
// ThreadSanitizer's annotations, so a correctly locked counter would be reported as a race; the C
// library's it knows by itself, and it finds wrong lock orders too.

namespace holdfast {

// A Mutex guards data that is named in ABSL_GUARDED_BY(mutex_). Not reentrant.
//
// Thread-safe.
class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION();
  void Unlock() ABSL_UNLOCK_FUNCTION();
  // Returns whether it has locked the mutex; never waits.
  bool TryLock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true);

  // Tells clang, where it cannot see it (in a lambda), that the caller holds the lock. Does
  // nothing.
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() {}

 private:
  friend class CondVar;

  std::mutex mutex_;
};

// Holds a Mutex from construction to destruction: `MutexLock lock(&mutex_);`
class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  // Does not take ownership; *mutex must outlive this.
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(*mutex) {
    mutex_.Lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// A CondVar lets threads wait for a change of what a Mutex guards. A wait may end for no reason, so
// it stands in a loop:
//   while (queue_.empty()) changed_.Wait(&mutex_);
// A wait that ends at some time goes through Clock::WaitUntil, so that a fake clock drives it.
//
// Thread-safe. All waits at one time name the same mutex.
class CondVar {
 public:
  CondVar() = default;
  CondVar(const CondVar&) = delete;
  CondVar& operator=(const CondVar&) = delete;

  // Releases the mutex, waits until signalled, locks it again.
  void Wait(Mutex* mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  // Wakes one waiter, or all. Signalling when nobody waits does nothing.
  void Signal();
  void SignalAll();

 private:
  friend class SystemClockImpl;

  // As Wait, for at most `duration` of CLOCK_MONOTONIC. Only the system clock waits like this.
  void WaitForAtMost(Mutex* mutex, absl::Duration duration) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  std::condition_variable cond_var_;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_BASE_MUTEX_H_
