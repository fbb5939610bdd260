#include "common/rpc/server.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/base/thread.h"
#include "common/rpc/grpc_log.h"
#include "grpc/grpc.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "grpcpp/support/server_interceptor.h"

namespace holdfast {

class RunningCalls {
 public:
  void Begin() {
    MutexLock lock(&mutex_);
    ++count_;
  }
  void End() {
    MutexLock lock(&mutex_);
    --count_;
    ended_.SignalAll();
  }
  // Waits until there are none, or for the deadline.
  void AwaitNone(MonotonicTime deadline) {
    MutexLock lock(&mutex_);
    while (count_ > 0) {
      if (!SystemClock().WaitUntil(&ended_, &mutex_, deadline)) return;
    }
  }

 private:
  Mutex mutex_;
  CondVar ended_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
};

namespace {

// Lives as long as a call of the server's own services: gRPC tells of a call's end by nothing else.
class CountedCall : public grpc::experimental::Interceptor {
 public:
  explicit CountedCall(std::shared_ptr<RunningCalls> running_calls)
      : running_calls_(std::move(running_calls)) {
    if (running_calls_ != nullptr) running_calls_->Begin();
  }
  ~CountedCall() override {
    if (running_calls_ != nullptr) running_calls_->End();
  }
  CountedCall(const CountedCall&) = delete;
  CountedCall& operator=(const CountedCall&) = delete;

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    methods->Proceed();
  }

 private:
  const std::shared_ptr<RunningCalls> running_calls_;  // nullptr: not counted
};

class CallCounter : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit CallCounter(std::shared_ptr<RunningCalls> running_calls)
      : running_calls_(std::move(running_calls)) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    // Health and reflection are gRPC's own.
    const bool is_own = !absl::StartsWith(info->method(), "/grpc.");
    return new CountedCall(is_own ? running_calls_ : nullptr);
  }

 private:
  const std::shared_ptr<RunningCalls> running_calls_;
};

// Calls at once on one connection; a client with more waits.
constexpr int kConcurrentStreamsMax = 256;

// How a client that stopped answering is noticed, and how often a client may
// ask whether we live.
constexpr int kKeepaliveTimeMs = 60'000;
constexpr int kKeepaliveTimeoutMs = 30'000;
constexpr int kPingIntervalMinMs = 10'000;

// How soon calls of health and reflection are cancelled once no others are left.
constexpr absl::Duration kDrainInterval = absl::Milliseconds(50);

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
  const auto running_calls = std::make_shared<RunningCalls>();
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(std::make_unique<CallCounter>(running_calls));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  std::unique_ptr<grpc::Server> grpc_server = builder.BuildAndStart();
  if (grpc_server == nullptr || bound == 0) {
    return absl::UnknownError(
        absl::StrCat("listen on ", options.socket, ": gRPC refused, see the log above"));
  }
  HOLDFAST_RETURN_IF_ERROR(claim->RestrictToOwner(), "listen");
  for (const NamedService& service : options.services) {
    grpc_server->GetHealthCheckService()->SetServingStatus(service.name, true);
  }
  return std::unique_ptr<RpcServer>(
      new RpcServer(std::move(claim), std::move(grpc_server), running_calls));
}

RpcServer::RpcServer(std::unique_ptr<UnixSocketClaim> claim, std::unique_ptr<grpc::Server> server,
                     std::shared_ptr<RunningCalls> running_calls)
    : claim_(std::move(claim)),
      server_(std::move(server)),
      running_calls_(std::move(running_calls)) {}

RpcServer::~RpcServer() { Shutdown(absl::ZeroDuration()); }

void RpcServer::Shutdown(absl::Duration drain_time) {
  server_->GetHealthCheckService()->SetServingStatus(false);
  // From here on no call begins. It returns once none is left; what is left in the end it cancels.
  Mutex mutex;
  CondVar drained;
  bool is_drained = false;
  const MonotonicTime deadline = SystemClock().MonotonicNow() + drain_time;
  Thread drain("rpc-drain", [&] {
    server_->Shutdown(gpr_time_from_millis(absl::ToInt64Milliseconds(drain_time), GPR_TIMESPAN));
    MutexLock lock(&mutex);
    is_drained = true;
    drained.SignalAll();
  });
  // Where calls of health and reflection alone are left, those are cancelled.
  while (true) {
    {
      MutexLock lock(&mutex);
      const MonotonicTime look_again = SystemClock().MonotonicNow() + kDrainInterval;
      while (!is_drained && SystemClock().WaitUntil(&drained, &mutex, look_again)) {
      }
      if (is_drained) break;
    }
    running_calls_->AwaitNone(deadline);
    grpc_server_cancel_all_calls(server_->c_server());
  }
  drain.Join();
  server_->Wait();
}

}  // namespace holdfast
