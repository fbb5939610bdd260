#include "backup-agent/schedule/status_report.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/messages/proto_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class StatusReportTest : public ::testing::Test {
 protected:
  StatusReportTest() {
    known_.settings.set_store_name("main");
    known_.settings.add_destinations()->set_name("local");
    known_.settings.add_destinations()->set_name("share");
    known_.start_time = clock_.MonotonicNow();
  }

  void AddBackup(uint64_t ordinal, const std::vector<std::string>& destinations) {
    v1::Backup backup;
    backup.set_backup_id(absl::StrCat("backup-", ordinal));
    backup.set_ordinal(ordinal);
    *backup.mutable_checkpoint_time() = ToProto(clock_.Now());
    for (const std::string& name : destinations) backup.add_destination_names(name);
    known_.catalog.Add(backup, clock_.MonotonicNow());
  }
  void SetPlaceWarning(const PlaceWarning& warning) {
    BackupRunner::Listing listing;
    listing.warnings["share"] = warning;
    known_.destinations.OnListed(known_.settings, listing);
  }
  void EndRunThatWarned(const std::string& warning) {
    v1::Run run;
    run.set_state(v1::Run::STATE_SUCCEEDED);
    v1::DestinationResult& result = *run.add_destinations();
    result.set_destination_name("share");
    result.set_warning(warning);
    known_.runs.Add(run);
  }

  StatusReport Report() { return ReportStatus(known_, "fingerprint", std::nullopt, clock_); }
  static std::vector<std::string> Text(const std::vector<VerdictInput::Behind>& behind) {
    std::vector<std::string> texts;
    for (const auto& [name, error] : behind) texts.push_back(absl::StrCat(name, ": ", error));
    return texts;
  }

  FakeClock clock_;
  StoreKnowledge known_{clock_};
};

TEST_F(StatusReportTest, DestinationWithoutTheNewestBackupIsBehind) {
  AddBackup(1, {"local", "share"});
  EXPECT_THAT(Report().verdict.destinations_behind, IsEmpty());
  AddBackup(2, {"local"});
  (*known_.memory.mutable_destinations())["share"].set_last_error("not mounted");
  const StatusReport report = Report();
  EXPECT_THAT(Text(report.verdict.destinations_behind), ElementsAre("share: not mounted"));
  EXPECT_EQ(report.status.destinations(1).last_backup_id(), "backup-1");
  EXPECT_EQ(report.status.last_backup().backup_id(), "backup-1") << "both must hold it";
}

TEST_F(StatusReportTest, DestinationWhoseNewestBackupIsDamagedIsBehindUntilTheNextRun) {
  v1::Backup backup;
  backup.set_backup_id("backup-1");
  backup.set_ordinal(1);
  for (const char* const name : {"local", "share"}) backup.add_destination_names(name);
  backup.add_damaged_destination_names("share");
  known_.catalog.Add(backup, clock_.MonotonicNow());
  EXPECT_THAT(Text(Report().verdict.destinations_behind),
              ElementsAre("share: it is damaged there; the next run writes anew what it lacks"));
  AddBackup(2, {"local", "share"});
  EXPECT_THAT(Report().verdict.destinations_behind, IsEmpty());
}

TEST_F(StatusReportTest, DestinationThatCannotBeReadIsBehindOnlyIfItWas) {
  AddBackup(1, {"local", "share"});
  BackupRunner::Listing listing;
  listing.errors["share"] = absl::NotFoundError("not mounted");
  known_.destinations.OnListed(known_.settings, listing);
  StatusReport report = Report();
  EXPECT_THAT(Text(report.verdict.unreadable_destinations), ElementsAre("share: not mounted"));
  EXPECT_THAT(report.verdict.destinations_behind, IsEmpty());
  AddBackup(2, {"local"});
  report = Report();
  EXPECT_THAT(report.verdict.unreadable_destinations, IsEmpty());
  EXPECT_THAT(Text(report.verdict.destinations_behind), ElementsAre("share: not mounted"));
}

TEST_F(StatusReportTest, WarningsOfPlaceAndRunAreSaidOnce) {
  SetPlaceWarning({.text = "mounted soft", .is_unsafe = true});
  StatusReport report = Report();
  EXPECT_EQ(report.status.destinations(1).warning(), "mounted soft");
  EXPECT_THAT(Text(report.verdict.unsafe_destinations), ElementsAre("share: mounted soft"));
  EXPECT_THAT(report.verdict.run_warnings, IsEmpty());

  EndRunThatWarned("mounted soft; the disk is nearly full");
  report = Report();
  EXPECT_EQ(report.status.destinations(1).warning(), "mounted soft; the disk is nearly full");
  EXPECT_THAT(Text(report.verdict.run_warnings),
              ElementsAre("share: mounted soft; the disk is nearly full"));

  EndRunThatWarned("the disk is nearly full");
  EXPECT_EQ(Report().status.destinations(1).warning(), "mounted soft; the disk is nearly full");
}

TEST_F(StatusReportTest, AgesAreOfTheClockThatNeverJumps) {
  AddBackup(1, {"local", "share"});
  known_.destinations.OnSuccess("local", clock_.MonotonicNow());
  clock_.Advance(absl::Hours(1));
  clock_.SetWallTime(clock_.Now() + absl::Hours(24));
  const StatusReport report = Report();
  EXPECT_EQ(report.verdict.last_backup_age, absl::Hours(1));
  EXPECT_EQ(FromProto(report.status.destinations(0).last_success_age()), absl::Hours(1));
  EXPECT_EQ(FromProto(report.status.destinations(1).last_success_age()), absl::Hours(25))
      << "no run of this process";
}

TEST_F(StatusReportTest, BackupOfTheFutureIsAsOldAsTheProcess) {
  v1::Backup backup;
  *backup.mutable_checkpoint_time() = ToProto(clock_.Now() + absl::Hours(24));
  backup.add_destination_names("local");
  backup.add_destination_names("share");
  known_.catalog.FinishListing(known_.catalog.BeginListing(), {.backups = {backup}, .errors = {}});
  clock_.Advance(absl::Minutes(5));
  EXPECT_EQ(Report().verdict.last_backup_age, absl::Minutes(5));
}

}  // namespace
}  // namespace holdfast
