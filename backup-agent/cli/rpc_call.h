#ifndef HOLDFAST_BACKUP_AGENT_CLI_RPC_CALL_H_
#define HOLDFAST_BACKUP_AGENT_CLI_RPC_CALL_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/rpc/channel.h"
#include "grpcpp/client_context.h"

// For the clients in this folder alone: it includes gRPC.

namespace holdfast {

// Makes one call and waits for its answer. A cancelled one returns the reason.
template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> MakeCall(Stub& stub,
                                  grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                               Response*),
                                  const Request& request, const RpcPeer& peer,
                                  absl::Duration timeout, const Cancellation& cancellation) {
  grpc::ClientContext context;
  SetTimeout(context, timeout);
  const CancellationCallback on_cancel(cancellation, [&context] { context.TryCancel(); });
  Response response;
  const grpc::Status status = (stub.*method)(&context, request, &response);
  if (status.ok()) return response;
  if (cancellation.IsCancelled()) return cancellation.status();
  return CallStatus(status, peer);
}

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_CLI_RPC_CALL_H_
