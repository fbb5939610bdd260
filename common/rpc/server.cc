#include "common/rpc/server.h"

#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/base/thread.h"
#include "common/rpc/grpc_log.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_interceptor.h"

namespace holdfast {

class StandingCalls {
 public:
  void Add(const grpc::ServerContextBase* context) {
    MutexLock lock(&mutex_);
    contexts_.insert(context);
  }
  void Remove(const grpc::ServerContextBase* context) {
    MutexLock lock(&mutex_);
    contexts_.erase(context);
  }
  void CancelAll() {
    // With the lock: a context outlives its removal only.
    MutexLock lock(&mutex_);
    for (const grpc::ServerContextBase* context : contexts_) context->TryCancel();
  }

 private:
  Mutex mutex_;
  std::unordered_set<const grpc::ServerContextBase*> contexts_ ABSL_GUARDED_BY(mutex_);
};

namespace {

// One call of health or reflection, from when it can be cancelled until it has ended.
class StandingCall : public grpc::experimental::Interceptor {
 public:
  StandingCall(std::shared_ptr<StandingCalls> calls, const grpc::ServerContextBase* context)
      : calls_(std::move(calls)), context_(context) {}
  ~StandingCall() override { calls_->Remove(context_); }
  StandingCall(const StandingCall&) = delete;
  StandingCall& operator=(const StandingCall&) = delete;

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    using Point = grpc::experimental::InterceptionHookPoints;
    if (methods->QueryInterceptionHookPoint(Point::POST_RECV_INITIAL_METADATA)) {
      calls_->Add(context_);
    }
    if (methods->QueryInterceptionHookPoint(Point::POST_RECV_CLOSE)) calls_->Remove(context_);
    methods->Proceed();
  }

 private:
  const std::shared_ptr<StandingCalls> calls_;
  const grpc::ServerContextBase* const context_;
};

// The server's own calls it leaves alone: an interceptor makes a small call a tenth slower.
class StandingCallFinder : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit StandingCallFinder(std::shared_ptr<StandingCalls> calls) : calls_(std::move(calls)) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    if (!absl::StartsWith(info->method(), "/grpc.")) return nullptr;
    return new StandingCall(calls_, info->server_context());
  }

 private:
  const std::shared_ptr<StandingCalls> calls_;
};

// Calls at once on one connection; a client with more waits.
constexpr int kConcurrentStreamsMax = 256;

// How a client that stopped answering is noticed, and how often a client may
// ask whether we live.
constexpr int kKeepaliveTimeMs = 60'000;
constexpr int kKeepaliveTimeoutMs = 30'000;
constexpr int kPingIntervalMinMs = 10'000;

// How long a shutdown leaves calls of health and reflection, for who watches to be told of it.
constexpr absl::Duration kStandingCallsTime = absl::Milliseconds(50);

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
  const auto standing_calls = std::make_shared<StandingCalls>();
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(std::make_unique<StandingCallFinder>(standing_calls));
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
      new RpcServer(std::move(claim), std::move(grpc_server), standing_calls));
}

RpcServer::RpcServer(std::unique_ptr<UnixSocketClaim> claim, std::unique_ptr<grpc::Server> server,
                     std::shared_ptr<StandingCalls> standing_calls)
    : claim_(std::move(claim)),
      server_(std::move(server)),
      standing_calls_(std::move(standing_calls)) {}

RpcServer::~RpcServer() { Shutdown(absl::ZeroDuration()); }

void RpcServer::Shutdown(absl::Duration drain_time) {
  server_->GetHealthCheckService()->SetServingStatus(false);
  // From here on no call begins. It returns once none is left; what is left in the end it cancels.
  Mutex mutex;
  CondVar drained;
  bool is_drained = false;
  Thread drain("rpc-drain", [&] {
    server_->Shutdown(gpr_time_from_millis(absl::ToInt64Milliseconds(drain_time), GPR_TIMESPAN));
    MutexLock lock(&mutex);
    is_drained = true;
    drained.SignalAll();
  });
  // Again and again: one may have begun just before no more were taken.
  while (true) {
    {
      MutexLock lock(&mutex);
      const MonotonicTime look_again = SystemClock().MonotonicNow() + kStandingCallsTime;
      while (!is_drained && SystemClock().WaitUntil(&drained, &mutex, look_again)) {
      }
      if (is_drained) break;
    }
    standing_calls_->CancelAll();
  }
  drain.Join();
  server_->Wait();
}

}  // namespace holdfast
