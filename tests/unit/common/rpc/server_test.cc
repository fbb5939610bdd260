#include "common/rpc/server.h"

#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "common/base/thread.h"
#include "common/io/files.h"
#include "common/rpc/channel.h"
#include "common/rpc/status_mapping.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/impl/client_unary_call.h"
#include "grpcpp/impl/codegen/server_callback_handlers.h"
#include "grpcpp/impl/rpc_method.h"
#include "grpcpp/impl/rpc_service_method.h"
#include "grpcpp/impl/service_type.h"
#include "grpcpp/support/sync_stream.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr uid_t kNobody = 65534;

constexpr char kMethod[] = "/holdfast.testing.Echo/Call";

// A service with one method whose messages are plain bytes: it answers with what it got, once it is
// let.
class EchoService : public grpc::Service {
 public:
  EchoService() {
    AddMethod(new grpc::internal::RpcServiceMethod(kMethod, grpc::internal::RpcMethod::NORMAL_RPC,
                                                   nullptr));
    MarkMethodCallback(
        0, new grpc::internal::CallbackUnaryHandler<grpc::ByteBuffer, grpc::ByteBuffer>(
               [this](grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                      grpc::ByteBuffer* response) {
                 *response = *request;
                 grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
                 MutexLock lock(&mutex_);
                 ++calls_;
                 changed_.SignalAll();
                 if (is_held_) {
                   held_ = reactor;
                 } else {
                   reactor->Finish(grpc::Status::OK);
                 }
                 return reactor;
               }));
  }

  void Hold() {
    MutexLock lock(&mutex_);
    is_held_ = true;
  }

  void AwaitCalls(int calls) {
    MutexLock lock(&mutex_);
    while (calls_ < calls) changed_.Wait(&mutex_);
  }

  void FinishHeld(const grpc::Status& status) {
    MutexLock lock(&mutex_);
    held_->Finish(status);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool is_held_ ABSL_GUARDED_BY(mutex_) = false;
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
  grpc::ServerUnaryReactor* held_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

class RpcServerTest : public testing::Test {
 protected:
  std::unique_ptr<RpcServer> StartServer() {
    absl::StatusOr<std::unique_ptr<RpcServer>> server =
        RpcServer::Start({.socket = peer_.socket, .services = {{"holdfast.testing.Echo", &echo_}}});
    EXPECT_OK(server);
    return server.ok() ? *std::move(server) : nullptr;
  }

  absl::Status Call(const std::shared_ptr<grpc::Channel>& channel, const std::string& text,
                    std::string* answer, const char* method = kMethod) {
    grpc::ClientContext context;
    SetTimeout(context, absl::Seconds(30));
    const grpc::Slice slice(text);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    const grpc::Status status =
        grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
            channel.get(),
            grpc::internal::RpcMethod(method, grpc::internal::RpcMethod::NORMAL_RPC, channel),
            &context, request, &response);
    grpc::Slice whole;
    if (status.ok() && response.DumpToSingleSlice(&whole).ok()) {
      answer->assign(reinterpret_cast<const char*>(whole.begin()), whole.size());
    }
    return CallStatus(status, peer_);
  }

  TempDir dir_;
  const RpcPeer peer_{.program = "holdfast-store", .socket = dir_.Path("run/x.sock")};
  EchoService echo_;
};

TEST_F(RpcServerTest, AnswersOnASocketThatOnlyTheOwnerMayUse) {
  const auto server = StartServer();
  std::string answer;
  EXPECT_OK(Call(CreateUnixChannel(peer_), "hello", &answer));
  EXPECT_EQ(answer, "hello");
  struct stat info;
  ASSERT_EQ(stat(peer_.socket.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
}

// The messages of grpc.health.v1 as bytes, for Debian has no header of theirs: field 1 of a request
// is the service's name, field 1 of a response its state, of which 1 is SERVING.
TEST_F(RpcServerTest, TheHealthOfEachServiceCanBeAsked) {
  const auto server = StartServer();
  const auto channel = CreateUnixChannel(peer_);
  constexpr char kCheck[] = "/grpc.health.v1.Health/Check";
  const auto request = [](const std::string& service) {
    return absl::StrCat("\x0a", std::string(1, static_cast<char>(service.size())), service);
  };
  for (const char* service : {"", "holdfast.testing.Echo"}) {
    std::string answer;
    EXPECT_OK(Call(channel, request(service), &answer, kCheck)) << service;
    EXPECT_EQ(answer, "\x08\x01") << service;
  }
  std::string answer;
  EXPECT_THAT(Call(channel, request("holdfast.testing.None"), &answer, kCheck),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(RpcServerTest, ReflectionListsTheServices) {
  const auto server = StartServer();
  const auto channel = CreateUnixChannel(peer_);
  grpc::ClientContext context;
  SetTimeout(context, absl::Seconds(30));
  using Stream = grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;
  const std::unique_ptr<Stream> stream(
      grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, grpc::ByteBuffer>::Create(
          channel.get(),
          grpc::internal::RpcMethod(
              "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
              grpc::internal::RpcMethod::BIDI_STREAMING, channel),
          &context));
  const grpc::Slice list_services(std::string("\x3a\x00", 2));  // field 7, an empty string
  ASSERT_TRUE(stream->Write(grpc::ByteBuffer(&list_services, 1)));
  ASSERT_TRUE(stream->WritesDone());
  grpc::ByteBuffer response;
  ASSERT_TRUE(stream->Read(&response));
  grpc::Slice whole;
  ASSERT_TRUE(response.DumpToSingleSlice(&whole).ok());
  EXPECT_THAT(std::string(reinterpret_cast<const char*>(whole.begin()), whole.size()),
              AllOf(HasSubstr("holdfast.testing.Echo"), HasSubstr("grpc.health.v1.Health")));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(RpcServerTest, TakesMessagesOfFourMebibytesAndNoLarger) {
  const auto server = StartServer();
  const auto channel = CreateUnixChannel(peer_);
  std::string answer;
  const std::string largest(kRpcMessageReceiveMaxBytes, 'x');
  EXPECT_OK(Call(channel, largest, &answer));
  EXPECT_EQ(answer, largest);
  EXPECT_THAT(Call(channel, largest + "x", &answer),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(RpcServerTest, ASecondServerOnTheSameSocketIsRefusedAndTheFirstServesOn) {
  const auto server = StartServer();
  EXPECT_THAT(RpcServer::Start({.socket = peer_.socket, .services = {}}),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("another process")));
  std::string answer;
  EXPECT_OK(Call(CreateUnixChannel(peer_), "hello", &answer));
}

TEST_F(RpcServerTest, AClientOfNobodyIsToldWhatToLookAt) {
  std::string answer;
  EXPECT_THAT(Call(CreateUnixChannel(peer_), "hello", &answer),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr(absl::StrCat("cannot reach holdfast-store at ", peer_.socket,
                                              ": is it running?"))));
}

TEST_F(RpcServerTest, AClientOfAnotherUserIsToldWhoMayOpenTheSocket) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  const auto server = StartServer();
  ASSERT_EQ(seteuid(kNobody), 0);
  std::string answer;
  const absl::Status status = Call(CreateUnixChannel(peer_), "hello", &answer);
  ASSERT_EQ(seteuid(0), 0);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable,
                               EndsWith(": only its owner, user root, and root may open it")));
}

TEST_F(RpcServerTest, SaysInItsOwnWordsWhatGrpcSaysInIts) {
  const std::string place = absl::StrCat("holdfast-store at ", peer_.socket);
  const absl::Status lost = CallStatus({grpc::StatusCode::UNAVAILABLE, "Socket closed"}, peer_);
  EXPECT_THAT(lost, StatusIs(absl::StatusCode::kUnavailable,
                             StartsWith(absl::StrCat("the connection to ", place, " broke"))));
  EXPECT_TRUE(WasConnectionLost(lost));
  EXPECT_TRUE(WasConnectionLost(
      CallStatus({grpc::StatusCode::UNAVAILABLE, "recvmsg:Connection reset by peer"}, peer_)));
  EXPECT_THAT(CallStatus({grpc::StatusCode::DEADLINE_EXCEEDED, "Deadline Exceeded"}, peer_),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       absl::StrCat(place, " did not answer in time")));
  EXPECT_THAT(CallStatus({grpc::StatusCode::UNAVAILABLE,
                          "failed to connect to all addresses; last error: UNKNOWN: unix:/s: No "
                          "such file or directory"},
                         peer_),
              StatusIs(absl::StatusCode::kUnavailable,
                       absl::StrCat("cannot reach ", place, ": is it running?")));
  // What a server says stays, whatever it passes on.
  for (const grpc::Status& told :
       {grpc::Status(grpc::StatusCode::UNAVAILABLE,
                     "ask the store: failed to connect to all addresses"),
        grpc::Status(grpc::StatusCode::UNAVAILABLE, "the store is shutting down"),
        grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "the backup was not there in time")}) {
    const absl::Status status = CallStatus(told, peer_);
    EXPECT_EQ(status.message(), told.error_message());
    EXPECT_FALSE(WasConnectionLost(status));
  }
}

TEST_F(RpcServerTest, AClientConnectsAgainAfterARestart) {
  const auto channel = CreateUnixChannel(peer_);
  std::string answer;
  for (int restarts = 0; restarts < 3; ++restarts) {
    const auto server = StartServer();
    absl::Status status;
    do {
      status = Call(channel, "hello", &answer);
    } while (status.code() == absl::StatusCode::kUnavailable);  // within the time to reconnect
    EXPECT_OK(status);
    server->Shutdown(absl::Seconds(30));
  }
}

TEST_F(RpcServerTest, ShutdownLetsARunningCallEnd) {
  const auto server = StartServer();
  echo_.Hold();
  absl::Status status;
  std::string answer;
  Thread caller("caller", [&] { status = Call(CreateUnixChannel(peer_), "hello", &answer); });
  echo_.AwaitCalls(1);
  Thread stopper("stopper", [&] { server->Shutdown(absl::Seconds(60)); });
  echo_.FinishHeld(grpc::Status::OK);
  caller.Join();
  stopper.Join();
  EXPECT_OK(status);
  EXPECT_EQ(answer, "hello");
  EXPECT_THAT(FileExists(peer_.socket), IsOkAndHolds(false));
}

// Clients that balance load by health keep such a call open as long as they live.
TEST_F(RpcServerTest, ShutdownDoesNotWaitForWhoWatchesTheHealth) {
  const auto server = StartServer();
  const auto channel = CreateUnixChannel(peer_);
  grpc::ClientContext context;
  const grpc::Slice whole_server("");
  const std::unique_ptr<grpc::ClientReader<grpc::ByteBuffer>> watch(
      grpc::internal::ClientReaderFactory<grpc::ByteBuffer>::Create(
          channel.get(),
          grpc::internal::RpcMethod("/grpc.health.v1.Health/Watch",
                                    grpc::internal::RpcMethod::SERVER_STREAMING, channel),
          &context, grpc::ByteBuffer(&whole_server, 1)));
  grpc::ByteBuffer state;
  ASSERT_TRUE(watch->Read(&state));
  // Without that it would hang here, not for a while but for ever.
  server->Shutdown(absl::Hours(24 * 365));
  while (watch->Read(&state)) {
  }
  EXPECT_FALSE(watch->Finish().ok());
}

TEST_F(RpcServerTest, ShutdownCancelsACallThatOutlastsTheDrain) {
  const auto server = StartServer();
  echo_.Hold();
  absl::Status status;
  Thread caller("caller", [&] {
    std::string answer;
    status = Call(CreateUnixChannel(peer_), "hello", &answer);
  });
  echo_.AwaitCalls(1);
  Thread stopper("stopper", [&] { server->Shutdown(absl::ZeroDuration()); });
  caller.Join();  // the client is told although the reaction has not ended
  EXPECT_THAT(status, StatusIs(testing::AnyOf(absl::StatusCode::kCancelled,
                                              absl::StatusCode::kUnavailable)));
  echo_.FinishHeld(grpc::Status::CANCELLED);
  stopper.Join();
}

}  // namespace
}  // namespace holdfast
