#include "store-service/documents/sickness.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/log_capture.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SicknessRecordTest : public testing::Test {
 protected:
  FakeClock clock_;
  LogCapture log_;
  SicknessRecord record_{&clock_};
};

TEST_F(SicknessRecordTest, IsHealthyUntilSomethingIsReported) {
  EXPECT_EQ(record_.Get(), std::nullopt);
  EXPECT_OK(record_.CheckFitForCheckpoint());
}

TEST_F(SicknessRecordTest, TheWorstIsShownAndTheFirstOfItsKindStays) {
  record_.Report(Sickness::Kind::kTableDamaged, "first");
  record_.Report(Sickness::Kind::kTableDamaged, "second");
  record_.Report(Sickness::Kind::kLogDamaged, "lighter", 7);
  ASSERT_TRUE(record_.Get().has_value());
  EXPECT_EQ(record_.Get()->kind, Sickness::Kind::kTableDamaged);
  EXPECT_EQ(record_.Get()->message, "first");
  EXPECT_EQ(record_.Get()->notice_time, clock_.Now());
  EXPECT_THAT(log_.lines(), ElementsAre(HasSubstr("first"), HasSubstr("lighter")));
}

TEST_F(SicknessRecordTest, ADatabaseWhoseLogWasDamagedIsStillFitForACheckpoint) {
  record_.Report(Sickness::Kind::kLogDamaged, "lost", 7);
  EXPECT_EQ(record_.Get()->lost_from_revision, 7U);
  EXPECT_OK(record_.CheckFitForCheckpoint());
  record_.Report(Sickness::Kind::kWritesStopped, "stopped");
  EXPECT_THAT(record_.CheckFitForCheckpoint(),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("stopped")));
}

TEST_F(SicknessRecordTest, OnlyABackgroundErrorIsRecoveredFrom) {
  record_.Report(Sickness::Kind::kLogDamaged, "lost", 7);
  record_.Report(Sickness::Kind::kBackgroundError, "full");
  record_.Recovered();
  EXPECT_EQ(record_.Get()->kind, Sickness::Kind::kLogDamaged);
}

TEST_F(SicknessRecordTest, OnlyDataLossIsAReadErrorThatMeansDamage) {
  record_.ReportReadError(absl::OkStatus());
  record_.ReportReadError(absl::UnavailableError("busy"));
  EXPECT_EQ(record_.Get(), std::nullopt);
  record_.ReportReadError(absl::DataLossError("block checksum mismatch"));
  EXPECT_EQ(record_.Get()->kind, Sickness::Kind::kTableDamaged);
  EXPECT_THAT(record_.Get()->message, HasSubstr("block checksum mismatch"));
}

}  // namespace
}  // namespace holdfast
