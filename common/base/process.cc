#include "common/base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "common/base/check.h"

namespace holdfast {
namespace {

sigset_t TerminationSet() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

// A descriptor of the standard streams that is closed would be given to the next file that is
// opened, and what is meant for the terminal would be written into it.
absl::Status OpenStandardStreams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) != -1) continue;
    // The lowest that is free: this one.
    if (open("/dev/null", O_RDWR) != fd) {
      return absl::ErrnoToStatus(errno, "open /dev/null in the place of a closed standard stream");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status HardenProcess() {
  const absl::Status opened = OpenStandardStreams();
  if (!opened.ok()) return opened;
  umask(077);
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return absl::ErrnoToStatus(errno, "forbid dumps of the process");
  }
  const rlimit no_core = {.rlim_cur = 0, .rlim_max = 0};
  if (setrlimit(RLIMIT_CORE, &no_core) != 0) {
    return absl::ErrnoToStatus(errno, "forbid core files");
  }
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;
  if (sigaction(SIGPIPE, &ignore, nullptr) != 0) {
    return absl::ErrnoToStatus(errno, "ignore SIGPIPE");
  }
  return absl::OkStatus();
}

TerminationSignals::TerminationSignals() {
  const sigset_t set = TerminationSet();
  HOLDFAST_CHECK(pthread_sigmask(SIG_BLOCK, &set, &previous_mask_) == 0);
  signal_fd_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  HOLDFAST_CHECK(signal_fd_ >= 0);
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  HOLDFAST_CHECK(wake_fd_ >= 0);
}

TerminationSignals::~TerminationSignals() {
  Restore();
  close(signal_fd_);
  close(wake_fd_);
}

std::optional<int> TerminationSignals::Wait(const Cancellation& cancellation) {
  CancellationCallback wake(cancellation, [this] {
    const uint64_t one = 1;
    // Fails only if it was written before, which is as good.
    static_cast<void>(!write(wake_fd_, &one, sizeof(one)));
  });
  while (!cancellation.IsCancelled()) {
    signalfd_siginfo info;
    if (read(signal_fd_, &info, sizeof(info)) == sizeof(info)) {
      Restore();
      return static_cast<int>(info.ssi_signo);
    }
    pollfd fds[] = {{.fd = signal_fd_, .events = POLLIN, .revents = 0},
                    {.fd = wake_fd_, .events = POLLIN, .revents = 0}};
    poll(fds, 2, -1);
  }
  return std::nullopt;
}

void TerminationSignals::Restore() {
  if (is_restored_) return;
  is_restored_ = true;
  pthread_sigmask(SIG_SETMASK, &previous_mask_, nullptr);
}

}  // namespace holdfast
