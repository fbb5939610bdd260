#include "common/base/process.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "common/base/thread.h"
#include "gtest/gtest.h"

// These change the process for good, so each runs in a child that ends with a code.

namespace holdfast {
namespace {

TEST(HardenProcessDeathTest, ForbidsDumpsAndOpenFilesAndSurvivesClosedPipes) {
  EXPECT_EXIT(
      {
        if (!HardenProcess().ok()) std::exit(1);
        if (prctl(PR_GET_DUMPABLE) != 0) std::exit(2);
        rlimit core;
        if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || core.rlim_max != 0) {
          std::exit(3);
        }
        if (umask(0) != 077) std::exit(4);
        int pipe_fds[2];
        if (pipe(pipe_fds) != 0 || close(pipe_fds[0]) != 0) std::exit(5);
        if (write(pipe_fds[1], "x", 1) != -1 || errno != EPIPE) std::exit(6);
        std::exit(0);
      },
      testing::ExitedWithCode(0), "");
}

TEST(HardenProcessDeathTest, OpensClosedStandardStreamsToNothing) {
  EXPECT_EXIT(
      {
        close(STDIN_FILENO);
        close(STDOUT_FILENO);
        close(STDERR_FILENO);
        if (!HardenProcess().ok()) std::exit(1);
        struct stat null;
        if (stat("/dev/null", &null) != 0) std::exit(2);
        for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
          struct stat opened;
          if (fstat(fd, &opened) != 0 || opened.st_rdev != null.st_rdev) std::exit(3);
        }
        if (dup(STDIN_FILENO) <= STDERR_FILENO) std::exit(4);
        std::exit(0);
      },
      testing::ExitedWithCode(0), "");
}

TEST(TerminationSignalsDeathTest, WaitReturnsTheSignal) {
  for (const int signal : {SIGTERM, SIGINT}) {
    EXPECT_EXIT(
        {
          TerminationSignals signals;
          Thread sender("sender", [signal] { kill(getpid(), signal); });
          const bool is_right = signals.Wait(Cancellation()) == signal;
          sender.Join();
          std::exit(is_right ? 0 : 1);
        },
        testing::ExitedWithCode(0), "");
  }
}

TEST(TerminationSignalsDeathTest, WaitEndsWhenCancelled) {
  EXPECT_EXIT(
      {
        TerminationSignals signals;
        CancellationSource source;
        Thread canceller("canceller", [&] { source.Cancel(absl::CancelledError("stop")); });
        const bool is_right = !signals.Wait(source.token()).has_value();
        canceller.Join();
        std::exit(is_right ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

TEST(TerminationSignalsDeathTest, SecondSignalEndsAShutdownThatHangs) {
  EXPECT_EXIT(
      {
        TerminationSignals signals;
        kill(getpid(), SIGTERM);
        signals.Wait(Cancellation());
        kill(getpid(), SIGTERM);
        std::exit(1);
      },
      testing::KilledBySignal(SIGTERM), "");
}

}  // namespace
}  // namespace holdfast
