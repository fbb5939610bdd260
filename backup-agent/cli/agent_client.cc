#include "backup-agent/cli/agent_client.h"

#include <utility>

#include "backup-agent/cli/rpc_call.h"
#include "common/rpc/channel.h"
#include "holdfast/v1/backup_agent.grpc.pb.h"

namespace holdfast {

namespace {

// Most answers come from memory; a new destination is looked at first.
constexpr absl::Duration kTimeout = absl::Minutes(2);

// A run that is cancelled ends once what it is writing is written.
constexpr absl::Duration kCancelTimeout = absl::Minutes(10);
// Years of backups are deleted at once where retention was made shorter.
constexpr absl::Duration kPruneTimeout = absl::Hours(24);

// As long as a run lasts; the caller cancels it.
constexpr absl::Duration kWatchTimeout = absl::Hours(24 * 7);

}  // namespace

struct AgentClient::Connection {
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::BackupAgent::Stub::*method)(grpc::ClientContext*,
                                                                              const Request&,
                                                                              Response*),
                                const Request& request, absl::Duration timeout = kTimeout) {
    return MakeCall(*stub, method, request, peer, timeout, cancellation);
  }

  RpcPeer peer;
  Cancellation cancellation;
  std::unique_ptr<v1::BackupAgent::Stub> stub;
};

AgentClient::AgentClient(std::string socket, Cancellation cancellation)
    : connection_(std::make_unique<Connection>()) {
  connection_->peer = {.program = "holdfast-agent", .socket = std::move(socket)};
  connection_->cancellation = std::move(cancellation);
  connection_->stub = v1::BackupAgent::NewStub(CreateUnixChannel(connection_->peer));
}

AgentClient::~AgentClient() = default;

bool AgentClient::WasConnectionLost(const absl::Status& status) {
  return holdfast::WasConnectionLost(status);
}

absl::StatusOr<v1::TriggerBackupResponse> AgentClient::TriggerBackup(
    const v1::TriggerBackupRequest& request, absl::Duration timeout) {
  return connection_->Call(&v1::BackupAgent::Stub::TriggerBackup, request, timeout);
}

absl::Status AgentClient::WatchRun(const v1::WatchRunRequest& request,
                                   absl::FunctionRef<void(const v1::Run&)> on_change,
                                   const Cancellation& cancellation) {
  grpc::ClientContext context;
  SetTimeout(context, kWatchTimeout);
  const auto stop = [&context] { context.TryCancel(); };
  const CancellationCallback on_cancel(cancellation, stop);
  const CancellationCallback on_client_cancel(connection_->cancellation, stop);
  const auto reader = connection_->stub->WatchRun(&context, request);
  v1::Run run;
  while (reader->Read(&run)) on_change(run);
  const grpc::Status status = reader->Finish();
  if (status.ok()) return absl::OkStatus();
  if (cancellation.IsCancelled()) return cancellation.status();
  if (connection_->cancellation.IsCancelled()) return connection_->cancellation.status();
  return CallStatus(status, connection_->peer);
}

absl::StatusOr<v1::Run> AgentClient::CancelRun(const v1::CancelRunRequest& request) {
  return connection_->Call(&v1::BackupAgent::Stub::CancelRun, request, kCancelTimeout);
}

absl::StatusOr<v1::ListRunsResponse> AgentClient::ListRuns(const v1::ListRunsRequest& request) {
  return connection_->Call(&v1::BackupAgent::Stub::ListRuns, request);
}

absl::StatusOr<v1::ListBackupsResponse> AgentClient::ListBackups(
    const v1::ListBackupsRequest& request) {
  return connection_->Call(&v1::BackupAgent::Stub::ListBackups, request);
}

absl::StatusOr<v1::Backup> AgentClient::GetBackup(const v1::GetBackupRequest& request) {
  return connection_->Call(&v1::BackupAgent::Stub::GetBackup, request);
}

absl::StatusOr<v1::GetBackupStatusResponse> AgentClient::GetBackupStatus(
    const v1::GetBackupStatusRequest& request) {
  return connection_->Call(&v1::BackupAgent::Stub::GetBackupStatus, request);
}

absl::StatusOr<v1::AcceptStoreResponse> AgentClient::AcceptStore(
    const v1::AcceptStoreRequest& request) {
  return connection_->Call(&v1::BackupAgent::Stub::AcceptStore, request);
}

absl::StatusOr<v1::PruneBackupsResponse> AgentClient::PruneBackups(
    const v1::PruneBackupsRequest& request) {
  return connection_->Call(&v1::BackupAgent::Stub::PruneBackups, request, kPruneTimeout);
}

absl::StatusOr<v1::MarkBackupResponse> AgentClient::MarkBackup(
    const v1::MarkBackupRequest& request) {
  return connection_->Call(&v1::BackupAgent::Stub::MarkBackup, request);
}

absl::StatusOr<v1::Proof> AgentClient::StartProof(const v1::StartProofRequest& request) {
  return connection_->Call(&v1::BackupAgent::Stub::StartProof, request);
}

absl::StatusOr<v1::Proof> AgentClient::GetProof(const v1::GetProofRequest& request) {
  return connection_->Call(&v1::BackupAgent::Stub::GetProof, request);
}

absl::StatusOr<v1::ListProofsResponse> AgentClient::ListProofs(
    const v1::ListProofsRequest& request) {
  return connection_->Call(&v1::BackupAgent::Stub::ListProofs, request);
}

absl::StatusOr<v1::Proof> AgentClient::CancelProof(const v1::CancelProofRequest& request) {
  return connection_->Call(&v1::BackupAgent::Stub::CancelProof, request);
}

absl::StatusOr<v1::Settings> AgentClient::GetSettings(const v1::GetSettingsRequest& request) {
  return GetSettings(request, kTimeout);
}

absl::StatusOr<v1::Settings> AgentClient::GetSettings(const v1::GetSettingsRequest& request,
                                                      absl::Duration timeout) {
  return connection_->Call(&v1::BackupAgent::Stub::GetSettings, request, timeout);
}

absl::StatusOr<v1::Settings> AgentClient::UpdateSettings(const v1::UpdateSettingsRequest& request) {
  return connection_->Call(&v1::BackupAgent::Stub::UpdateSettings, request);
}

}  // namespace holdfast
