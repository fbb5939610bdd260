#include "common/base/bounded_queue.h"

#include <memory>
#include <optional>
#include <vector>

#include "common/base/thread.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"

namespace holdfast {
namespace {

using ::testing::Optional;
using ::testing::Pointee;

TEST(BoundedQueueTest, ItemsComeOutInTheOrderTheyWentIn) {
  BoundedQueue<int> queue(3);
  EXPECT_TRUE(queue.Push(1));
  EXPECT_TRUE(queue.Push(2));
  EXPECT_TRUE(queue.Push(3));
  EXPECT_EQ(queue.size(), 3);
  EXPECT_THAT(queue.Pop(), Optional(1));
  EXPECT_THAT(queue.TryPop(), Optional(2));
  EXPECT_THAT(queue.Pop(), Optional(3));
  EXPECT_EQ(queue.TryPop(), std::nullopt);
}

TEST(BoundedQueueTest, ClosedQueueGivesWhatItHoldsAndTakesNothing) {
  BoundedQueue<int> queue(3);
  EXPECT_TRUE(queue.Push(1));
  queue.Close();
  queue.Close();
  EXPECT_FALSE(queue.Push(2));
  EXPECT_THAT(queue.Pop(), Optional(1));
  EXPECT_EQ(queue.Pop(), std::nullopt);
}

TEST(BoundedQueueTest, AbandonedQueueDropsWhatItHolds) {
  BoundedQueue<std::shared_ptr<int>> queue(3);
  auto item = std::make_shared<int>(1);
  EXPECT_TRUE(queue.Push(item));
  queue.Abandon();
  EXPECT_EQ(item.use_count(), 1);
  EXPECT_EQ(queue.Pop(), std::nullopt);
}

TEST(BoundedQueueTest, PushWaitsForRoom) {
  BoundedQueue<int> queue(1);
  EXPECT_TRUE(queue.Push(1));
  bool pushed = false;
  {
    Thread producer("producer", [&] { pushed = queue.Push(2); });
    EXPECT_THAT(queue.Pop(), Optional(1));
    EXPECT_THAT(queue.Pop(), Optional(2));
  }
  EXPECT_TRUE(pushed);
}

TEST(BoundedQueueTest, PushGivesUpAtTheDeadlineAndLeavesTheItem) {
  FakeClock clock;
  BoundedQueue<std::unique_ptr<int>> queue(1);
  EXPECT_TRUE(queue.Push(std::make_unique<int>(1)));
  auto item = std::make_unique<int>(2);
  PushResult result = PushResult::kPushed;
  const MonotonicTime deadline = clock.MonotonicNow() + absl::Seconds(30);
  Thread producer("producer", [&] { result = queue.PushUntil(clock, deadline, item); });
  clock.AwaitWaiters(1);
  clock.Advance(absl::Seconds(30));
  producer.Join();

  EXPECT_EQ(result, PushResult::kTimedOut);
  EXPECT_THAT(item, Pointee(2));
  EXPECT_EQ(queue.size(), 1);
}

TEST(BoundedQueueTest, TimedPushTakesRoomThatComesInTime) {
  FakeClock clock;
  BoundedQueue<int> queue(1);
  int item = 1;
  EXPECT_EQ(queue.PushUntil(clock, clock.MonotonicNow(), item), PushResult::kPushed);
  item = 2;
  EXPECT_EQ(queue.PushUntil(clock, clock.MonotonicNow(), item), PushResult::kTimedOut);

  PushResult result = PushResult::kTimedOut;
  const MonotonicTime deadline = clock.MonotonicNow() + absl::Seconds(30);
  Thread producer("producer", [&] { result = queue.PushUntil(clock, deadline, item); });
  clock.AwaitWaiters(1);
  EXPECT_THAT(queue.Pop(), Optional(1));
  producer.Join();
  EXPECT_EQ(result, PushResult::kPushed);
  EXPECT_THAT(queue.Pop(), Optional(2));
}

TEST(BoundedQueueTest, ClosingFreesBothEnds) {
  FakeClock clock;
  BoundedQueue<int> full(1);
  EXPECT_TRUE(full.Push(1));
  BoundedQueue<int> empty(1);
  bool pushed = true;
  PushResult timed_result = PushResult::kPushed;
  std::optional<int> popped = 1;
  {
    int item = 3;
    Thread producer("producer", [&] { pushed = full.Push(2); });
    Thread timed_producer("timed", [&] {
      timed_result = full.PushUntil(clock, MonotonicTime::InfiniteFuture(), item);
    });
    Thread consumer("consumer", [&] { popped = empty.Pop(); });
    full.Close();
    empty.Close();
  }
  EXPECT_FALSE(pushed);
  EXPECT_EQ(timed_result, PushResult::kClosed);
  EXPECT_EQ(popped, std::nullopt);
}

TEST(BoundedQueueTest, EveryItemComesOutOnceWithManyOnBothEnds) {
  constexpr int kProducers = 4;
  constexpr int kItemsEach = 2000;
  BoundedQueue<int> queue(8);
  std::vector<int> seen(kProducers * kItemsEach);
  Mutex mutex;
  {
    std::vector<Thread> consumers;
    for (int i = 0; i < 3; ++i) {
      consumers.emplace_back("consumer", [&] {
        while (std::optional<int> item = queue.Pop()) {
          MutexLock lock(&mutex);
          ++seen[*item];
        }
      });
    }
    {
      std::vector<Thread> producers;
      for (int i = 0; i < kProducers; ++i) {
        producers.emplace_back("producer", [&queue, i] {
          for (int j = 0; j < kItemsEach; ++j) EXPECT_TRUE(queue.Push(i * kItemsEach + j));
        });
      }
    }
    queue.Close();
  }
  EXPECT_THAT(seen, testing::Each(1));
}

}  // namespace
}  // namespace holdfast
