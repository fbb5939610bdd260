#include "common/base/child_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/clock.h"

namespace holdfast {
namespace {

constexpr size_t kLineSizeMaxBytes = 4096;
// Of descriptors, where the kernel cannot mark them all at once.
constexpr rlim_t kDescriptorsMax = 65'536;

// A descriptor that is closed when it goes out of scope: common/io is above this folder.
class ScopedFd {
 public:
  explicit ScopedFd(int fd = -1) : fd_(fd) {}
  ~ScopedFd() { Reset(); }
  ScopedFd(const ScopedFd&) = delete;
  ScopedFd& operator=(const ScopedFd&) = delete;

  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }
  void Reset(int fd = -1) {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }

 private:
  int fd_;
};

// A pipe whose ends are none of 0, 1 and 2, even where our own are closed.
absl::Status MakePipe(ScopedFd& read_end, ScopedFd& write_end) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "make a pipe");
  const ScopedFd low_read_end(fds[0]);
  const ScopedFd low_write_end(fds[1]);
  read_end.Reset(fcntl(fds[0], F_DUPFD_CLOEXEC, 3));
  write_end.Reset(fcntl(fds[1], F_DUPFD_CLOEXEC, 3));
  if (read_end.get() < 0 || write_end.get() < 0) {
    return absl::ErrnoToStatus(errno, "make a pipe");
  }
  return absl::OkStatus();
}

std::vector<char*> PointersTo(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  // execve promises not to write through them.
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// What the new process needs; all memory is made before the fork.
struct ExecPlan {
  char** arguments;
  char** environment;
  int null_fd;
  int output_fd;
  int error_fd;  // takes the errno of what failed, and closes when the program begins
  pid_t parent;
  int descriptors_max;
};

// Runs in the new process, which has one thread, and locks that nobody will ever release: nothing
// but system calls is allowed.
[[noreturn]] void ExecInChild(const ExecPlan& plan) {
  const auto fail = [&plan] {
    const int error = errno;
    static_cast<void>(!write(plan.error_fd, &error, sizeof(error)));
    _exit(127);
  };
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail();
  if (getppid() != plan.parent) _exit(127);  // the parent ended before the line above
  setsid();
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action = {};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);  // fails for those that nobody can change
  }
  sigset_t none;
  sigemptyset(&none);
  if (sigprocmask(SIG_SETMASK, &none, nullptr) != 0) fail();
  if (dup2(plan.null_fd, 0) < 0 || dup2(plan.output_fd, 1) < 0 || dup2(plan.output_fd, 2) < 0) {
    fail();
  }
  if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {  // before Linux 5.11, or forbidden
    for (int fd = 3; fd < plan.descriptors_max; ++fd) fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  execvpe(plan.arguments[0], plan.arguments, plan.environment);
  fail();
  _exit(127);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(Options options) {
  HOLDFAST_CHECK(!options.arguments.empty());
  auto child = std::unique_ptr<ChildProcess>(new ChildProcess(std::move(options)));
  child->thread_ = Thread("child", [child = child.get()] { child->Run(); });
  absl::Status status;
  {
    MutexLock lock(&child->mutex_);
    while (!child->is_start_decided_) child->changed_.Wait(&child->mutex_);
    status = child->start_status_;
  }
  if (!status.ok()) return status;
  return child;
}

ChildProcess::~ChildProcess() {
  Clock& clock = SystemClock();
  MutexLock lock(&mutex_);
  if (start_status_.ok() && !has_ended_) {
    // The group is all that it started, which may hold its output open. It can't be another's: its
    // id is free only once the child was collected, under this lock.
    kill(-pid_, SIGTERM);
    const MonotonicTime deadline = clock.MonotonicNow() + options_.end_grace;
    while (!has_ended_) {
      if (!clock.WaitUntil(&changed_, &mutex_, deadline)) break;
    }
    if (!has_ended_) kill(-pid_, SIGKILL);
  }
}

bool ChildProcess::HasEnded() const {
  MutexLock lock(&mutex_);
  return has_ended_;
}

std::string ChildProcess::DescribeEnd() const {
  MutexLock lock(&mutex_);
  if (!has_ended_) return "";
  if (WIFSIGNALED(wait_status_)) return absl::StrCat("signal ", WTERMSIG(wait_status_));
  return absl::StrCat("exit code ", WEXITSTATUS(wait_status_));
}

void ChildProcess::Run() {
  const absl::StatusOr<int> output = Spawn();
  {
    MutexLock lock(&mutex_);
    start_status_ = output.status();
    is_start_decided_ = true;
    changed_.SignalAll();
  }
  if (!output.ok()) return;
  const ScopedFd output_fd(*output);
  ReadLines(output_fd.get());
  // Its id stays taken until it is collected.
  siginfo_t info;
  while (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  MutexLock lock(&mutex_);
  while (waitpid(pid_, &wait_status_, 0) < 0 && errno == EINTR) {
  }
  has_ended_ = true;
  changed_.SignalAll();
}

absl::StatusOr<int> ChildProcess::Spawn() {
  const std::string& program = options_.arguments.front();
  ScopedFd output_read;
  ScopedFd output_write;
  ScopedFd error_read;
  ScopedFd error_write;
  if (absl::Status status = MakePipe(output_read, output_write); !status.ok()) return status;
  if (absl::Status status = MakePipe(error_read, error_write); !status.ok()) return status;
  const ScopedFd null_low(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const ScopedFd null_fd(null_low.get() < 0 ? -1 : fcntl(null_low.get(), F_DUPFD_CLOEXEC, 3));
  if (null_fd.get() < 0) return absl::ErrnoToStatus(errno, "open /dev/null");
  rlimit descriptors;
  if (getrlimit(RLIMIT_NOFILE, &descriptors) != 0) {
    return absl::ErrnoToStatus(errno, "ask for the limit of open files");
  }

  std::vector<char*> arguments = PointersTo(options_.arguments);
  std::vector<char*> environment = PointersTo(options_.environment);
  const ExecPlan plan = {
      .arguments = arguments.data(),
      .environment = environment.data(),
      .null_fd = null_fd.get(),
      .output_fd = output_write.get(),
      .error_fd = error_write.get(),
      .parent = getpid(),
      .descriptors_max = static_cast<int>(std::min(descriptors.rlim_cur, kDescriptorsMax)),
  };
  const pid_t pid = fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, absl::StrCat("start ", program));
  if (pid == 0) ExecInChild(plan);
  pid_ = pid;

  output_write.Reset();
  error_write.Reset();
  int error = 0;
  ssize_t got = 0;
  while ((got = read(error_read.get(), &error, sizeof(error))) < 0 && errno == EINTR) {
  }
  if (got == 0) return output_read.Release();
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return absl::ErrnoToStatus(error, absl::StrCat("start ", program));
}

void ChildProcess::ReadLines(int fd) const {
  std::string line;
  char buffer[kLineSizeMaxBytes];
  const auto hand_on = [&] {
    if (options_.on_line) options_.on_line(line);
    line.clear();
  };
  for (;;) {
    const ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    for (const char c : absl::string_view(buffer, static_cast<size_t>(got))) {
      if (c == '\n' || line.size() == kLineSizeMaxBytes) hand_on();
      if (c != '\n') line.push_back(c);
    }
  }
  if (!line.empty()) hand_on();
}

}  // namespace holdfast
