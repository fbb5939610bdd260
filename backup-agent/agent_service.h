#ifndef HOLDFAST_BACKUP_AGENT_AGENT_SERVICE_H_
#define HOLDFAST_BACKUP_AGENT_AGENT_SERVICE_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "backup-agent/schedule/store_supervisor.h"
#include "backup-agent/service/backup_agent_service.h"
#include "backup-agent/source/checkpoint_source.h"
#include "backup-agent/state/state_store.h"
#include "backup-agent/transfer/backup_runner.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/config/config.h"
#include "common/crypto/master_key.h"
#include "common/rpc/server.h"
#include "common/storage/open_blob_store.h"

namespace holdfast {

// An AgentService is an agent at work: all parts of holdfast-agent, wired together.
//
//   HOLDFAST_ASSIGN_OR_RETURN(
//       auto agent, AgentService::Start(config, master_key, SystemClock(), SystemRandom(),
//                                       open_blob_store));
//   … until it shall end …
//   if (!agent->Shutdown()) std::_Exit(…);   // something is stuck; all is saved
//
// Not thread-safe.
class AgentService {
 public:
  // How long Shutdown waits for what is under way, and then for calls to end.
  static constexpr absl::Duration kStopTime = absl::Seconds(8);
  static constexpr absl::Duration kDrainTime = absl::Milliseconds(500);

  // Takes up the work of all stores, and listens. The stores and destinations need not be there.
  // Does not keep a reference to `master_key`; the clock and the random source must outlive this.
  // `open_blob_store` opens the destinations.
  //
  // Errors: those of StateStore::Open and Load, and of RpcServer::Start.
  static absl::StatusOr<std::unique_ptr<AgentService>> Start(
      const AgentConfig& config, const MasterKey& master_key, Clock& clock, RandomSource& random,
      const BlobStoreOpener& open_blob_store = {});

  // As Shutdown, and waits for what is stuck.
  ~AgentService();
  AgentService(const AgentService&) = delete;
  AgentService& operator=(const AgentService&) = delete;

  // Cancels the runs, saves, takes no more calls. Ends within kStopTime and kDrainTime. False where
  // something is stuck: then this must not be destroyed, for that would wait for it. Only once.
  [[nodiscard]] bool Shutdown();

 private:
  // What belongs to one store, in the order in which the parts use each other.
  struct Store {
    std::unique_ptr<CheckpointSource> source;
    std::unique_ptr<BackupRunner> runner;
    std::unique_ptr<StoreSupervisor> supervisor;
  };

  AgentService(const MasterKey& master_key, Clock& clock)
      : master_key_(master_key.Clone()), clock_(clock) {}

  const MasterKey master_key_;
  Clock& clock_;
  bool is_shut_down_ = false;

  // In the order in which they use each other.
  std::unique_ptr<StateStore> states_;
  std::vector<Store> stores_;
  std::unique_ptr<BackupAgentService> service_;
  std::unique_ptr<RpcServer> server_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_AGENT_SERVICE_H_
