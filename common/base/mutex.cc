#include "common/base/mutex.h"

namespace holdfast {

void Mutex::Lock() { mutex_.lock(); }
void Mutex::Unlock() { mutex_.unlock(); }
bool Mutex::TryLock() { return mutex_.try_lock(); }

void CondVar::Wait(Mutex* mutex) {
  std::unique_lock<std::mutex> lock(mutex->mutex_, std::adopt_lock);
  cond_var_.wait(lock);
  lock.release();  // the caller still holds it
}

void CondVar::WaitForAtMost(Mutex* mutex, absl::Duration duration) {
  std::unique_lock<std::mutex> lock(mutex->mutex_, std::adopt_lock);
  cond_var_.wait_for(lock, absl::ToChronoNanoseconds(duration));
  lock.release();
}

void CondVar::Signal() { cond_var_.notify_one(); }
void CondVar::SignalAll() { cond_var_.notify_all(); }

}  // namespace holdfast
