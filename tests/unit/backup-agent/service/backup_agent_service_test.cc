#include "backup-agent/service/backup_agent_service.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backup-agent/schedule/store_supervisor.h"
#include "backup-agent/state/state_store.h"
#include "common/base/thread.h"
#include "common/rpc/channel.h"
#include "common/rpc/server.h"
#include "common/rpc/status_mapping.h"
#include "gmock/gmock.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
#include "holdfast/v1/backup_agent.grpc.pb.h"
#include "tests/testing/fake_backup_runner.h"
#include "tests/testing/fake_checkpoint_source.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/log_capture.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

// An agent of one store (or two) behind a real socket, whose runs go on when the test says so.
class BackupAgentServiceTest : public ::testing::Test {
 protected:
  ~BackupAgentServiceTest() override {
    for (auto& supervisor : supervisors_) supervisor->BeginShutdown();
    if (server_ != nullptr) server_->Shutdown(absl::Seconds(10));
  }

  void Start(const std::vector<std::string>& names) {
    states_ = *StateStore::Open(dir_.Path("state"));
    std::vector<StoreSupervisor*> stores;
    for (const std::string& name : names) {
      AgentStoreConfig config;
      config.name = name;
      config.destinations = {{"local", "file:///srv/local"}};
      auto supervisor = StoreSupervisor::Start(config, {.states = states_.get(),
                                                        .runner = &runner_,
                                                        .source = &store_,
                                                        .key_fingerprint = "0123456789abcdef",
                                                        .clock = &clock_,
                                                        .random = &random_});
      ASSERT_OK(supervisor);
      stores.push_back(supervisor->get());
      supervisors_.push_back(*std::move(supervisor));
    }
    service_ = std::make_unique<BackupAgentService>(stores, "1.2.3");
    auto server =
        RpcServer::Start({.socket = dir_.Path("run/agent.sock"),
                          .services = {{v1::BackupAgent::service_full_name(), service_.get()}}});
    ASSERT_OK(server);
    server_ = *std::move(server);
    stub_ = v1::BackupAgent::NewStub(
        CreateUnixChannel({"holdfast-agent", dir_.Path("run/agent.sock")}));
  }

  // Makes a unary call, and waits for its answer.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::BackupAgent::Stub::*method)(grpc::ClientContext*,
                                                                              const Request&,
                                                                              Response*),
                                const Request& request) {
    grpc::ClientContext context;
    Response response;
    const grpc::Status status = (stub_.get()->*method)(&context, request, &response);
    if (!status.ok()) return FromGrpcStatus(status);
    return response;
  }

  LogCapture log_;
  TempDir dir_;
  FakeClock clock_;
  SeededRandom random_;
  FakeBackupRunner runner_{clock_};
  FakeCheckpointSource store_;
  std::unique_ptr<StateStore> states_;
  std::vector<std::unique_ptr<StoreSupervisor>> supervisors_;
  std::unique_ptr<BackupAgentService> service_;
  std::unique_ptr<RpcServer> server_;
  std::unique_ptr<v1::BackupAgent::Stub> stub_;
};

using Stub = v1::BackupAgent::Stub;

TEST_F(BackupAgentServiceTest, TriggerWaitsForItsBackup) {
  Start({"main"});
  absl::StatusOr<v1::TriggerBackupResponse> response;
  {
    Thread caller("caller",
                  [&] { response = Call(&Stub::TriggerBackup, v1::TriggerBackupRequest()); });
    runner_.AwaitRun(1);
    runner_.MakeCheckpoint(7);
    runner_.Succeed({"local"});
  }
  ASSERT_OK(response);
  EXPECT_EQ(response->backup().revision(), 7u);
  v1::GetRunRequest get;
  get.set_run_id(response->run_id());
  EXPECT_EQ(Call(&Stub::GetRun, get)->backup_id(), response->backup().backup_id());
  EXPECT_EQ(Call(&Stub::ListRuns, v1::ListRunsRequest())->runs_size(), 1);
  EXPECT_EQ(Call(&Stub::ListBackups, v1::ListBackupsRequest())->backups_size(), 1);
  EXPECT_EQ(Call(&Stub::GetBackup, v1::GetBackupRequest())->revision(), 7u);
}

TEST_F(BackupAgentServiceTest, ManyTriggersWaitWithoutAThreadEach) {
  Start({"main"});
  // More than gRPC has threads; the status is answered meanwhile.
  constexpr int kCallers = 64;
  struct Waiting {
    grpc::ClientContext context;
    v1::TriggerBackupResponse response;
    grpc::Status status;
  };
  std::vector<std::unique_ptr<Waiting>> callers;
  Mutex mutex;
  CondVar changed;
  int done = 0;
  const v1::TriggerBackupRequest request;
  for (int i = 0; i < kCallers; ++i) {
    Waiting& caller = *callers.emplace_back(std::make_unique<Waiting>());
    stub_->async()->TriggerBackup(&caller.context, &request, &caller.response,
                                  [&](grpc::Status status) {
                                    MutexLock lock(&mutex);
                                    caller.status = std::move(status);
                                    ++done;
                                    changed.Signal();
                                  });
  }
  runner_.AwaitRun(1);
  ASSERT_OK_AND_ASSIGN(const v1::GetBackupStatusResponse status,
                       Call(&Stub::GetBackupStatus, v1::GetBackupStatusRequest()));
  EXPECT_TRUE(status.stores(0).has_current_run());
  // Those that come too late for this run's checkpoint wait for another.
  runner_.SucceedAlways({"local"});
  MutexLock lock(&mutex);
  while (done < kCallers) changed.Wait(&mutex);
  for (const auto& caller : callers) EXPECT_OK(FromGrpcStatus(caller->status));
}

TEST_F(BackupAgentServiceTest, CallerThatLeavesCancelsNothing) {
  Start({"main"});
  grpc::ClientContext context;
  absl::Status left;
  {
    Thread caller("caller", [&] {
      v1::TriggerBackupResponse response;
      left = FromGrpcStatus(stub_->TriggerBackup(&context, v1::TriggerBackupRequest(), &response));
    });
    runner_.AwaitRun(1);
    context.TryCancel();
  }
  EXPECT_THAT(left, StatusIs(absl::StatusCode::kCancelled));
  v1::ListRunsResponse runs = *Call(&Stub::ListRuns, v1::ListRunsRequest());
  EXPECT_EQ(runs.runs(0).state(), v1::Run::STATE_RUNNING);
  runner_.Succeed({"local"});
}

TEST_F(BackupAgentServiceTest, DeadlineOfTheCallerIsKept) {
  Start({"main"});
  // No run goes on, so nothing else can end the call.
  grpc::ClientContext context;
  SetTimeout(context, absl::Milliseconds(50));
  v1::TriggerBackupResponse response;
  EXPECT_THAT(FromGrpcStatus(stub_->TriggerBackup(&context, v1::TriggerBackupRequest(), &response)),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST_F(BackupAgentServiceTest, WatchedRunComesToItsEnd) {
  Start({"main"});
  supervisors_[0]->TriggerBackup(v1::TriggerBackupRequest(),
                                 [](const absl::StatusOr<v1::TriggerBackupResponse>&) {});
  runner_.AwaitRun(1);

  grpc::ClientContext context;
  auto stream = stub_->WatchRun(&context, v1::WatchRunRequest());
  v1::Run run;
  ASSERT_TRUE(stream->Read(&run));
  EXPECT_EQ(run.state(), v1::Run::STATE_RUNNING);
  runner_.Succeed({"local"});
  v1::Run last;
  while (stream->Read(&run)) last = run;
  EXPECT_OK(FromGrpcStatus(stream->Finish()));
  EXPECT_EQ(last.state(), v1::Run::STATE_SUCCEEDED);

  // Once more, of a run that has ended.
  grpc::ClientContext again;
  v1::WatchRunRequest request;
  request.set_run_id(last.run_id());
  auto ended = stub_->WatchRun(&again, request);
  ASSERT_TRUE(ended->Read(&run));
  EXPECT_EQ(run.state(), v1::Run::STATE_SUCCEEDED);
  EXPECT_FALSE(ended->Read(&run));
  EXPECT_OK(FromGrpcStatus(ended->Finish()));
}

TEST_F(BackupAgentServiceTest, WatcherMayLeaveAtAnyTime) {
  Start({"main"});
  supervisors_[0]->TriggerBackup(v1::TriggerBackupRequest(),
                                 [](const absl::StatusOr<v1::TriggerBackupResponse>&) {});
  runner_.AwaitRun(1);
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    auto stream = stub_->WatchRun(&context, v1::WatchRunRequest());
    v1::Run run;
    if (i % 2 == 0) {
      ASSERT_TRUE(stream->Read(&run));
    }
    runner_.Send(1);
    context.TryCancel();
    while (stream->Read(&run)) {
    }
    EXPECT_THAT(FromGrpcStatus(stream->Finish()), StatusIs(absl::StatusCode::kCancelled));
  }
  runner_.Succeed({"local"});
}

TEST_F(BackupAgentServiceTest, WatchOfNoRunIsNotFound) {
  Start({"main"});
  grpc::ClientContext context;
  auto stream = stub_->WatchRun(&context, v1::WatchRunRequest());
  v1::Run run;
  EXPECT_FALSE(stream->Read(&run));
  EXPECT_THAT(FromGrpcStatus(stream->Finish()), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(BackupAgentServiceTest, RunIsCancelled) {
  Start({"main"});
  supervisors_[0]->TriggerBackup(v1::TriggerBackupRequest(),
                                 [](const absl::StatusOr<v1::TriggerBackupResponse>&) {});
  runner_.AwaitRun(1);
  ASSERT_OK_AND_ASSIGN(const v1::Run run, Call(&Stub::CancelRun, v1::CancelRunRequest()));
  EXPECT_EQ(run.state(), v1::Run::STATE_CANCELLED);
  EXPECT_THAT(Call(&Stub::CancelRun, v1::CancelRunRequest()),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(BackupAgentServiceTest, SettingsAreReadAndChanged) {
  Start({"main"});
  ASSERT_OK_AND_ASSIGN(v1::Settings settings, Call(&Stub::GetSettings, v1::GetSettingsRequest()));
  EXPECT_EQ(settings.settings_revision(), 1u);
  v1::UpdateSettingsRequest request;
  *request.mutable_settings() = settings;
  request.mutable_settings()->set_key_confirmed_fingerprint("0123456789abcdef");
  ASSERT_OK_AND_ASSIGN(settings, Call(&Stub::UpdateSettings, request));
  EXPECT_EQ(settings.settings_revision(), 2u);
  EXPECT_THAT(Call(&Stub::UpdateSettings, request), StatusIs(absl::StatusCode::kAborted));
}

TEST_F(BackupAgentServiceTest, StoreIsNamedUnlessThereIsOne) {
  Start({"main", "archive"});
  ASSERT_OK_AND_ASSIGN(const v1::GetBackupStatusResponse all,
                       Call(&Stub::GetBackupStatus, v1::GetBackupStatusRequest()));
  EXPECT_EQ(all.version(), "1.2.3");
  ASSERT_EQ(all.stores_size(), 2);
  EXPECT_EQ(all.stores(0).store_name(), "archive");
  EXPECT_EQ(all.stores(1).store_name(), "main");

  v1::GetSettingsRequest request;
  request.set_store_name("main");
  EXPECT_EQ(Call(&Stub::GetSettings, request)->store_name(), "main");
  request.set_store_name("mian");
  EXPECT_THAT(Call(&Stub::GetSettings, request),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("there is: archive, main")));
  EXPECT_THAT(Call(&Stub::GetSettings, v1::GetSettingsRequest()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("archive, main")));
}

TEST_F(BackupAgentServiceTest, UnknownStoreIsNotFoundByEveryMethod) {
  Start({"main"});
  const auto is_not_found = StatusIs(absl::StatusCode::kNotFound, HasSubstr("there is: main"));
  const auto named = [](auto request) {
    request.set_store_name("other");
    return request;
  };
  EXPECT_THAT(Call(&Stub::TriggerBackup, named(v1::TriggerBackupRequest())), is_not_found);
  EXPECT_THAT(Call(&Stub::GetRun, named(v1::GetRunRequest())), is_not_found);
  EXPECT_THAT(Call(&Stub::ListRuns, named(v1::ListRunsRequest())), is_not_found);
  EXPECT_THAT(Call(&Stub::CancelRun, named(v1::CancelRunRequest())), is_not_found);
  EXPECT_THAT(Call(&Stub::ListBackups, named(v1::ListBackupsRequest())), is_not_found);
  EXPECT_THAT(Call(&Stub::GetBackup, named(v1::GetBackupRequest())), is_not_found);
  EXPECT_THAT(Call(&Stub::GetBackupStatus, named(v1::GetBackupStatusRequest())), is_not_found);
  EXPECT_THAT(Call(&Stub::GetSettings, named(v1::GetSettingsRequest())), is_not_found);
  v1::UpdateSettingsRequest update;
  update.mutable_settings()->set_store_name("other");
  EXPECT_THAT(Call(&Stub::UpdateSettings, update), is_not_found);
  grpc::ClientContext context;
  auto stream = stub_->WatchRun(&context, named(v1::WatchRunRequest()));
  v1::Run run;
  EXPECT_FALSE(stream->Read(&run));
  EXPECT_THAT(FromGrpcStatus(stream->Finish()), is_not_found);
}

TEST_F(BackupAgentServiceTest, ShutdownAnswersThoseWhoWait) {
  Start({"main"});
  absl::StatusOr<v1::TriggerBackupResponse> response;
  Thread caller("caller",
                [&] { response = Call(&Stub::TriggerBackup, v1::TriggerBackupRequest()); });
  runner_.AwaitRun(1);
  supervisors_[0]->BeginShutdown();
  caller.Join();
  EXPECT_THAT(response, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_TRUE(supervisors_[0]->AwaitStopped(clock_.MonotonicNow() + absl::Seconds(8)));
}

}  // namespace
}  // namespace holdfast
