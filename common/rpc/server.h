#ifndef HOLDFAST_COMMON_RPC_SERVER_H_
#define HOLDFAST_COMMON_RPC_SERVER_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/unix_socket.h"
#include "grpcpp/impl/service_type.h"
#include "grpcpp/server.h"

namespace holdfast {

// The largest message that a Holdfast server or client takes: gRPC's default.
inline constexpr int kRpcMessageReceiveMaxBytes = 4 * 1024 * 1024;

// The calls of health and reflection, which may stand for ever.
class StandingCalls;

// An RpcServer serves gRPC services on a unix socket that only this user can
// reach, together with the standard health service (for each service by its
// name and for all as "") and reflection.
//
//   HOLDFAST_ASSIGN_OR_RETURN(auto server, RpcServer::Start({.socket = path,
//   .services = {…}})); … server->Shutdown(kDrainTime);   // before anything
//   that the services use goes
//
// The services are callback services. gRPC runs their reactions on two threads
// (or half as many as there are cores, up to 16) that all calls of the process
// share: a reaction never blocks.
//
// Thread-safe. Does not take ownership of the services; they must outlive this.
// Destroyed without Shutdown it cancels all calls.
class RpcServer {
 public:
  struct NamedService {
    std::string name;  // "holdfast.v1.DocumentStore"
    grpc::Service* service;
  };
  struct Options {
    std::string socket;  // absolute; see UnixSocketClaim
    std::vector<NamedService> services;
  };

  // Errors: those of UnixSocketClaim::Acquire, and UNKNOWN where gRPC cannot
  // listen.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Start(const Options& options);

  ~RpcServer();
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;

  // Tells the health service's watchers NOT_SERVING, takes no more calls, lets
  // running ones end for `drain_time`, cancels those that did not, and waits
  // until the last reaction has returned. The socket is gone then. Calls of
  // health and reflection, which a client may keep open for ever, are not
  // waited for: they are cancelled after a moment. May be called again.
  void Shutdown(absl::Duration drain_time);

 private:
  RpcServer(std::unique_ptr<UnixSocketClaim> claim, std::unique_ptr<grpc::Server> server,
            std::shared_ptr<StandingCalls> standing_calls);

  const std::unique_ptr<UnixSocketClaim> claim_;
  const std::unique_ptr<grpc::Server> server_;
  const std::shared_ptr<StandingCalls> standing_calls_;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_RPC_SERVER_H_
