#include "backup-agent/schedule/run_history.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backup-agent/schedule/run_record.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;

v1::Run EndedRun(const std::string& run_id, v1::Run::State state, const std::string& error = "") {
  v1::Run run;
  run.set_run_id(run_id);
  run.set_state(state);
  run.set_error(error);
  return run;
}

class RunHistoryTest : public ::testing::Test {
 protected:
  std::vector<std::string> Ids() const {
    std::vector<std::string> ids;
    for (const v1::Run& run : history_.runs()) ids.push_back(run.run_id());
    return ids;
  }

  RunHistory history_;
};

TEST_F(RunHistoryTest, NewestIsFirst) {
  EXPECT_EQ(history_.Last(), nullptr);
  history_.Add(EndedRun("run-1", v1::Run::STATE_SUCCEEDED));
  history_.Add(EndedRun("run-2", v1::Run::STATE_FAILED));
  EXPECT_THAT(Ids(), ElementsAre("run-2", "run-1"));
  EXPECT_EQ(history_.Last()->run_id(), "run-2");
  EXPECT_EQ(history_.Find("run-1")->state(), v1::Run::STATE_SUCCEEDED);
  EXPECT_EQ(history_.Find("run-3"), nullptr);
}

TEST_F(RunHistoryTest, NewestThousandStay) {
  for (int i = 0; i < 1001; ++i) {
    history_.Add(EndedRun(absl::StrCat("run-", i), v1::Run::STATE_SUCCEEDED));
  }
  EXPECT_EQ(history_.runs().size(), 1000u);
  EXPECT_EQ(history_.Find("run-0"), nullptr);
  EXPECT_NE(history_.Find("run-1"), nullptr);
}

TEST_F(RunHistoryTest, FailuresAreCountedUntilOneSucceeds) {
  history_.Add(EndedRun("run-1", v1::Run::STATE_FAILED, "no space left"));
  history_.Add(EndedRun("run-2", v1::Run::STATE_FAILED, "not mounted"));
  EXPECT_EQ(history_.consecutive_failures(), 2u);
  EXPECT_EQ(history_.last_error(), "not mounted");
  history_.Add(EndedRun("run-3", v1::Run::STATE_CANCELLED, "somebody cancelled it"));
  EXPECT_EQ(history_.consecutive_failures(), 2u);
  EXPECT_EQ(history_.last_error(), "not mounted");
  history_.Add(EndedRun("run-4", v1::Run::STATE_SUCCEEDED));
  EXPECT_EQ(history_.consecutive_failures(), 0u);
  EXPECT_EQ(history_.last_error(), "");
}

TEST_F(RunHistoryTest, RunThatMadeABackupIsFound) {
  v1::Run run = EndedRun("run-1", v1::Run::STATE_SUCCEEDED);
  run.set_backup_id("backup-1");
  history_.Add(run);
  history_.Add(EndedRun("run-2", v1::Run::STATE_FAILED));
  EXPECT_EQ(history_.RunThatMade("backup-1"), "run-1");
  EXPECT_EQ(history_.RunThatMade("backup-2"), "");
}

TEST_F(RunHistoryTest, WarningsOfTheLastRunAloneCount) {
  EXPECT_EQ(history_.LastWarningAt("share"), "");
  v1::Run run = EndedRun("run-1", v1::Run::STATE_SUCCEEDED);
  v1::DestinationResult& result = *run.add_destinations();
  result.set_destination_name("share");
  result.set_warning("the disk is nearly full");
  history_.Add(run);
  EXPECT_EQ(history_.LastWarningAt("share"), "the disk is nearly full");
  EXPECT_EQ(history_.LastWarningAt("local"), "");
  history_.Add(EndedRun("run-2", v1::Run::STATE_FAILED));
  EXPECT_EQ(history_.LastWarningAt("share"), "");
}

TEST_F(RunHistoryTest, SurvivesBeingSaved) {
  history_.Add(EndedRun("run-1", v1::Run::STATE_FAILED, "not mounted"));
  history_.Add(EndedRun("run-2", v1::Run::STATE_CANCELLED));
  agent::v1::StoreState state;
  history_.AddToState(state);
  history_ = RunHistory();
  history_.Load(state);
  EXPECT_THAT(Ids(), ElementsAre("run-2", "run-1"));
  EXPECT_EQ(history_.consecutive_failures(), 1u);
  EXPECT_EQ(history_.last_error(), "not mounted");
}

TEST(CloseRunTest, DestinationsThatHadNotEndedHaveFailed) {
  v1::Run run;
  run.set_phase(v1::Run::PHASE_CHECKPOINT);
  run.add_destinations()->set_state(v1::DestinationResult::STATE_SUCCEEDED);
  run.add_destinations()->set_state(v1::DestinationResult::STATE_FAILED);
  run.mutable_destinations(1)->set_error("no space left");
  run.add_destinations();
  CloseRun(run, v1::Run::STATE_FAILED, "cut", absl::FromUnixSeconds(5));
  EXPECT_EQ(run.state(), v1::Run::STATE_FAILED);
  EXPECT_EQ(run.phase(), v1::Run::PHASE_UNSPECIFIED);
  EXPECT_EQ(run.error(), "cut");
  EXPECT_EQ(run.end_time().seconds(), 5);
  EXPECT_EQ(run.destinations(0).state(), v1::DestinationResult::STATE_SUCCEEDED);
  EXPECT_EQ(run.destinations(1).error(), "no space left");
  EXPECT_EQ(run.destinations(2).state(), v1::DestinationResult::STATE_FAILED);
  EXPECT_EQ(run.destinations(2).error(), "the run ended before");
}

}  // namespace
}  // namespace holdfast
