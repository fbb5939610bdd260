#ifndef HOLDFAST_BACKUP_AGENT_SERVICE_WAITING_CALL_H_
#define HOLDFAST_BACKUP_AGENT_SERVICE_WAITING_CALL_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backup-agent/schedule/store_supervisor.h"
#include "common/base/mutex.h"
#include "common/rpc/status_mapping.h"
#include "grpcpp/support/server_callback.h"

namespace holdfast {

// A WaitingCall is a unary call that a callback answers some time later, without a thread that
// waits. It ends at once when the caller leaves.
//
//   return WaitingCall<v1::Run>::Start(*supervisor, *response, [&](auto callback) {
//     return supervisor->CancelRun(request->run_id(), std::move(callback));   // the ticket
//   });
//
// It belongs to gRPC, and destroys itself.
template <typename Response>
class WaitingCall : public grpc::ServerUnaryReactor {
 public:
  using Result = absl::StatusOr<Response>;

  // `begin` is called once, with a callback that takes a Result, and returns the caller's ticket.
  template <typename Begin>
  static grpc::ServerUnaryReactor* Start(StoreSupervisor& supervisor, Response& response,
                                         Begin begin) {
    auto* const call = new WaitingCall(supervisor, response);
    // The call may have ended, and be gone, before `begin` returns: only the state is sure to be
    // there.
    const std::shared_ptr<State> state = call->state_;
    const uint64_t ticket = begin([state](Result result) { Answer(*state, std::move(result)); });
    bool has_ended = false;
    {
      MutexLock lock(&state->mutex);
      state->ticket = ticket;
      has_ended = state->call == nullptr;
    }
    if (has_ended) supervisor.ForgetCaller(ticket);
    return call;
  }

  void OnCancel() override {
    uint64_t ticket = 0;
    {
      MutexLock lock(&state_->mutex);
      if (state_->call == nullptr) return;
      state_->call = nullptr;
      ticket = state_->ticket;
    }
    supervisor_.ForgetCaller(ticket);
    Finish(ToGrpcStatus(absl::CancelledError("the caller has left")));
  }

  void OnDone() override { delete this; }

 private:
  // What the call and its callback share, and what outlives both.
  struct State {
    Mutex mutex;
    WaitingCall* call ABSL_GUARDED_BY(mutex);  // nullptr once somebody ends it
    uint64_t ticket ABSL_GUARDED_BY(mutex) = 0;
  };

  WaitingCall(StoreSupervisor& supervisor, Response& response)
      : supervisor_(supervisor), response_(response), state_(std::make_shared<State>()) {
    MutexLock lock(&state_->mutex);
    state_->call = this;
  }

  static void Answer(State& state, Result result) {
    WaitingCall* call = nullptr;
    {
      MutexLock lock(&state.mutex);
      std::swap(call, state.call);
    }
    if (call == nullptr) return;
    const absl::Status status = result.status();
    if (status.ok()) call->response_ = *std::move(result);
    call->Finish(ToGrpcStatus(status));
  }

  StoreSupervisor& supervisor_;
  Response& response_;
  const std::shared_ptr<State> state_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SERVICE_WAITING_CALL_H_
