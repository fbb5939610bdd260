#ifndef HOLDFAST_COMMON_RPC_GRPC_LOG_H_
#define HOLDFAST_COMMON_RPC_GRPC_LOG_H_

namespace holdfast {

// Sends what gRPC logs to Holdfast's log. Called by all that use gRPC; only the
// first call matters.
//
// Thread-safe.
void RouteGrpcLog();

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_RPC_GRPC_LOG_H_
