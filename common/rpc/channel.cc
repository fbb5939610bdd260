#include "common/rpc/channel.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/io/path.h"
#include "common/rpc/grpc_log.h"
#include "common/rpc/server.h"
#include "common/rpc/status_mapping.h"
#include "common/rpc/unix_socket.h"
#include "grpc/grpc.h"
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
// What a stream may send before it is read, which is held in memory here. gRPC's own estimate (BDP)
// grows to many MiB on a fast connection, and makes nothing faster there.
constexpr int kStreamLookaheadBytes = 1 << 20;
constexpr int kKeepaliveTimeMs = 30'000;
constexpr int kKeepaliveTimeoutMs = 20'000;

// What gRPC says, as the first words, where there was no connection at all. A server's own
// UNAVAILABLE has other words before what it passes on.
constexpr absl::string_view kNoConnection[] = {
    "failed to connect to all addresses",
    "connections to all backends failing",
    "empty address list",
};

// What it says where a connection broke before the answer came.
constexpr absl::string_view kConnectionLost[] = {
    "Socket closed", "Transport closed", "Connection reset by peer",
    "Broken pipe",   "GOAWAY received",  "keepalive watchdog timeout",
};

// What it says where a call took longer than SetTimeout allowed.
constexpr absl::string_view kDeadlineExceeded = "Deadline Exceeded";

std::atomic<bool> keep_rpc_until_exit = false;

constexpr absl::string_view kConnectionLostPayload = "holdfast/connection-lost";

bool IsWithoutConnection(absl::string_view message) {
  return std::any_of(std::begin(kNoConnection), std::end(kNoConnection),
                     [&](absl::string_view words) { return absl::StartsWith(message, words); });
}

bool IsConnectionLost(absl::string_view message) {
  // "recvmsg:Connection reset by peer"
  for (const absl::string_view call : {"recvmsg:", "sendmsg:", "recvmsg: ", "sendmsg: "}) {
    if (absl::ConsumePrefix(&message, call)) break;
  }
  return std::any_of(std::begin(kConnectionLost), std::end(kConnectionLost),
                     [&](absl::string_view words) { return absl::StartsWith(message, words); });
}

// "user holdfast", or its number where it has no name.
std::string DescribeUser(uid_t id) {
  std::array<char, 4096> buffer;
  passwd entry;
  passwd* found = nullptr;
  if (getpwuid_r(id, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return absl::StrCat("user ", id);
  }
  return absl::StrCat("user ", found->pw_name);
}

// Why nobody was reached: a socket that this user may not open, or else that nobody listens.
std::string ExplainNoConnection(const std::string& socket, absl::string_view message) {
  if (faccessat(AT_FDCWD, socket.c_str(), W_OK, AT_EACCESS) != 0 && errno == EACCES) {
    // The owner of the socket, or of the folder that hides it.
    struct stat info;
    std::string path = socket;
    while (stat(path.c_str(), &info) != 0 && path != FolderOf(path)) path = FolderOf(path);
    return absl::StrCat("only its owner, ", DescribeUser(info.st_uid), ", and root may open it");
  }
  if (absl::StrContains(message, "No such file or directory") ||
      absl::StrContains(message, "Connection refused")) {
    return "is it running?";
  }
  return absl::StrCat("is it running? (", message, ")");
}

}  // namespace

void KeepRpcUntilExit() { keep_rpc_until_exit = true; }

std::shared_ptr<grpc::Channel> CreateUnixChannel(const RpcPeer& peer) {
  RouteGrpcLog();
  if (keep_rpc_until_exit.exchange(false)) grpc_init();  // a reference that nobody gives back
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
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kStreamLookaheadBytes);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  return grpc::CreateCustomChannel(UnixSocketAddress(peer.socket),
                                   grpc::InsecureChannelCredentials(), arguments);
}

void SetTimeout(grpc::ClientContext& context, absl::Duration timeout) {
  context.set_deadline(gpr_time_from_nanos(absl::ToInt64Nanoseconds(timeout), GPR_TIMESPAN));
}

absl::Status CallStatus(const grpc::Status& status, const RpcPeer& peer) {
  const std::string message = status.error_message();
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE && IsWithoutConnection(message)) {
    return absl::UnavailableError(absl::StrCat("cannot reach ", peer.program, " at ", peer.socket,
                                               ": ", ExplainNoConnection(peer.socket, message)));
  }
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE && IsConnectionLost(message)) {
    absl::Status lost =
        absl::UnavailableError(absl::StrCat("the connection to ", peer.program, " at ", peer.socket,
                                            " broke before it answered: it ended, or was ended"));
    lost.SetPayload(kConnectionLostPayload, absl::Cord("1"));
    return lost;
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED && message == kDeadlineExceeded) {
    return absl::DeadlineExceededError(
        absl::StrCat(peer.program, " at ", peer.socket, " did not answer in time"));
  }
  return FromGrpcStatus(status);
}

bool WasConnectionLost(const absl::Status& status) {
  return status.GetPayload(kConnectionLostPayload).has_value();
}

}  // namespace holdfast
