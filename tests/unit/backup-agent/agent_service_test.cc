#include "backup-agent/agent_service.h"

#include <memory>
#include <string>

#include "common/io/files.h"
#include "common/rpc/channel.h"
#include "common/rpc/status_mapping.h"
#include "gmock/gmock.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
#include "holdfast/v1/backup_agent.grpc.pb.h"
#include "tests/testing/log_capture.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

// A whole agent, with nothing fake in it, of a store that is not there.
class AgentServiceTest : public ::testing::Test {
 protected:
  AgentServiceTest() {
    config_.state_directory = dir_.Path("state");
    config_.socket = dir_.Path("run/agent.sock");
    AgentStoreConfig& store = config_.stores.emplace_back();
    store.name = "main";
    store.socket = dir_.Path("run/store.sock");
    store.schedule.automatic = false;
    store.destinations = {{"local", "file://" + dir_.Path("backups")}};
    EXPECT_OK(MakeDirectories(dir_.Path("backups")));
  }

  absl::StatusOr<std::unique_ptr<AgentService>> Start() {
    return AgentService::Start(config_, master_key_, SystemClock(), SystemRandom());
  }

  std::unique_ptr<v1::BackupAgent::Stub> Stub() const {
    return v1::BackupAgent::NewStub(CreateUnixChannel({"holdfast-agent", config_.socket}));
  }

  LogCapture log_;
  TempDir dir_;
  const MasterKey master_key_ = MasterKey::Generate();
  AgentConfig config_;
};

TEST_F(AgentServiceTest, AgentServesWithoutItsStore) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<AgentService> agent, Start());
  grpc::ClientContext context;
  v1::GetBackupStatusResponse status;
  ASSERT_OK(
      FromGrpcStatus(Stub()->GetBackupStatus(&context, v1::GetBackupStatusRequest(), &status)));
  ASSERT_EQ(status.stores_size(), 1);
  EXPECT_EQ(status.stores(0).store_name(), "main");
  EXPECT_FALSE(status.version().empty());

  grpc::ClientContext settings_context;
  v1::Settings settings;
  ASSERT_OK(
      FromGrpcStatus(Stub()->GetSettings(&settings_context, v1::GetSettingsRequest(), &settings)));
  EXPECT_EQ(settings.key_fingerprint(), master_key_.fingerprint().ToText());

  grpc::ClientContext trigger_context;
  v1::TriggerBackupResponse response;
  EXPECT_THAT(FromGrpcStatus(
                  Stub()->TriggerBackup(&trigger_context, v1::TriggerBackupRequest(), &response)),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("cannot reach holdfast-store")));
  EXPECT_TRUE(agent->Shutdown());
}

TEST_F(AgentServiceTest, SocketIsForItsUserOnlyAndGoneAfterwards) {
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<AgentService> agent, Start());
  ASSERT_OK_AND_ASSIGN(const FileInfo socket, GetFileInfo(config_.socket));
  EXPECT_EQ(socket.permissions, 0600u);
  EXPECT_TRUE(agent->Shutdown());
  agent.reset();
  EXPECT_THAT(FileExists(config_.socket), IsOkAndHolds(false));
}

TEST_F(AgentServiceTest, SecondAgentOnTheSameStateIsRefused) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<AgentService> agent, Start());
  config_.socket = dir_.Path("run/other.sock");
  EXPECT_THAT(Start(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("another agent uses it")));
  EXPECT_TRUE(agent->Shutdown());
}

TEST_F(AgentServiceTest, AgentThatCannotListenStopsWhatItHasStarted) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<AgentService> agent, Start());
  config_.state_directory = dir_.Path("other-state");
  EXPECT_THAT(Start(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_TRUE(agent->Shutdown());
}

TEST_F(AgentServiceTest, AgentGoesOnWhereItStopped) {
  {
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<AgentService> agent, Start());
    EXPECT_TRUE(agent->Shutdown());
  }
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<AgentService> agent, Start());
  EXPECT_TRUE(agent->Shutdown());
}

}  // namespace
}  // namespace holdfast
