#ifndef HOLDFAST_TESTS_UNIT_BACKUP_AGENT_RETENTION_BACKED_UP_STORE_H_
#define HOLDFAST_TESTS_UNIT_BACKUP_AGENT_RETENTION_BACKED_UP_STORE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backup-agent/transfer/backup_runner.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/crypto/master_key.h"
#include "common/repository/repository.h"
#include "common/storage/blob_store.h"
#include "holdfast/agent/v1/state.pb.h"
#include "holdfast/v1/backup_agent.pb.h"
#include "tests/testing/fake_checkpoint_source.h"

namespace holdfast {

// A BackedUpStore is a store in memory with an agent that backs it up, for those who test what
// becomes of the backups. A run succeeds where one of the destinations takes the backup.
//
//   BackedUpStore store(clock, {"a"});
//   const auto runner = store.MakeRunner(
//       [&](const std::string& destination) { return std::make_unique<FaultBlobStore>(blobs); });
//   EXPECT_OK(store.PrepareDestinations(*runner));
//   EXPECT_OK(store.Backup(*runner).status);
//   const std::unique_ptr<StoreRepository> backups = *store.Open(blobs);
//
// Not thread-safe, but the agent may be used in the middle of one of its own jobs. Does not take
// ownership of the clock; must outlive the runners that it made.
class BackedUpStore {
 public:
  BackedUpStore(Clock& clock, const std::vector<std::string>& destinations);

  FakeCheckpointSource& source() { return source_; }
  const MasterKey& master_key() const { return master_key_; }
  StoreId store_id() { return *StoreId::FromText(source_.state().store_id()); }

  // A table comes or goes; some come back with the identity that they had.
  void ChangeTables(RandomSource& random);

  // Makes what takes the backups; each job opens a destination, by its name, with
  // `open_blob_store`.
  std::unique_ptr<BackupRunner> MakeRunner(
      std::function<absl::StatusOr<std::unique_ptr<BlobStore>>(const std::string& destination)>
          open_blob_store);
  // Makes the repositories at the destinations.
  absl::Status PrepareDestinations(BackupRunner& runner) const;

  // Takes a backup. After a failure the agent remembers what one does that was killed.
  BackupRunOutcome Backup(BackupRunner& runner);

  // Opens the backups that are at a place; an error where there are none yet.
  absl::StatusOr<std::unique_ptr<StoreRepository>> Open(BlobStore& blobs);

 private:
  Clock& clock_;
  FakeCheckpointSource source_;
  const MasterKey master_key_;
  v1::Settings settings_;
  agent::v1::StoreMemory memory_;
};

// Expects that no backup that is listed at a place lacks anything; reads all of it.
void ExpectListedAreWhole(BackedUpStore& store, BlobStore& blobs, const std::string& place);

// Undeletes one in four of the backups that are deleted, where that is not refused.
void UndeleteSome(StoreRepository& store, RandomSource& random, Clock& clock);

}  // namespace holdfast

#endif  // HOLDFAST_TESTS_UNIT_BACKUP_AGENT_RETENTION_BACKED_UP_STORE_H_
