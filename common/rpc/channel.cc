#include "common/rpc/channel.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/rpc/grpc_log.h"
#include "common/rpc/server.h"
#include "common/rpc/status_mapping.h"
#include "common/rpc/unix_socket.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"

namespace holdfast {
namespace {

constexpr int kReconnectInitialMs = 100;
constexpr int kReconnectMaxMs = 5'000;
// gRPC calls it the shortest backoff, and gives up by it a connection that a busy server has not
// taken yet. Where nobody listens that shows at once.
constexpr int kConnectTimeoutMs = 2'000;
constexpr int kKeepaliveTimeMs = 30'000;
constexpr int kKeepaliveTimeoutMs = 20'000;

// What gRPC says where there was no connection at all (a server's own
// UNAVAILABLE has other words).
constexpr absl::string_view kNoConnection[] = {
    "failed to connect to all addresses",
    "connections to all backends failing",
    "empty address list",
};

bool IsWithoutConnection(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE &&
         std::any_of(std::begin(kNoConnection), std::end(kNoConnection),
                     [&](absl::string_view words) {
                       return absl::StrContains(status.error_message(), words);
                     });
}

}  // namespace

std::shared_ptr<grpc::Channel> CreateUnixChannel(const RpcPeer& peer) {
  RouteGrpcLog();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kRpcMessageReceiveMaxBytes);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectInitialMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMaxMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA,
                   0);  // as many as keepalive needs
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(UnixSocketAddress(peer.socket),
                                   grpc::InsecureChannelCredentials(), arguments);
}

void SetTimeout(grpc::ClientContext& context, absl::Duration timeout) {
  context.set_deadline(gpr_time_from_nanos(absl::ToInt64Nanoseconds(timeout), GPR_TIMESPAN));
}

absl::Status CallStatus(const grpc::Status& status, const RpcPeer& peer) {
  if (!IsWithoutConnection(status)) return FromGrpcStatus(status);
  return absl::UnavailableError(absl::StrCat("cannot reach ", peer.program, " at ", peer.socket,
                                             ": is it running? (", status.error_message(), ")"));
}

}  // namespace holdfast
