#include "tests/unit/backup-agent/retention/backed_up_store.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backup-agent/retention/pruner.h"
#include "common/base/status_macros.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {

namespace {

class IgnoringObserver : public RunObserver {
 public:
  void Update(const std::function<void(v1::Run&)>& change) override {
    v1::Run run;
    run.add_destinations();
    change(run);
  }
};

}  // namespace

BackedUpStore::BackedUpStore(Clock& clock) : clock_(clock), master_key_(MasterKey::Generate()) {
  v1::Destination& destination = *settings_.add_destinations();
  destination.set_name("a");
  destination.set_url("memory:");
}

void BackedUpStore::ChangeTables(RandomSource& random) {
  const uint64_t number = 1000 + random.Uniform(6);
  const std::string name = absl::StrCat("00", number, ".sst");
  if (random.Uniform(2) == 0) {
    source_.SetFile(name, absl::StrCat("table ", number));
  } else {
    source_.RemoveFile(name);
  }
  source_.Write(1);
}

std::unique_ptr<BackupRunner> BackedUpStore::MakeRunner(
    std::function<std::unique_ptr<BlobStore>()> open_blob_store) {
  return BackupRunner::Create({.source = &source_,
                               .master_key = &master_key_,
                               .clock = &clock_,
                               .random = &SystemRandom(),
                               .open_blob_store = [open = std::move(open_blob_store)](
                                                      absl::string_view) { return open(); }});
}

absl::Status BackedUpStore::PrepareDestination(BackupRunner& runner) const {
  return runner.PrepareDestination(settings_.destinations(0));
}

BackupRunOutcome BackedUpStore::Backup(BackupRunner& runner) {
  IgnoringObserver observer;
  BackupRunOutcome outcome =
      runner.Run({.store_name = "main", .settings = settings_, .memory = memory_}, observer, {});
  if (outcome.status.ok()) {
    memory_ = outcome.memory;
  } else {
    (*memory_.mutable_destinations())["a"].set_has_unnamed_objects(true);
  }
  return outcome;
}

absl::StatusOr<std::unique_ptr<StoreRepository>> BackedUpStore::Open(BlobStore& blobs) {
  HOLDFAST_ASSIGN_OR_RETURN(const Repository repository, Repository::Open(blobs));
  return repository.OpenStore(store_id(), master_key_);
}

void UndeleteSome(StoreRepository& store, RandomSource& random, Clock& clock) {
  const absl::StatusOr<BackupListing> listing = store.ListBackups();
  ASSERT_OK(listing);
  for (const auto& [backup_id, time] : listing->deleted) {
    if (random.Uniform(4) != 0) continue;
    const absl::Status undeleted = UndeleteBackup(store, backup_id, clock.Now());
    if (undeleted.ok()) continue;
    EXPECT_THAT(undeleted, StatusIs(absl::StatusCode::kFailedPrecondition));
  }
}

}  // namespace holdfast
