#include "backup-agent/schedule/store_supervisor.h"

#include <sched.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "common/io/durable_file.h"
#include "common/io/files.h"
#include "common/messages/proto_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_backup_runner.h"
#include "tests/testing/fake_checkpoint_source.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/log_capture.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kFingerprint[] = "0123456789abcdef";

// What a callback is called with, for a test that waits for it.
template <typename T>
class Answer {
 public:
  Answer() : state_(std::make_shared<State>()) {}

  auto Callback() {
    return [state = state_](absl::StatusOr<T> result) {
      MutexLock lock(&state->mutex);
      state->result = std::move(result);
      state->changed.SignalAll();
    };
  }

  absl::StatusOr<T> Await() const {
    MutexLock lock(&state_->mutex);
    while (!state_->result.has_value()) state_->changed.Wait(&state_->mutex);
    return *state_->result;
  }

  bool IsThere() const {
    MutexLock lock(&state_->mutex);
    return state_->result.has_value();
  }

 private:
  struct State {
    Mutex mutex;
    CondVar changed;
    std::optional<absl::StatusOr<T>> result ABSL_GUARDED_BY(mutex);
  };
  std::shared_ptr<State> state_;
};

using TriggerAnswer = Answer<v1::TriggerBackupResponse>;

// A store that can be unreachable, or silent.
class ScriptedStore : public FakeCheckpointSource {
 public:
  void set_status_error(absl::Status status) {
    MutexLock lock(&mutex_);
    status_error_ = std::move(status);
  }
  void Silence(bool is_silent) {
    MutexLock lock(&mutex_);
    is_silent_ = is_silent;
    changed_.SignalAll();
  }
  // No write has a revision above `after`, up to `until`.
  void AddRevisionGap(uint64_t after, uint64_t until) {
    MutexLock lock(&mutex_);
    v1::RevisionGap& gap = gaps_.emplace_back();
    gap.set_after(after);
    gap.set_until(until);
  }
  void AwaitQuestions(int count) {
    MutexLock lock(&mutex_);
    while (questions_ < count) changed_.Wait(&mutex_);
  }
  int questions() {
    MutexLock lock(&mutex_);
    return questions_;
  }

  absl::StatusOr<v1::StoreStatus> GetStatus(const Cancellation& cancellation) override {
    CancellationCallback wake(cancellation, [this] {
      MutexLock lock(&mutex_);
      changed_.SignalAll();
    });
    {
      MutexLock lock(&mutex_);
      ++questions_;
      changed_.SignalAll();
      while (is_silent_ && !cancellation.IsCancelled()) changed_.Wait(&mutex_);
      if (!status_error_.ok()) return status_error_;
    }
    absl::StatusOr<v1::StoreStatus> status = FakeCheckpointSource::GetStatus(cancellation);
    MutexLock lock(&mutex_);
    if (status.ok()) status->mutable_revision_gaps()->Assign(gaps_.begin(), gaps_.end());
    return status;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  absl::Status status_error_ ABSL_GUARDED_BY(mutex_);
  bool is_silent_ ABSL_GUARDED_BY(mutex_) = false;
  int questions_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<v1::RevisionGap> gaps_ ABSL_GUARDED_BY(mutex_);
};

class StoreSupervisorTest : public ::testing::Test {
 protected:
  StoreSupervisorTest() {
    config_.name = "main";
    config_.socket = "/nowhere";
    config_.destinations = {{"local", "file:///srv/local"}};
    store_.EditState([](v1::Checkpoint& state) { state.set_revision(100); });
  }

  ~StoreSupervisorTest() override {
    runner_.set_is_stuck(false);
    runner_.BlockListings(false);
    runner_.BlockProofs(false);
    store_.Silence(false);
  }

  void Start() {
    if (states_ == nullptr) states_ = *StateStore::Open(dir_.path());
    absl::StatusOr<std::unique_ptr<StoreSupervisor>> started =
        StoreSupervisor::Start(config_, {.states = states_.get(),
                                         .runner = &runner_,
                                         .source = &store_,
                                         .key_fingerprint = kFingerprint,
                                         .clock = &clock_,
                                         .random = &random_});
    ASSERT_OK(started);
    supervisor_ = *std::move(started);
  }

  void Stop() { supervisor_.reset(); }

  // The state as it is on the disk now, which is what kill -9 leaves.
  std::string SavedState() const { return *ReadFile(dir_.Path("stores/main/state"), 1 << 26); }
  void RestartFrom(const std::string& state) {
    Stop();
    ASSERT_OK(WriteFileDurably(dir_.Path("stores/main/state"), state,
                               {.existing = DurableFile::Existing::kReplace}));
    Start();
  }

  TriggerAnswer Trigger(const v1::TriggerBackupRequest& request) {
    TriggerAnswer answer;
    supervisor_->TriggerBackup(request, answer.Callback());
    return answer;
  }
  static v1::TriggerBackupRequest NewBackup(const std::string& request_id = "") {
    v1::TriggerBackupRequest request;
    request.set_request_id(request_id);
    return request;
  }
  static v1::TriggerBackupRequest NotOlderThan(absl::Duration age) {
    v1::TriggerBackupRequest request;
    *request.mutable_max_age() = ToProto(age);
    return request;
  }
  static v1::TriggerBackupRequest Holding(uint64_t revision) {
    v1::TriggerBackupRequest request;
    request.set_min_revision(revision);
    return request;
  }

  // Takes a backup by a trigger, whose run is the `number`th of the runner's.
  v1::TriggerBackupResponse TakeBackup(int number, uint64_t revision = 100) {
    TriggerAnswer answer = Trigger(NewBackup());
    runner_.AwaitRun(number);
    runner_.MakeCheckpoint(revision);
    runner_.Succeed(DestinationNames());
    const absl::StatusOr<v1::TriggerBackupResponse> response = answer.Await();
    EXPECT_OK(response);
    return response.value_or(v1::TriggerBackupResponse());
  }

  std::vector<std::string> DestinationNames() const {
    std::vector<std::string> names;
    for (const DestinationConfig& destination : config_.destinations) {
      names.push_back(destination.name);
    }
    return names;
  }

  // Waits until a run has ended and all about it is known, by watching it.
  v1::Run AwaitEnd(const std::string& run_id) {
    while (true) {
      Answer<RunSnapshot> answer;
      supervisor_->AwaitRunChange(run_id, UINT64_MAX, answer.Callback());
      const absl::StatusOr<RunSnapshot> snapshot = answer.Await();
      EXPECT_OK(snapshot);
      if (!snapshot.ok() || snapshot->is_last) return snapshot.ok() ? snapshot->run : v1::Run();
    }
  }
  std::string CurrentRunId() { return supervisor_->GetStatus().current_run().run_id(); }

  // For what no call can be told of.
  template <typename Condition>
  static void AwaitThat(Condition condition) {
    while (!condition()) sched_yield();
  }

  absl::StatusOr<v1::Settings> Update(const v1::Settings& settings) {
    Answer<v1::Settings> answer;
    supervisor_->UpdateSettings(settings, answer.Callback());
    return answer.Await();
  }

  v1::Proof AwaitProofEnd(const std::string& proof_id) {
    v1::Proof proof;
    AwaitThat([&] {
      proof = *supervisor_->upkeep().GetProof(proof_id);
      return proof.state() != v1::Proof::STATE_RUNNING;
    });
    return proof;
  }
  // Proofs are counted from when a backup was first seen.
  void AwaitFirstBackupSeen() {
    AwaitThat([this] {
      agent::v1::StoreState state;
      supervisor_->upkeep().AddToState(state);
      return !state.proof_memories().empty();
    });
  }
  absl::StatusOr<v1::MarkBackupResponse> Mark(const v1::MarkBackupRequest& request) {
    Answer<v1::MarkBackupResponse> answer;
    supervisor_->upkeep().MarkBackup(request, answer.Callback());
    return answer.Await();
  }

  LogCapture log_;
  TempDir dir_;
  FakeClock clock_;
  SeededRandom random_;
  FakeBackupRunner runner_{clock_};
  ScriptedStore store_;
  AgentStoreConfig config_;
  std::unique_ptr<StateStore> states_;
  std::unique_ptr<StoreSupervisor> supervisor_;
};

// --- The schedule ----------------------------------------------------------------------------

TEST_F(StoreSupervisorTest, RunStartsWhenItsTimeComes) {
  Start();
  EXPECT_EQ(FromProto(supervisor_->GetStatus().next_due_time()),
            absl::FromUnixSeconds(1'795'377'600));  // 20:00
  clock_.Advance(absl::Minutes(85));
  const BackupRunInput input = runner_.AwaitRun(1);
  EXPECT_EQ(input.store_name, "main");
  EXPECT_EQ(input.settings.destinations(0).url(), "file:///srv/local");
  const v1::Run run = supervisor_->GetStatus().current_run();
  EXPECT_EQ(run.cause(), v1::Run::CAUSE_SCHEDULED);
  EXPECT_EQ(run.state(), v1::Run::STATE_RUNNING);
  runner_.Succeed({"local"});
  EXPECT_EQ(AwaitEnd(run.run_id()).state(), v1::Run::STATE_SUCCEEDED);
  EXPECT_FALSE(supervisor_->GetStatus().has_current_run());
  EXPECT_EQ(FromProto(supervisor_->GetStatus().next_due_time()),
            absl::FromUnixSeconds(1'795'392'000));  // 00:00
}

TEST_F(StoreSupervisorTest, MissedTimeIsCaughtUpOnceAtStart) {
  Start();
  Stop();
  clock_.Advance(absl::Hours(50));
  Start();
  runner_.AwaitRun(1);
  EXPECT_EQ(supervisor_->GetStatus().current_run().cause(), v1::Run::CAUSE_CAUGHT_UP);
  const std::string run_id = CurrentRunId();
  runner_.Succeed({"local"});
  AwaitEnd(run_id);
  EXPECT_GT(FromProto(supervisor_->GetStatus().next_due_time()), clock_.Now());
}

TEST_F(StoreSupervisorTest, FailedRunIsRetried) {
  Start();
  clock_.Advance(absl::Minutes(85));
  runner_.AwaitRun(1);
  const std::string run_id = CurrentRunId();
  runner_.Fail(absl::UnavailableError("cannot reach the store"));
  const v1::Run failed = AwaitEnd(run_id);
  EXPECT_EQ(failed.state(), v1::Run::STATE_FAILED);
  EXPECT_EQ(failed.error(), "cannot reach the store");
  EXPECT_EQ(failed.destinations(0).state(), v1::DestinationResult::STATE_FAILED)
      << "nothing is shown as running that is not";
  const v1::BackupStatus status = supervisor_->GetStatus();
  EXPECT_EQ(status.verdict(), v1::BackupStatus::VERDICT_FAILING);
  EXPECT_EQ(status.consecutive_failures(), 1u);
  EXPECT_EQ(status.last_error(), "cannot reach the store");

  clock_.Advance(absl::Minutes(1));
  runner_.AwaitRun(2);
  EXPECT_EQ(supervisor_->GetStatus().current_run().cause(), v1::Run::CAUSE_RETRIED);
  const std::string retry_id = CurrentRunId();
  runner_.Succeed({"local"});
  AwaitEnd(retry_id);
  EXPECT_EQ(supervisor_->GetStatus().consecutive_failures(), 0u);
  EXPECT_EQ(supervisor_->GetStatus().last_error(), "");
}

TEST_F(StoreSupervisorTest, TimeThatComesDuringARunDoesNotStartASecond) {
  // The fake ends the process if runs overlap.
  Start();
  TriggerAnswer answer = Trigger(NewBackup());
  runner_.AwaitRun(1);
  clock_.Advance(absl::Hours(2));
  runner_.Succeed({"local"});
  ASSERT_OK(answer.Await());
  runner_.AwaitRun(2);
  EXPECT_EQ(supervisor_->GetStatus().current_run().cause(), v1::Run::CAUSE_SCHEDULED);
}

// What stands in the configuration may be a share that is not mounted.
TEST_F(StoreSupervisorTest, DestinationsOfTheConfigurationAreNeverMade) {
  Start();
  TakeBackup(1);
  TakeBackup(2);
  EXPECT_THAT(runner_.prepared(), IsEmpty());
}

TEST_F(StoreSupervisorTest, HoldsCheckpointsUnderOneNameForLife) {
  Start();
  Trigger(NewBackup());
  const std::string holder = runner_.AwaitRun(1).memory.checkpoint_holder();
  EXPECT_THAT(holder, Not(IsEmpty()));
  RestartFrom(SavedState());  // as after kill -9 in the middle of its first run
  Trigger(NewBackup());
  EXPECT_EQ(runner_.AwaitRun(2).memory.checkpoint_holder(), holder);
}

// --- Triggers --------------------------------------------------------------------------------

TEST_F(StoreSupervisorTest, TriggerAnswersWhenItsBackupIsDurable) {
  Start();
  TriggerAnswer answer = Trigger(NewBackup());
  runner_.AwaitRun(1);
  EXPECT_EQ(supervisor_->GetStatus().current_run().cause(), v1::Run::CAUSE_TRIGGERED);
  runner_.MakeCheckpoint(123);
  EXPECT_FALSE(answer.IsThere());
  runner_.Succeed({"local"});
  ASSERT_OK_AND_ASSIGN(const v1::TriggerBackupResponse response, answer.Await());
  EXPECT_EQ(response.backup().revision(), 123u);
  EXPECT_FALSE(response.already_there());
  ASSERT_OK_AND_ASSIGN(const v1::Run run, supervisor_->GetRun(response.run_id()));
  EXPECT_EQ(run.backup_id(), response.backup().backup_id());
  EXPECT_EQ(run.revision(), 123u);
}

TEST_F(StoreSupervisorTest, TriggerNeverTakesABackupFromBeforeItself) {
  Start();
  TakeBackup(1);
  TriggerAnswer answer = Trigger(NewBackup());
  runner_.AwaitRun(2);
  runner_.MakeCheckpoint(100);
  clock_.Advance(absl::Milliseconds(1));
  // Its checkpoint is made already.
  TriggerAnswer late = Trigger(NewBackup());
  runner_.Succeed({"local"});
  ASSERT_OK(answer.Await());
  runner_.AwaitRun(3);
  EXPECT_FALSE(late.IsThere());
  runner_.Succeed({"local"});
  ASSERT_OK(late.Await());
}

TEST_F(StoreSupervisorTest, CallersWithTheSameNeedShareOneRun) {
  Start();
  std::vector<TriggerAnswer> answers;
  answers.push_back(Trigger(NewBackup()));
  runner_.AwaitRun(1);
  for (int i = 0; i < 20; ++i) answers.push_back(Trigger(NewBackup()));
  runner_.Succeed({"local"});
  for (const TriggerAnswer& answer : answers) {
    ASSERT_OK_AND_ASSIGN(const v1::TriggerBackupResponse response, answer.Await());
  }
  EXPECT_EQ(runner_.runs_begun(), 1);
}

TEST_F(StoreSupervisorTest, BackupThatIsYoungEnoughIsAnsweredAtOnce) {
  Start();
  const v1::TriggerBackupResponse taken = TakeBackup(1);
  clock_.Advance(absl::Minutes(10));
  ASSERT_OK_AND_ASSIGN(const v1::TriggerBackupResponse response,
                       Trigger(NotOlderThan(absl::Minutes(10))).Await());
  EXPECT_TRUE(response.already_there());
  EXPECT_EQ(response.backup().backup_id(), taken.backup().backup_id());
  EXPECT_EQ(response.run_id(), taken.run_id());

  TriggerAnswer answer = Trigger(NotOlderThan(absl::Minutes(9)));
  runner_.AwaitRun(2);
  runner_.Succeed({"local"});
  EXPECT_FALSE(answer.Await()->already_there());
}

TEST_F(StoreSupervisorTest, AgeDoesNotFollowTheWallClock) {
  Start();
  TakeBackup(1);
  clock_.Advance(absl::Minutes(20));
  clock_.SetWallTime(clock_.Now() - absl::Minutes(20));
  TriggerAnswer answer = Trigger(NotOlderThan(absl::Minutes(10)));
  runner_.AwaitRun(2);
  runner_.Succeed({"local"});
  EXPECT_FALSE(answer.Await()->already_there());
}

TEST_F(StoreSupervisorTest, RevisionThatABackupHoldsIsAnsweredAtOnce) {
  Start();
  const v1::TriggerBackupResponse taken = TakeBackup(1, 100);
  ASSERT_OK_AND_ASSIGN(const v1::TriggerBackupResponse response, Trigger(Holding(100)).Await());
  EXPECT_TRUE(response.already_there());
  EXPECT_EQ(response.backup().backup_id(), taken.backup().backup_id());
}

TEST_F(StoreSupervisorTest, RevisionThatNoBackupHoldsTakesARun) {
  Start();
  TakeBackup(1, 100);
  store_.EditState([](v1::Checkpoint& state) { state.set_revision(150); });
  TriggerAnswer answer = Trigger(Holding(150));
  runner_.AwaitRun(2);
  runner_.MakeCheckpoint(150);
  runner_.Succeed({"local"});
  EXPECT_EQ(answer.Await()->backup().revision(), 150u);
}

// One revision may mean two writes where a store was restored twice from the same backup.
TEST_F(StoreSupervisorTest, RevisionOfAnotherIncarnationTakesARun) {
  Start();
  TakeBackup(1, 200);
  store_.EditState([](v1::Checkpoint& state) {
    state.set_incarnation("c0c1c2c3c4c5c6c7c8c9cacbcccdcecf");
    state.set_revision(150);
  });
  TriggerAnswer answer = Trigger(Holding(150));
  runner_.AwaitRun(2);
  runner_.MakeCheckpoint(150);
  runner_.Succeed({"local"});
  EXPECT_FALSE(answer.Await()->already_there());
}

TEST_F(StoreSupervisorTest, RevisionOfAStoreThatWasSetBackIsRefused) {
  Start();
  TakeBackup(1, 200);
  store_.EditState([](v1::Checkpoint& state) { state.set_revision(150); });
  EXPECT_THAT(Trigger(Holding(150)).Await(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("went back")));
}

TEST_F(StoreSupervisorTest, RevisionOfAWriteThatWasLostIsRefused) {
  Start();
  store_.EditState([](v1::Checkpoint& state) { state.set_revision(1000); });
  store_.AddRevisionGap(40, 1000);
  EXPECT_THAT(Trigger(Holding(41)).Await(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("lost")));
  EXPECT_THAT(Trigger(Holding(1000)).Await(), StatusIs(absl::StatusCode::kFailedPrecondition));
  TriggerAnswer before = Trigger(Holding(40));
  runner_.AwaitRun(1);
  runner_.MakeCheckpoint(1000);
  runner_.Succeed({"local"});
  EXPECT_OK(before.Await());
}

TEST_F(StoreSupervisorTest, RevisionOfAStoreThatCannotBeAskedFails) {
  Start();
  TakeBackup(1);
  store_.set_status_error(absl::UnavailableError("nobody listens"));
  EXPECT_THAT(Trigger(Holding(100)).Await(),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("nobody listens")));
}

TEST_F(StoreSupervisorTest, RevisionThatTheStoreHasNotGivenIsRefused) {
  Start();
  EXPECT_THAT(Trigger(Holding(101)).Await(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("min_revision 101 is above the store's revision 100")));
  EXPECT_EQ(runner_.runs_begun(), 0);
}

TEST_F(StoreSupervisorTest, BadRequestIsRefused) {
  Start();
  EXPECT_THAT(Trigger(NotOlderThan(-absl::Seconds(1))).Await(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("max_age")));
  EXPECT_THAT(Trigger(Holding(0)).Await(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("min_revision")));
  EXPECT_THAT(Trigger(NewBackup("a\nb")).Await(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("request_id")));
  EXPECT_THAT(Trigger(NewBackup(std::string(129, 'x'))).Await(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("request_id")));
  v1::TriggerBackupRequest two = NewBackup();
  two.set_required_destinations(2);
  EXPECT_THAT(Trigger(two).Await(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("2 destinations are required, but the settings have 1")));
}

TEST_F(StoreSupervisorTest, FailedRunAbortsItsTriggers) {
  Start();
  TriggerAnswer answer = Trigger(NewBackup());
  runner_.AwaitRun(1);
  runner_.Fail(absl::DataLossError("the database is damaged"));
  EXPECT_THAT(answer.Await(),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("the database is damaged")));
}

TEST_F(StoreSupervisorTest, TriggerFailsAsSoonAsItCanNoLongerSucceed) {
  config_.destinations.push_back({"share", "file:///mnt/share"});
  Start();
  v1::TriggerBackupRequest one = NewBackup();
  one.set_required_destinations(1);
  TriggerAnswer needs_one = Trigger(one);
  TriggerAnswer needs_all = Trigger(NewBackup());
  runner_.AwaitRun(1);
  runner_.FailDestination("share", "no space left");
  EXPECT_THAT(needs_all.Await(),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("share: no space left")));
  EXPECT_FALSE(needs_one.IsThere());
  runner_.Succeed({"local"});
  ASSERT_OK_AND_ASSIGN(const v1::TriggerBackupResponse response, needs_one.Await());
  ASSERT_OK_AND_ASSIGN(const v1::Run run, supervisor_->GetRun(response.run_id()));
  EXPECT_EQ(run.state(), v1::Run::STATE_FAILED) << "the settings require both";
}

TEST_F(StoreSupervisorTest, CallerThatLeavesCancelsNothing) {
  Start();
  TriggerAnswer answer;
  const uint64_t ticket = supervisor_->TriggerBackup(NewBackup(), answer.Callback());
  runner_.AwaitRun(1);
  const std::string run_id = CurrentRunId();
  supervisor_->ForgetCaller(ticket);
  runner_.Succeed({"local"});
  EXPECT_EQ(AwaitEnd(run_id).state(), v1::Run::STATE_SUCCEEDED);
  EXPECT_FALSE(answer.IsThere());
}

// --- Request ids -----------------------------------------------------------------------------

TEST_F(StoreSupervisorTest, RepeatedRequestIsThatRequest) {
  Start();
  TriggerAnswer first = Trigger(NewBackup("deploy-1"));
  runner_.AwaitRun(1);
  runner_.MakeCheckpoint(100);
  clock_.Advance(absl::Seconds(1));
  TriggerAnswer repeated = Trigger(NewBackup("deploy-1"));
  runner_.Succeed({"local"});
  ASSERT_OK_AND_ASSIGN(const v1::TriggerBackupResponse response, first.Await());
  EXPECT_EQ(repeated.Await()->backup().backup_id(), response.backup().backup_id());

  clock_.Advance(absl::Minutes(50));
  ASSERT_OK_AND_ASSIGN(const v1::TriggerBackupResponse later,
                       Trigger(NewBackup("deploy-1")).Await());
  EXPECT_EQ(later.backup().backup_id(), response.backup().backup_id());
  EXPECT_EQ(later.run_id(), response.run_id());
  EXPECT_EQ(runner_.runs_begun(), 1);
}

TEST_F(StoreSupervisorTest, RequestIsRememberedAcrossRestarts) {
  Start();
  TriggerAnswer first = Trigger(NewBackup("deploy-1"));
  runner_.AwaitRun(1);
  runner_.Succeed({"local"});
  ASSERT_OK_AND_ASSIGN(const v1::TriggerBackupResponse response, first.Await());
  // It was durable before it was answered.
  RestartFrom(SavedState());
  ASSERT_OK_AND_ASSIGN(const v1::TriggerBackupResponse repeated,
                       Trigger(NewBackup("deploy-1")).Await());
  EXPECT_EQ(repeated.backup().backup_id(), response.backup().backup_id());
  EXPECT_EQ(repeated.run_id(), response.run_id());
  EXPECT_EQ(runner_.runs_begun(), 1);
}

TEST_F(StoreSupervisorTest, RequestThatWasAnsweredAtOnceIsRememberedToo) {
  Start();
  const v1::TriggerBackupResponse taken = TakeBackup(1);
  v1::TriggerBackupRequest request = NotOlderThan(absl::Minutes(10));
  request.set_request_id("deploy-1");
  ASSERT_OK(Trigger(request).Await());
  RestartFrom(SavedState());
  clock_.Advance(absl::Minutes(50));
  EXPECT_EQ(Trigger(request).Await()->backup().backup_id(), taken.backup().backup_id());
}

TEST_F(StoreSupervisorTest, RequestWhoseAgentWasKilledTakesANewRun) {
  Start();
  Trigger(NewBackup("deploy-1"));
  runner_.AwaitRun(1);
  RestartFrom(SavedState());
  TriggerAnswer repeated = Trigger(NewBackup("deploy-1"));
  runner_.AwaitRun(2);
  runner_.Succeed({"local"});
  EXPECT_FALSE(repeated.Await()->already_there());
}

TEST_F(StoreSupervisorTest, RequestWhoseRunFailedTriesAgain) {
  Start();
  TriggerAnswer first = Trigger(NewBackup("deploy-1"));
  runner_.AwaitRun(1);
  runner_.Fail(absl::UnavailableError("no"));
  EXPECT_THAT(first.Await(), StatusIs(absl::StatusCode::kAborted));
  TriggerAnswer repeated = Trigger(NewBackup("deploy-1"));
  runner_.AwaitRun(2);
  runner_.Succeed({"local"});
  EXPECT_OK(repeated.Await());
}

TEST_F(StoreSupervisorTest, RequestIdOfARequestWithOtherNeedsIsRefused) {
  Start();
  TriggerAnswer first = Trigger(NewBackup("deploy-1"));
  runner_.AwaitRun(1);
  runner_.MakeCheckpoint(100);
  runner_.Succeed({"local"});
  ASSERT_OK(first.Await());
  v1::TriggerBackupRequest other = Holding(101);
  other.set_request_id("deploy-1");
  EXPECT_THAT(Trigger(other).Await(), StatusIs(absl::StatusCode::kInvalidArgument,
                                               HasSubstr("a request with other needs")));
}

// --- Runs ------------------------------------------------------------------------------------

TEST_F(StoreSupervisorTest, CancelledRunEndsAndSaysSo) {
  Start();
  TriggerAnswer trigger = Trigger(NewBackup());
  runner_.AwaitRun(1);
  Answer<v1::Run> answer;
  supervisor_->CancelRun("", answer.Callback());
  ASSERT_OK_AND_ASSIGN(const v1::Run run, answer.Await());
  EXPECT_EQ(run.state(), v1::Run::STATE_CANCELLED);
  EXPECT_EQ(run.error(), "somebody cancelled it");
  EXPECT_THAT(trigger.Await(), StatusIs(absl::StatusCode::kAborted));
  EXPECT_EQ(supervisor_->GetStatus().consecutive_failures(), 0u);

  Answer<v1::Run> again;
  supervisor_->CancelRun(run.run_id(), again.Callback());
  EXPECT_THAT(again.Await(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                      HasSubstr("has ended before: it was cancelled")));
  Answer<v1::Run> none;
  supervisor_->CancelRun("", none.Callback());
  EXPECT_THAT(none.Await(), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(StoreSupervisorTest, RunIsWatchedToItsEnd) {
  Start();
  Trigger(NewBackup());
  runner_.AwaitRun(1);
  Answer<RunSnapshot> first;
  supervisor_->AwaitRunChange("", 0, first.Callback());
  ASSERT_OK_AND_ASSIGN(const RunSnapshot begun, first.Await());
  EXPECT_FALSE(begun.is_last);

  Answer<RunSnapshot> second;
  supervisor_->AwaitRunChange(begun.run.run_id(), begun.version, second.Callback());
  runner_.Send(500);
  EXPECT_FALSE(second.IsThere()) << "at most five times a second";
  clock_.Advance(absl::Milliseconds(200));
  ASSERT_OK_AND_ASSIGN(const RunSnapshot sent, second.Await());
  EXPECT_EQ(sent.run.bytes_sent(), 500u);

  Answer<RunSnapshot> third;
  supervisor_->AwaitRunChange(sent.run.run_id(), sent.version, third.Callback());
  runner_.Succeed({"local"});
  ASSERT_OK_AND_ASSIGN(const RunSnapshot ended, third.Await());
  EXPECT_TRUE(ended.is_last);
  EXPECT_EQ(ended.run.state(), v1::Run::STATE_SUCCEEDED);
  EXPECT_EQ(ended.run.phase(), v1::Run::PHASE_UNSPECIFIED);

  Answer<RunSnapshot> after;
  supervisor_->AwaitRunChange(ended.run.run_id(), 0, after.Callback());
  EXPECT_TRUE(after.Await()->is_last);
  Answer<RunSnapshot> none;
  supervisor_->AwaitRunChange("", 0, none.Callback());
  EXPECT_THAT(none.Await(), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(StoreSupervisorTest, RunsAreListedNewestFirstWithTheOneInProgress) {
  Start();
  for (int i = 1; i <= 3; ++i) {
    TakeBackup(i);
    clock_.Advance(absl::Seconds(1));
  }
  Trigger(NewBackup());
  runner_.AwaitRun(4);
  v1::ListRunsRequest request;
  request.set_page_size(3);
  ASSERT_OK_AND_ASSIGN(const v1::ListRunsResponse page, supervisor_->ListRuns(request));
  ASSERT_EQ(page.runs_size(), 3);
  EXPECT_EQ(page.runs(0).state(), v1::Run::STATE_RUNNING);
  EXPECT_GT(page.runs(0).run_id(), page.runs(1).run_id());
  request.set_page_token(page.next_page_token());
  ASSERT_OK_AND_ASSIGN(const v1::ListRunsResponse last, supervisor_->ListRuns(request));
  EXPECT_EQ(last.runs_size(), 1);
  EXPECT_EQ(last.next_page_token(), "");
  EXPECT_THAT(supervisor_->GetRun("nope"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(supervisor_->GetRun(""), StatusIs(absl::StatusCode::kInvalidArgument));
}

// --- Killed, stopped, stuck ------------------------------------------------------------------

TEST_F(StoreSupervisorTest, RunThatWasKilledIsRecordedAsFailed) {
  Start();
  TakeBackup(1);
  Trigger(NewBackup());
  runner_.AwaitRun(2);
  const std::string run_id = CurrentRunId();
  RestartFrom(SavedState());
  ASSERT_OK_AND_ASSIGN(const v1::Run run, supervisor_->GetRun(run_id));
  EXPECT_EQ(run.state(), v1::Run::STATE_FAILED);
  EXPECT_EQ(run.error(), "the agent was stopped while it ran");
  const v1::BackupStatus status = supervisor_->GetStatus();
  EXPECT_FALSE(status.has_current_run());
  EXPECT_EQ(status.last_run().run_id(), run_id);
  EXPECT_EQ(status.consecutive_failures(), 1u);
  EXPECT_EQ(status.verdict(), v1::BackupStatus::VERDICT_FAILING);
  // What it left at the destination is worth looking for.
  Trigger(NewBackup());
  EXPECT_TRUE(runner_.AwaitRun(3).memory.destinations().at("local").has_unnamed_objects());
}

TEST_F(StoreSupervisorTest, ScheduledRunThatWasKilledIsCaughtUp) {
  Start();
  clock_.Advance(absl::Minutes(85));
  runner_.AwaitRun(1);
  RestartFrom(SavedState());
  clock_.Advance(absl::Minutes(1));
  runner_.AwaitRun(2);
  EXPECT_EQ(supervisor_->GetStatus().current_run().cause(), v1::Run::CAUSE_CAUGHT_UP);
}

TEST_F(StoreSupervisorTest, HistoryAndSettingsSurviveARestart) {
  Start();
  const v1::TriggerBackupResponse taken = TakeBackup(1);
  Stop();
  runner_.BlockListings(true);
  Start();
  const v1::BackupStatus status = supervisor_->GetStatus();
  EXPECT_EQ(status.last_backup().backup_id(), taken.backup().backup_id());
  EXPECT_EQ(status.last_run().run_id(), taken.run_id());
  EXPECT_EQ(status.store_id(), taken.backup().store_id());
  EXPECT_EQ(status.destinations(0).last_backup_id(), taken.backup().backup_id());
}

TEST_F(StoreSupervisorTest, ShutdownCancelsTheRunAndAnswersAll) {
  Start();
  clock_.Advance(absl::Minutes(85));
  runner_.AwaitRun(1);
  runner_.MakeCheckpoint(100);
  clock_.Advance(absl::Seconds(1));
  TriggerAnswer next = Trigger(NewBackup());
  const std::string run_id = CurrentRunId();
  supervisor_->BeginShutdown();
  EXPECT_TRUE(supervisor_->AwaitStopped(clock_.MonotonicNow() + absl::Seconds(8)));
  EXPECT_THAT(next.Await(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(Trigger(NewBackup()).Await(), StatusIs(absl::StatusCode::kUnavailable));
  Stop();
  Start();
  ASSERT_OK_AND_ASSIGN(const v1::Run run, supervisor_->GetRun(run_id));
  EXPECT_EQ(run.state(), v1::Run::STATE_CANCELLED);
  EXPECT_EQ(run.error(), "the agent was stopped while it ran");
  // Its time is still due.
  runner_.AwaitRun(2);
  EXPECT_EQ(supervisor_->GetStatus().current_run().cause(), v1::Run::CAUSE_CAUGHT_UP);
}

TEST_F(StoreSupervisorTest, RunThatDoesNotEndIsRecordedAndLeftBehind) {
  Start();
  TakeBackup(1);
  runner_.set_is_stuck(true);
  Trigger(NewBackup());
  runner_.AwaitRun(2);
  const std::string run_id = CurrentRunId();
  supervisor_->BeginShutdown();
  EXPECT_FALSE(supervisor_->AwaitStopped(clock_.MonotonicNow()));
  const std::string state = SavedState();
  EXPECT_FALSE(supervisor_->GetStatus().has_current_run());
  runner_.set_is_stuck(false);
  RestartFrom(state);
  EXPECT_EQ(supervisor_->GetRun(run_id)->state(), v1::Run::STATE_CANCELLED);
}

TEST_F(StoreSupervisorTest, StatusAnswersWhateverIsStuck) {
  runner_.BlockListings(true);
  runner_.set_is_stuck(true);
  store_.Silence(true);
  Start();
  store_.AwaitQuestions(1);
  runner_.AwaitBlockedListing();
  Trigger(NewBackup());
  runner_.AwaitRun(1);
  EXPECT_TRUE(supervisor_->GetStatus().has_current_run());
  EXPECT_OK(supervisor_->ListBackups({}));
  EXPECT_OK(supervisor_->ListRuns({}));
  EXPECT_EQ(supervisor_->GetSettings().store_name(), "main");
  runner_.Succeed({"local"});
}

TEST_F(StoreSupervisorTest, DamagedStateIsNotBegunAfresh) {
  Start();
  Stop();
  std::string state = SavedState();
  state[state.size() / 2] = static_cast<char>(state[state.size() / 2] ^ 1);
  ASSERT_OK(WriteFileDurably(dir_.Path("stores/main/state"), state,
                             {.existing = DurableFile::Existing::kReplace}));
  EXPECT_THAT(StoreSupervisor::Start(config_, {.states = states_.get(),
                                               .runner = &runner_,
                                               .source = &store_,
                                               .key_fingerprint = kFingerprint,
                                               .clock = &clock_,
                                               .random = &random_}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("store main: ")));
}

// --- Backups and status ----------------------------------------------------------------------

TEST_F(StoreSupervisorTest, BackupsOfEarlierAgentsAreFoundAtTheDestinations) {
  v1::Backup old;
  old.set_backup_id("20261101T000000.000Z-00000001");
  old.set_ordinal(1);
  old.add_destination_names("local");
  *old.mutable_checkpoint_time() = ToProto(clock_.Now() - absl::Hours(2));
  runner_.SetListing({.backups = {old}, .errors = {}});
  Start();
  AwaitThat([this] { return supervisor_->ListBackups({})->backups_size() == 1; });
  EXPECT_EQ(supervisor_->GetBackup("")->backup_id(), old.backup_id());
  EXPECT_OK(supervisor_->GetBackup(old.backup_id()));
  EXPECT_THAT(supervisor_->GetBackup("nope"), StatusIs(absl::StatusCode::kNotFound));
  const v1::BackupStatus status = supervisor_->GetStatus();
  EXPECT_EQ(FromProto(status.last_backup_age()), absl::Hours(2));
  EXPECT_EQ(status.destinations(0).last_backup_id(), old.backup_id());
}

TEST_F(StoreSupervisorTest, NoBackupIsNotFound) {
  Start();
  EXPECT_THAT(supervisor_->GetBackup(""), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(StoreSupervisorTest, VerdictFollowsWhatHappens) {
  config_.destinations.push_back({"share", "file:///mnt/share"});
  config_.required_destinations = 1;
  Start();
  EXPECT_EQ(supervisor_->GetStatus().verdict(), v1::BackupStatus::VERDICT_DEGRADED)
      << "nobody confirmed the key";
  v1::Settings settings = supervisor_->GetSettings();
  settings.set_key_confirmed_fingerprint(kFingerprint);
  ASSERT_OK(Update(settings));
  EXPECT_EQ(supervisor_->GetStatus().verdict(), v1::BackupStatus::VERDICT_NO_BACKUP);
  TakeBackup(1);
  EXPECT_EQ(supervisor_->GetStatus().verdict(), v1::BackupStatus::VERDICT_HEALTHY)
      << supervisor_->GetStatus().reason();
  EXPECT_EQ(supervisor_->GetStatus().reason(), "");

  // One destination is behind; what is required is met.
  TriggerAnswer answer = Trigger(NewBackup());
  runner_.AwaitRun(2);
  runner_.Succeed({"local"});
  ASSERT_OK(answer.Await());
  v1::BackupStatus status = supervisor_->GetStatus();
  EXPECT_EQ(status.verdict(), v1::BackupStatus::VERDICT_DEGRADED);
  EXPECT_THAT(status.reason(), HasSubstr("destination share does not hold the newest backup"));
  EXPECT_EQ(status.destinations(1).consecutive_failures(), 1u);
  EXPECT_EQ(FromProto(status.last_backup_age()), absl::ZeroDuration());

  // Nothing happens for long: the schedule's own run hangs.
  clock_.Advance(absl::Hours(6) + absl::Seconds(1));
  status = supervisor_->GetStatus();
  EXPECT_EQ(status.verdict(), v1::BackupStatus::VERDICT_OVERDUE) << status.reason();
  EXPECT_EQ(FromProto(status.last_backup_age()), absl::Hours(6) + absl::Seconds(1));
  EXPECT_EQ(FromProto(status.destinations(0).last_success_age()),
            absl::Hours(6) + absl::Seconds(1));
}

TEST_F(StoreSupervisorTest, StoreThatCannotBeReachedIsReportedUntilItCan) {
  store_.set_status_error(absl::UnavailableError("cannot reach holdfast-store"));
  Start();
  AwaitThat(
      [this] { return supervisor_->GetStatus().store_error() == "cannot reach holdfast-store"; });
  store_.set_status_error(absl::OkStatus());
  clock_.Advance(absl::Seconds(5));
  AwaitThat([this] { return supervisor_->GetStatus().store_error().empty(); });
}

// --- Settings --------------------------------------------------------------------------------

TEST_F(StoreSupervisorTest, SettingsAreSeededOnce) {
  Start();
  v1::Settings settings = supervisor_->GetSettings();
  EXPECT_EQ(settings.settings_revision(), 1u);
  EXPECT_EQ(settings.key_fingerprint(), kFingerprint);
  EXPECT_EQ(settings.destinations(0).name(), "local");
  Stop();
  config_.destinations = {{"other", "file:///srv/other"}};
  Start();
  EXPECT_EQ(supervisor_->GetSettings().destinations(0).name(), "local");
}

TEST_F(StoreSupervisorTest, ChangedSettingsAreDurableAndApplyAtOnce) {
  Start();
  v1::Settings settings = supervisor_->GetSettings();
  *settings.mutable_schedule()->mutable_interval() = ToProto(absl::Minutes(10));
  ASSERT_OK_AND_ASSIGN(const v1::Settings updated, Update(settings));
  EXPECT_EQ(updated.settings_revision(), 2u);
  EXPECT_EQ(FromProto(updated.next_due_time()), clock_.Now() + absl::Minutes(5));  // 18:40
  RestartFrom(SavedState());
  EXPECT_EQ(supervisor_->GetSettings().settings_revision(), 2u);
  clock_.Advance(absl::Minutes(5));
  runner_.AwaitRun(1);
}

TEST_F(StoreSupervisorTest, AutomaticBackupsCanBeTurnedOff) {
  Start();
  v1::Settings settings = supervisor_->GetSettings();
  settings.mutable_schedule()->set_automatic(false);
  ASSERT_OK_AND_ASSIGN(const v1::Settings updated, Update(settings));
  EXPECT_FALSE(updated.has_next_due_time());
  EXPECT_FALSE(supervisor_->GetStatus().has_next_due_time());
}

// --- Accepting the store ---------------------------------------------------------------------

TEST_F(StoreSupervisorTest, AcceptedStoreIsWhatTheNextRunRemembers) {
  Start();
  TakeBackup(1, 200);
  store_.EditState([](v1::Checkpoint& state) { state.set_revision(150); });
  Answer<v1::AcceptStoreResponse> answer;
  supervisor_->AcceptStore(answer.Callback());
  ASSERT_OK_AND_ASSIGN(const v1::AcceptStoreResponse accepted, answer.Await());
  EXPECT_EQ(accepted.revision(), 150u);
  EXPECT_TRUE(accepted.was_refused());
  Answer<v1::AcceptStoreResponse> again;
  supervisor_->AcceptStore(again.Callback());
  ASSERT_OK_AND_ASSIGN(const v1::AcceptStoreResponse nothing, again.Await());
  EXPECT_FALSE(nothing.was_refused());
  RestartFrom(SavedState());
  // The backup that is there has revision 200, but of another history.
  TriggerAnswer backup = Trigger(Holding(150));
  EXPECT_EQ(runner_.AwaitRun(2).memory.revision(), 150u);
  runner_.MakeCheckpoint(150);
  runner_.Succeed({"local"});
  ASSERT_OK_AND_ASSIGN(const v1::TriggerBackupResponse response, backup.Await());
  EXPECT_FALSE(response.already_there());
}

TEST_F(StoreSupervisorTest, BackupsOfAnotherStoreAreForgottenWhereThatIsAccepted) {
  Start();
  runner_.AwaitListings(1);
  runner_.BlockListings(true);
  TakeBackup(1, 200);
  store_.EditState([](v1::Checkpoint& state) {
    state.set_store_id(std::string(32, 'a'));
    state.set_revision(150);
  });
  Answer<v1::AcceptStoreResponse> answer;
  supervisor_->AcceptStore(answer.Callback());
  ASSERT_OK(answer.Await());
  EXPECT_THAT(supervisor_->GetBackup(""), StatusIs(absl::StatusCode::kNotFound));
  TriggerAnswer backup = Trigger(Holding(100));
  runner_.AwaitRun(2);
  runner_.BlockListings(false);
  runner_.Succeed({"local"});
  EXPECT_OK(backup.Await());
}

TEST_F(StoreSupervisorTest, StoreIsNotAcceptedDuringARunOrUnseen) {
  Start();
  TriggerAnswer backup = Trigger(NewBackup());
  runner_.AwaitRun(1);
  Answer<v1::AcceptStoreResponse> during;
  supervisor_->AcceptStore(during.Callback());
  EXPECT_THAT(during.Await(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("in progress")));
  runner_.Succeed({"local"});
  ASSERT_OK(backup.Await());
  store_.set_status_error(absl::UnavailableError("nobody listens"));
  Answer<v1::AcceptStoreResponse> unseen;
  supervisor_->AcceptStore(unseen.Callback());
  EXPECT_THAT(unseen.Await(), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(StoreSupervisorTest, APlaceThatIsNoGoodIsToldAtItsDestinationUntilItIs) {
  Start();
  // A run is followed by a listing, which is taken in soon after.
  const auto await_warning = [&](absl::string_view warning) {
    AwaitThat([&] { return supervisor_->GetStatus().destinations(0).warning() == warning; });
  };
  BackupRunner::Listing listing;
  listing.warnings["local"] = {.text = "it caches writes", .is_unsafe = true};
  runner_.SetListing(listing);
  TakeBackup(1);
  await_warning("it caches writes");
  v1::BackupStatus status = supervisor_->GetStatus();
  EXPECT_EQ(status.verdict(), v1::BackupStatus::VERDICT_DEGRADED);
  EXPECT_THAT(status.reason(), HasSubstr("destination local can't be relied on: it caches writes"));

  // What can't be told does no harm to the verdict.
  listing.warnings["local"] = {.text = "it may cache writes", .is_unsafe = false};
  runner_.SetListing(listing);
  TakeBackup(2);
  await_warning("it may cache writes");
  EXPECT_THAT(supervisor_->GetStatus().reason(), Not(HasSubstr("cache")));

  // A place that does not answer says nothing new.
  v1::Backup old;
  old.set_backup_id("20250101T000000.000Z-00000001");
  runner_.SetListing({.backups = {old}, .errors = {{"local", absl::UnavailableError("it hangs")}}});
  TakeBackup(3);
  AwaitThat([&] { return supervisor_->GetBackup(old.backup_id()).ok(); });
  EXPECT_EQ(supervisor_->GetStatus().destinations(0).warning(), "it may cache writes");

  runner_.SetListing({});
  TakeBackup(4);
  await_warning("");
}

TEST_F(StoreSupervisorTest, ADestinationThatCannotBeReadIsSaidToBeUntilItCan) {
  runner_.SetListing(
      {.backups = {}, .errors = {{"local", absl::FailedPreconditionError("another master key")}}});
  Start();
  const auto await_error = [&](absl::string_view error) {
    AwaitThat([&] { return supervisor_->GetStatus().destinations(0).listing_error() == error; });
  };
  await_error("another master key");
  const v1::BackupStatus status = supervisor_->GetStatus();
  EXPECT_EQ(status.verdict(), v1::BackupStatus::VERDICT_DEGRADED);
  EXPECT_THAT(status.reason(),
              HasSubstr("the backups at destination local can't be read: another master key"));
  runner_.SetListing({});
  TakeBackup(1);
  await_error("");
  EXPECT_THAT(supervisor_->GetStatus().reason(), Not(HasSubstr("can't be read")));
}

TEST_F(StoreSupervisorTest, WhatTheLastRunWarnedOfIsInTheVerdictUntilTheNext) {
  Start();
  TriggerAnswer backup = Trigger(NewBackup());
  runner_.AwaitRun(1);
  runner_.MakeCheckpoint(100);
  runner_.WarnOf("local", "one is gone");
  runner_.Succeed({"local"});
  ASSERT_OK(backup.Await());
  AwaitThat([&] { return !supervisor_->GetStatus().has_current_run(); });
  const v1::BackupStatus status = supervisor_->GetStatus();
  EXPECT_EQ(status.verdict(), v1::BackupStatus::VERDICT_DEGRADED);
  EXPECT_THAT(status.reason(), HasSubstr("destination local: one is gone"));
  TakeBackup(2);
  AwaitThat([&] { return !supervisor_->GetStatus().has_current_run(); });
  EXPECT_THAT(supervisor_->GetStatus().reason(), Not(HasSubstr("gone")));
}

// --- Retention -------------------------------------------------------------------------------

// A destination that is full takes no backup before it was pruned.
TEST_F(StoreSupervisorTest, PrunesAfterARunThatLeftNoBackup) {
  Start();
  TriggerAnswer failing = Trigger(NewBackup());
  runner_.AwaitRun(1);
  runner_.Fail(absl::ResourceExhaustedError("no space left"));
  EXPECT_FALSE(failing.Await().ok());
  runner_.AwaitPrunes(1);
}

TEST_F(StoreSupervisorTest, PrunesAfterARunThatLeftABackup) {
  Start();
  runner_.SetPruneResult("local", absl::DataLossError("a manifest is damaged"));
  TakeBackup(1);
  runner_.AwaitPrunes(1);
  Answer<v1::PruneBackupsResponse> answer;
  do {  // until the first is done
    answer = {};
    supervisor_->upkeep().PruneBackups({}, answer.Callback());
  } while (absl::IsAborted(answer.Await().status()));
  const v1::BackupStatus status = supervisor_->GetStatus();
  EXPECT_EQ(status.destinations(0).prune_error(), "a manifest is damaged");
  EXPECT_THAT(status.reason(), HasSubstr("old backups at destination local are not deleted"));
}

// A run stamps its backup by the clock that has just jumped: the newest backup is no witness.
TEST_F(StoreSupervisorTest, NothingIsRemovedForGoodUntilTheClockWasSteadyForAWeek) {
  Start();
  const auto refusal_after = [this](absl::Duration passed) {
    clock_.Advance(passed);
    Answer<v1::PruneBackupsResponse> answer;
    do {  // until one that goes on by itself is done
      answer = {};
      supervisor_->upkeep().PruneBackups({}, answer.Callback());
    } while (absl::IsAborted(answer.Await().status()));
    return runner_.prune_request().removal_refusal;
  };
  runner_.SucceedAlways({"local"});
  EXPECT_THAT(refusal_after(absl::Hours(24 * 6)), HasSubstr("must first see a week"));
  EXPECT_EQ(refusal_after(absl::Hours(24)), "");
  ASSERT_OK(Update(supervisor_->GetSettings()));  // which saves
  RestartFrom(SavedState());
  EXPECT_EQ(refusal_after(absl::Seconds(1)), "");
  clock_.SetWallTime(clock_.Now() + absl::Hours(24 * 30));
  EXPECT_THAT(refusal_after(absl::Seconds(1)), HasSubstr("must first see a week"));
  EXPECT_EQ(refusal_after(absl::Hours(24 * 7)), "");
}

TEST_F(StoreSupervisorTest, TimeOffIsAddedToHowLongDeletedBackupsStay) {
  Start();
  runner_.SucceedAlways({"local"});
  const auto prune = [this] {
    Answer<v1::PruneBackupsResponse> answer;
    supervisor_->upkeep().PruneBackups({}, answer.Callback());
    ASSERT_OK(answer.Await());
  };
  clock_.Advance(absl::Hours(24 * 7));
  prune();
  EXPECT_EQ(runner_.prune_request().removal_refusal, "");
  EXPECT_EQ(runner_.prune_request().deleted_kept_for, kDeletedKeptFor);
  ASSERT_OK(Update(supervisor_->GetSettings()));  // which saves
  Stop();
  clock_.Advance(absl::Hours(24 * 3));
  Start();
  prune();
  EXPECT_EQ(runner_.prune_request().removal_refusal, "");
  EXPECT_EQ(runner_.prune_request().deleted_kept_for, kDeletedKeptFor + absl::Hours(24 * 3));
}

TEST_F(StoreSupervisorTest, TheStatusSaysWhyNothingIsRemovedForGood) {
  Start();
  PruneReport report;
  report.removal_refusal = "the clock is wrong";
  runner_.SetPruneResult("local", report);
  Answer<v1::PruneBackupsResponse> answer;
  supervisor_->upkeep().PruneBackups({}, answer.Callback());
  ASSERT_OK(answer.Await());
  EXPECT_EQ(supervisor_->GetStatus().destinations(0).removal_refusal(), "the clock is wrong");
}

TEST_F(StoreSupervisorTest, PrunesAlsoWhereTooFewHoldTheBackup) {
  config_.destinations.push_back({"share", "file:///mnt/share"});
  Start();
  TriggerAnswer failing = Trigger(NewBackup());
  runner_.AwaitRun(1);
  runner_.Succeed({"local"});
  EXPECT_FALSE(failing.Await().ok());
  runner_.AwaitPrunes(1);
}

TEST_F(StoreSupervisorTest, RetentionIsTriedBeforeItIsSet) {
  Start();
  PruneReport report;
  report.decisions.resize(2);
  report.decisions[0].backup_id = "b1";
  report.decisions[1].backup_id = "b2";
  report.decisions[1].is_kept = true;
  runner_.SetPruneResult("local", report);
  v1::PruneBackupsRequest request;
  request.mutable_retention()->set_keep_last(1);
  Answer<v1::PruneBackupsResponse> refused;
  supervisor_->upkeep().PruneBackups(request, refused.Callback());
  EXPECT_THAT(refused.Await(), StatusIs(absl::StatusCode::kInvalidArgument));
  request.set_dry_run(true);
  Answer<v1::PruneBackupsResponse> answer;
  supervisor_->upkeep().PruneBackups(request, answer.Callback());
  ASSERT_OK_AND_ASSIGN(const v1::PruneBackupsResponse response, answer.Await());
  ASSERT_EQ(response.destinations_size(), 1);
  EXPECT_EQ(response.destinations(0).decisions(0).backup_id(), "b2") << "the newest first";
  EXPECT_FALSE(response.destinations(0).decisions(1).kept());
}

TEST_F(StoreSupervisorTest, WrongRetentionIsRefused) {
  Start();
  v1::Settings settings = supervisor_->GetSettings();
  EXPECT_EQ(settings.retention().keep_daily(), 30u);
  settings.mutable_retention()->set_time_zone("Mars");
  EXPECT_THAT(Update(settings),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("retention.time_zone")));
}

// --- Checks and drills -----------------------------------------------------------------------

TEST_F(StoreSupervisorTest, DrillOnDemandIsShownAndRemembered) {
  Start();
  TakeBackup(1);
  runner_.BlockProofs(true);
  v1::StartProofRequest request;
  request.set_kind(v1::Proof::KIND_DRILL);
  ASSERT_OK_AND_ASSIGN(const v1::Proof begun,
                       supervisor_->upkeep().StartProof(request, supervisor_->GetSettings()));
  EXPECT_EQ(begun.destination_name(), "local");
  runner_.AwaitProof(1);
  EXPECT_EQ(supervisor_->GetStatus().current_proof().bytes_total(), 100u);
  EXPECT_THAT(supervisor_->upkeep().StartProof(request, supervisor_->GetSettings()),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("in progress")));
  v1::Proof result;
  result.set_backup_id("20261101T000000.000Z-00000001");
  *result.mutable_restore_duration() = ToProto(absl::Seconds(42));
  runner_.SetProof(result);
  runner_.BlockProofs(false);
  const v1::Proof ended = AwaitProofEnd(begun.proof_id());
  EXPECT_EQ(ended.state(), v1::Proof::STATE_SUCCEEDED);
  v1::DestinationStatus status = supervisor_->GetStatus().destinations(0);
  EXPECT_EQ(status.last_drill_backup_id(), result.backup_id());
  EXPECT_EQ(FromProto(status.last_drill_duration()), absl::Seconds(42));
  RestartFrom(SavedState());
  EXPECT_EQ(supervisor_->GetStatus().destinations(0).last_drill_backup_id(), result.backup_id());
  EXPECT_EQ(supervisor_->upkeep().GetProof("")->proof_id(), begun.proof_id());
  // Whether or not the destination that proved it answers.
  Answer<v1::PruneBackupsResponse> pruned;
  supervisor_->upkeep().PruneBackups({}, pruned.Callback());
  ASSERT_OK(pruned.Await());
  EXPECT_THAT(runner_.prune_request().proven_backup_ids, ElementsAre(result.backup_id()));
}

TEST_F(StoreSupervisorTest, DamageThatAProofFoundDegradesTheVerdict) {
  Start();
  TakeBackup(1);
  v1::Proof result;
  result.set_state(v1::Proof::STATE_DAMAGED);
  result.set_error("stores/x: damaged");
  runner_.SetProof(result);
  v1::StartProofRequest request;
  request.set_kind(v1::Proof::KIND_CHECK);
  ASSERT_OK_AND_ASSIGN(const v1::Proof begun,
                       supervisor_->upkeep().StartProof(request, supervisor_->GetSettings()));
  AwaitProofEnd(begun.proof_id());
  EXPECT_THAT(supervisor_->GetStatus().reason(), HasSubstr("local: stores/x: damaged"));
  EXPECT_EQ(supervisor_->GetStatus().verdict(), v1::BackupStatus::VERDICT_DEGRADED);
}

TEST_F(StoreSupervisorTest, DamageThatWasMendedIsNoWorry) {
  Start();
  TakeBackup(1);
  v1::Proof result;
  result.set_state(v1::Proof::STATE_DAMAGED);
  result.set_error("1 file was damaged, and mended from another destination");
  result.set_damage_count(1);
  result.set_repaired_count(1);
  runner_.SetProof(result);
  v1::StartProofRequest request;
  request.set_kind(v1::Proof::KIND_CHECK);
  ASSERT_OK_AND_ASSIGN(const v1::Proof begun,
                       supervisor_->upkeep().StartProof(request, supervisor_->GetSettings()));
  EXPECT_EQ(AwaitProofEnd(begun.proof_id()).state(), v1::Proof::STATE_DAMAGED);
  EXPECT_THAT(supervisor_->GetStatus().reason(), Not(HasSubstr("damaged")));
  EXPECT_EQ(supervisor_->GetStatus().destinations(0).proof_error(), "");
}

TEST_F(StoreSupervisorTest, RunThatFindsObjectsMissingIsFollowedByACheck) {
  Start();
  TriggerAnswer answer = Trigger(NewBackup());
  runner_.AwaitRun(1);
  runner_.MakeCheckpoint(100);
  runner_.FindMissingAt("local");
  runner_.Succeed(DestinationNames());
  ASSERT_OK(answer.Await());
  const v1::Proof check = runner_.AwaitProof(1);
  EXPECT_EQ(check.kind(), v1::Proof::KIND_CHECK);
  EXPECT_EQ(check.destination_name(), "local");
  EXPECT_EQ(check.shares(), 30u);
}

// An agent that is new here, as after an adoption, knows it by the marks of the backups.
TEST_F(StoreSupervisorTest, WhatWasDrilledBeforeIsKnownByItsMark) {
  BackupRunner::Listing listing;
  v1::Backup& backup = listing.backups.emplace_back();
  backup.set_backup_id("20261101T000000.000Z-00000001");
  backup.add_destination_names("local");
  const absl::Time drill_time = clock_.Now() - absl::Hours(5);
  listing.drilled["local"] = {backup.backup_id(), drill_time};
  runner_.SetListing(listing);
  Start();
  AwaitFirstBackupSeen();
  const v1::DestinationStatus status = supervisor_->GetStatus().destinations(0);
  EXPECT_EQ(status.last_drill_backup_id(), backup.backup_id());
  EXPECT_EQ(FromProto(status.last_drill_time()), drill_time);
  EXPECT_FALSE(status.has_last_drill_duration()) << "it was not this agent's";
}

TEST_F(StoreSupervisorTest, StatusTellsWhenBackupsAreProvenNext) {
  Start();
  runner_.AwaitListings(1);
  TakeBackup(1);
  AwaitFirstBackupSeen();
  v1::DestinationStatus status = supervisor_->GetStatus().destinations(0);
  EXPECT_FALSE(status.has_last_drill_time()) << "never proven";
  EXPECT_EQ(FromProto(status.next_check_time()), clock_.Now() + absl::Hours(1));
  EXPECT_EQ(FromProto(status.next_drill_time()), clock_.Now() + absl::Hours(1));
  v1::Settings settings = supervisor_->GetSettings();
  settings.mutable_proving()->clear_drill_interval();
  ASSERT_OK(Update(settings));
  status = supervisor_->GetStatus().destinations(0);
  EXPECT_TRUE(status.has_next_check_time());
  EXPECT_FALSE(status.has_next_drill_time());
}

TEST_F(StoreSupervisorTest, ADrillOfABackupThatIsNotThereSaysNothingOfTheDestination) {
  Start();
  TakeBackup(1);
  v1::Proof result;
  result.set_state(v1::Proof::STATE_FAILED);
  result.set_error("there is no such backup");
  runner_.SetProof(result);
  v1::StartProofRequest request;
  request.set_kind(v1::Proof::KIND_DRILL);
  request.set_backup_id("20261122T183500.123Z-1f9a2b3c");
  ASSERT_OK_AND_ASSIGN(const v1::Proof named,
                       supervisor_->upkeep().StartProof(request, supervisor_->GetSettings()));
  EXPECT_EQ(AwaitProofEnd(named.proof_id()).error(), "there is no such backup");
  EXPECT_THAT(supervisor_->GetStatus().reason(), Not(HasSubstr("could not be made")));
  request.clear_backup_id();
  ASSERT_OK_AND_ASSIGN(const v1::Proof newest,
                       supervisor_->upkeep().StartProof(request, supervisor_->GetSettings()));
  AwaitProofEnd(newest.proof_id());
  EXPECT_THAT(supervisor_->GetStatus().reason(), HasSubstr("could not be made"));
}

TEST_F(StoreSupervisorTest, ProofsBeginByThemselvesAnHourAfterTheFirstBackup) {
  Start();
  runner_.AwaitListings(1);
  TakeBackup(1);
  AwaitFirstBackupSeen();
  clock_.Advance(absl::Minutes(59));
  EXPECT_EQ(runner_.proofs_begun(), 0);
  clock_.Advance(absl::Minutes(12));  // it is looked every 10 minutes
  const v1::Proof first = runner_.AwaitProof(1);
  const v1::Proof second = runner_.AwaitProof(2);
  EXPECT_NE(first.kind(), second.kind()) << "a check and a drill";
  const v1::Proof& check = first.kind() == v1::Proof::KIND_CHECK ? first : second;
  EXPECT_EQ(check.share(), 1u);
  EXPECT_EQ(check.shares(), 30u);
}

// A drill that ends the process (memory, a bug) must not do so again and again.
TEST_F(StoreSupervisorTest, ProofWhoseAgentWasKilledIsNotBegunAgainAtOnce) {
  Start();
  runner_.AwaitListings(1);
  TakeBackup(1);
  AwaitFirstBackupSeen();
  runner_.BlockProofs(true);
  clock_.Advance(absl::Minutes(71));
  const v1::Proof begun = runner_.AwaitProof(1);
  RestartFrom(SavedState());
  runner_.BlockProofs(false);
  ASSERT_OK_AND_ASSIGN(const v1::Proof killed, supervisor_->upkeep().GetProof(begun.proof_id()));
  EXPECT_EQ(killed.state(), v1::Proof::STATE_FAILED);
  EXPECT_THAT(killed.error(), HasSubstr("the agent was stopped"));
  EXPECT_THAT(supervisor_->GetStatus().destinations(0).proof_error(),
              HasSubstr("could not be made: the agent was stopped"));
  clock_.Advance(absl::Minutes(11));
  EXPECT_NE(runner_.AwaitProof(2).kind(), begun.kind()) << "the other one is due";
  clock_.Advance(absl::Minutes(11));
  EXPECT_EQ(runner_.proofs_begun(), 2);
}

TEST_F(StoreSupervisorTest, CancelledProofSaysNothing) {
  Start();
  TakeBackup(1);
  runner_.BlockProofs(true);
  v1::StartProofRequest request;
  request.set_kind(v1::Proof::KIND_DRILL);
  ASSERT_OK_AND_ASSIGN(const v1::Proof begun,
                       supervisor_->upkeep().StartProof(request, supervisor_->GetSettings()));
  runner_.AwaitProof(1);
  ASSERT_OK(supervisor_->upkeep().CancelProof(""));
  EXPECT_EQ(AwaitProofEnd(begun.proof_id()).state(), v1::Proof::STATE_CANCELLED);
  EXPECT_EQ(supervisor_->GetStatus().destinations(0).proof_error(), "");
  EXPECT_THAT(supervisor_->upkeep().CancelProof(begun.proof_id()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("it was cancelled")));
}

TEST_F(StoreSupervisorTest, BadProofRequestIsRefused) {
  Start();
  v1::StartProofRequest request;
  EXPECT_THAT(supervisor_->upkeep().StartProof(request, supervisor_->GetSettings()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("kind")));
  request.set_kind(v1::Proof::KIND_DRILL);
  request.set_backup_id("../x");
  EXPECT_THAT(supervisor_->upkeep().StartProof(request, supervisor_->GetSettings()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("backup_id")));
  request.clear_backup_id();
  request.set_destination_name("nowhere");
  EXPECT_THAT(supervisor_->upkeep().StartProof(request, supervisor_->GetSettings()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("nowhere")));
}

TEST_F(StoreSupervisorTest, MarkTellsHowItWentAtEachDestination) {
  config_.destinations.push_back({"share", "file:///mnt/share"});
  Start();
  runner_.SetMarkResult("share", absl::UnavailableError("it hangs"));
  v1::MarkBackupRequest request;
  request.set_backup_id("20261101T000000.000Z-00000001");
  request.set_mark(v1::MarkBackupRequest::MARK_PINNED);
  ASSERT_OK_AND_ASSIGN(const v1::MarkBackupResponse response, Mark(request));
  EXPECT_TRUE(response.destinations(0).marked());
  EXPECT_EQ(response.destinations(1).error(), "it hangs");
  runner_.SetMarkResult("local", absl::FailedPreconditionError("it is the newest"));
  EXPECT_THAT(Mark(request),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("the newest")));
  runner_.SetMarkResult("local", false);
  EXPECT_THAT(Mark(request), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("it hangs")));
  runner_.SetMarkResult("share", false);
  EXPECT_THAT(Mark(request), StatusIs(absl::StatusCode::kNotFound));
  request.set_backup_id("x");
  EXPECT_THAT(Mark(request), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(StoreSupervisorTest, WhatWasMarkedIsListedAtOnce) {
  Start();
  runner_.AwaitListings(1);
  v1::Backup backup;
  backup.set_backup_id("20261101T000000.000Z-00000001");
  backup.add_destination_names("local");
  backup.set_pinned(true);
  runner_.SetListing({.backups = {backup}, .errors = {}});
  v1::MarkBackupRequest request;
  request.set_backup_id(backup.backup_id());
  request.set_mark(v1::MarkBackupRequest::MARK_PINNED);
  ASSERT_OK(Mark(request));
  EXPECT_TRUE(supervisor_->GetBackup(backup.backup_id())->pinned());
  runner_.SetListing({});
  request.set_mark(v1::MarkBackupRequest::MARK_DELETED);
  ASSERT_OK(Mark(request));
  EXPECT_THAT(supervisor_->ListBackups({})->backups(), testing::IsEmpty());
}

TEST_F(StoreSupervisorTest, ADestinationThatHangsDoesNotHoldUpAMarkForLong) {
  Start();
  runner_.AwaitListings(1);
  runner_.BlockListings(true);
  v1::MarkBackupRequest request;
  request.set_backup_id("20261101T000000.000Z-00000001");
  request.set_mark(v1::MarkBackupRequest::MARK_PINNED);
  Answer<v1::MarkBackupResponse> answer;
  supervisor_->upkeep().MarkBackup(request, answer.Callback());
  runner_.AwaitBlockedListing();
  EXPECT_FALSE(answer.IsThere());
  AwaitThat([&] {
    clock_.Advance(absl::Seconds(1));
    return answer.IsThere();
  });
  EXPECT_OK(answer.Await());
  runner_.BlockListings(false);
}

TEST_F(StoreSupervisorTest, SettingsThatWereChangedMeanwhileAreNotOverwritten) {
  Start();
  const v1::Settings settings = supervisor_->GetSettings();
  ASSERT_OK(Update(settings));
  EXPECT_THAT(Update(settings),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("they are at revision 2")));
}

TEST_F(StoreSupervisorTest, BadSettingsChangeNothing) {
  Start();
  v1::Settings settings = supervisor_->GetSettings();
  settings.mutable_schedule()->set_time_zone("Mars");
  EXPECT_THAT(Update(settings), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(supervisor_->GetSettings().settings_revision(), 1u);
}

TEST_F(StoreSupervisorTest, NewDestinationIsTriedBeforeItIsTaken) {
  Start();
  runner_.SetPrepareStatus("share", absl::FailedPreconditionError("it is not mounted"));
  v1::Settings settings = supervisor_->GetSettings();
  v1::Destination& share = *settings.add_destinations();
  share.set_name("share");
  share.set_url("/mnt/share");
  EXPECT_THAT(Update(settings), StatusIs(absl::StatusCode::kFailedPrecondition,
                                         AllOf(HasSubstr("share"), HasSubstr("not mounted"))));
  EXPECT_EQ(supervisor_->GetSettings().destinations_size(), 1);
  runner_.SetPrepareStatus("share", absl::OkStatus());
  ASSERT_OK_AND_ASSIGN(const v1::Settings updated, Update(settings));
  EXPECT_EQ(updated.destinations(1).url(), "file:///mnt/share");
  EXPECT_THAT(runner_.prepared(), ElementsAre("share", "share")) << "the old one is not touched";
}

TEST_F(StoreSupervisorTest, LinkToAnotherDestinationIsRefused) {
  Start();
  TakeBackup(1);
  runner_.SetRepositoryId("link", std::string(32, 'b'));  // as the runner says of those of runs
  v1::Settings settings = supervisor_->GetSettings();
  v1::Destination& link = *settings.add_destinations();
  link.set_name("link");
  link.set_url("/mnt/link");
  EXPECT_THAT(Update(settings), StatusIs(absl::StatusCode::kFailedPrecondition,
                                         HasSubstr("the repository there is that of local")));
  EXPECT_EQ(supervisor_->GetSettings().destinations_size(), 1);
  runner_.SetRepositoryId("link", std::string(32, 'c'));
  EXPECT_OK(Update(settings));
}

TEST_F(StoreSupervisorTest, DestinationThatMovedHoldsNothingYet) {
  Start();
  TakeBackup(1);
  runner_.SetListing({});
  v1::Settings settings = supervisor_->GetSettings();
  settings.mutable_destinations(0)->set_url("file:///srv/other");
  ASSERT_OK(Update(settings));
  EXPECT_FALSE(supervisor_->GetStatus().has_last_backup());
  Trigger(NewBackup());
  const BackupRunInput input = runner_.AwaitRun(2);
  EXPECT_THAT(input.memory.destinations(), IsEmpty());
  EXPECT_EQ(input.settings.destinations(0).url(), "file:///srv/other");
}

TEST_F(StoreSupervisorTest, RunInProgressGoesOnWithTheSettingsItBeganWith) {
  Start();
  TriggerAnswer answer = Trigger(NewBackup());
  runner_.AwaitRun(1);
  v1::Settings settings = supervisor_->GetSettings();
  v1::Destination& share = *settings.add_destinations();
  share.set_name("share");
  share.set_url("/mnt/share");
  ASSERT_OK(Update(settings));
  v1::TriggerBackupRequest two = NewBackup();
  two.set_required_destinations(2);
  TriggerAnswer needs_both = Trigger(two);
  runner_.Succeed({"local"});
  ASSERT_OK(answer.Await());
  EXPECT_EQ(runner_.AwaitRun(2).settings.destinations_size(), 2);
  runner_.Succeed({"local", "share"});
  EXPECT_OK(needs_both.Await());
}

TEST_F(StoreSupervisorTest, SettingsThatCannotBeSavedAreNotApplied) {
  Start();
  ASSERT_OK(RemoveTree(dir_.Path("stores")));
  ASSERT_OK(WriteFileDurably(dir_.Path("stores"), "in the way", {}));
  v1::Settings settings = supervisor_->GetSettings();
  settings.mutable_schedule()->set_automatic(false);
  EXPECT_THAT(Update(settings), Not(IsOk()));
  EXPECT_TRUE(supervisor_->GetSettings().schedule().automatic());
  // Backups go on all the same, and it shows.
  TakeBackup(1);
  EXPECT_THAT(supervisor_->GetStatus().reason(), HasSubstr("the agent can't save its state"));
}

}  // namespace
}  // namespace holdfast
