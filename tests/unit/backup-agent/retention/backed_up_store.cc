#include "tests/unit/backup-agent/retention/backed_up_store.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "backup-agent/retention/pruner.h"
#include "common/base/status_macros.h"
#include "common/repository/checker.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {

namespace {

constexpr absl::string_view kUrlPrefix = "memory:";

class IgnoringObserver : public RunObserver {
 public:
  explicit IgnoringObserver(int destinations) : destinations_(destinations) {}

  void Update(const std::function<void(v1::Run&)>& change) override {
    v1::Run run;
    for (int i = 0; i < destinations_; ++i) run.add_destinations();
    change(run);
  }

 private:
  const int destinations_;
};

}  // namespace

BackedUpStore::BackedUpStore(Clock& clock, const std::vector<std::string>& destinations)
    : clock_(clock), master_key_(MasterKey::Generate()) {
  for (const std::string& name : destinations) {
    v1::Destination& destination = *settings_.add_destinations();
    destination.set_name(name);
    destination.set_url(absl::StrCat(kUrlPrefix, name));
  }
  settings_.set_required_destinations(1);
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
    std::function<absl::StatusOr<std::unique_ptr<BlobStore>>(const std::string&)> open_blob_store) {
  return BackupRunner::Create(
      {.source = &source_,
       .master_key = &master_key_,
       .clock = &clock_,
       .random = &SystemRandom(),
       .open_blob_store = [open = std::move(open_blob_store)](absl::string_view url) {
         return open(std::string(absl::StripPrefix(url, kUrlPrefix)));
       }});
}

absl::Status BackedUpStore::PrepareDestinations(BackupRunner& runner) const {
  for (const v1::Destination& destination : settings_.destinations()) {
    HOLDFAST_RETURN_IF_ERROR(runner.PrepareDestination(destination).status());
  }
  return absl::OkStatus();
}

BackupRunOutcome BackedUpStore::Backup(BackupRunner& runner) {
  IgnoringObserver observer(settings_.destinations_size());
  BackupRunOutcome outcome =
      runner.Run({.store_name = "main", .settings = settings_, .memory = memory_}, observer, {});
  if (outcome.status.ok()) {
    memory_ = outcome.memory;
  } else {
    for (const v1::Destination& destination : settings_.destinations()) {
      (*memory_.mutable_destinations())[destination.name()].set_has_unnamed_objects(true);
    }
  }
  return outcome;
}

absl::StatusOr<std::unique_ptr<StoreRepository>> BackedUpStore::Open(BlobStore& blobs) {
  HOLDFAST_ASSIGN_OR_RETURN(const Repository repository, Repository::Open(blobs));
  return repository.OpenStore(store_id(), master_key_);
}

void ExpectListedAreWhole(BackedUpStore& store, BlobStore& blobs, const std::string& place) {
  const absl::StatusOr<std::unique_ptr<StoreRepository>> opened = store.Open(blobs);
  if (!opened.ok()) return;  // there was no backup yet
  const absl::StatusOr<CheckReport> report =
      CheckStore(**opened, {.read_data = true, .on_progress = nullptr}, {});
  ASSERT_OK(report);
  for (const CheckFinding& finding : report->findings) {
    ADD_FAILURE() << place << ": " << finding.path << ": " << finding.status;
  }
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
