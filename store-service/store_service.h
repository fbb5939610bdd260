#ifndef HOLDFAST_STORE_SERVICE_STORE_SERVICE_H_
#define HOLDFAST_STORE_SERVICE_STORE_SERVICE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/thread.h"
#include "common/config/config.h"
#include "common/crypto/master_key.h"
#include "common/database/data_directory.h"
#include "common/database/database.h"
#include "common/rpc/server.h"
#include "store-service/checkpoints/backup_memory.h"
#include "store-service/checkpoints/checkpoint_manager.h"
#include "store-service/checkpoints/instance_files.h"
#include "store-service/documents/committer.h"
#include "store-service/documents/document_engine.h"
#include "store-service/documents/sickness.h"
#include "store-service/service/checkpoint_service.h"
#include "store-service/service/document_service.h"

namespace holdfast {

// A StoreService is a store that is open and serves: all parts of holdfast-store, wired together.
//
//   HOLDFAST_ASSIGN_OR_RETURN(auto store, StoreService::Start(config, master_key, SystemClock()));
//   … until it shall end …
//   HOLDFAST_RETURN_IF_ERROR(store->Shutdown());
//
// Not thread-safe. Destroyed without Shutdown it does the same and logs what went wrong.
class StoreService {
 public:
  // How long calls may go on once a shutdown has begun.
  static constexpr absl::Duration kDrainTime = absl::Seconds(10);

  // Opens the data directory and the database, and listens. Does not keep a reference to
  // `master_key`; `clock` must outlive this.
  //
  // Errors: those of DataDirectory::Open, but UNAVAILABLE where another process has it open;
  // DATA_LOSS where the database is damaged; those of RpcServer::Start and
  // InstanceFiles::FromConfiguration.
  static absl::StatusOr<std::unique_ptr<StoreService>> Start(const StoreConfig& config,
                                                             const MasterKey& master_key,
                                                             Clock& clock);

  ~StoreService();
  StoreService(const StoreService&) = delete;
  StoreService& operator=(const StoreService&) = delete;

  // Takes no more calls, drains those that run, writes what waits, and closes the database. Only
  // once.
  absl::Status Shutdown();

  // What opening found in the write-ahead log; an operator is told of damage more than once.
  const RecoveryReport& recovery() const { return recovery_; }

 private:
  explicit StoreService(Clock& clock);

  absl::Status Open(const StoreConfig& config, const MasterKey& master_key);
  absl::Status Serve(const std::string& socket, const DatabaseMetadata& metadata);
  void KeepHouse();

  Clock& clock_;
  RecoveryReport recovery_;
  bool is_shut_down_ = false;

  // In the order in which they use each other.
  std::unique_ptr<DataDirectory> directory_;
  SicknessRecord sickness_;
  std::unique_ptr<OpenedDatabase> database_;
  std::unique_ptr<Committer> committer_;
  std::unique_ptr<DocumentEngine> engine_;
  std::unique_ptr<InstanceFiles> instance_files_;
  std::unique_ptr<CheckpointManager> checkpoints_;
  std::unique_ptr<BackupMemory> backups_;
  std::unique_ptr<BoundedExecutor> document_executor_;
  std::unique_ptr<BoundedExecutor> checkpoint_executor_;
  std::unique_ptr<BoundedExecutor> read_executor_;
  std::unique_ptr<DocumentService> document_service_;
  std::unique_ptr<CheckpointService> checkpoint_service_;
  std::unique_ptr<RpcServer> server_;
  CancellationSource stop_housekeeping_;
  Thread housekeeper_;
};

}  // namespace holdfast

#endif  // HOLDFAST_STORE_SERVICE_STORE_SERVICE_H_
