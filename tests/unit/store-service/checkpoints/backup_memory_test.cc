#include "store-service/checkpoints/backup_memory.h"

#include <string>

#include "common/io/durable_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/log_capture.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/store-service/store_parts.h"

namespace holdfast {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

class BackupMemoryTest : public testing::Test {
 protected:
  v1::BackupReport Report(uint64_t revision, int64_t checkpoint_seconds) {
    v1::BackupReport report;
    report.set_backup_id("20261122T183500.123Z-1f9a2b3c");
    report.set_store_id(parts_.directory->store_id().ToText());
    report.set_incarnation(incarnation_);
    report.set_revision(revision);
    report.set_state_digest(std::string(64, 'a'));
    report.set_manifest_hash(std::string(32, 'm'));
    report.mutable_checkpoint_time()->set_seconds(checkpoint_seconds);
    report.set_destination_count(1);
    return report;
  }

  StoreParts parts_;
  const std::string incarnation_ = std::string(32, '1');
  BackupMemory memory_{parts_.directory.get(), incarnation_, &parts_.clock()};
};

TEST_F(BackupMemoryTest, RemembersTheNewestAlsoAfterARestart) {
  EXPECT_EQ(memory_.newest(), std::nullopt);
  ASSERT_OK(memory_.Remember(Report(5, 100), 9));
  ASSERT_OK(memory_.Remember(Report(7, 200), 9));
  ASSERT_OK(memory_.Remember(Report(6, 300), 9));  // older by revision: accepted and not kept
  const BackupMemory reopened(parts_.directory.get(), incarnation_, &parts_.clock());
  for (const BackupMemory* memory :
       std::initializer_list<const BackupMemory*>{&memory_, &reopened}) {
    ASSERT_TRUE(memory->newest().has_value());
    EXPECT_EQ(memory->newest()->revision(), 7U);
    EXPECT_EQ(memory->newest()->report_time().seconds(), absl::ToUnixSeconds(parts_.clock().Now()));
  }
}

TEST_F(BackupMemoryTest, OfOneRevisionTheLaterCheckpointCounts) {
  ASSERT_OK(memory_.Remember(Report(5, 200), 9));
  ASSERT_OK(memory_.Remember(Report(5, 100), 9));
  EXPECT_EQ(memory_.newest()->checkpoint_time().seconds(), 200);
  ASSERT_OK(memory_.Remember(Report(5, 300), 9));
  EXPECT_EQ(memory_.newest()->checkpoint_time().seconds(), 300);
}

TEST_F(BackupMemoryTest, RefusesWhatIsNotOfThisStore) {
  v1::BackupReport report = Report(5, 100);
  report.set_store_id(std::string(32, 'f'));
  EXPECT_THAT(memory_.Remember(report, 9), StatusIs(kInvalid, HasSubstr("another store")));
  report = Report(5, 100);
  report.set_incarnation(std::string(32, 'f'));
  EXPECT_THAT(memory_.Remember(report, 9), StatusIs(kInvalid, HasSubstr("another incarnation")));
  EXPECT_THAT(memory_.Remember(Report(10, 100), 9), StatusIs(kInvalid, HasSubstr("only at 9")));
  EXPECT_EQ(memory_.newest(), std::nullopt);
}

TEST_F(BackupMemoryTest, RefusesAReportThatIsNotComplete) {
  v1::BackupReport report = Report(5, 100);
  report.clear_backup_id();
  EXPECT_THAT(memory_.Remember(report, 9), StatusIs(kInvalid, HasSubstr("not complete")));
  report = Report(5, 100);
  report.set_manifest_hash("short");
  EXPECT_THAT(memory_.Remember(report, 9), StatusIs(kInvalid));
  report = Report(5, 100);
  report.clear_checkpoint_time();
  EXPECT_THAT(memory_.Remember(report, 9), StatusIs(kInvalid));
  report = Report(5, 100);
  report.set_backup_id(std::string(1000, 'x'));
  EXPECT_THAT(memory_.Remember(report, 9), StatusIs(kInvalid));
}

TEST_F(BackupMemoryTest, ABackupOfAnotherIncarnationIsForgotten) {
  ASSERT_OK(memory_.Remember(Report(5, 100), 9));
  const BackupMemory restored(parts_.directory.get(), std::string(32, '2'), &parts_.clock());
  EXPECT_EQ(restored.newest(), std::nullopt);
}

TEST_F(BackupMemoryTest, ADamagedRecordIsLoggedAndForgotten) {
  LogCapture log;
  ASSERT_OK(WriteFileDurably(parts_.path() + "/last-backup", "\xff\xff\xff garbage",
                             {.existing = DurableFile::Existing::kReplace}));
  const BackupMemory memory(parts_.directory.get(), incarnation_, &parts_.clock());
  EXPECT_EQ(memory.newest(), std::nullopt);
  EXPECT_THAT(log.lines(), Contains(HasSubstr("forgot when it was last backed up")));
}

}  // namespace
}  // namespace holdfast
