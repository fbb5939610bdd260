#ifndef HOLDFAST_COMMON_RPC_STATUS_MAPPING_H_
#define HOLDFAST_COMMON_RPC_STATUS_MAPPING_H_

#include <cstddef>

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace holdfast {

// The border between absl::Status and grpc::Status. The codes are the same on
// both sides.
//
// Thread-safe.

// A message travels in a header, of which gRPC takes 8 KiB, three bytes for one
// at worst.
inline constexpr size_t kRpcMessageSizeMaxBytes = 2048;

// What the caller of a method is told: code and message, the message cut to
// kRpcMessageSizeMaxBytes. Payloads stay here.
grpc::Status ToGrpcStatus(const absl::Status& status);

// What a server said, or gRPC on its behalf.
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_RPC_STATUS_MAPPING_H_
