#ifndef HOLDFAST_STORE_SERVICE_SERVICE_UNARY_CALL_H_
#define HOLDFAST_STORE_SERVICE_SERVICE_UNARY_CALL_H_

#include <utility>

#include "absl/status/status.h"
#include "common/base/executor.h"
#include "common/rpc/status_mapping.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"

namespace holdfast {

// Ends a call at once. What it answers must have been made without blocking.
inline grpc::ServerUnaryReactor* FinishCall(grpc::CallbackServerContext* context,
                                            const absl::Status& status) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

// Runs `task` on the executor, or ends the call if too much waits there. The task ends the call
// itself.
template <typename Task>
grpc::ServerUnaryReactor* ScheduleCall(Executor& executor, grpc::CallbackServerContext* context,
                                       Task task) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  if (!executor.TrySchedule([reactor, task = std::move(task)]() mutable { task(reactor); })) {
    reactor->Finish(
        ToGrpcStatus(absl::ResourceExhaustedError("too many callers wait: try again more slowly")));
  }
  return reactor;
}

// Runs `work`, which returns an absl::Status, on the executor and ends the call with it.
template <typename Work>
grpc::ServerUnaryReactor* AnswerCall(Executor& executor, grpc::CallbackServerContext* context,
                                     Work work) {
  return ScheduleCall(executor, context,
                      [work = std::move(work)](grpc::ServerUnaryReactor* reactor) mutable {
                        reactor->Finish(ToGrpcStatus(work()));
                      });
}

}  // namespace holdfast

#endif  // HOLDFAST_STORE_SERVICE_SERVICE_UNARY_CALL_H_
