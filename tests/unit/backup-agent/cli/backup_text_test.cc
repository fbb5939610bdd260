#include "backup-agent/cli/backup_text.h"

#include <string>

#include "absl/time/time.h"
#include "common/messages/proto_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace holdfast {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr absl::Time kNow = absl::FromUnixSeconds(1'795'372'500);  // 2026-11-22 18:35:00

void SetTime(absl::Time time, google::protobuf::Timestamp* timestamp) {
  timestamp->set_seconds(absl::ToUnixSeconds(time));
}

v1::BackupStatus HealthyStatus() {
  v1::BackupStatus status;
  status.set_store_name("main");
  status.set_verdict(v1::BackupStatus::VERDICT_HEALTHY);
  status.mutable_last_backup()->set_backup_id("20261122T183000.000Z-1f9a2b3c");
  status.mutable_last_backup()->set_document_count(104'000);
  *status.mutable_last_backup_age() = ToProto(absl::Minutes(5));
  SetTime(kNow + absl::Hours(2), status.mutable_next_due_time());
  v1::DestinationStatus& destination = *status.add_destinations();
  destination.set_destination_name("local");
  destination.set_url("file:///backups");
  SetTime(kNow - absl::Minutes(5), destination.mutable_last_success_time());
  *destination.mutable_last_success_age() = ToProto(absl::Minutes(5));
  return status;
}

TEST(FormatStatusTest, BeginsWithTheVerdict) {
  v1::GetBackupStatusResponse response;
  *response.add_stores() = HealthyStatus();
  const std::string text = FormatStatus(response, kNow);
  EXPECT_THAT(text, StartsWith("main: HEALTHY\n"));
  EXPECT_THAT(text, HasSubstr("5 min old: 104,000 documents"));
  EXPECT_THAT(text, HasSubstr("2026-11-22 20:35:00 UTC, in 2 h"));
  EXPECT_THAT(text, HasSubstr("local (file:///backups): last backup 5 min ago"));
  EXPECT_THAT(text, Not(HasSubstr("failures")));
}

TEST(FormatStatusTest, SaysWhetherBackupsAreProvenAndWhenTheyAreNext) {
  v1::GetBackupStatusResponse response;
  *response.add_stores() = HealthyStatus();
  v1::DestinationStatus& destination = *response.mutable_stores(0)->mutable_destinations(0);
  SetTime(kNow + absl::Hours(2), destination.mutable_next_drill_time());
  SetTime(kNow - absl::Minutes(1), destination.mutable_next_check_time());
  EXPECT_THAT(FormatStatus(response, kNow),
              HasSubstr("; never proven restorable; next drill in 2 h; next check due now\n"));
  SetTime(kNow - absl::Hours(3), destination.mutable_last_drill_time());
  EXPECT_THAT(FormatStatus(response, kNow), HasSubstr("; proven restorable 3 h ago; next drill"));
}

TEST(FormatStatusTest, SaysWhatIsWrong) {
  v1::GetBackupStatusResponse response;
  v1::BackupStatus& status = *response.add_stores();
  status = HealthyStatus();
  status.set_verdict(v1::BackupStatus::VERDICT_FAILING);
  status.set_reason("the last run failed");
  status.set_consecutive_failures(3);
  status.set_last_error("disk full");
  status.set_store_error("cannot reach the store");
  status.clear_last_backup();
  status.clear_next_due_time();
  status.mutable_last_run()->set_run_id("r1");
  status.mutable_last_run()->set_state(v1::Run::STATE_FAILED);
  status.mutable_last_run()->set_error("disk full");
  status.mutable_destinations(0)->set_consecutive_failures(3);
  status.mutable_destinations(0)->set_last_error("no space");
  *response.add_stores() = HealthyStatus();
  const std::string text = FormatStatus(response, kNow);
  EXPECT_THAT(text, StartsWith("main: FAILING: the last run failed\n"));
  EXPECT_THAT(text, HasSubstr("last backup   none\n"));
  EXPECT_THAT(text, HasSubstr("automatic backups are off"));
  EXPECT_THAT(text, HasSubstr("failures      3 in a row\n"));
  EXPECT_THAT(text, HasSubstr("cannot reach the store"));
  EXPECT_THAT(text, HasSubstr("3 failures in a row: no space"));
  EXPECT_THAT(text, HasSubstr("run r1 failed"));
  EXPECT_THAT(text, HasSubstr(": disk full\n"));
  EXPECT_THAT(text, HasSubstr("\n\nmain: HEALTHY\n"));
}

TEST(FormatStatusTest, SaysAReasonOnce) {
  const std::string error = "local: there is no holdfast.json at file:///backups";
  v1::GetBackupStatusResponse response;
  v1::BackupStatus& status = *response.add_stores();
  status = HealthyStatus();
  status.set_verdict(v1::BackupStatus::VERDICT_FAILING);
  status.set_reason("the last run failed: " + error);
  status.set_consecutive_failures(1);
  status.set_last_error(error);
  status.mutable_last_run()->set_run_id("r1");
  status.mutable_last_run()->set_state(v1::Run::STATE_FAILED);
  status.mutable_last_run()->set_error(error);
  v1::DestinationStatus& destination = *status.mutable_destinations(0);
  destination.set_consecutive_failures(1);
  destination.set_last_error("there is no holdfast.json at file:///backups");
  destination.set_listing_error(destination.last_error());
  destination.set_warning(destination.last_error());
  const std::string text = FormatStatus(response, kNow);
  EXPECT_EQ(text.find("no holdfast.json"), text.rfind("no holdfast.json")) << text;
  EXPECT_THAT(text, HasSubstr("1 in a row\n"));
  EXPECT_THAT(text, HasSubstr("1 failure in a row; never proven restorable\n"));
  EXPECT_THAT(text, Not(HasSubstr("warning")));
}

TEST(FormatStatusTest, SaysWhatIsKnownOfADestination) {
  v1::GetBackupStatusResponse response;
  v1::BackupStatus& status = *response.add_stores();
  status = HealthyStatus();
  v1::DestinationStatus& destination = *status.mutable_destinations(0);
  destination.set_warning("it caches writes");
  destination.set_listing_error("permission denied");
  destination.set_removal_refusal("the clock was set");
  const std::string text = FormatStatus(response, kNow);
  EXPECT_THAT(text, HasSubstr("  warning       it caches writes\n"));
  EXPECT_THAT(text, HasSubstr("  can't be read permission denied\n"));
  EXPECT_THAT(text, HasSubstr("  frees nothing the clock was set\n"));
}

TEST(FormatStatusTest, SaysOnceWhatIsSoAtAllDestinations) {
  v1::GetBackupStatusResponse response;
  v1::BackupStatus& status = *response.add_stores();
  status = HealthyStatus();
  status.mutable_destinations(0)->set_removal_refusal("the clock was set");
  *status.add_destinations() = status.destinations(0);
  std::string text = FormatStatus(response, kNow);
  EXPECT_THAT(text, HasSubstr("  frees nothing the clock was set\n"));
  EXPECT_EQ(text.find("frees nothing"), text.rfind("frees nothing")) << text;
  status.mutable_destinations(1)->set_removal_refusal("a backup can't be read");
  text = FormatStatus(response, kNow);
  EXPECT_THAT(text, HasSubstr("  frees nothing the clock was set\n  destination"));
  EXPECT_THAT(text, HasSubstr("  frees nothing a backup can't be read\n"));
}

TEST(FormatBackupTableTest, NotesWhatIsDamagedPinnedAndProven) {
  v1::Backup backup;
  backup.set_backup_id("b1");
  backup.add_destination_names("local");
  backup.add_destination_names("share");
  backup.add_damaged_destination_names("share");
  backup.set_pinned(true);
  SetTime(kNow, backup.mutable_drill_time());
  EXPECT_THAT(FormatBackupTable({backup}),
              HasSubstr("local, share  damaged at share; pinned; proven restorable\n"));
}

v1::PruneBackupsResponse OnePrune() {
  v1::PruneBackupsResponse pruned;
  v1::DestinationPrune& destination = *pruned.add_destinations();
  destination.set_destination_name("local");
  v1::RetentionDecision& kept = *destination.add_decisions();
  kept.set_backup_id("b2");
  kept.set_kept(true);
  kept.add_reasons("the newest");
  v1::RetentionDecision& deleted = *destination.add_decisions();
  deleted.set_backup_id("b1");
  deleted.add_reasons("damaged");
  return pruned;
}

TEST(FormatPruneTest, ADryRunSaysWhatWouldBeDeletedAndWhy) {
  v1::PruneBackupsResponse pruned = OnePrune();
  EXPECT_EQ(FormatPrune(pruned, /*is_dry_run=*/true),
            "destination local\n"
            "  keep    b2  the newest\n"
            "  delete  b1  no rule keeps it, damaged\n");
  pruned.mutable_destinations(0)->set_removal_refusal("the clock was set");
  EXPECT_THAT(FormatPrune(pruned, /*is_dry_run=*/true),
              HasSubstr("  nothing would be removed for good: the clock was set\n"));
}

TEST(FormatPruneTest, SaysWhatWasDoneAndWhyNot) {
  v1::PruneBackupsResponse pruned = OnePrune();
  v1::DestinationPrune& destination = *pruned.mutable_destinations(0);
  destination.set_backups_deleted(1);
  destination.set_objects_removed(1);
  EXPECT_THAT(FormatPrune(pruned, /*is_dry_run=*/false),
              HasSubstr("  1 backup deleted; removed for good: 0 backups, 1 object, 0 B\n"));
  destination.set_removal_refusal("the clock was set");
  EXPECT_THAT(FormatPrune(pruned, /*is_dry_run=*/false),
              HasSubstr("  nothing was removed for good: the clock was set\n"));
  destination.set_error("no space left");
  EXPECT_EQ(FormatPrune(pruned, /*is_dry_run=*/false),
            "destination local\n  can't be pruned: no space left\n");
}

TEST(RunProgressTest, CountsBytesWhileTheyAreSent) {
  v1::Run run;
  run.set_phase(v1::Run::PHASE_COMPARE);
  run.set_bytes_to_send(100);
  EXPECT_EQ(FormatProgress(RunProgress(run), {}), "compare with the destinations");
  run.set_phase(v1::Run::PHASE_TRANSFER);
  run.set_bytes_sent(50);
  run.set_files_to_send(4);
  run.set_files_sent(1);
  EXPECT_EQ(FormatProgress(RunProgress(run), {}), "send: 50.0%, 50 B of 100 B, 1 of 4 files");
}

TEST(FormatRunTableTest, ShowsWhyRunsFailedBelow) {
  v1::ListRunsResponse runs;
  v1::Run& run = *runs.add_runs();
  run.set_run_id("r1");
  run.set_state(v1::Run::STATE_FAILED);
  run.set_cause(v1::Run::CAUSE_CAUGHT_UP);
  SetTime(kNow, run.mutable_start_time());
  SetTime(kNow + absl::Seconds(12), run.mutable_end_time());
  run.set_error("no space");
  EXPECT_EQ(FormatRunTable(runs),
            "RUN  STARTED                  CAUSE      STATE   TOOK  SENT  BACKUP\n"
            "r1   2026-11-22 18:35:00 UTC  caught up  failed  12 s   0 B\n"
            "r1: no space\n");
}

TEST(FormatSettingsTest, ShowsScheduleDestinationsAndKey) {
  v1::Settings settings;
  settings.set_store_name("main");
  settings.mutable_schedule()->set_automatic(true);
  *settings.mutable_schedule()->mutable_interval() = ToProto(absl::Hours(4));
  settings.mutable_schedule()->set_start_time_of_day("02:00");
  settings.mutable_schedule()->set_time_zone("Europe/Berlin");
  v1::Destination& destination = *settings.add_destinations();
  destination.set_name("share");
  destination.set_url("file:///mnt/share");
  settings.set_key_fingerprint("0123456789abcdef");
  const std::string text = FormatSettings(settings);
  EXPECT_THAT(text, HasSubstr("every 4 h from 02:00 Europe/Berlin"));
  EXPECT_THAT(text, HasSubstr("share  file:///mnt/share"));
  EXPECT_THAT(text, HasSubstr("all destinations"));
  EXPECT_THAT(text, HasSubstr("0123456789abcdef, not confirmed"));
}

}  // namespace
}  // namespace holdfast
