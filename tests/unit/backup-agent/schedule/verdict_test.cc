#include "backup-agent/schedule/verdict.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Of a store with which all is well.
VerdictInput Healthy() {
  VerdictInput input;
  input.last_backup_age = absl::Hours(1);
  input.known_for = absl::Hours(1000);
  input.interval = absl::Hours(4);
  input.is_key_confirmed = true;
  return input;
}

TEST(VerdictTest, HealthyHasNoReason) {
  const VerdictOutput output = ReachVerdict(Healthy());
  EXPECT_EQ(output.verdict, v1::BackupStatus::VERDICT_HEALTHY);
  EXPECT_EQ(output.reason, "");
}

TEST(VerdictTest, NoBackupYet) {
  VerdictInput input = Healthy();
  input.last_backup_age.reset();
  input.known_for = absl::Hours(1);
  EXPECT_EQ(ReachVerdict(input).verdict, v1::BackupStatus::VERDICT_NO_BACKUP);
  EXPECT_THAT(ReachVerdict(input).reason, HasSubstr("will be taken at its time"));
  input.is_automatic = false;
  EXPECT_THAT(ReachVerdict(input).reason, HasSubstr("trigger one"));
}

TEST(VerdictTest, FirstBackupIsOverdueByTheTimeTheStoreIsKnown) {
  VerdictInput input = Healthy();
  input.last_backup_age.reset();
  input.known_for = absl::Hours(6);
  EXPECT_EQ(ReachVerdict(input).verdict, v1::BackupStatus::VERDICT_NO_BACKUP);
  input.known_for = absl::Hours(6) + absl::Seconds(1);
  EXPECT_EQ(ReachVerdict(input).verdict, v1::BackupStatus::VERDICT_OVERDUE);
  EXPECT_THAT(ReachVerdict(input).reason, StartsWith("there is no backup after 6h0m"));
}

TEST(VerdictTest, EverythingThatIsNotAsItShouldBeDegrades) {
  const auto verdict_of = [](const VerdictInput& input) {
    const VerdictOutput output = ReachVerdict(input);
    EXPECT_EQ(output.verdict, v1::BackupStatus::VERDICT_DEGRADED);
    return output.reason;
  };
  VerdictInput input = Healthy();
  input.is_key_confirmed = false;
  EXPECT_THAT(verdict_of(input), AllOf(HasSubstr("nobody confirmed that the master key"),
                                       HasSubstr("`holdfast key verify --confirm`")));
  input = Healthy();
  input.destinations_behind = {{"share", "no space left"}};
  EXPECT_EQ(verdict_of(input), "destination share does not hold the newest backup: no space left");
  input.consecutive_failures = 1;
  input.last_error = "share: no space left";
  EXPECT_EQ(ReachVerdict(input).reason,
            "the last run failed: share: no space left; destination share does not hold the newest "
            "backup");
  input = Healthy();
  input.unsafe_destinations = {{"share", "it caches writes"}};
  EXPECT_EQ(verdict_of(input), "destination share can't be relied on: it caches writes");
  input = Healthy();
  input.unreadable_destinations = {{"share", "the master key is another"}};
  EXPECT_EQ(verdict_of(input),
            "the backups at destination share can't be read: the master key is another");
  input = Healthy();
  input.run_warnings = {{"share", "backup x is gone"}};
  EXPECT_EQ(verdict_of(input), "destination share: backup x is gone");
  input = Healthy();
  input.store_error = "cannot reach it";
  EXPECT_EQ(verdict_of(input), "the store: cannot reach it");
  input = Healthy();
  input.state_error = "no space left";
  EXPECT_EQ(verdict_of(input), "the agent can't save its state: no space left");
}

TEST(VerdictTest, ABackupAtTooFewDestinationsIsNotNone) {
  VerdictInput input = Healthy();
  input.last_backup_age.reset();
  input.known_for = absl::Minutes(1);
  EXPECT_THAT(ReachVerdict(input).reason, HasSubstr("there is no backup yet"));
  input.has_backup_at_too_few = true;
  const VerdictOutput output = ReachVerdict(input);
  EXPECT_EQ(output.verdict, v1::BackupStatus::VERDICT_NO_BACKUP);
  EXPECT_THAT(output.reason, HasSubstr("at as many destinations as the settings require"));
}

TEST(VerdictTest, BackupIsOverdueAfterTheIntervalAndHalfOfIt) {
  VerdictInput input = Healthy();
  input.last_backup_age = absl::Hours(6);
  EXPECT_EQ(ReachVerdict(input).verdict, v1::BackupStatus::VERDICT_HEALTHY);
  input.last_backup_age = absl::Hours(6) + absl::Seconds(1);
  EXPECT_EQ(ReachVerdict(input).verdict, v1::BackupStatus::VERDICT_OVERDUE);
  input.last_backup_age = absl::Hours(24 * 3 + 5);
  EXPECT_THAT(ReachVerdict(input).reason, StartsWith("the newest backup is 3d5h old"));
  // Also where automatic backups are off.
  input.is_automatic = false;
  EXPECT_EQ(ReachVerdict(input).verdict, v1::BackupStatus::VERDICT_OVERDUE);
  EXPECT_THAT(ReachVerdict(input).reason, HasSubstr("automatic backups are off"));
}

TEST(VerdictTest, GraceIsAQuarterOfAnHourAtLeast) {
  EXPECT_EQ(OverdueAge(absl::Minutes(1)), absl::Minutes(16));
  EXPECT_EQ(OverdueAge(absl::Minutes(30)), absl::Minutes(45));
  EXPECT_EQ(OverdueAge(absl::Hours(4)), absl::Hours(6));
}

TEST(VerdictTest, FailedRunsAreFailingWithTheReasonOfTheLast) {
  VerdictInput input = Healthy();
  input.consecutive_failures = 1;
  input.last_error = "no space left";
  EXPECT_EQ(ReachVerdict(input).verdict, v1::BackupStatus::VERDICT_FAILING);
  EXPECT_EQ(ReachVerdict(input).reason, "the last run failed: no space left");
  input.consecutive_failures = 3;
  EXPECT_EQ(ReachVerdict(input).reason, "the last 3 runs failed: no space left");
}

TEST(VerdictTest, WorstWinsAndAllReasonsAreGivenWorstFirst) {
  VerdictInput input = Healthy();
  input.is_key_confirmed = false;
  input.last_backup_age = absl::Hours(100);
  input.consecutive_failures = 2;
  const VerdictOutput output = ReachVerdict(input);
  EXPECT_EQ(output.verdict, v1::BackupStatus::VERDICT_FAILING);
  EXPECT_THAT(output.reason, AllOf(StartsWith("the last 2 runs failed; the newest backup is"),
                                   HasSubstr("; nobody confirmed")));
}

TEST(VerdictTest, DegradedIsWorseThanNoBackupYet) {
  VerdictInput input = Healthy();
  input.last_backup_age.reset();
  input.known_for = absl::Hours(1);
  input.is_key_confirmed = false;
  EXPECT_EQ(ReachVerdict(input).verdict, v1::BackupStatus::VERDICT_DEGRADED);
}

}  // namespace
}  // namespace holdfast
