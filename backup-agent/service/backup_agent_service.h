#ifndef HOLDFAST_BACKUP_AGENT_SERVICE_BACKUP_AGENT_SERVICE_H_
#define HOLDFAST_BACKUP_AGENT_SERVICE_BACKUP_AGENT_SERVICE_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backup-agent/schedule/store_supervisor.h"
#include "holdfast/v1/backup_agent.grpc.pb.h"

namespace holdfast {

// holdfast.v1.BackupAgent over the supervisors of the agent's stores. It only translates. No call
// takes a thread while it waits.
//
// Thread-safe. Does not take ownership of the supervisors, which must outlive all calls and be told
// to shut down before the server is.
class BackupAgentService : public v1::BackupAgent::CallbackService {
 public:
  // `version` is the program's.
  BackupAgentService(const std::vector<StoreSupervisor*>& stores, std::string version);

  grpc::ServerUnaryReactor* TriggerBackup(grpc::CallbackServerContext* context,
                                          const v1::TriggerBackupRequest* request,
                                          v1::TriggerBackupResponse* response) override;
  grpc::ServerUnaryReactor* GetRun(grpc::CallbackServerContext* context,
                                   const v1::GetRunRequest* request, v1::Run* response) override;
  grpc::ServerUnaryReactor* ListRuns(grpc::CallbackServerContext* context,
                                     const v1::ListRunsRequest* request,
                                     v1::ListRunsResponse* response) override;
  grpc::ServerWriteReactor<v1::Run>* WatchRun(grpc::CallbackServerContext* context,
                                              const v1::WatchRunRequest* request) override;
  grpc::ServerUnaryReactor* CancelRun(grpc::CallbackServerContext* context,
                                      const v1::CancelRunRequest* request,
                                      v1::Run* response) override;
  grpc::ServerUnaryReactor* ListBackups(grpc::CallbackServerContext* context,
                                        const v1::ListBackupsRequest* request,
                                        v1::ListBackupsResponse* response) override;
  grpc::ServerUnaryReactor* GetBackup(grpc::CallbackServerContext* context,
                                      const v1::GetBackupRequest* request,
                                      v1::Backup* response) override;
  grpc::ServerUnaryReactor* GetBackupStatus(grpc::CallbackServerContext* context,
                                            const v1::GetBackupStatusRequest* request,
                                            v1::GetBackupStatusResponse* response) override;
  grpc::ServerUnaryReactor* AcceptStore(grpc::CallbackServerContext* context,
                                        const v1::AcceptStoreRequest* request,
                                        v1::AcceptStoreResponse* response) override;
  grpc::ServerUnaryReactor* PruneBackups(grpc::CallbackServerContext* context,
                                         const v1::PruneBackupsRequest* request,
                                         v1::PruneBackupsResponse* response) override;
  grpc::ServerUnaryReactor* MarkBackup(grpc::CallbackServerContext* context,
                                       const v1::MarkBackupRequest* request,
                                       v1::MarkBackupResponse* response) override;
  grpc::ServerUnaryReactor* StartProof(grpc::CallbackServerContext* context,
                                       const v1::StartProofRequest* request,
                                       v1::Proof* response) override;
  grpc::ServerUnaryReactor* GetProof(grpc::CallbackServerContext* context,
                                     const v1::GetProofRequest* request,
                                     v1::Proof* response) override;
  grpc::ServerUnaryReactor* ListProofs(grpc::CallbackServerContext* context,
                                       const v1::ListProofsRequest* request,
                                       v1::ListProofsResponse* response) override;
  grpc::ServerUnaryReactor* CancelProof(grpc::CallbackServerContext* context,
                                        const v1::CancelProofRequest* request,
                                        v1::Proof* response) override;
  grpc::ServerUnaryReactor* GetSettings(grpc::CallbackServerContext* context,
                                        const v1::GetSettingsRequest* request,
                                        v1::Settings* response) override;
  grpc::ServerUnaryReactor* UpdateSettings(grpc::CallbackServerContext* context,
                                           const v1::UpdateSettingsRequest* request,
                                           v1::Settings* response) override;

 private:
  // The store of that name, or the only one where the name is empty.
  absl::StatusOr<StoreSupervisor*> Find(absl::string_view store_name) const;

  std::map<std::string, StoreSupervisor*, std::less<>> stores_;
  const std::string version_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SERVICE_BACKUP_AGENT_SERVICE_H_
