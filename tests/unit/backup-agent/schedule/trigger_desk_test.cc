#include "backup-agent/schedule/trigger_desk.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/messages/proto_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

class TriggerDeskTest : public ::testing::Test {
 protected:
  using Response = absl::StatusOr<v1::TriggerBackupResponse>;

  TriggerDeskTest() { known_.settings.add_destinations()->set_name("local"); }

  static v1::TriggerBackupRequest NewBackup(const std::string& request_id = "") {
    v1::TriggerBackupRequest request;
    request.set_request_id(request_id);
    return request;
  }
  static v1::TriggerBackupRequest NotOlderThan(absl::Duration age,
                                               const std::string& request_id = "") {
    v1::TriggerBackupRequest request = NewBackup(request_id);
    *request.mutable_max_age() = ToProto(age);
    return request;
  }
  static v1::TriggerBackupRequest Holding(uint64_t revision) {
    v1::TriggerBackupRequest request;
    request.set_min_revision(revision);
    return request;
  }

  // A call that arrives now; its answer will be in answers_ under its ticket.
  uint64_t Trigger(const v1::TriggerBackupRequest& request) {
    const uint64_t ticket = next_ticket_++;
    Make(desk_.Take(request, clock_.MonotonicNow(), known_,
                    {ticket, [this, ticket](const Response& response) {
                       EXPECT_TRUE(answers_.emplace(ticket, response).second) << "answered twice";
                     }}));
    return ticket;
  }
  void Make(TriggerDesk::Answers answers) {
    for (TriggerQueue::Answer& answer : answers) answer.callback(std::move(answer.response));
  }
  bool IsAnswered(uint64_t ticket) const { return answers_.count(ticket) > 0; }

  void StartRun() {
    known_.current.emplace().run.set_run_id("run-1");
    known_.current->settings = known_.settings;
    desk_.OnRunStarted("run-1");
  }
  void EndRun() {
    v1::Backup backup;
    backup.set_backup_id("backup-1");
    backup.set_revision(100);
    backup.set_incarnation("incarnation");
    backup.set_ordinal(1);
    backup.add_destination_names("local");
    known_.catalog.Add(backup, clock_.MonotonicNow());
    v1::Run& run = known_.current->run;
    run.set_state(v1::Run::STATE_SUCCEEDED);
    run.set_backup_id("backup-1");
    known_.runs.Add(run);
    Make(desk_.OnRunEnded(known_.current->View(), backup));
    known_.current.reset();
  }
  void FailRun() {
    known_.current->run.set_state(v1::Run::STATE_FAILED);
    Make(desk_.OnRunEnded(known_.current->View(), std::nullopt));
    known_.current.reset();
  }
  void TakeBackup() {
    StartRun();
    EndRun();
  }

  FakeClock clock_;
  StoreKnowledge known_{clock_};
  TriggerDesk desk_{clock_};
  std::map<uint64_t, Response> answers_;
  uint64_t next_ticket_ = 1;
};

TEST_F(TriggerDeskTest, BadRequestIsRefusedAtOnce) {
  EXPECT_THAT(answers_[Trigger(NotOlderThan(-absl::Seconds(1)))],
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("max_age")));
  EXPECT_THAT(answers_[Trigger(Holding(0))],
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("min_revision")));
  EXPECT_THAT(answers_[Trigger(NewBackup("a\nb"))],
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("request_id")));
  EXPECT_FALSE(desk_.WantsRun());
}

TEST_F(TriggerDeskTest, NewBackupWantsARun) {
  const uint64_t ticket = Trigger(NewBackup());
  EXPECT_FALSE(IsAnswered(ticket));
  EXPECT_TRUE(desk_.WantsRun());
  StartRun();
  EXPECT_FALSE(desk_.WantsRun());
  EndRun();
  ASSERT_OK(answers_[ticket]);
  EXPECT_EQ(answers_[ticket]->backup().backup_id(), "backup-1");
  EXPECT_FALSE(answers_[ticket]->already_there());
}

TEST_F(TriggerDeskTest, BackupThatIsYoungEnoughIsAnsweredAtOnce) {
  TakeBackup();
  clock_.Advance(absl::Minutes(5));
  const uint64_t ticket = Trigger(NotOlderThan(absl::Minutes(5)));
  ASSERT_OK(answers_[ticket]);
  EXPECT_EQ(answers_[ticket]->run_id(), "run-1");
  EXPECT_TRUE(answers_[ticket]->already_there());
  EXPECT_FALSE(IsAnswered(Trigger(NotOlderThan(absl::Minutes(4)))));
}

TEST_F(TriggerDeskTest, AnswerThatIsToBeRememberedIsSavedFirst) {
  TakeBackup();
  const uint64_t first = Trigger(NotOlderThan(absl::Minutes(5), "deploy-1"));
  EXPECT_FALSE(IsAnswered(first));
  ASSERT_TRUE(desk_.HasAnswersToSave());
  agent::v1::StoreState state;
  desk_.AddToState(state);
  ASSERT_EQ(state.requests_size(), 1);
  EXPECT_EQ(state.requests(0).backup_id(), "backup-1");
  Make(desk_.TakeAnswersToSave());
  EXPECT_OK(answers_[first]);
  EXPECT_FALSE(desk_.HasAnswersToSave());

  // It is remembered by now.
  clock_.Advance(absl::Hours(1));
  EXPECT_TRUE(IsAnswered(Trigger(NotOlderThan(absl::Minutes(5), "deploy-1"))));
}

TEST_F(TriggerDeskTest, RepeatedRequestWaitsForTheSameRun) {
  const uint64_t first = Trigger(NewBackup("deploy-1"));
  StartRun();
  known_.current->checkpoint_request = clock_.MonotonicNow();
  clock_.Advance(absl::Seconds(1));
  const uint64_t repeated = Trigger(NewBackup("deploy-1"));
  EXPECT_FALSE(desk_.WantsRun());
  EndRun();
  EXPECT_OK(answers_[first]);
  EXPECT_OK(answers_[repeated]);
}

TEST_F(TriggerDeskTest, RequestWhoseRunFailedIsForgotten) {
  const uint64_t first = Trigger(NewBackup("deploy-1"));
  StartRun();
  FailRun();
  EXPECT_THAT(answers_[first], StatusIs(absl::StatusCode::kAborted));
  agent::v1::StoreState state;
  desk_.AddToState(state);
  EXPECT_EQ(state.requests_size(), 0);
}

TEST_F(TriggerDeskTest, RememberedBackupThatIsListedNoMoreIsDescribedByItsRun) {
  Trigger(NewBackup("deploy-1"));
  TakeBackup();
  known_.catalog.KeepDestinations({});
  v1::DestinationResult result;
  result.set_destination_name("local");
  result.set_state(v1::DestinationResult::STATE_SUCCEEDED);
  v1::Run run = *known_.runs.Last();
  run.set_revision(100);
  *run.add_destinations() = result;
  known_.runs = RunHistory();
  known_.runs.Add(run);
  const uint64_t repeated = Trigger(NewBackup("deploy-1"));
  ASSERT_OK(answers_[repeated]);
  EXPECT_EQ(answers_[repeated]->backup().backup_id(), "backup-1");
  EXPECT_EQ(answers_[repeated]->backup().revision(), 100u);
}

TEST_F(TriggerDeskTest, RevisionWaitsForWhatTheStoreSays) {
  TakeBackup();
  const uint64_t held = Trigger(Holding(100));
  const uint64_t newer = Trigger(Holding(101));
  const uint64_t not_given = Trigger(Holding(102));
  EXPECT_TRUE(desk_.WantsStoreAnswer());
  EXPECT_FALSE(desk_.WantsRun());
  v1::StoreStatus status;
  status.set_incarnation("incarnation");
  status.set_revision(101);
  Make(desk_.OnStoreAnswered(clock_.MonotonicNow(), status, known_));
  ASSERT_OK(answers_[held]);
  EXPECT_TRUE(answers_[held]->already_there());
  EXPECT_FALSE(IsAnswered(newer));
  EXPECT_TRUE(desk_.WantsRun());
  EXPECT_THAT(answers_[not_given], StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(TriggerDeskTest, RevisionOfAStoreThatCannotBeAskedFails) {
  const uint64_t ticket = Trigger(Holding(100));
  Make(desk_.OnStoreAnswered(clock_.MonotonicNow(), absl::UnavailableError("gone"), known_));
  EXPECT_THAT(answers_[ticket], StatusIs(absl::StatusCode::kAborted, HasSubstr("gone")));
}

TEST_F(TriggerDeskTest, ShutdownAnswersAll) {
  const uint64_t ticket = Trigger(NewBackup());
  Make(desk_.Abort(absl::UnavailableError("shutting down")));
  EXPECT_THAT(answers_[ticket], StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_FALSE(desk_.WantsRun());
}

}  // namespace
}  // namespace holdfast
