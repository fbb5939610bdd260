#include "backup-agent/schedule/trigger_queue.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/messages/proto_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr BackupNeed kNewBackup = {.max_age = absl::ZeroDuration()};

BackupNeed Holding(uint64_t revision) {
  BackupNeed need;
  need.min_revision = revision;
  return need;
}

BackupNeed NotOlderThan(absl::Duration max_age) {
  BackupNeed need;
  need.max_age = max_age;
  return need;
}

class TriggerQueueTest : public ::testing::Test {
 protected:
  using Response = absl::StatusOr<v1::TriggerBackupResponse>;

  TriggerQueueTest() { run_.set_run_id("run-1"); }

  // Adds a call that arrives now; its answer will be in answers_ under its ticket.
  uint64_t Add(const BackupNeed& need, const std::string& request_id = "", bool ask_store = false) {
    const uint64_t ticket = next_ticket_++;
    queue_.Add(need, clock_.MonotonicNow(), request_id, ask_store, Current(),
               {ticket, [this, ticket](const Response& response) {
                  EXPECT_TRUE(answers_.emplace(ticket, response).second) << "answered twice";
                }});
    return ticket;
  }

  // What a store says that has given revisions up to this one.
  static auto StoreAt(uint64_t revision) {
    return [revision](
               const BackupNeed& need) -> absl::StatusOr<std::optional<v1::TriggerBackupResponse>> {
      if (need.min_revision > revision) return absl::FailedPreconditionError("not given");
      return std::nullopt;
    };
  }

  // The run in progress, where there is one.
  std::optional<RunView> Current() const {
    if (!is_running_) return std::nullopt;
    return RunView{&run_, destination_count_, checkpoint_request_};
  }

  void StartRun() {
    is_running_ = true;
    queue_.OnRunStarted();
  }
  void AskForCheckpoint() {
    checkpoint_request_ = clock_.MonotonicNow();
    clock_.Advance(absl::Milliseconds(1));
  }
  void MakeCheckpoint(uint64_t revision) {
    run_.set_revision(revision);
    *run_.mutable_checkpoint_time() = ToProto(clock_.Now());
    Take(queue_.OnRunProgress(*Current()));
  }
  void FailDestination(const std::string& name) {
    v1::DestinationResult& result = *run_.add_destinations();
    result.set_destination_name(name);
    result.set_state(v1::DestinationResult::STATE_FAILED);
    result.set_error("no space left");
    Take(queue_.OnRunProgress(*Current()));
  }
  void EndRun(const std::vector<std::string>& holders, const std::string& error = "") {
    std::optional<v1::Backup> backup;
    if (!holders.empty()) {
      backup.emplace().set_backup_id("backup-of-" + run_.run_id());
      backup->set_revision(run_.revision());
      for (const std::string& name : holders) backup->add_destination_names(name);
    }
    run_.set_state(error.empty() ? v1::Run::STATE_SUCCEEDED : v1::Run::STATE_FAILED);
    run_.set_error(error);
    Take(queue_.OnRunEnded(*Current(), backup));
    is_running_ = false;
    checkpoint_request_.reset();
    run_ = v1::Run();
    run_.set_run_id("run-2");
  }

  void Take(TriggerQueue::Outcome outcome) {
    for (TriggerQueue::Answer& answer : outcome.answers) {
      answer.callback(std::move(answer.response));
    }
    for (const auto& id : outcome.failed_request_ids) failed_.push_back(id);
    for (const auto& pair : outcome.satisfied_request_ids) satisfied_.push_back(pair);
  }

  bool IsAnswered(uint64_t ticket) const { return answers_.count(ticket) > 0; }
  std::string BackupOf(uint64_t ticket) const {
    const auto answer = answers_.find(ticket);
    if (answer == answers_.end()) return "no answer";
    return answer->second.ok() ? answer->second->backup().backup_id()
                               : answer->second.status().ToString();
  }
  absl::Status StatusOf(uint64_t ticket) const {
    const auto answer = answers_.find(ticket);
    return answer == answers_.end() ? absl::UnknownError("no answer") : answer->second.status();
  }

  FakeClock clock_;
  TriggerQueue queue_;
  uint64_t next_ticket_ = 1;
  v1::Run run_;
  bool is_running_ = false;
  uint32_t destination_count_ = 1;
  std::optional<MonotonicTime> checkpoint_request_;
  std::map<uint64_t, Response> answers_;
  std::vector<std::string> failed_;
  std::vector<std::pair<std::string, std::string>> satisfied_;
};

TEST_F(TriggerQueueTest, TriggerWaitsForTheNextRunAndIsAnsweredAtItsEnd) {
  EXPECT_FALSE(queue_.WantsRun());
  const uint64_t trigger = Add(kNewBackup);
  EXPECT_TRUE(queue_.WantsRun());
  StartRun();
  EXPECT_FALSE(queue_.WantsRun());
  AskForCheckpoint();
  MakeCheckpoint(5);
  EXPECT_FALSE(IsAnswered(trigger));
  EndRun({"local"});
  EXPECT_EQ(BackupOf(trigger), "backup-of-run-1");
  EXPECT_EQ(answers_.at(trigger)->run_id(), "run-1");
  EXPECT_FALSE(answers_.at(trigger)->already_there());
  EXPECT_FALSE(queue_.WantsRun());
}

TEST_F(TriggerQueueTest, RunThatHasNotAskedForItsCheckpointIsJoined) {
  StartRun();
  clock_.Advance(absl::Seconds(1));
  const uint64_t trigger = Add(kNewBackup);
  EXPECT_FALSE(queue_.WantsRun());
  AskForCheckpoint();
  EndRun({"local"});
  EXPECT_EQ(BackupOf(trigger), "backup-of-run-1");
}

TEST_F(TriggerQueueTest, RunThatMayHaveItsCheckpointFromBeforeTheCallIsNotJoined) {
  StartRun();
  AskForCheckpoint();
  const uint64_t trigger = Add(kNewBackup);
  EXPECT_TRUE(queue_.WantsRun());
  MakeCheckpoint(5);
  EndRun({"local"});
  EXPECT_FALSE(IsAnswered(trigger));
  StartRun();
  EndRun({"local"});
  EXPECT_EQ(BackupOf(trigger), "backup-of-run-2");
}

TEST_F(TriggerQueueTest, CallersWithTheSameNeedShareARun) {
  const uint64_t first = Add(kNewBackup);
  const uint64_t second = Add(kNewBackup);
  StartRun();
  AskForCheckpoint();
  const uint64_t third = Add(kNewBackup);
  const uint64_t fourth = Add(kNewBackup);
  EndRun({"local"});
  EXPECT_EQ(BackupOf(first), "backup-of-run-1");
  EXPECT_EQ(BackupOf(second), "backup-of-run-1");
  StartRun();
  EndRun({"local"});
  EXPECT_EQ(BackupOf(third), "backup-of-run-2");
  EXPECT_EQ(BackupOf(fourth), "backup-of-run-2");
}

TEST_F(TriggerQueueTest, RunWhoseCheckpointIsYoungEnoughIsJoined) {
  StartRun();
  AskForCheckpoint();
  clock_.Advance(absl::Minutes(10) - absl::Milliseconds(1));
  const uint64_t young_enough = Add(NotOlderThan(absl::Minutes(10)));
  EXPECT_FALSE(queue_.WantsRun());
  clock_.Advance(absl::Milliseconds(1));
  const uint64_t too_old = Add(NotOlderThan(absl::Minutes(10)));
  EXPECT_TRUE(queue_.WantsRun());
  EndRun({"local"});
  EXPECT_EQ(BackupOf(young_enough), "backup-of-run-1");
  EXPECT_FALSE(IsAnswered(too_old));
}

TEST_F(TriggerQueueTest, RunThatHoldsTheRevisionIsJoined) {
  StartRun();
  AskForCheckpoint();
  MakeCheckpoint(100);
  const uint64_t held = Add(Holding(100));
  EXPECT_FALSE(queue_.WantsRun());
  const uint64_t above = Add(Holding(101));
  EXPECT_TRUE(queue_.WantsRun());
  EndRun({"local"});
  EXPECT_EQ(BackupOf(held), "backup-of-run-1");
  EXPECT_FALSE(IsAnswered(above));
}

TEST_F(TriggerQueueTest, WhetherARunHoldsTheRevisionShowsWithItsCheckpoint) {
  StartRun();
  AskForCheckpoint();
  const uint64_t held = Add(Holding(100));
  const uint64_t above = Add(Holding(101));
  EXPECT_FALSE(queue_.WantsRun());
  MakeCheckpoint(100);
  EXPECT_TRUE(queue_.WantsRun()) << "for the second";
  EndRun({"local"});
  EXPECT_EQ(BackupOf(held), "backup-of-run-1");
  EXPECT_FALSE(IsAnswered(above));
}

TEST_F(TriggerQueueTest, UndecidedTriggerWaitsForTheNextRunWhereThisOneFailsEarly) {
  StartRun();
  AskForCheckpoint();
  const uint64_t trigger = Add(Holding(100));
  EndRun({}, "cannot reach the store");
  EXPECT_FALSE(IsAnswered(trigger));
  EXPECT_TRUE(queue_.WantsRun());
}

TEST_F(TriggerQueueTest, RevisionThatWasNeverGivenIsRefusedAsSoonAsThatShows) {
  const uint64_t trigger = Add(Holding(101), "deploy-1");
  StartRun();
  AskForCheckpoint();
  MakeCheckpoint(100);
  EXPECT_THAT(StatusOf(trigger),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("min_revision 101 is above the store's revision 100")));
  EXPECT_THAT(failed_, ElementsAre("deploy-1"));
}

TEST_F(TriggerQueueTest, StoreIsAskedBeforeARunIsWanted) {
  const uint64_t given = Add(Holding(100), "", /*ask_store=*/true);
  const uint64_t above = Add(Holding(101), "", /*ask_store=*/true);
  EXPECT_TRUE(queue_.WantsStoreAnswer());
  EXPECT_FALSE(queue_.WantsRun());
  Take(queue_.OnStoreAnswered(clock_.MonotonicNow(), StoreAt(100), Current()));
  EXPECT_FALSE(queue_.WantsStoreAnswer());
  EXPECT_THAT(StatusOf(above), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_FALSE(IsAnswered(given));
  EXPECT_TRUE(queue_.WantsRun());
}

TEST_F(TriggerQueueTest, AnswerOfTheStoreFromBeforeTheCallDoesNotCount) {
  const MonotonicTime asked = clock_.MonotonicNow();
  clock_.Advance(absl::Seconds(1));
  const uint64_t trigger = Add(Holding(101), "", /*ask_store=*/true);
  Take(queue_.OnStoreAnswered(asked, StoreAt(100), Current()));
  EXPECT_FALSE(IsAnswered(trigger));
  EXPECT_TRUE(queue_.WantsStoreAnswer());
}

TEST_F(TriggerQueueTest, WhatIsThereAlreadyNeedsNoRun) {
  const uint64_t trigger = Add(Holding(100), "deploy-1", /*ask_store=*/true);
  v1::TriggerBackupResponse response;
  response.mutable_backup()->set_backup_id("b1");
  response.set_already_there(true);
  Take(queue_.OnStoreAnswered(
      clock_.MonotonicNow(), [&](const BackupNeed&) { return std::optional(response); },
      Current()));
  EXPECT_TRUE(IsAnswered(trigger));
  EXPECT_OK(StatusOf(trigger));
  EXPECT_FALSE(queue_.WantsRun());
}

TEST_F(TriggerQueueTest, FailedRunFailsItsTriggersWithTheReason) {
  const uint64_t trigger = Add(kNewBackup);
  StartRun();
  EndRun({}, "cannot reach the store");
  EXPECT_THAT(StatusOf(trigger), StatusIs(absl::StatusCode::kAborted,
                                          HasSubstr("run run-1 failed: cannot reach the store")));
}

TEST_F(TriggerQueueTest, TriggerFailsAsSoonAsTooFewDestinationsAreLeft) {
  destination_count_ = 3;
  BackupNeed two = kNewBackup;
  two.required_destinations = 2;
  const uint64_t needs_two = Add(two);
  const uint64_t needs_one = Add(kNewBackup);
  StartRun();
  AskForCheckpoint();
  MakeCheckpoint(5);
  FailDestination("a");
  EXPECT_FALSE(IsAnswered(needs_two));
  FailDestination("b");
  EXPECT_THAT(StatusOf(needs_two),
              StatusIs(absl::StatusCode::kAborted,
                       HasSubstr("can reach only 1 of 3 destinations, and 2 must hold the backup: "
                                 "a: no space left; b: ")));
  EXPECT_FALSE(IsAnswered(needs_one));
  // The run as a whole failed, but one destination is all that this one asked for.
  EndRun({"c"}, "too few");
  EXPECT_EQ(BackupOf(needs_one), "backup-of-run-1");
}

TEST_F(TriggerQueueTest, RunThatCannotReachEnoughDestinationsIsNotJoined) {
  StartRun();
  BackupNeed two = kNewBackup;
  two.required_destinations = 2;
  Add(two);
  EXPECT_TRUE(queue_.WantsRun());
}

TEST_F(TriggerQueueTest, CallerThatLeavesCancelsNothing) {
  const uint64_t trigger = Add(kNewBackup, "deploy-1");
  queue_.Forget(trigger);
  EXPECT_TRUE(queue_.WantsRun());
  StartRun();
  EndRun({"local"});
  EXPECT_FALSE(IsAnswered(trigger));
  EXPECT_THAT(satisfied_, ElementsAre(Pair("deploy-1", "backup-of-run-1")));
}

TEST_F(TriggerQueueTest, CallerWithTheSameRequestIdJoins) {
  const uint64_t first = Add(kNewBackup, "deploy-1");
  StartRun();
  AskForCheckpoint();
  // Of itself it would be too late for this run.
  EXPECT_TRUE(queue_.Has("deploy-1"));
  EXPECT_FALSE(queue_.Has("deploy-2"));
  queue_.AddCaller("deploy-1",
                   {77, [this](const Response& response) { answers_.emplace(77, response); }});
  EXPECT_FALSE(queue_.WantsRun());
  EndRun({"local"});
  EXPECT_EQ(BackupOf(first), "backup-of-run-1");
  EXPECT_EQ(BackupOf(77), "backup-of-run-1");
}

TEST_F(TriggerQueueTest, CallersAreBounded) {
  std::vector<uint64_t> tickets;
  for (size_t i = 0; i < TriggerQueue::kCallersMax; ++i) {
    EXPECT_TRUE(queue_.HasRoom());
    tickets.push_back(Add(kNewBackup));
  }
  EXPECT_FALSE(queue_.HasRoom());
  queue_.Forget(tickets[0]);
  EXPECT_TRUE(queue_.HasRoom());
  StartRun();
  EndRun({"local"});
  EXPECT_EQ(answers_.size(), TriggerQueue::kCallersMax - 1);
}

TEST_F(TriggerQueueTest, AbortAnswersAll) {
  const uint64_t waiting = Add(kNewBackup);
  StartRun();
  const uint64_t joined = Add(kNewBackup);
  const uint64_t asking = Add(Holding(5), "", /*ask_store=*/true);
  Take(queue_.Abort(absl::UnavailableError("shutting down")));
  for (const uint64_t ticket : {waiting, joined, asking}) {
    EXPECT_THAT(StatusOf(ticket), StatusIs(absl::StatusCode::kUnavailable));
  }
  EXPECT_FALSE(queue_.WantsRun());
}

}  // namespace
}  // namespace holdfast
