#ifndef HOLDFAST_COMMON_RPC_CHANNEL_H_
#define HOLDFAST_COMMON_RPC_CHANNEL_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"

namespace holdfast {

// A server as its clients know it.
struct RpcPeer {
  std::string program;  // "holdfast-store", for messages
  std::string socket;   // absolute path of its unix socket
};

// A channel to a server on this machine. It connects when it is first used, and
// connects again by itself, 100 ms to 5 s after a failure. A server that
// stopped answering is noticed within a minute.
//
// Each call makes a connection of its own: keep the channel, it is thread-safe.
std::shared_ptr<grpc::Channel> CreateUnixChannel(const RpcPeer& peer);

// For a program that ends soon after its calls: gRPC is not shut down with the last channel, which
// would join its threads for some milliseconds. REQUIRES: no channel yet; the process is ended by
// std::_Exit, for those threads must not meet destroyed objects.
void KeepRpcUntilExit();

// A call that has not ended after `timeout` ends with DEADLINE_EXCEEDED. Every
// call has a deadline, or is cancelled by somebody. REQUIRES: before the call.
void SetTimeout(grpc::ClientContext& context, absl::Duration timeout);

// What a call to `peer` ended with, for people, where gRPC's words are its own: nobody could be
// reached, or only the owner of the socket may try (UNAVAILABLE), the connection broke
// (UNAVAILABLE), or no answer came in time (DEADLINE_EXCEEDED):
//   cannot reach holdfast-store at /run/holdfast/store.sock: is it running?
absl::Status CallStatus(const grpc::Status& status, const RpcPeer& peer);

// Whether `status` is CallStatus's for a connection that broke: what was asked for may have been
// done, or go on.
bool WasConnectionLost(const absl::Status& status);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_RPC_CHANNEL_H_
