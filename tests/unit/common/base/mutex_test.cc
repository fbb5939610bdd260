#include "common/base/mutex.h"

#include <vector>

#include "common/base/thread.h"
#include "gtest/gtest.h"

namespace holdfast {
namespace {

TEST(MutexTest, OneThreadAtATime) {
  Mutex mutex;
  int counter = 0;  // the thread sanitizer tells if the lock does not order the accesses
  {
    std::vector<Thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back("counter", [&] {
        for (int j = 0; j < 10'000; ++j) {
          MutexLock lock(&mutex);
          ++counter;
        }
      });
    }
  }
  EXPECT_EQ(counter, 40'000);
}

TEST(MutexTest, TryLockFailsWhereAnotherHoldsTheLock) {
  Mutex mutex;
  const auto try_lock = [&mutex] {
    bool has_locked = false;
    Thread("other", [&] {
      if (mutex.TryLock()) {
        has_locked = true;
        mutex.Unlock();
      }
    }).Join();
    return has_locked;
  };
  {
    MutexLock lock(&mutex);
    EXPECT_FALSE(try_lock());
  }
  EXPECT_TRUE(try_lock());
}

TEST(CondVarTest, SignalAllWakesEveryWaiter) {
  Mutex mutex;
  CondVar changed;
  int waiting = 0;
  bool is_set = false;
  std::vector<Thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back("waiter", [&] {
      MutexLock lock(&mutex);
      ++waiting;
      changed.SignalAll();
      while (!is_set) changed.Wait(&mutex);
    });
  }
  {
    MutexLock lock(&mutex);
    while (waiting < 4) changed.Wait(&mutex);
    is_set = true;
    changed.SignalAll();
  }
  threads.clear();  // for ever, were one not woken
}

}  // namespace
}  // namespace holdfast
