#include "backup-agent/schedule/request_memory.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"

namespace holdfast {
namespace {

class RequestMemoryTest : public ::testing::Test {
 protected:
  FakeClock clock_;
  RequestMemory memory_{clock_};
};

TEST_F(RequestMemoryTest, RequestIsFoundWithWhatBecameOfIt) {
  memory_.Add("deploy-1");
  memory_.SetRun("deploy-1", "run");
  memory_.SetBackup("deploy-1", "backup");
  ASSERT_NE(memory_.Find("deploy-1"), nullptr);
  EXPECT_EQ(memory_.Find("deploy-1")->run_id(), "run");
  EXPECT_EQ(memory_.Find("deploy-1")->backup_id(), "backup");
  EXPECT_EQ(memory_.Find("deploy-2"), nullptr);
}

TEST_F(RequestMemoryTest, RequestIsForgottenAfterADay) {
  memory_.Add("deploy-1");
  clock_.Advance(absl::Hours(24));
  EXPECT_NE(memory_.Find("deploy-1"), nullptr);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(memory_.Find("deploy-1"), nullptr);
}

TEST_F(RequestMemoryTest, NewestThousandStay) {
  for (int i = 0; i < 1001; ++i) memory_.Add(absl::StrCat("deploy-", i));
  EXPECT_EQ(memory_.requests().size(), 1000u);
  EXPECT_EQ(memory_.Find("deploy-0"), nullptr);
  EXPECT_NE(memory_.Find("deploy-1"), nullptr);
  EXPECT_EQ(memory_.requests().front().request_id(), "deploy-1000");
}

TEST_F(RequestMemoryTest, NextProcessRemembersWhatWasSatisfiedOnly) {
  memory_.Add("open");
  memory_.SetRun("open", "run");
  memory_.Add("done");
  memory_.SetBackup("done", "backup");
  google::protobuf::RepeatedPtrField<agent::v1::RememberedRequest> saved;
  for (const agent::v1::RememberedRequest& request : memory_.requests()) *saved.Add() = request;
  RequestMemory next_process(clock_);
  next_process.Load(saved);
  EXPECT_EQ(next_process.Find("open"), nullptr);
  EXPECT_NE(next_process.Find("done"), nullptr);
}

TEST_F(RequestMemoryTest, ForgottenRequestIsNew) {
  memory_.Add("deploy-1");
  memory_.Forget("deploy-1");
  EXPECT_EQ(memory_.Find("deploy-1"), nullptr);
  memory_.SetRun("deploy-1", "run");
  EXPECT_EQ(memory_.Find("deploy-1"), nullptr);
}

}  // namespace
}  // namespace holdfast
