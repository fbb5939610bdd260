#include "common/storage/rclone_daemon.h"

#include <signal.h>
#include <stdlib.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/io/durable_file.h"
#include "common/io/files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class RcloneDaemonTest : public testing::Test {
 protected:
  RcloneDaemon::Options Options(const std::string& program = "rclone") {
    return {.program = program,
            .environment = {absl::StrCat("RCLONE_CONFIG=", directory_.Path("rclone.conf"))}};
  }
  // A program that stands for rclone.
  std::string Script(absl::string_view text) {
    const std::string path = directory_.Path("script");
    EXPECT_OK(WriteFileDurably(path, absl::StrCat("#!/bin/sh\n", text, "\n"), {.mode = 0700}));
    return path;
  }

  TempDir directory_;
};

TEST_F(RcloneDaemonTest, ItListensOnLoopbackAndEndsWithTheObject) {
  auto daemon = std::make_unique<RcloneDaemon>(Options());
  EXPECT_EQ(daemon->pid(), -1);
  ASSERT_OK_AND_ASSIGN(const RcloneDaemon::Endpoint endpoint, daemon->Start());
  EXPECT_THAT(endpoint.url, StartsWith("http://127.0.0.1:"));
  EXPECT_THAT(endpoint.url, Not(testing::EndsWith("/")));
  EXPECT_EQ(daemon->DescribeEnd(), "");
  const pid_t pid = daemon->pid();
  ASSERT_OK_AND_ASSIGN(const RcloneDaemon::Endpoint again, daemon->Start());
  EXPECT_EQ(again.url, endpoint.url);
  EXPECT_EQ(daemon->pid(), pid);
  daemon = nullptr;
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST_F(RcloneDaemonTest, ItsPasswordIsInNoArgument) {
  RcloneDaemon daemon(Options());
  ASSERT_OK_AND_ASSIGN(const RcloneDaemon::Endpoint endpoint, daemon.Start());
  ASSERT_OK_AND_ASSIGN(const std::string arguments,
                       ReadFile(absl::StrCat("/proc/", daemon.pid(), "/cmdline"), 10'000));
  const std::pair<std::string, std::string> credentials =
      absl::StrSplit(endpoint.credentials, absl::MaxSplits(':', 1));
  EXPECT_EQ(credentials.second.size(), 32u);
  EXPECT_THAT(arguments, HasSubstr("rcd"));
  EXPECT_THAT(arguments, Not(HasSubstr(credentials.second)));
}

TEST_F(RcloneDaemonTest, OneThatDiedIsStartedAgainWithAnotherPassword) {
  RcloneDaemon daemon(Options());
  ASSERT_OK_AND_ASSIGN(const RcloneDaemon::Endpoint first, daemon.Start());
  ASSERT_EQ(kill(daemon.pid(), SIGKILL), 0);
  while (daemon.DescribeEnd().empty()) sched_yield();
  EXPECT_THAT(daemon.DescribeEnd(), HasSubstr("rclone ended (signal 9)"));
  ASSERT_OK_AND_ASSIGN(const RcloneDaemon::Endpoint second, daemon.Start());
  EXPECT_NE(second.credentials, first.credentials);
  EXPECT_EQ(daemon.DescribeEnd(), "");
}

TEST_F(RcloneDaemonTest, TheOneOfTheProcessLivesAsLongAsItIsHeld) {
  std::shared_ptr<RcloneDaemon> one = RcloneDaemon::Shared();
  EXPECT_EQ(RcloneDaemon::Shared(), one);
  const std::weak_ptr<RcloneDaemon> observed = one;
  one = nullptr;
  EXPECT_TRUE(observed.expired());
}

TEST_F(RcloneDaemonTest, WhereRcloneIsNotInstalledThePackageIsNamed) {
  RcloneDaemon daemon(Options("no-such-rclone"));
  EXPECT_THAT(daemon.Start(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                       HasSubstr("install Debian's package rclone")));
}

TEST_F(RcloneDaemonTest, OneThatDoesNotStartSaysWhy) {
  RcloneDaemon daemon(Options(Script("echo what is wrong >&2; echo $RCLONE_RC_PASS >&2; exit 3")));
  EXPECT_THAT(daemon.Start(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "rclone ended at once (exit code 3); its last words: what is wrong | ***"));
}

TEST_F(RcloneDaemonTest, VariablesThatWouldChangeHowItIsCommandedAreNotPassedOn) {
  setenv("RCLONE_RC_ADDR", "127.0.0.1:1", 1);
  setenv("RCLONE_LOG_FILE", "/dev/null", 1);
  setenv("RCLONE_DRY_RUN", "true", 1);
  setenv("RCLONE_BWLIMIT", "10M", 1);
  {
    RcloneDaemon daemon(Options(Script("env | grep RCLONE_ | grep -v RCLONE_RC | sort; exit 3")));
    EXPECT_THAT(daemon.Start().status().message(),
                HasSubstr(absl::StrCat("its last words: RCLONE_BWLIMIT=10M | RCLONE_CONFIG=",
                                       directory_.Path("rclone.conf"))));
    RcloneDaemon real(Options());
    EXPECT_OK(real.Start());
  }
  for (const char* name :
       {"RCLONE_RC_ADDR", "RCLONE_LOG_FILE", "RCLONE_DRY_RUN", "RCLONE_BWLIMIT"}) {
    unsetenv(name);
  }
}

}  // namespace
}  // namespace holdfast
