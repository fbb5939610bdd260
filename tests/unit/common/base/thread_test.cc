#include "common/base/thread.h"

#include <pthread.h>
#include <sys/resource.h>

#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace holdfast {
namespace {

TEST(ThreadTest, DestructionWaitsForTheFunction) {
  bool has_run = false;
  {
    Thread thread("worker", [&] { has_run = true; });
  }
  EXPECT_TRUE(has_run);
}

TEST(ThreadTest, HasItsNameCutToWhatTheSystemKeeps) {
  std::string name;
  Thread("a-name-that-is-too-long", [&] {
    char buffer[32];
    pthread_getname_np(pthread_self(), buffer, sizeof(buffer));
    name = buffer;
  }).Join();
  EXPECT_EQ(name, "a-name-that-is-");
}

TEST(ThreadTest, AssignmentJoinsWhatRanBefore) {
  auto first = std::make_shared<int>(0);
  auto second = std::make_shared<int>(0);
  Thread thread("first", [first] { ++*first; });
  thread = Thread("second", [second] { ++*second; });
  EXPECT_EQ(*first, 1);
  EXPECT_EQ(first.use_count(), 1);  // what the function held is gone
  thread.Join();
  EXPECT_EQ(*second, 1);
}

TEST(ThreadTest, EmptyAndMovedFromHaveNothingToJoin) {
  Thread empty;
  empty.Join();
  Thread thread("worker", [] {});
  Thread moved = std::move(thread);
  thread.Join();  // NOLINT(bugprone-use-after-move)
  moved.Join();
  moved.Join();
}

TEST(ThreadTest, SteppingBackIsInheritedAndLeavesOthersAlone) {
  const int nice_here = getpriority(PRIO_PROCESS, 0);
  int nice_there = 0;
  int nice_of_its_thread = 0;
  Thread thread("back", [&] {
    StepBack();
    nice_there = getpriority(PRIO_PROCESS, 0);
    const Thread other("other", [&] { nice_of_its_thread = getpriority(PRIO_PROCESS, 0); });
  });
  thread.Join();
  EXPECT_EQ(nice_there, kBackgroundNice);
  EXPECT_EQ(nice_of_its_thread, kBackgroundNice);
  EXPECT_EQ(getpriority(PRIO_PROCESS, 0), nice_here);
}

}  // namespace
}  // namespace holdfast
