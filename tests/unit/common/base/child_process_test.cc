#include "common/base/child_process.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Lines of a child, and a wait for the first.
class Lines {
 public:
  void Add(absl::string_view line) {
    MutexLock lock(&mutex_);
    lines_.emplace_back(line);
    added_.SignalAll();
  }
  std::string AwaitFirst() {
    MutexLock lock(&mutex_);
    while (lines_.empty()) added_.Wait(&mutex_);
    return lines_.front();
  }
  std::vector<std::string> all() {
    MutexLock lock(&mutex_);
    return lines_;
  }

 private:
  Mutex mutex_;
  CondVar added_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
};

ChildProcess::Options Shell(const std::string& script, Lines& lines) {
  return {.arguments = {"/bin/sh", "-c", script},
          .environment = {"PATH=/usr/bin:/bin", "GREETING=hello"},
          .on_line = [&lines](absl::string_view line) { lines.Add(line); }};
}

// All that a script writes.
std::vector<std::string> OutputOf(const std::string& script) {
  Lines lines;
  absl::StatusOr<std::unique_ptr<ChildProcess>> child = ChildProcess::Start(Shell(script, lines));
  EXPECT_OK(child);
  if (!child.ok()) return {};
  // Its last line is handed on before it has ended; where it ends by itself, that is soon.
  while (!(*child)->HasEnded()) sched_yield();
  return lines.all();
}

TEST(ChildProcessTest, WhatItWritesIsHandedOnByLines) {
  EXPECT_THAT(OutputOf("echo one; echo two >&2; printf three"), ElementsAre("one", "two", "three"));
  EXPECT_THAT(OutputOf("true"), IsEmpty());
  EXPECT_THAT(OutputOf("head -c 5000 /dev/zero | tr '\\0' x"),
              ElementsAre(std::string(4096, 'x'), std::string(904, 'x')));
}

TEST(ChildProcessTest, ItsEnvironmentIsWhatItWasGiven) {
  setenv("HOLDFAST_TEST_SECRET", "ours", 1);
  EXPECT_THAT(OutputOf("echo $GREETING $HOLDFAST_TEST_SECRET"), ElementsAre("hello"));
  unsetenv("HOLDFAST_TEST_SECRET");
}

TEST(ChildProcessTest, AProgramThatIsNotThereOrNoneIsAnError) {
  EXPECT_THAT(ChildProcess::Start({.arguments = {"no-such-program"}}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no-such-program")));
  EXPECT_THAT(ChildProcess::Start({.arguments = {"/etc/passwd"}}),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("/etc/passwd")));
}

TEST(ChildProcessTest, ItsEndIsTold) {
  Lines lines;
  for (const auto& [script, end] : std::vector<std::pair<std::string, std::string>>{
           {"exit 7", "exit code 7"}, {"kill -9 $$", "signal 9"}}) {
    ASSERT_OK_AND_ASSIGN(const auto child, ChildProcess::Start(Shell(script, lines)));
    while (!child->HasEnded()) sched_yield();
    EXPECT_EQ(child->DescribeEnd(), end);
  }
}

TEST(ChildProcessTest, ItEndsWithTheObject) {
  Lines lines;
  ASSERT_OK_AND_ASSIGN(auto child,
                       ChildProcess::Start(Shell("echo up; exec cat /dev/zero >/dev/null", lines)));
  lines.AwaitFirst();
  EXPECT_FALSE(child->HasEnded());
  EXPECT_EQ(child->DescribeEnd(), "");
  const pid_t pid = child->pid();
  child = nullptr;
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST(ChildProcessTest, OneThatDoesNotWantToEndIsForcedWithAllThatItStarted) {
  Lines lines;
  // The grandchild holds the output open.
  ChildProcess::Options options =
      Shell("trap '' TERM; cat /dev/zero >/dev/null & echo up; cat /dev/zero >/dev/null", lines);
  options.end_grace = absl::Milliseconds(10);
  ASSERT_OK_AND_ASSIGN(auto child, ChildProcess::Start(std::move(options)));
  lines.AwaitFirst();
  const pid_t pid = child->pid();
  child = nullptr;  // would wait for ever for the output to end
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST(ChildProcessTest, ItGetsNoDescriptorsAndNoBlockedOrIgnoredSignals) {
  const int open_fd = open("/dev/null", O_RDONLY);  // without O_CLOEXEC
  ASSERT_GE(open_fd, 0);
  sigset_t blocked;
  sigset_t previous;
  sigfillset(&blocked);
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &blocked, &previous), 0);
  const auto previous_handler = std::signal(SIGPIPE, SIG_IGN);
  // `ls` itself has the folder open, as 3.
  EXPECT_THAT(OutputOf("ls /proc/self/fd"), ElementsAre("0", "1", "2", "3"));
  EXPECT_THAT(OutputOf("readlink /proc/self/fd/0"), ElementsAre("/dev/null"));
  EXPECT_THAT(OutputOf("grep -E '^Sig(Blk|Ign)' /proc/self/status"),
              ElementsAre("SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"));
  std::signal(SIGPIPE, previous_handler);
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &previous, nullptr), 0);
  close(open_fd);
}

TEST(ChildProcessTest, ItDiesWithAProcessThatIsKilled) {
  // Whose parent is gone becomes ours, so that its end can be waited for.
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  const pid_t middle = fork();
  ASSERT_GE(middle, 0);
  if (middle == 0) {
    Lines lines;
    const auto child = ChildProcess::Start(Shell("exec cat /dev/zero >/dev/null", lines));
    if (!child.ok()) _exit(1);
    const pid_t pid = (*child)->pid();
    if (write(pipe_fds[1], &pid, sizeof(pid)) != sizeof(pid)) _exit(1);
    kill(getpid(), SIGKILL);
  }
  pid_t pid = -1;
  ASSERT_EQ(read(pipe_fds[0], &pid, sizeof(pid)), static_cast<ssize_t>(sizeof(pid)));
  int status = 0;
  ASSERT_EQ(waitpid(middle, &status, 0), middle);
  EXPECT_TRUE(WIFSIGNALED(status));
  ASSERT_EQ(waitpid(pid, &status, 0), pid);  // hangs if it lives on
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  close(pipe_fds[0]);
  close(pipe_fds[1]);
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

}  // namespace
}  // namespace holdfast
