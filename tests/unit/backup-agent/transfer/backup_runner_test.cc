#include "backup-agent/transfer/backup_runner.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "backup-agent/transfer/worker_pool.h"
#include "common/base/thread.h"
#include "common/io/files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/log_capture.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/backup-agent/transfer/backup_runner_fixture.h"

namespace holdfast {
namespace {

using repository::v1::Mark;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr absl::string_view kTable = "000010.sst";
constexpr absl::string_view kOtherTable = "000011.sst";

// Bytes that do not compress.
std::string Noise(size_t size_bytes, uint64_t seed = 1) {
  std::string bytes(size_bytes, '\0');
  SeededRandom(seed).Fill(absl::MakeSpan(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()));
  return bytes;
}

bool IsManifest(const std::string& name) { return absl::StrContains(name, "/backups/"); }
bool IsObject(const std::string& name) { return absl::StrContains(name, "/objects/"); }

// A hook that lets all calls through but those that `fails` is true of.
BlobHook FailOn(std::function<bool(BlobCall, const std::string&)> fails, absl::Status error) {
  return [fails = std::move(fails), error = std::move(error)](
             BlobCall call, const std::string& name) -> absl::Status {
    return fails(call, name) ? error : absl::OkStatus();
  };
}

std::string Name(absl::string_view name) { return std::string(name); }

// --- A run -----------------------------------------------------------------------------------

TEST_F(BackupRunnerTest, BackupHoldsEveryByteOfEveryFile) {
  AddDestination("a");
  source_.SetFile(Name(kTable), Noise((5 << 20) + 77));
  source_.SetFile(Name(kOtherTable), Noise(1, 2));
  source_.SetFile("000012.blob", Noise(65536, 3));
  source_.SetFile("instance/certificates/server.pem", "certificate");

  const v1::Backup backup = Backup();

  EXPECT_TRUE(Restore("a", backup.backup_id()) == source_.files());
  EXPECT_EQ(backup.ordinal(), 1);
  EXPECT_EQ(backup.revision(), source_.state().revision());
  EXPECT_EQ(backup.state_digest(), source_.state().state_digest());
  EXPECT_EQ(backup.file_count(), source_.files().size());
  EXPECT_THAT(backup.destination_names(), ElementsAre("a"));
  EXPECT_EQ(TemporaryFiles("a"), 0);
  EXPECT_EQ(source_.checkpoints_open(), 0);

  const v1::Run run = observer_->run();
  EXPECT_EQ(run.backup_id(), backup.backup_id());
  EXPECT_EQ(run.revision(), backup.revision());
  EXPECT_EQ(run.files_sent(), run.files_to_send());
  EXPECT_EQ(run.bytes_sent(), run.bytes_to_send());
  EXPECT_EQ(run.files_total(), source_.files().size());
  EXPECT_EQ(run.files_reused(), 1);  // the empty log
  ASSERT_THAT(run.destinations(), SizeIs(1));
  EXPECT_EQ(run.destinations(0).state(), v1::DestinationResult::STATE_SUCCEEDED);
  EXPECT_EQ(run.destinations(0).objects_written(), 5);
  EXPECT_EQ(run.destinations(0).warning(), "");
}

TEST_F(BackupRunnerTest, SummaryTellsWhatTheCheckpointWas) {
  AddDestination("a");
  source_.EditState([](v1::Checkpoint& state) {
    state.add_earlier_incarnations("b0b1b2b3b4b5b6b7b8b9babbbcbdbebf");
  });
  const v1::Backup backup = Backup();
  const Opened opened = Open("a");
  ASSERT_OK_AND_ASSIGN(const BackupListing listing, opened.store->ListBackups());
  ASSERT_NE(listing.Latest(), nullptr);
  const repository::v1::BackupSummary& summary = listing.Latest()->summary;
  EXPECT_EQ(summary.backup_id(), backup.backup_id());
  EXPECT_EQ(summary.document_count(), source_.state().document_count());
  EXPECT_THAT(summary.state_digest(), SizeIs(32));
  EXPECT_THAT(summary.earlier_incarnations(), SizeIs(1));
  EXPECT_EQ(summary.commit_time_us(), source_.state().commit_time().seconds() * 1'000'000);
  EXPECT_EQ(summary.store_version(), "1.2.3");
  EXPECT_NE(summary.agent_version(), "");
  EXPECT_EQ(summary.added_object_count(), 2);
}

TEST_F(BackupRunnerTest, SettingsThatTravelTellTheRepositories) {
  AddDestination("a");
  AddDestination("b");
  settings_.set_required_destinations(1);
  Backup();
  const Opened b = Open("b");
  ASSERT_OK_AND_ASSIGN(const Repository repository_of_b, Repository::Open(*b.blobs));
  std::filesystem::remove_all(PathOf("b"));  // as a share that is not mounted
  const v1::Backup backup = Backup();
  EXPECT_THAT(backup.destination_names(), ElementsAre("a"));

  const Opened a = Open("a");
  ASSERT_OK_AND_ASSIGN(const Repository repository_of_a, Repository::Open(*a.blobs));
  ASSERT_OK_AND_ASSIGN(const auto loaded, a.store->LoadManifest(backup.backup_id()));
  v1::Settings travelled;
  ASSERT_TRUE(travelled.ParseFromString(loaded.manifest.files.agent_settings()));
  ASSERT_THAT(travelled.destinations(), SizeIs(2));
  EXPECT_EQ(travelled.destinations(0).repository_id(), repository_of_a.repository_id().ToText());
  EXPECT_EQ(travelled.destinations(1).repository_id(), repository_of_b.repository_id().ToText());
}

TEST_F(BackupRunnerTest, SecondRunSendsOnlyWhatChanged) {
  AddDestination("a");
  source_.SetFile(Name(kTable), Noise(3 << 20));
  const v1::Backup first = Backup();
  const uint64_t served = source_.bytes_served(Name(kTable));
  const uint64_t log_served = source_.bytes_served("000004.log");

  const v1::Backup unchanged = Backup();
  EXPECT_EQ(observer_->run().destinations(0).objects_written(), 1);  // the bundle
  EXPECT_EQ(source_.bytes_served(Name(kTable)), served);
  EXPECT_EQ(source_.bytes_served("000004.log"), log_served);
  EXPECT_LT(unchanged.added_bytes(), 10'000);

  source_.SetFile(Name(kOtherTable), Noise(1 << 20, 2));
  source_.SetFile("000004.log", Noise(12'000, 3));
  source_.Write(5);
  const v1::Backup third = Backup();
  EXPECT_EQ(observer_->run().destinations(0).objects_written(), 3);
  EXPECT_EQ(source_.bytes_served(Name(kTable)), served);
  EXPECT_EQ(observer_->run().reused_bytes(), 3 << 20);
  EXPECT_TRUE(Restore("a", third.backup_id()) == source_.files());

  EXPECT_EQ(third.ordinal(), 3);
  const Opened opened = Open("a");
  ASSERT_OK_AND_ASSIGN(const auto loaded, opened.store->LoadManifest(third.backup_id()));
  EXPECT_EQ(loaded.manifest.summary.previous_backup_id(), unchanged.backup_id());
  EXPECT_EQ(loaded.manifest.summary.previous_manifest_hash(), unchanged.manifest_hash());
  EXPECT_EQ(AsText(loaded.sealed_hash), absl::string_view(third.manifest_hash()));
}

TEST_F(BackupRunnerTest, StoreLearnsOfTheBackup) {
  AddDestination("a");
  const v1::Backup backup = Backup();
  ASSERT_THAT(source_.reports(), SizeIs(1));
  EXPECT_EQ(source_.reports()[0].backup_id(), backup.backup_id());
  EXPECT_EQ(source_.reports()[0].manifest_hash(), backup.manifest_hash());
  EXPECT_EQ(source_.reports()[0].destination_count(), 1);
}

TEST_F(BackupRunnerTest, BackupStandsAlsoIfTheStoreDoesNotHearOfIt) {
  AddDestination("a");
  source_.set_report_status(absl::UnavailableError("gone"));
  EXPECT_TRUE(Restore("a", Backup().backup_id()) == source_.files());
}

TEST_F(BackupRunnerTest, UnreachableStoreFailsTheRun) {
  AddDestination("a");
  source_.set_create_status(absl::UnavailableError("cannot reach the store"));
  const BackupRunOutcome outcome = Run();
  EXPECT_THAT(outcome.status, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("cannot reach")));
  EXPECT_FALSE(outcome.backup.has_value());
  EXPECT_THAT(Blobs("a"), IsEmpty());
  EXPECT_EQ(observer_->run().destinations(0).state(), v1::DestinationResult::STATE_FAILED);
  // It is not the destination's fault.
  EXPECT_EQ(outcome.memory.destinations().at("a").consecutive_failures(), 0);
}

TEST_F(BackupRunnerTest, RunWithoutDestinationsIsRefused) {
  EXPECT_THAT(Run().status, StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(BackupRunnerTest, MoreRequiredThanThereAreIsRefused) {
  AddDestination("a");
  settings_.set_required_destinations(2);
  EXPECT_THAT(Run().status,
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("only 1 are set")));
}

// --- The stream from the store ---------------------------------------------------------------

TEST_F(BackupRunnerTest, BrokenStreamGoesOnWhereItBroke) {
  AddDestination("a");
  source_.SetFile(Name(kTable), Noise(4 << 20));
  source_.BreakStream(Name(kTable), 1'500'000, absl::UnavailableError("connection lost"));
  source_.BreakStream(Name(kTable), 1'500'000, absl::UnavailableError("connection lost"));
  source_.BreakStream(Name(kTable), 4 << 20, absl::DeadlineExceededError("stalled"));
  const v1::Backup backup = Backup();
  EXPECT_EQ(source_.bytes_served(Name(kTable)), 4 << 20);
  EXPECT_TRUE(Restore("a", backup.backup_id()) == source_.files());
}

TEST_F(BackupRunnerTest, StreamThatBreaksForGoodFailsTheRunAndLeavesNoManifest) {
  AddDestination("a");
  source_.SetFile(Name(kTable), Noise(4 << 20));
  source_.BreakStream(Name(kTable), 1'500'000, absl::NotFoundError("checkpoint dropped"));
  const BackupRunOutcome outcome = Run();
  EXPECT_THAT(outcome.status,
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(absl::StrCat("read ", kTable))));
  EXPECT_THAT(Names("a", "backups"), IsEmpty());
  EXPECT_EQ(TemporaryFiles("a"), 0);
  EXPECT_EQ(source_.checkpoints_open(), 0);
}

TEST_F(BackupRunnerTest, StoreThatLosesTheCheckpointFailsTheRun) {
  FakeClock clock;
  UseClock(clock);
  AddDestination("a");
  source_.SetFile(Name(kTable), Noise(1 << 20));
  source_.BlockStream(Name(kTable), 0);
  source_.set_renew_status(absl::NotFoundError("no such checkpoint"));
  BackupRunOutcome outcome;
  Thread thread("run", [&] { outcome = Run(); });
  source_.AwaitBlockedStream();
  // Nobody waits any more but the lease.
  observer_->Await([](const v1::Run& run) { return run.destinations(0).objects_written() == 2; });
  clock.AwaitWaiters(1);
  clock.Advance(absl::Minutes(4));
  thread.Join();
  EXPECT_THAT(outcome.status,
              StatusIs(absl::StatusCode::kAborted, HasSubstr("the checkpoint was lost")));
}

// --- A store that lies -----------------------------------------------------------------------

struct Lie {
  std::string name;
  std::function<void(FakeCheckpointSource&)> tell;
  absl::StatusCode code = absl::StatusCode::kDataLoss;
};

class LyingStoreTest : public BackupRunnerTest, public testing::WithParamInterface<Lie> {};

TEST_P(LyingStoreTest, HarmsNothing) {
  AddDestination("a");
  source_.SetFile(Name(kTable), Noise(2 << 20));
  GetParam().tell(source_);
  const BackupRunOutcome outcome = Run();
  EXPECT_THAT(outcome.status, StatusIs(GetParam().code));
  EXPECT_THAT(Names("a", "backups"), IsEmpty());
  EXPECT_EQ(TemporaryFiles("a"), 0);
  EXPECT_EQ(source_.checkpoints_open(), 0);
  for (const std::string& object : Names("a", "objects")) {
    // What was complete before the lie came out may stay; nothing names it.
    EXPECT_LE(std::filesystem::file_size(absl::StrCat(PathOf("a"), "/", object)), 3 << 20);
  }
}

Lie LieAbout(const std::string& name, const std::string& file,
             std::function<void(v1::CheckpointFile&)> edit) {
  return {.name = name, .tell = [file, edit = std::move(edit)](FakeCheckpointSource& source) {
            source.set_edit_listing([=](std::vector<v1::CheckpointFile>& files) {
              for (v1::CheckpointFile& listed : files) {
                if (listed.name() == file) edit(listed);
              }
            });
          }};
}

INSTANTIATE_TEST_SUITE_P(
    All, LyingStoreTest,
    testing::Values(
        LieAbout("PathOutside", "instance/server.toml",
                 [](v1::CheckpointFile& file) { file.set_name("instance/../../etc/passwd"); }),
        LieAbout("Checksum", Name(kTable),
                 [](v1::CheckpointFile& file) { file.set_xxh3_128(std::string(16, 'x')); }),
        LieAbout("BundledChecksum", "MANIFEST-000005",
                 [](v1::CheckpointFile& file) { file.set_xxh3_128(std::string(16, 'x')); }),
        Lie{"TooManyBytes",
            [](FakeCheckpointSource& source) {
              source.ServeOther(Name(kTable), Noise((2 << 20) + 1));
            }},
        Lie{"TooFewBytes",
            [](FakeCheckpointSource& source) {
              source.ServeOther(Name(kTable), Noise((2 << 20) - 1));
            }},
        Lie{"OtherBytes",
            [](FakeCheckpointSource& source) {
              source.ServeOther(Name(kTable), Noise(2 << 20, 9));
            }},
        Lie{"EndlessTable",
            [](FakeCheckpointSource& source) { source.ServeEndlessly(Name(kTable)); }},
        Lie{"EndlessBundle",
            [](FakeCheckpointSource& source) { source.ServeEndlessly("CURRENT"); }},
        Lie{"TotalSize",
            [](FakeCheckpointSource& source) {
              source.set_edit_checkpoint(
                  [](v1::Checkpoint& state) { state.set_size_bytes(state.size_bytes() + 1); });
            }},
        Lie{"MasterKeyAmongInstanceFiles",
            [](FakeCheckpointSource& source) {
              source.SetFile("instance/keys/main.key",
                             std::string(MasterKey::Generate().ToText().text()));
            },
            absl::StatusCode::kFailedPrecondition}),
    [](const testing::TestParamInfo<Lie>& lie) { return lie.param.name; });

TEST_F(BackupRunnerTest, StoreThatWasSetBackIsRefusedAndNothingIsForgotten) {
  AddDestination("a");
  Backup();
  source_.EditState([](v1::Checkpoint& state) { state.set_revision(state.revision() - 1); });
  const agent::v1::StoreMemory before = memory_;
  const BackupRunOutcome outcome = Run();
  EXPECT_THAT(outcome.status,
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("went back")));
  EXPECT_EQ(outcome.memory.revision(), before.revision());
  EXPECT_EQ(outcome.memory.last_backup_id(), before.last_backup_id());
  EXPECT_EQ(source_.checkpoints_open(), 0);
}

// --- Runs that were cut ----------------------------------------------------------------------

TEST_F(BackupRunnerTest, WhatACutRunLeftIsUsedAgain) {
  AddDestination("a");
  source_.SetFile(Name(kTable), Noise(3 << 20));
  source_.SetFile(Name(kOtherTable), Noise(100'000, 2));
  Hook("a",
       FailOn([](BlobCall call,
                 const std::string& name) { return call == BlobCall::kPut && IsManifest(name); },
              absl::PermissionDeniedError("no")));
  EXPECT_THAT(Run().status, StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_TRUE(memory_.destinations().at("a").has_unnamed_objects());
  EXPECT_EQ(memory_.destinations().at("a").consecutive_failures(), 1);
  const uint64_t served = source_.bytes_served(Name(kTable));
  EXPECT_EQ(served, 3 << 20);

  Hook("a", nullptr);
  const v1::Backup backup = Backup();
  EXPECT_EQ(source_.bytes_served(Name(kTable)), served);
  EXPECT_TRUE(Restore("a", backup.backup_id()) == source_.files());
  EXPECT_FALSE(memory_.destinations().at("a").has_unnamed_objects());
  EXPECT_EQ(memory_.destinations().at("a").consecutive_failures(), 0);
  EXPECT_EQ(observer_->run().files_sent(), observer_->run().files_to_send());
  EXPECT_GT(backup.added_bytes(), 3 << 20);  // it is the first that names them
}

TEST_F(BackupRunnerTest, WhatACutRunLeftIsFoundAlsoIfNothingIsRemembered) {
  AddDestination("a");
  source_.SetFile(Name(kTable), Noise(3 << 20));
  Hook("a",
       FailOn([](BlobCall call,
                 const std::string& name) { return call == BlobCall::kPut && IsManifest(name); },
              absl::PermissionDeniedError("no")));
  EXPECT_THAT(Run().status, StatusIs(absl::StatusCode::kPermissionDenied));
  memory_.Clear();
  Hook("a", nullptr);
  Backup();
  EXPECT_EQ(source_.bytes_served(Name(kTable)), 3 << 20);
}

TEST_F(BackupRunnerTest, UnnamedObjectThatIsDamagedIsNotUsed) {
  AddDestination("a");
  source_.SetFile(Name(kTable), Noise(3 << 20));
  Hook("a",
       FailOn([](BlobCall call,
                 const std::string& name) { return call == BlobCall::kPut && IsManifest(name); },
              absl::PermissionDeniedError("no")));
  EXPECT_THAT(Run().status, StatusIs(absl::StatusCode::kPermissionDenied));
  for (const std::string& object : Names("a", "objects")) Damage("a", object);
  Hook("a", nullptr);
  const v1::Backup backup = Backup();
  EXPECT_EQ(source_.bytes_served(Name(kTable)), 6 << 20);
  EXPECT_TRUE(Restore("a", backup.backup_id()) == source_.files());
}

TEST_F(BackupRunnerTest, UnnamedObjectOfTwoDaysIsNotUsed) {
  FakeClock clock;
  UseClock(clock);
  AddDestination("a");
  source_.SetFile(Name(kTable), Noise(1 << 20));
  Hook("a",
       FailOn([](BlobCall call,
                 const std::string& name) { return call == BlobCall::kPut && IsManifest(name); },
              absl::PermissionDeniedError("no")));
  EXPECT_THAT(Run().status, StatusIs(absl::StatusCode::kPermissionDenied));
  clock.Advance(absl::Hours(48));
  Hook("a", nullptr);
  Backup();
  EXPECT_EQ(source_.bytes_served(Name(kTable)), 2 << 20);
}

TEST_F(BackupRunnerTest, ObjectThatIsGoneFromTheDestinationIsSentAgain) {
  AddDestination("a");
  source_.SetFile(Name(kTable), Noise(3 << 20));
  Backup();
  for (const std::string& object : Names("a", "objects")) {
    std::filesystem::remove(absl::StrCat(PathOf("a"), "/", object));
  }
  observer_ = std::make_unique<RecordingObserver>();
  const BackupRunOutcome outcome = Run();
  ASSERT_OK(outcome.status);
  EXPECT_TRUE(Restore("a", outcome.backup->backup_id()) == source_.files());
  EXPECT_THAT(observer_->run().destinations(0).warning(), HasSubstr("missing"));
  EXPECT_THAT(outcome.destinations_to_check, ElementsAre("a"));
  EXPECT_THAT(Run().destinations_to_check, IsEmpty());
}

// --- Several destinations --------------------------------------------------------------------

TEST_F(BackupRunnerTest, AllDestinationsHoldTheSameBytes) {
  AddDestination("a");
  AddDestination("b");
  AddDestination("c");
  source_.SetFile(Name(kTable), Noise(3 << 20));
  const v1::Backup backup = Backup();
  EXPECT_EQ(source_.bytes_served(Name(kTable)), 3 << 20);  // read and sealed once
  EXPECT_TRUE(Blobs("a") == Blobs("b"));
  EXPECT_TRUE(Blobs("a") == Blobs("c"));
  EXPECT_TRUE(Restore("c", backup.backup_id()) == source_.files());
  EXPECT_THAT(backup.destination_names(), ElementsAre("a", "b", "c"));
}

TEST_F(BackupRunnerTest, FailingDestinationLeavesAndTheOthersGoOn) {
  AddDestination("a");
  AddDestination("b");
  settings_.set_required_destinations(1);
  source_.SetFile(Name(kTable), Noise(3 << 20));
  Hook("b", FailOn([](BlobCall call,
                      const std::string& name) { return call == BlobCall::kPut && IsObject(name); },
                   absl::ResourceExhaustedError("disk full")));
  const v1::Backup backup = Backup();
  EXPECT_THAT(backup.destination_names(), ElementsAre("a"));
  EXPECT_TRUE(Restore("a", backup.backup_id()) == source_.files());
  EXPECT_THAT(Names("b", "backups"), IsEmpty());
  const v1::Run run = observer_->run();
  EXPECT_EQ(run.destinations(0).state(), v1::DestinationResult::STATE_SUCCEEDED);
  EXPECT_EQ(run.destinations(1).state(), v1::DestinationResult::STATE_FAILED);
  EXPECT_THAT(run.destinations(1).error(), HasSubstr("disk full"));
  EXPECT_EQ(memory_.destinations().at("b").consecutive_failures(), 1);
  EXPECT_THAT(memory_.destinations().at("b").last_error(), HasSubstr("disk full"));
}

TEST_F(BackupRunnerTest, RunGoesOnForADestinationThatIsLeftThoughTooFewAre) {
  AddDestination("a");
  AddDestination("b");
  source_.SetFile(Name(kTable), Noise(3 << 20));
  Hook("b", FailOn([](BlobCall call,
                      const std::string& name) { return call == BlobCall::kPut && IsObject(name); },
                   absl::ResourceExhaustedError("disk full")));
  const BackupRunOutcome outcome = Run();
  EXPECT_THAT(outcome.status,
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("1 of 2 destinations could take the backup, and 2 must: b: ")));
  ASSERT_TRUE(outcome.backup.has_value());
  EXPECT_THAT(outcome.backup->destination_names(), ElementsAre("a"));
  EXPECT_TRUE(Restore("a", outcome.backup->backup_id()) == source_.files());
  EXPECT_EQ(observer_->run().destinations(0).state(), v1::DestinationResult::STATE_SUCCEEDED);
  EXPECT_EQ(observer_->run().destinations(1).state(), v1::DestinationResult::STATE_FAILED);
}

TEST_F(BackupRunnerTest, RunEndsAsSoonAsNoDestinationIsLeft) {
  AddDestination("b");
  source_.SetFile(Name(kTable), Noise(3 << 20));
  source_.SetFile(Name(kOtherTable), Noise(3 << 20, 2));
  source_.BlockStream(Name(kOtherTable), 1 << 20);  // it would never end by itself
  Hook("b", FailOn([](BlobCall call,
                      const std::string& name) { return call == BlobCall::kPut && IsObject(name); },
                   absl::ResourceExhaustedError("disk full")));
  const BackupRunOutcome outcome = Run();
  EXPECT_THAT(outcome.status,
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("0 of 1 destinations could take the backup, and 1 must: b: ")));
  EXPECT_FALSE(outcome.backup.has_value());
  EXPECT_THAT(Names("b", "backups"), IsEmpty());
  EXPECT_EQ(TemporaryFiles("b"), 0);
}

TEST_F(BackupRunnerTest, NoManifestIsWrittenWhereAnObjectFailed) {
  AddDestination("a");
  AddDestination("b");
  settings_.set_required_destinations(1);
  source_.SetFile(Name(kTable), Noise(3 << 20));
  // It takes all objects but one.
  auto puts = std::make_shared<std::atomic<int>>(0);
  Hook("b", [this, puts](BlobCall call, const std::string& name) -> absl::Status {
    if (call != BlobCall::kPut || !IsObject(name) || ++*puts < 3) return absl::OkStatus();
    observer_->Await([](const v1::Run& run) { return run.destinations(1).objects_written() == 2; });
    return absl::PermissionDeniedError("no");
  });
  Backup();
  EXPECT_THAT(Names("b", "backups"), IsEmpty());
  EXPECT_THAT(Names("b", "objects"), SizeIs(2));
  EXPECT_TRUE(memory_.destinations().at("b").has_unnamed_objects());
}

TEST_F(BackupRunnerTest, LaggingDestinationCatchesUpByteForByteWithoutTheStore) {
  AddDestination("a");
  AddDestination("b");
  settings_.set_required_destinations(1);
  source_.SetFile(Name(kTable), Noise(3 << 20));
  Hook("b", FailOn([](BlobCall call, const std::string&) { return call == BlobCall::kPut; },
                   absl::PermissionDeniedError("read-only")));
  Backup();
  EXPECT_THAT(Names("b", "objects"), IsEmpty());

  Hook("b", nullptr);
  settings_.set_required_destinations(0);
  const v1::Backup backup = Backup();
  EXPECT_EQ(source_.bytes_served(Name(kTable)), 3 << 20);
  EXPECT_TRUE(Restore("b", backup.backup_id()) == source_.files());
  const std::map<std::string, std::string> a = Blobs("a");
  for (const auto& [path, content] : Blobs("b")) {
    const auto same = a.find(path);
    ASSERT_NE(same, a.end()) << path;
    EXPECT_TRUE(same->second == content) << path;
  }
  EXPECT_EQ(observer_->run().files_sent(), observer_->run().files_to_send());
}

TEST_F(BackupRunnerTest, DamagedObjectIsNotCopiedButSentAgain) {
  AddDestination("a");
  source_.SetFile(Name(kTable), Noise(3 << 20));
  Backup();
  for (const std::string& object : Names("a", "objects")) Damage("a", object);
  AddDestination("b");
  const v1::Backup backup = Backup();
  EXPECT_TRUE(Restore("a", backup.backup_id()) == source_.files());
  EXPECT_TRUE(Restore("b", backup.backup_id()) == source_.files());
  EXPECT_THAT(observer_->run().destinations(0).warning(), HasSubstr("can't be read there"));
}

TEST_F(BackupRunnerTest, CopyThatIsHalfThereAlreadyIsNotTrusted) {
  AddDestination("a");
  source_.SetFile(Name(kTable), Noise(3 << 20));
  Backup();
  AddDestination("b");
  // Somebody copied the files by hand, and not well.
  std::filesystem::copy(PathOf("a") + "/stores", PathOf("b") + "/stores",
                        std::filesystem::copy_options::recursive);
  for (const auto& folder : {"backups", "keys"}) {
    std::filesystem::remove_all(
        absl::StrCat(PathOf("b"), "/stores/", source_.state().store_id(), "/", folder));
  }
  for (const std::string& object : Names("b", "objects")) Damage("b", object);
  const v1::Backup backup = Backup();
  EXPECT_TRUE(Restore("a", backup.backup_id()) == source_.files());
  EXPECT_TRUE(Restore("b", backup.backup_id()) == source_.files());
}

TEST_F(BackupRunnerTest, DestinationsThatBeganApartComeTogether) {
  AddDestination("a");
  AddDestination("b");
  settings_.set_required_destinations(1);
  source_.SetFile(Name(kTable), Noise(1 << 20));
  const BlobHook fail = FailOn([](BlobCall, const std::string&) { return true; },
                               absl::UnavailableError("not there"));
  Hook("b", fail);
  Backup();
  Hook("a", fail);
  Hook("b", nullptr);
  Backup();  // makes a backup key of its own there
  Hook("a", nullptr);
  settings_.set_required_destinations(0);
  const v1::Backup backup = Backup();
  EXPECT_TRUE(Restore("a", backup.backup_id()) == source_.files());
  EXPECT_TRUE(Restore("b", backup.backup_id()) == source_.files());
  EXPECT_EQ(backup.ordinal(), 3);
}

TEST_F(BackupRunnerTest, StuckDestinationLeavesTheRunAndIsNotWaitedFor) {
  FakeClock clock;
  UseClock(clock);
  AddDestination("stuck");
  AddDestination("well");
  settings_.set_required_destinations(1);
  source_.SetFile(Name(kTable), Noise(12 << 20));
  source_.RemoveFile("000004.log");
  Gate gate;
  Hook("stuck", [&](BlobCall call, const std::string& name) {
    if (call == BlobCall::kPut && IsObject(name)) gate.Pass();
    return absl::OkStatus();
  });
  BackupRunOutcome outcome;
  Thread thread("run", [&] { outcome = Run(); });
  gate.AwaitArrival(2);
  // The lease waits for its time, the table for room in the queue, the bundle for its end: both of
  // them at the first destination.
  clock.AwaitWaiters(3);
  clock.Advance(absl::Seconds(61));
  thread.Join();
  EXPECT_OK(outcome.status);
  EXPECT_THAT(observer_->run().destinations(0).error(), HasSubstr("unresponsive"));
  ASSERT_TRUE(outcome.backup.has_value());
  EXPECT_THAT(outcome.backup->destination_names(), ElementsAre("well"));
  EXPECT_TRUE(Restore("well", outcome.backup->backup_id()) == source_.files());

  // While its call has not returned nobody makes another.
  observer_ = std::make_unique<RecordingObserver>();
  EXPECT_OK(Run().status);
  EXPECT_THAT(observer_->run().destinations(0).error(), HasSubstr("still not returned"));

  gate.Open();
  WorkerPool::AwaitLeftBehind();
  EXPECT_EQ(TemporaryFiles("stuck"), 0);
  const v1::Backup backup = Backup();
  EXPECT_THAT(backup.destination_names(), ElementsAre("stuck", "well"));
  EXPECT_TRUE(Restore("stuck", backup.backup_id()) == source_.files());
}

TEST_F(BackupRunnerTest, OneRepositoryIsNotTwoDestinations) {
  AddDestination("a");
  v1::Destination& again = *settings_.add_destinations();
  again.set_name("again");
  again.set_url(settings_.destinations(0).url() + "/");
  settings_.set_required_destinations(1);
  Backup();
  EXPECT_THAT(observer_->run().destinations(1).error(),
              HasSubstr("same repository as destination a"));
}

// --- Cancellation ----------------------------------------------------------------------------

TEST_F(BackupRunnerTest, CancelledRunEndsSoonAndLeavesNoManifest) {
  AddDestination("a");
  source_.SetFile(Name(kTable), Noise(8 << 20));
  source_.SetFile(Name(kOtherTable), Noise(100'000, 2));
  source_.BlockStream(Name(kTable), 5 << 20);
  CancellationSource cancel;
  BackupRunOutcome outcome;
  Thread thread("run", [&] { outcome = Run(cancel.token()); });
  source_.AwaitBlockedStream();
  observer_->Await([](const v1::Run& run) { return run.destinations(0).objects_written() >= 3; });
  cancel.Cancel(absl::CancelledError("somebody cancelled it"));
  thread.Join();
  EXPECT_THAT(outcome.status, StatusIs(absl::StatusCode::kCancelled, "somebody cancelled it"));
  EXPECT_FALSE(outcome.backup.has_value());
  EXPECT_THAT(Names("a", "backups"), IsEmpty());
  EXPECT_EQ(TemporaryFiles("a"), 0);
  EXPECT_EQ(source_.checkpoints_open(), 0);
  EXPECT_TRUE(outcome.memory.destinations().at("a").has_unnamed_objects());
  EXPECT_EQ(outcome.memory.destinations().at("a").consecutive_failures(), 0);

  source_.UnblockStreams();
  const uint64_t served = source_.bytes_served(Name(kOtherTable));
  EXPECT_TRUE(Restore("a", Backup().backup_id()) == source_.files());
  EXPECT_EQ(source_.bytes_served(Name(kOtherTable)), served);
}

TEST_F(BackupRunnerTest, CancelledBeforeItBeganItDoesNothing) {
  AddDestination("a");
  CancellationSource cancel;
  cancel.Cancel(absl::CancelledError("too late"));
  EXPECT_THAT(Run(cancel.token()).status, StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(source_.checkpoints_made(), 0);
}

// --- The destination is not what it was ------------------------------------------------------

TEST_F(BackupRunnerTest, PlaceWithoutARepositoryIsNeverMadeIntoOne) {
  AddDestination("a");
  Backup();
  std::filesystem::remove_all(PathOf("a"));
  EXPECT_THAT(Run().status, StatusIs(absl::StatusCode::kFailedPrecondition,
                                     HasSubstr("seems not to be mounted")));
  std::filesystem::create_directory(PathOf("a"));
  EXPECT_THAT(Run().status, StatusIs(absl::StatusCode::kFailedPrecondition,
                                     HasSubstr("seems not to be mounted")));
  EXPECT_TRUE(std::filesystem::is_empty(PathOf("a")));
}

TEST_F(BackupRunnerTest, AnotherRepositoryInItsPlaceIsRefused) {
  AddDestination("a");
  Backup();
  std::filesystem::remove_all(PathOf("a"));
  std::filesystem::create_directory(PathOf("a"));
  ASSERT_OK(runner().PrepareDestination(settings_.destinations(0)));
  EXPECT_THAT(Run().status,
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("another repository")));
}

TEST_F(BackupRunnerTest, OtherMasterKeyIsRefused) {
  AddDestination("a");
  Backup();
  const std::map<std::string, std::string> before = Blobs("a");
  const MasterKey other = MasterKey::Generate();
  const std::unique_ptr<BackupRunner> runner = BackupRunner::Create(
      {.source = &source_, .master_key = &other, .clock = clock_, .random = &SystemRandom()});
  BackupRunInput input;
  input.settings = settings_;
  input.memory = memory_;
  const BackupRunOutcome outcome = runner->Run(input, *observer_, {});
  EXPECT_THAT(outcome.status, StatusIs(absl::StatusCode::kPermissionDenied,
                                       HasSubstr(master_key_.fingerprint().ToText())));
  EXPECT_TRUE(Blobs("a") == before);
}

TEST_F(BackupRunnerTest, ManifestThatCanNotBeReadBackIsNoBackup) {
  AddDestination("a");
  auto has_put = std::make_shared<std::atomic<bool>>(false);
  Hook("a", [has_put](BlobCall call, const std::string& name) -> absl::Status {
    if (!IsManifest(name)) return absl::OkStatus();
    if (call == BlobCall::kPut) has_put->store(true);
    if (call == BlobCall::kGet && has_put->load()) return absl::DataLossError("bad sector");
    return absl::OkStatus();
  });
  const BackupRunOutcome outcome = Run();
  EXPECT_THAT(outcome.status, StatusIs(absl::StatusCode::kDataLoss, HasSubstr("bad sector")));
  EXPECT_FALSE(outcome.backup.has_value());
  EXPECT_THAT(source_.reports(), IsEmpty());
}

TEST_F(BackupRunnerTest, DestinationThatWasSetBackIsReportedAndTheChainGoesOn) {
  AddDestination("a");
  Backup();
  std::filesystem::copy(PathOf("a"), PathOf("old"), std::filesystem::copy_options::recursive);
  const v1::Backup lost = Backup();
  std::filesystem::remove_all(PathOf("a"));
  std::filesystem::rename(PathOf("old"), PathOf("a"));

  const v1::Backup backup = Backup();
  EXPECT_EQ(backup.ordinal(), 3);
  EXPECT_THAT(observer_->run().destinations(0).warning(), HasSubstr(lost.backup_id()));
  EXPECT_THAT(observer_->run().destinations(0).warning(), HasSubstr("set back"));
}

TEST_F(BackupRunnerTest, TheStoreRemembersForAnAgentThatForgot) {
  AddDestination("a");
  Backup();
  std::filesystem::copy(PathOf("a"), PathOf("old"), std::filesystem::copy_options::recursive);
  const v1::Backup lost = Backup();
  std::filesystem::remove_all(PathOf("a"));
  std::filesystem::rename(PathOf("old"), PathOf("a"));
  memory_.Clear();
  Backup();
  EXPECT_THAT(observer_->run().destinations(0).warning(), HasSubstr(lost.backup_id()));
}

TEST_F(BackupRunnerTest, BackupThatIsDeletedMeanwhileIsNotBuiltOn) {
  AddDestination("a");
  source_.SetFile(Name(kTable), Noise(1 << 20));
  const v1::Backup first = Backup();
  auto is_deleted = std::make_shared<std::atomic<bool>>(false);
  Hook("a", [&, is_deleted](BlobCall call, const std::string& name) -> absl::Status {
    if (call != BlobCall::kPut || !IsObject(name) || is_deleted->exchange(true)) {
      return absl::OkStatus();
    }
    const Opened opened = Open("a");
    repository::v1::Mark mark;
    mark.set_kind(repository::v1::Mark::KIND_DELETED);
    mark.set_backup_id(first.backup_id());
    return opened.store->AddMark(mark, clock_->Now());
  });
  const v1::Backup second = Backup();
  EXPECT_EQ(source_.bytes_served(Name(kTable)), 2 << 20);  // sent anew
  EXPECT_TRUE(Restore("a", second.backup_id()) == source_.files());
  const Opened opened = Open("a");
  ASSERT_OK_AND_ASSIGN(const auto one, opened.store->LoadManifest(first.backup_id()));
  ASSERT_OK_AND_ASSIGN(const auto two, opened.store->LoadManifest(second.backup_id()));
  for (const auto& object : one.manifest.files.objects()) {
    for (const auto& other : two.manifest.files.objects()) EXPECT_NE(object.name(), other.name());
  }
}

// --- Listing and preparing -------------------------------------------------------------------

TEST_F(BackupRunnerTest, ListsTheBackupsOfAllDestinationsNewestFirst) {
  AddDestination("a");
  const v1::Backup first = Backup();
  AddDestination("b");
  const v1::Backup second = Backup();
  ASSERT_OK_AND_ASSIGN(const BackupRunner::Listing listing,
                       runner().ListBackups(settings_, memory_, Cancellation()));
  ASSERT_THAT(listing.backups, SizeIs(2));
  EXPECT_EQ(listing.backups[0].SerializeAsString(), second.SerializeAsString());
  EXPECT_EQ(listing.backups[1].SerializeAsString(), first.SerializeAsString());
  EXPECT_THAT(listing.errors, IsEmpty());
}

TEST_F(BackupRunnerTest, ListingNamesTheDestinationsThatCanNotBeRead) {
  AddDestination("a");
  AddDestination("b");
  Backup();
  std::filesystem::remove_all(PathOf("b"));
  ASSERT_OK_AND_ASSIGN(const BackupRunner::Listing listing,
                       runner().ListBackups(settings_, memory_, Cancellation()));
  ASSERT_THAT(listing.backups, SizeIs(1));
  EXPECT_THAT(listing.backups[0].destination_names(), ElementsAre("a"));
  ASSERT_THAT(listing.errors, SizeIs(1));
  EXPECT_THAT(listing.errors.at("b"), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(BackupRunnerTest, AListingThatIsCancelledWaitsForNobody) {
  AddDestination("a");
  Backup();
  CancellationSource cancel;
  cancel.Cancel(absl::CancelledError("the agent stops"));
  ASSERT_OK_AND_ASSIGN(const BackupRunner::Listing listing,
                       runner().ListBackups(settings_, memory_, cancel.token()));
  EXPECT_THAT(listing.backups, IsEmpty());
  EXPECT_THAT(listing.errors.at("a"), StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(BackupRunnerTest, AStoreThatWasNeverReachedHasNoBackups) {
  AddDestination("a");
  ASSERT_OK_AND_ASSIGN(const BackupRunner::Listing listing,
                       runner().ListBackups(settings_, memory_, Cancellation()));
  EXPECT_THAT(listing.backups, IsEmpty());
}

TEST_F(BackupRunnerTest, PreparingSaysWhyAPlaceCanNotBeUsed) {
  v1::Destination destination;
  destination.set_name("new");
  destination.set_url(absl::StrCat("file://", PathOf("new")));
  EXPECT_THAT(runner().PrepareDestination(destination),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr(absl::StrCat("mkdir -m 700 '", PathOf("new"), "'"))));
  std::filesystem::create_directory(PathOf("new"));
  std::ofstream(PathOf("new") + "/holiday.jpg") << "picture";
  EXPECT_THAT(runner().PrepareDestination(destination),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("holiday.jpg")));
  std::filesystem::remove(PathOf("new") + "/holiday.jpg");
  EXPECT_OK(runner().PrepareDestination(destination));
  EXPECT_OK(runner().PrepareDestination(destination)) << "it is used as it is";
}

TEST_F(BackupRunnerTest, PreparingTellsWhichRepositoryIsThere) {
  AddDestination("a");
  AddDestination("b");
  std::filesystem::create_directory_symlink(PathOf("a"), PathOf("link"));
  v1::Destination link;
  link.set_name("link");
  link.set_url(absl::StrCat("file://", PathOf("link")));
  ASSERT_OK_AND_ASSIGN(const std::string at_a,
                       runner().PrepareDestination(settings_.destinations(0)));
  EXPECT_THAT(runner().PrepareDestination(link), IsOkAndHolds(at_a));
  ASSERT_OK_AND_ASSIGN(const std::string at_b,
                       runner().PrepareDestination(settings_.destinations(1)));
  EXPECT_NE(at_a, at_b);
}

TEST_F(BackupRunnerTest, ManyStuckDestinationsAreWaitedForNoLongerThanOne) {
  FakeClock clock;
  UseClock(clock);
  Gate gate;
  for (const char* const name : {"a", "b", "c"}) AddDestination(name);
  Backup();
  for (const char* const name : {"a", "b", "c"}) {
    Hook(name, [&gate](BlobCall call, const std::string& /*name*/) {
      if (call == BlobCall::kList) gate.Pass();
      return absl::OkStatus();
    });
  }
  absl::StatusOr<BackupRunner::Listing> listing;
  Thread thread("list", [&] { listing = runner().ListBackups(settings_, memory_, {}); });
  gate.AwaitArrival(3);
  clock.AwaitWaiters(1);
  clock.Advance(absl::Minutes(2));
  // Nothing advances the clock again.
  thread.Join();
  ASSERT_OK(listing);
  for (const char* const name : {"a", "b", "c"}) {
    EXPECT_THAT(listing->errors.at(name), StatusIs(absl::StatusCode::kUnavailable)) << name;
  }
  gate.Open();
}

// --- Checks ----------------------------------------------------------------------------------

class ProveTest : public BackupRunnerTest {
 protected:
  ProveTest() {
    AddDestination("a");
    AddDestination("b");
    source_.SetFile(Name(kTable), Noise(1 << 20));
  }

  // Reads all that is at a destination.
  v1::Proof Check(const std::string& destination) {
    v1::Proof proof;
    proof.set_kind(v1::Proof::KIND_CHECK);
    proof.set_destination_name(destination);
    proof.set_share(1);
    proof.set_shares(1);
    return runner().Prove(settings_, memory_, proof, std::make_shared<ProofProgress>(), {});
  }
  void DamageAnObject(const std::string& destination) {
    Damage(destination, Names(destination, "objects").front());
  }
};

TEST_F(ProveTest, WhatIsDamagedIsMendedFromAnotherDestination) {
  const v1::Backup backup = Backup();
  DamageAnObject("a");
  const v1::Proof proof = Check("a");
  EXPECT_EQ(proof.state(), v1::Proof::STATE_DAMAGED);
  EXPECT_EQ(proof.damage_count(), 1u);
  EXPECT_EQ(proof.repaired_count(), 1u);
  EXPECT_EQ(proof.damages(0).repaired_from(), "b");
  EXPECT_TRUE(Restore("a", backup.backup_id()) == source_.files());
  EXPECT_EQ(Check("a").state(), v1::Proof::STATE_SUCCEEDED);
}

TEST_F(ProveTest, StuckSourceIsBlamedAndNotWhatIsMended) {
  FakeClock clock;
  UseClock(clock);
  Backup();
  DamageAnObject("a");
  Gate gate;
  Hook("b", [&gate](BlobCall call, const std::string& name) {
    if (call == BlobCall::kGet && IsObject(name)) gate.Pass();
    return absl::OkStatus();
  });
  v1::Proof proof;
  Thread thread("prove", [&] { proof = Check("a"); });
  gate.AwaitArrival();
  clock.AwaitWaiters(2);  // who waits for a, and the thread of a that waits for b
  clock.Advance(absl::Seconds(31));
  thread.Join();
  EXPECT_EQ(proof.state(), v1::Proof::STATE_DAMAGED);
  EXPECT_EQ(proof.repaired_count(), 0u);
  EXPECT_THAT(proof.error(), HasSubstr("not mended"));
  EXPECT_THAT(proof.error(), HasSubstr(PathOf("b")));
  EXPECT_THAT(proof.error(), HasSubstr("unresponsive"));

  // It is b whose call has still not returned.
  settings_.set_required_destinations(1);
  observer_ = std::make_unique<RecordingObserver>();
  const BackupRunOutcome outcome = Run();
  ASSERT_OK(outcome.status);
  EXPECT_THAT(outcome.backup->destination_names(), ElementsAre("a"));
  EXPECT_THAT(observer_->run().destinations(1).error(), HasSubstr("still not returned"));
  EXPECT_THAT(Check("a").error(), HasSubstr("not mended: destination b"));
  gate.Open();
}

TEST_F(ProveTest, DrillOfABackupThatIsNotThereSaysSo) {
  Backup();
  v1::Proof proof;
  proof.set_kind(v1::Proof::KIND_DRILL);
  proof.set_destination_name("a");
  proof.set_backup_id("20000101T000000.000Z-00000000");
  const v1::Proof ended =
      runner().Prove(settings_, memory_, proof, std::make_shared<ProofProgress>(), {});
  EXPECT_EQ(ended.state(), v1::Proof::STATE_FAILED);
  EXPECT_TRUE(ended.no_such_backup());
}

TEST_F(ProveTest, ListingTellsWhatWasDrilledLast) {
  const v1::Backup first = Backup();
  Backup();
  Mark mark;
  mark.set_kind(Mark::KIND_DRILLED);
  mark.set_backup_id(first.backup_id());
  const absl::Time time = absl::FromUnixSeconds(4'000'000'000);
  ASSERT_OK(Open("b").store->AddMark(mark, time));
  ASSERT_OK_AND_ASSIGN(const BackupRunner::Listing listing,
                       runner().ListBackups(settings_, memory_, Cancellation()));
  ASSERT_THAT(listing.drilled, SizeIs(1));
  EXPECT_EQ(listing.drilled.at("b").backup_id, first.backup_id());
  EXPECT_EQ(listing.drilled.at("b").time, time);
}

// --- Memory ----------------------------------------------------------------------------------

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)

// What the kernel says of this process, in KiB: "VmHWM" is the peak of its memory.
int64_t ProcessKib(absl::string_view field) {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (absl::StartsWith(line, field)) return std::stoll(line.substr(field.size() + 1));
  }
  return 0;
}

TEST_F(BackupRunnerTest, PeakMemoryDoesNotDependOnTheSizeOfTheStore) {
  AddDestination("a");
  AddDestination("b");
  source_.RemoveFile("000004.log");
  // 512 MiB, all of the same bytes, which the fake store holds once.
  std::vector<std::string> names;
  for (int i = 10; i < 26; ++i) names.push_back(absl::StrCat("0000", i, ".sst"));
  source_.SetFiles(names, Noise(32 << 20));
  std::ofstream("/proc/self/clear_refs") << "5";  // the peak begins anew
  const int64_t before = ProcessKib("VmRSS");
  Backup();
  const int64_t peak = ProcessKib("VmHWM");
  EXPECT_LT(peak - before, 48 << 10) << "KiB";
}

#endif

// --- Pruning ---------------------------------------------------------------------------------

class PruneBackupsTest : public BackupRunnerTest {
 protected:
  // Takes three backups, of which retention alone would keep the last.
  PruneBackupsTest() {
    AddDestination("a");
    AddDestination("b");
    retention_.set_keep_last(1);
    for (int i = 0; i < 3; ++i) backup_ids_.push_back(Backup().backup_id());
  }

  BackupRunner::PruneRequest Request() { return {.policy = *RetentionPolicy::Create(retention_)}; }
  void Prune(const BackupRunner::PruneRequest& request) {
    reports_.clear();
    for (BackupRunner::PruneResult& result : runner().Prune(settings_, memory_, request, {})) {
      reports_.insert_or_assign(result.destination_name, std::move(result.report));
    }
  }
  // A share that is not mounted.
  void SetAway(const std::string& destination, bool is_away) {
    const std::string elsewhere = PathOf(absl::StrCat(destination, "-away"));
    std::filesystem::rename(is_away ? PathOf(destination) : elsewhere,
                            is_away ? elsewhere : PathOf(destination));
  }
  std::vector<std::string> Listed(const std::string& destination) {
    std::vector<std::string> ids;
    const absl::StatusOr<BackupListing> listing = Open(destination).store->ListBackups();
    EXPECT_OK(listing);
    if (!listing.ok()) return ids;
    for (const ListedBackup& backup : listing->backups) {
      ids.push_back(backup.summary.backup_id());
    }
    return ids;
  }

  v1::Retention retention_;
  std::vector<std::string> backup_ids_;
  std::map<std::string, absl::StatusOr<PruneReport>> reports_;
};

TEST_F(PruneBackupsTest, WhatWasProvenStaysWhileTheDestinationThatProvedItIsAway) {
  SetAway("a", true);
  BackupRunner::PruneRequest request = Request();
  request.proven_backup_ids = {backup_ids_[0]};
  Prune(request);
  EXPECT_FALSE(reports_.at("a").ok());
  EXPECT_OK(reports_.at("b"));
  EXPECT_THAT(Listed("b"), ElementsAre(backup_ids_[0], backup_ids_[2]));
}

TEST_F(PruneBackupsTest, APinCatchesUpWithADestinationThatWasAway) {
  const auto pin = [this](Mark::Kind kind) {
    SetAway("b", true);
    for (const BackupRunner::MarkResult& result :
         runner().Mark(settings_, memory_, backup_ids_[0], kind, {})) {
      EXPECT_EQ(result.is_marked.ok(), result.destination_name == "a");
    }
    SetAway("b", false);
  };
  pin(Mark::KIND_PINNED);
  BackupRunner::PruneRequest request = Request();
  request.is_dry_run = true;
  Prune(request);
  ASSERT_OK(reports_.at("b"));
  EXPECT_THAT(reports_.at("b")->decisions[0].reasons, ElementsAre("pinned"));
  Prune(Request());
  for (const char* const destination : {"a", "b"}) {
    EXPECT_THAT(Listed(destination), ElementsAre(backup_ids_[0], backup_ids_[2])) << destination;
    ASSERT_OK_AND_ASSIGN(const BackupListing listing, Open(destination).store->ListBackups());
    EXPECT_TRUE(listing.backups[0].pinned) << destination;
  }
  // What was said last counts, though another pin is left at b.
  pin(Mark::KIND_UNPINNED);
  Prune(Request());
  for (const char* const destination : {"a", "b"}) {
    EXPECT_THAT(Listed(destination), ElementsAre(backup_ids_[2])) << destination;
  }
}

// --- A check ---------------------------------------------------------------------------------

TEST_F(BackupRunnerTest, ACheckWritesTheFileOfTheRepositoryAnewFromItsCopy) {
  AddDestination("a");
  source_.SetFile(Name(kTable), Noise(1000));
  Backup();
  const std::string path = absl::StrCat(PathOf("a"), "/holdfast.json");
  ASSERT_OK_AND_ASSIGN(const std::string whole, ReadFile(path, 10'000));
  Damage("a", "holdfast.json");
  Backup();
  v1::Proof request;
  request.set_kind(v1::Proof::KIND_CHECK);
  request.set_destination_name("a");
  const v1::Proof proof = runner().Prove(settings_, memory_, request,
                                         std::make_shared<ProofProgress>(), Cancellation());
  ASSERT_THAT(proof.damages(), SizeIs(1));
  EXPECT_EQ(proof.damages(0).path(), "holdfast.json");
  EXPECT_EQ(proof.damages(0).repaired_from(), "holdfast-copy.json");
  EXPECT_THAT(ReadFile(path, 10'000), IsOkAndHolds(whole));
}

}  // namespace
}  // namespace holdfast
