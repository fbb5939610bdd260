#include "backup-agent/schedule/run_watchers.h"

#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"

namespace holdfast {
namespace {

class RunWatchersTest : public ::testing::Test {
 protected:
  static RunSnapshot Version(uint64_t version) {
    RunSnapshot snapshot;
    snapshot.version = version;
    return snapshot;
  }
  void Add(uint64_t ticket, uint64_t version) {
    watchers_.Add(ticket, version, clock_.MonotonicNow(),
                  [](const absl::StatusOr<RunSnapshot>&) {});
  }
  size_t TakeDue(const RunSnapshot& snapshot) {
    return watchers_.TakeDue(snapshot, clock_.MonotonicNow()).size();
  }

  FakeClock clock_;
  RunWatchers watchers_;
};

TEST_F(RunWatchersTest, FirstVersionIsDueAtOnce) {
  Add(1, 0);
  EXPECT_EQ(watchers_.NextDue(1), clock_.MonotonicNow());
  EXPECT_EQ(TakeDue(Version(1)), 1u);
  EXPECT_EQ(TakeDue(Version(2)), 0u) << "each waits for one change";
}

TEST_F(RunWatchersTest, ChangesComeAtMostFiveTimesASecond) {
  Add(1, 1);
  EXPECT_EQ(TakeDue(Version(2)), 0u);
  EXPECT_EQ(watchers_.NextDue(2), clock_.MonotonicNow() + absl::Milliseconds(200));
  clock_.Advance(absl::Milliseconds(200));
  EXPECT_EQ(TakeDue(Version(2)), 1u);
}

TEST_F(RunWatchersTest, NothingComesWithoutAChange) {
  Add(1, 3);
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(TakeDue(Version(3)), 0u);
  EXPECT_EQ(watchers_.NextDue(3), MonotonicTime::InfiniteFuture());
}

TEST_F(RunWatchersTest, EndComesAtOnce) {
  Add(1, 3);
  RunSnapshot end = Version(3);
  end.is_last = true;
  EXPECT_EQ(TakeDue(end), 1u);
}

TEST_F(RunWatchersTest, ForgottenWatcherIsNotTold) {
  Add(1, 0);
  Add(2, 0);
  watchers_.Forget(1);
  EXPECT_EQ(TakeDue(Version(1)), 1u);
}

}  // namespace
}  // namespace holdfast
