#include "backup-agent/service/backup_agent_service.h"

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "backup-agent/service/waiting_call.h"
#include "common/base/mutex.h"
#include "common/rpc/status_mapping.h"

namespace holdfast {

namespace {

grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, const absl::Status& status) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

template <typename Response>
grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context,
                                 absl::StatusOr<Response> result, Response* response) {
  if (!result.ok()) return Answer(context, result.status());
  *response = *std::move(result);
  return Answer(context, absl::OkStatus());
}

// A stream of WatchRun: asks for a change, writes it, asks for the next. It belongs to gRPC, and
// destroys itself.
class WatchCall : public grpc::ServerWriteReactor<v1::Run> {
 public:
  static WatchCall* Start(StoreSupervisor& supervisor, const std::string& run_id) {
    auto* const call = new WatchCall(supervisor);
    AskNext(call->state_, supervisor, run_id, 0);
    return call;
  }

  // A stream that never begins.
  static WatchCall* Refuse(StoreSupervisor& any, const absl::Status& status) {
    auto* const call = new WatchCall(any);
    call->Finish(ToGrpcStatus(status));
    return call;
  }

  void OnWriteDone(bool ok) override {
    bool has_left = false;
    {
      MutexLock lock(&state_->mutex);
      state_->is_writing = false;
      has_left = !ok || state_->has_left;
      if (has_left) state_->call = nullptr;
    }
    if (has_left) {
      Finish(ToGrpcStatus(absl::CancelledError("the caller has left")));
    } else if (!snapshot_.is_last) {
      AskNext(state_, supervisor_, snapshot_.run.run_id(), snapshot_.version);
    }
  }

  void OnCancel() override {
    uint64_t ticket = 0;
    {
      MutexLock lock(&state_->mutex);
      state_->has_left = true;
      // A write that is under way fails now; whoever ended the call has done so.
      if (state_->is_writing || state_->call == nullptr) return;
      state_->call = nullptr;
      ticket = state_->ticket;
    }
    supervisor_.ForgetCaller(ticket);
    Finish(ToGrpcStatus(absl::CancelledError("the caller has left")));
  }

  void OnDone() override { delete this; }

 private:
  // What the call and its callbacks share, and what outlives both.
  struct State {
    Mutex mutex;
    WatchCall* call ABSL_GUARDED_BY(mutex);  // nullptr once somebody ends it
    uint64_t ticket ABSL_GUARDED_BY(mutex) = 0;
    bool is_writing ABSL_GUARDED_BY(mutex) = false;
    bool has_left ABSL_GUARDED_BY(mutex) = false;
  };

  explicit WatchCall(StoreSupervisor& supervisor)
      : supervisor_(supervisor), state_(std::make_shared<State>()) {
    MutexLock lock(&state_->mutex);
    state_->call = this;
  }

  // The call may end, and be gone, before this returns: only the state is sure to be there.
  static void AskNext(const std::shared_ptr<State>& state, StoreSupervisor& supervisor,
                      const std::string& run_id, uint64_t version) {
    const std::shared_ptr<State> kept = state;
    const uint64_t ticket = supervisor.AwaitRunChange(
        run_id, version,
        [kept](absl::StatusOr<RunSnapshot> snapshot) { OnChange(*kept, std::move(snapshot)); });
    bool has_ended = false;
    {
      MutexLock lock(&kept->mutex);
      kept->ticket = ticket;
      has_ended = kept->call == nullptr;
    }
    if (has_ended) supervisor.ForgetCaller(ticket);
  }

  static void OnChange(State& state, absl::StatusOr<RunSnapshot> snapshot) {
    WatchCall* call = nullptr;
    const absl::Status status = snapshot.status();
    {
      MutexLock lock(&state.mutex);
      call = state.call;
      if (call == nullptr) return;
      // gRPC keeps the call as long as a write is under way.
      state.is_writing = status.ok() && !snapshot->is_last;
      if (!state.is_writing) state.call = nullptr;
      if (status.ok()) call->snapshot_ = *std::move(snapshot);
    }
    if (!status.ok()) {
      call->Finish(ToGrpcStatus(status));
    } else if (call->snapshot_.is_last) {
      call->StartWriteAndFinish(&call->snapshot_.run, grpc::WriteOptions(), grpc::Status::OK);
    } else {
      call->StartWrite(&call->snapshot_.run);
    }
  }

  StoreSupervisor& supervisor_;
  const std::shared_ptr<State> state_;
  RunSnapshot snapshot_;  // belongs to the write that is under way
};

}  // namespace

BackupAgentService::BackupAgentService(const std::vector<StoreSupervisor*>& stores,
                                       std::string version)
    : version_(std::move(version)) {
  for (StoreSupervisor* store : stores) stores_[store->store_name()] = store;
}

absl::StatusOr<StoreSupervisor*> BackupAgentService::Find(absl::string_view store_name) const {
  if (store_name.empty() && stores_.size() == 1) return stores_.begin()->second;
  const auto store = stores_.find(store_name);
  if (store != stores_.end()) return store->second;
  const std::string names = absl::StrJoin(stores_, ", ", [](std::string* out, const auto& entry) {
    absl::StrAppend(out, entry.first);
  });
  if (store_name.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("store_name is required, for there are several stores: ", names));
  }
  return absl::NotFoundError(absl::StrCat("there is no store \"",
                                          absl::Utf8SafeCHexEscape(store_name.substr(0, 100)),
                                          "\"; there is: ", names));
}

grpc::ServerUnaryReactor* BackupAgentService::TriggerBackup(grpc::CallbackServerContext* context,
                                                            const v1::TriggerBackupRequest* request,
                                                            v1::TriggerBackupResponse* response) {
  const absl::StatusOr<StoreSupervisor*> store = Find(request->store_name());
  if (!store.ok()) return Answer(context, store.status());
  return WaitingCall<v1::TriggerBackupResponse>::Start(
      **store, *response, [&](TriggerQueue::Callback callback) {
        return (*store)->TriggerBackup(*request, std::move(callback));
      });
}

grpc::ServerUnaryReactor* BackupAgentService::GetRun(grpc::CallbackServerContext* context,
                                                     const v1::GetRunRequest* request,
                                                     v1::Run* response) {
  const absl::StatusOr<StoreSupervisor*> store = Find(request->store_name());
  if (!store.ok()) return Answer(context, store.status());
  return Answer(context, (*store)->GetRun(request->run_id()), response);
}

grpc::ServerUnaryReactor* BackupAgentService::ListRuns(grpc::CallbackServerContext* context,
                                                       const v1::ListRunsRequest* request,
                                                       v1::ListRunsResponse* response) {
  const absl::StatusOr<StoreSupervisor*> store = Find(request->store_name());
  if (!store.ok()) return Answer(context, store.status());
  return Answer(context, (*store)->ListRuns(*request), response);
}

grpc::ServerWriteReactor<v1::Run>* BackupAgentService::WatchRun(
    grpc::CallbackServerContext* /*context*/, const v1::WatchRunRequest* request) {
  const absl::StatusOr<StoreSupervisor*> store = Find(request->store_name());
  if (!store.ok()) return WatchCall::Refuse(*stores_.begin()->second, store.status());
  return WatchCall::Start(**store, request->run_id());
}

grpc::ServerUnaryReactor* BackupAgentService::CancelRun(grpc::CallbackServerContext* context,
                                                        const v1::CancelRunRequest* request,
                                                        v1::Run* response) {
  const absl::StatusOr<StoreSupervisor*> store = Find(request->store_name());
  if (!store.ok()) return Answer(context, store.status());
  return WaitingCall<v1::Run>::Start(
      **store, *response, [&](StoreSupervisor::RunCallback callback) {
        return (*store)->CancelRun(request->run_id(), std::move(callback));
      });
}

grpc::ServerUnaryReactor* BackupAgentService::ListBackups(grpc::CallbackServerContext* context,
                                                          const v1::ListBackupsRequest* request,
                                                          v1::ListBackupsResponse* response) {
  const absl::StatusOr<StoreSupervisor*> store = Find(request->store_name());
  if (!store.ok()) return Answer(context, store.status());
  return Answer(context, (*store)->ListBackups(*request), response);
}

grpc::ServerUnaryReactor* BackupAgentService::GetBackup(grpc::CallbackServerContext* context,
                                                        const v1::GetBackupRequest* request,
                                                        v1::Backup* response) {
  const absl::StatusOr<StoreSupervisor*> store = Find(request->store_name());
  if (!store.ok()) return Answer(context, store.status());
  return Answer(context, (*store)->GetBackup(request->backup_id()), response);
}

grpc::ServerUnaryReactor* BackupAgentService::GetBackupStatus(
    grpc::CallbackServerContext* context, const v1::GetBackupStatusRequest* request,
    v1::GetBackupStatusResponse* response) {
  response->set_version(version_);
  if (request->store_name().empty()) {
    for (const auto& [name, store] : stores_) *response->add_stores() = store->GetStatus();
    return Answer(context, absl::OkStatus());
  }
  const absl::StatusOr<StoreSupervisor*> store = Find(request->store_name());
  if (store.ok()) *response->add_stores() = (*store)->GetStatus();
  return Answer(context, store.status());
}

grpc::ServerUnaryReactor* BackupAgentService::AcceptStore(grpc::CallbackServerContext* context,
                                                          const v1::AcceptStoreRequest* request,
                                                          v1::AcceptStoreResponse* response) {
  const absl::StatusOr<StoreSupervisor*> store = Find(request->store_name());
  if (!store.ok()) return Answer(context, store.status());
  return WaitingCall<v1::AcceptStoreResponse>::Start(
      **store, *response, [&](StoreSupervisor::AcceptCallback callback) {
        (*store)->AcceptStore(std::move(callback));
        return uint64_t{0};  // what was begun is done
      });
}

grpc::ServerUnaryReactor* BackupAgentService::PruneBackups(grpc::CallbackServerContext* context,
                                                           const v1::PruneBackupsRequest* request,
                                                           v1::PruneBackupsResponse* response) {
  const absl::StatusOr<StoreSupervisor*> store = Find(request->store_name());
  if (!store.ok()) return Answer(context, store.status());
  return WaitingCall<v1::PruneBackupsResponse>::Start(
      **store, *response, [&](StoreUpkeep::PruneCallback callback) {
        (*store)->upkeep().PruneBackups(*request, std::move(callback));
        return uint64_t{0};  // what was begun goes on
      });
}

grpc::ServerUnaryReactor* BackupAgentService::MarkBackup(grpc::CallbackServerContext* context,
                                                         const v1::MarkBackupRequest* request,
                                                         v1::MarkBackupResponse* response) {
  const absl::StatusOr<StoreSupervisor*> store = Find(request->store_name());
  if (!store.ok()) return Answer(context, store.status());
  return WaitingCall<v1::MarkBackupResponse>::Start(
      **store, *response, [&](StoreUpkeep::MarkCallback callback) {
        (*store)->upkeep().MarkBackup(*request, std::move(callback));
        return uint64_t{0};  // what was begun goes on
      });
}

grpc::ServerUnaryReactor* BackupAgentService::StartProof(grpc::CallbackServerContext* context,
                                                         const v1::StartProofRequest* request,
                                                         v1::Proof* response) {
  const absl::StatusOr<StoreSupervisor*> store = Find(request->store_name());
  if (!store.ok()) return Answer(context, store.status());
  return Answer(context, (*store)->upkeep().StartProof(*request, (*store)->GetSettings()),
                response);
}

grpc::ServerUnaryReactor* BackupAgentService::GetProof(grpc::CallbackServerContext* context,
                                                       const v1::GetProofRequest* request,
                                                       v1::Proof* response) {
  const absl::StatusOr<StoreSupervisor*> store = Find(request->store_name());
  if (!store.ok()) return Answer(context, store.status());
  return Answer(context, (*store)->upkeep().GetProof(request->proof_id()), response);
}

grpc::ServerUnaryReactor* BackupAgentService::ListProofs(grpc::CallbackServerContext* context,
                                                         const v1::ListProofsRequest* request,
                                                         v1::ListProofsResponse* response) {
  const absl::StatusOr<StoreSupervisor*> store = Find(request->store_name());
  if (!store.ok()) return Answer(context, store.status());
  return Answer(context, (*store)->upkeep().ListProofs(*request), response);
}

grpc::ServerUnaryReactor* BackupAgentService::CancelProof(grpc::CallbackServerContext* context,
                                                          const v1::CancelProofRequest* request,
                                                          v1::Proof* response) {
  const absl::StatusOr<StoreSupervisor*> store = Find(request->store_name());
  if (!store.ok()) return Answer(context, store.status());
  return Answer(context, (*store)->upkeep().CancelProof(request->proof_id()), response);
}

grpc::ServerUnaryReactor* BackupAgentService::GetSettings(grpc::CallbackServerContext* context,
                                                          const v1::GetSettingsRequest* request,
                                                          v1::Settings* response) {
  const absl::StatusOr<StoreSupervisor*> store = Find(request->store_name());
  if (!store.ok()) return Answer(context, store.status());
  *response = (*store)->GetSettings();
  return Answer(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* BackupAgentService::UpdateSettings(
    grpc::CallbackServerContext* context, const v1::UpdateSettingsRequest* request,
    v1::Settings* response) {
  const absl::StatusOr<StoreSupervisor*> store = Find(request->settings().store_name());
  if (!store.ok()) return Answer(context, store.status());
  return WaitingCall<v1::Settings>::Start(
      **store, *response, [&](StoreSupervisor::SettingsCallback callback) {
        (*store)->UpdateSettings(request->settings(), std::move(callback));
        return uint64_t{0};  // a change that was begun is done
      });
}

}  // namespace holdfast
