#ifndef HOLDFAST_BACKUP_AGENT_CLI_AGENT_CLIENT_H_
#define HOLDFAST_BACKUP_AGENT_CLI_AGENT_CLIENT_H_

#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "holdfast/v1/backup_agent.pb.h"

namespace holdfast {

// AgentClient speaks to an agent's BackupAgent.
//
// Thread-safe. Methods block; each ends soon after `cancellation` is cancelled, with its reason.
//
// Errors: those of backup_agent.proto. UNAVAILABLE where the agent can't be reached;
// DEADLINE_EXCEEDED where it does not answer.
class AgentClient {
 public:
  AgentClient(std::string socket, Cancellation cancellation);
  ~AgentClient();
  AgentClient(const AgentClient&) = delete;
  AgentClient& operator=(const AgentClient&) = delete;

  // Waits for the backup for as long as `timeout`.
  absl::StatusOr<v1::TriggerBackupResponse> TriggerBackup(const v1::TriggerBackupRequest& request,
                                                          absl::Duration timeout);
  // Calls `on_change` with the run as it is and whenever it changed, until it has ended or
  // `cancellation`, which is beside that of the client, is cancelled.
  absl::Status WatchRun(const v1::WatchRunRequest& request,
                        absl::FunctionRef<void(const v1::Run&)> on_change,
                        const Cancellation& cancellation);
  absl::StatusOr<v1::Run> CancelRun(const v1::CancelRunRequest& request);
  absl::StatusOr<v1::ListRunsResponse> ListRuns(const v1::ListRunsRequest& request);
  absl::StatusOr<v1::ListBackupsResponse> ListBackups(const v1::ListBackupsRequest& request);
  absl::StatusOr<v1::Backup> GetBackup(const v1::GetBackupRequest& request);
  absl::StatusOr<v1::GetBackupStatusResponse> GetBackupStatus(
      const v1::GetBackupStatusRequest& request);
  absl::StatusOr<v1::AcceptStoreResponse> AcceptStore(const v1::AcceptStoreRequest& request);
  // May take hours. Ctrl-C ends the waiting, not the prune.
  absl::StatusOr<v1::PruneBackupsResponse> PruneBackups(const v1::PruneBackupsRequest& request);
  absl::StatusOr<v1::MarkBackupResponse> MarkBackup(const v1::MarkBackupRequest& request);
  absl::StatusOr<v1::Proof> StartProof(const v1::StartProofRequest& request);
  absl::StatusOr<v1::Proof> GetProof(const v1::GetProofRequest& request);
  absl::StatusOr<v1::ListProofsResponse> ListProofs(const v1::ListProofsRequest& request);
  absl::StatusOr<v1::Proof> CancelProof(const v1::CancelProofRequest& request);
  absl::StatusOr<v1::Settings> GetSettings(const v1::GetSettingsRequest& request);
  // Waits for at most `timeout`.
  absl::StatusOr<v1::Settings> GetSettings(const v1::GetSettingsRequest& request,
                                           absl::Duration timeout);
  absl::StatusOr<v1::Settings> UpdateSettings(const v1::UpdateSettingsRequest& request);

  // Whether a call ended with this because the connection broke: what was asked for may have been
  // done, or go on.
  static bool WasConnectionLost(const absl::Status& status);

 private:
  struct Connection;
  const std::unique_ptr<Connection> connection_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_CLI_AGENT_CLIENT_H_
