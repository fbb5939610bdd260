#ifndef HOLDFAST_TESTS_UNIT_BACKUP_AGENT_RETENTION_BACKED_UP_STORE_H_
#define HOLDFAST_TESTS_UNIT_BACKUP_AGENT_RETENTION_BACKED_UP_STORE_H_

#include <functional>
#include <memory>

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

// A BackedUpStore is a store in memory with an agent that backs it up to one destination, for those
// who test what becomes of the backups.
//
//   BackedUpStore store(clock);
//   const auto runner = store.MakeRunner([&] { return std::make_unique<FaultBlobStore>(blobs); });
//   EXPECT_OK(store.PrepareDestination(*runner));
//   EXPECT_OK(store.Backup(*runner).status);
//   const std::unique_ptr<StoreRepository> backups = *store.Open(blobs);
//
// Not thread-safe, but the agent may be used in the middle of one of its own jobs. Does not take
// ownership of the clock; must outlive the runners that it made.
class BackedUpStore {
 public:
  explicit BackedUpStore(Clock& clock);

  FakeCheckpointSource& source() { return source_; }
  const MasterKey& master_key() const { return master_key_; }
  StoreId store_id() { return *StoreId::FromText(source_.state().store_id()); }

  // A table comes or goes; some come back with the identity that they had.
  void ChangeTables(RandomSource& random);

  // Makes what takes the backups; each job opens the destination by `open_blob_store`.
  std::unique_ptr<BackupRunner> MakeRunner(
      std::function<std::unique_ptr<BlobStore>()> open_blob_store);
  // Makes the repository at the destination.
  absl::Status PrepareDestination(BackupRunner& runner) const;

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

// Undeletes one in four of the backups that are deleted, where that is not refused.
void UndeleteSome(StoreRepository& store, RandomSource& random, Clock& clock);

}  // namespace holdfast

#endif  // HOLDFAST_TESTS_UNIT_BACKUP_AGENT_RETENTION_BACKED_UP_STORE_H_
