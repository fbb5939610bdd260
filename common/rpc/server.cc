#include "common/rpc/server.h"

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/rpc/grpc_log.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"

namespace holdfast {
namespace {

// Calls at once on one connection; a client with more waits.
constexpr int kConcurrentStreamsMax = 256;

// How a client that stopped answering is noticed, and how often a client may
// ask whether we live.
constexpr int kKeepaliveTimeMs = 60'000;
constexpr int kKeepaliveTimeoutMs = 30'000;
constexpr int kPingIntervalMinMs = 10'000;

// Health and reflection were written for plugins of the whole process.
void EnablePluginsOnce() {
  static const bool kOnce = [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    return true;
  }();
  static_cast<void>(kOnce);
}

}  // namespace

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(const Options& options) {
  RouteGrpcLog();
  EnablePluginsOnce();
  HOLDFAST_ASSIGN_OR_RETURN(std::unique_ptr<UnixSocketClaim> claim,
                            UnixSocketClaim::Acquire(options.socket), "listen");

  grpc::ServerBuilder builder;
  int bound = 0;
  builder.AddListeningPort(UnixSocketAddress(options.socket), grpc::InsecureServerCredentials(),
                           &bound);
  builder.SetMaxReceiveMessageSize(kRpcMessageReceiveMaxBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kConcurrentStreamsMax);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kPingIntervalMinMs);
  for (const NamedService& service : options.services) builder.RegisterService(service.service);
  std::unique_ptr<grpc::Server> grpc_server = builder.BuildAndStart();
  if (grpc_server == nullptr || bound == 0) {
    return absl::UnknownError(
        absl::StrCat("listen on ", options.socket, ": gRPC refused, see the log above"));
  }
  HOLDFAST_RETURN_IF_ERROR(claim->RestrictToOwner(), "listen");
  for (const NamedService& service : options.services) {
    grpc_server->GetHealthCheckService()->SetServingStatus(service.name, true);
  }
  return std::unique_ptr<RpcServer>(new RpcServer(std::move(claim), std::move(grpc_server)));
}

RpcServer::~RpcServer() { Shutdown(absl::ZeroDuration()); }

void RpcServer::Shutdown(absl::Duration drain_time) {
  server_->GetHealthCheckService()->SetServingStatus(false);
  server_->Shutdown(gpr_time_from_millis(absl::ToInt64Milliseconds(drain_time), GPR_TIMESPAN));
  server_->Wait();
}

}  // namespace holdfast
