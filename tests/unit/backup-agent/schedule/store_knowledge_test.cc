#include "backup-agent/schedule/store_knowledge.h"

#include <string>

#include "backup-agent/schedule/store_settings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/log_capture.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;

class StoreKnowledgeTest : public ::testing::Test {
 protected:
  StoreKnowledgeTest() {
    for (const std::string name : {"local", "share"}) {
      v1::Destination& destination = *known_.settings.add_destinations();
      destination.set_name(name);
      destination.set_url("file:///" + name);
      (*known_.memory.mutable_destinations())[name].set_repository_id("id of " + name);
    }
    v1::Backup backup;
    backup.set_backup_id("backup-1");
    backup.add_destination_names("local");
    backup.add_destination_names("share");
    known_.catalog.Add(backup, clock_.MonotonicNow());
  }

  void BeginRun(const std::string& run_id) { known_.current.emplace().run.set_run_id(run_id); }

  LogCapture log_;
  FakeClock clock_;
  StoreKnowledge known_{clock_};
};

TEST_F(StoreKnowledgeTest, RunInProgressIsFoundAndListedFirst) {
  EXPECT_EQ(known_.FindRun(""), nullptr);
  v1::Run ended;
  ended.set_run_id("run-1");
  known_.runs.Add(ended);
  BeginRun("run-2");
  EXPECT_EQ(known_.FindRun(""), &known_.current->run);
  EXPECT_EQ(known_.FindRun("run-2"), &known_.current->run);
  EXPECT_EQ(known_.FindRun("run-1")->run_id(), "run-1");
  const absl::StatusOr<v1::ListRunsResponse> listed = known_.ListRuns({});
  ASSERT_EQ(listed->runs_size(), 2);
  EXPECT_EQ(listed->runs(0).run_id(), "run-2");
}

TEST_F(StoreKnowledgeTest, RunThatWasCutHasFailed) {
  BeginRun("run-1");
  agent::v1::StoreState state;
  known_.AddToState(state);
  StoreKnowledge later(clock_);
  later.Load("main", state, clock_);
  EXPECT_FALSE(later.current.has_value());
  ASSERT_NE(later.runs.Last(), nullptr);
  EXPECT_EQ(later.runs.Last()->state(), v1::Run::STATE_FAILED);
  EXPECT_EQ(later.runs.consecutive_failures(), 1u);
  EXPECT_TRUE(later.memory.destinations().at("local").has_unnamed_objects());
  EXPECT_EQ(later.catalog.backups().size(), 1u) << "the newest backup";
}

TEST_F(StoreKnowledgeTest, DestinationThatMovedHoldsNothing) {
  v1::Settings changed = known_.settings;
  changed.mutable_destinations(1)->set_url("file:///elsewhere");
  EXPECT_THAT(known_.ChangeSettings(changed, NewDestinations(known_.settings, changed)),
              ElementsAre("local"));
  EXPECT_THAT(known_.HoldingDestinations(), ElementsAre("local"));
  EXPECT_EQ(known_.memory.destinations().count("share"), 0u);
  EXPECT_EQ(known_.settings.destinations(1).url(), "file:///elsewhere");
}

}  // namespace
}  // namespace holdfast
