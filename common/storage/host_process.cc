#include "common/storage/host_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/base/version.h"
#include "common/io/fd.h"
#include "common/io/path.h"
#include "common/storage/directory_url.h"
#include "common/storage/host_program.h"
#include "common/storage/host_protocol.h"
#include "common/storage/hosted_blob_store.h"
#include "common/storage/open_blob_store.h"
#include "common/storage/retrying_blob_store.h"

namespace holdfast {

namespace {

// How long the end of a store waits for its host, which ends at once unless it is stuck.
constexpr int kEndMaxMs = 1000;

// The hosts that did not end in time, and must still be reaped: there is no more than one for each
// call that the medium has not answered yet.
class StuckHosts {
 public:
  static StuckHosts& Instance() {
    static StuckHosts& instance = *new StuckHosts;
    return instance;
  }

  void Add(pid_t pid) {
    MutexLock lock(&mutex_);
    pids_.push_back(pid);
  }

  // Frees what is left of those that have ended by now.
  void Reap() {
    MutexLock lock(&mutex_);
    pids_.erase(std::remove_if(pids_.begin(), pids_.end(),
                               [](pid_t pid) { return waitpid(pid, nullptr, WNOHANG) == pid; }),
                pids_.end());
  }

 private:
  Mutex mutex_;
  std::vector<pid_t> pids_ ABSL_GUARDED_BY(mutex_);
};

// Waits for a host that was told to end.
void AwaitEnd(pid_t pid) {
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  pollfd ended = {.fd = process.get(), .events = POLLIN, .revents = 0};
  if (process.is_valid()) poll(&ended, 1, kEndMaxMs);
  if (waitpid(pid, nullptr, WNOHANG) == 0) StuckHosts::Instance().Add(pid);
}

// A host that was started, and how this end talks to it.
struct Host {
  pid_t pid = -1;
  UniqueFd control;
};

struct Program {
  std::string path;  // for messages
  UniqueFd file;     // what lay there, wherever its name leads to by now
};

absl::StatusOr<Program> OpenHostProgram() {
  std::array<char, PATH_MAX> self;
  const ssize_t length = readlink("/proc/self/exe", self.data(), self.size());
  if (length < 0) return StatusFromErrno(errno, "find the program itself by /proc/self/exe");
  const absl::string_view self_path(self.data(), static_cast<size_t>(length));
  Program program;
  program.path = absl::StrCat(FolderOf(self_path), "/", host::kProgramName);
  const UniqueFd file(open(program.path.c_str(), O_PATH | O_CLOEXEC));
  if (!file.is_valid()) return StatusFromErrno(errno, absl::StrCat("find ", program.path));
  struct stat info;
  if (fstat(file.get(), &info) != 0) return StatusFromErrno(errno, program.path);
  if (!S_ISREG(info.st_mode) || faccessat(AT_FDCWD, program.path.c_str(), X_OK, AT_EACCESS) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        program.path,
        ", which works on directories, can't be run: install it anew beside this one"));
  }
  // Never the number that the control socket gets there.
  program.file = UniqueFd(fcntl(file.get(), F_DUPFD_CLOEXEC, host::kControlFd + 1));
  if (!program.file.is_valid()) return StatusFromErrno(errno, program.path);
  return program;
}

const absl::StatusOr<Program>& HostProgram() {
  static const absl::StatusOr<Program>& program = *new absl::StatusOr<Program>(OpenHostProgram());
  return program;
}

// What it means that a host has ended before it said anything of its place.
absl::Status ExplainEnd(const absl::Status& status) {
  if (!host::IsOtherEndGone(status)) return status;
  return Annotate(status, absl::StrCat(HostProgram()->path,
                                       " does not work; if it is not of this "
                                       "version, install it anew"));
}

absl::StatusOr<Host> StartHost(const char* job, std::string directory) {
  StuckHosts::Instance().Reap();
  const absl::StatusOr<Program>& program = HostProgram();
  HOLDFAST_RETURN_IF_ERROR(program.status());
  HOLDFAST_ASSIGN_OR_RETURN(auto sockets, host::MakeSocketPair());
  Host host;
  host.control = std::move(sockets.first);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // Also where it has that number: it is not to be closed by the exec.
  posix_spawn_file_actions_adddup2(&actions, sockets.second.get(), host::kControlFd);
  const std::string path = absl::StrCat("/proc/self/fd/", program->file.get());
  std::string name = host::kProgramName;
  std::string argument = job;
  std::string version(Version());
  char* const argv[] = {name.data(), argument.data(), directory.data(), version.data(), nullptr};
  const int error = posix_spawn(&host.pid, path.c_str(), &actions, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return StatusFromErrno(error, absl::StrCat("start ", program->path));
  return host;
}

}  // namespace

absl::StatusOr<std::unique_ptr<BlobStore>> OpenBlobStoreInHost(absl::string_view url,
                                                               const host::Patience& patience) {
  // Other places are worked on by other programs already.
  const absl::StatusOr<std::string> directory = DirectoryOfBlobStoreUrl(url);
  if (!directory.ok()) return OpenBlobStore(url, patience.cancellation);
  HOLDFAST_ASSIGN_OR_RETURN(const std::string canonical, CanonicalBlobStoreUrl(url));
  HOLDFAST_ASSIGN_OR_RETURN(Host host, StartHost(host::kServeArgument, *directory));
  absl::StatusOr<std::unique_ptr<HostedBlobStore>> store = HostedBlobStore::Connect(
      std::move(host.control),
      {.url = canonical, .patience = patience, .on_closed = [pid = host.pid] { AwaitEnd(pid); }});
  if (!store.ok()) return ExplainEnd(store.status());
  return std::make_unique<RetryingBlobStore>(*std::move(store), RetryingBlobStore::Options{},
                                             SystemClock(), SystemRandom());
}

absl::StatusOr<bool> MakeBlobStoreFolderInHost(absl::string_view url,
                                               const host::Patience& patience) {
  const absl::StatusOr<std::string> directory = DirectoryOfBlobStoreUrl(url);
  if (!directory.ok()) return MakeBlobStoreFolder(url, patience.cancellation);
  HOLDFAST_ASSIGN_OR_RETURN(const std::string canonical, CanonicalBlobStoreUrl(url));
  HOLDFAST_ASSIGN_OR_RETURN(Host host, StartHost(host::kMakeFolderArgument, *directory));
  host::Channel control(std::move(host.control), patience);
  const absl::StatusOr<host::Message> message = control.Receive();
  control.Close();
  AwaitEnd(host.pid);
  if (absl::IsCancelled(message.status())) return message.status();
  HOLDFAST_RETURN_IF_ERROR(ExplainEnd(message.status()), canonical);
  host::Reader reader(message->fields);
  if (message->kind == host::Kind::kStatus) return reader.Status();
  if (message->kind != host::Kind::kInfo) return host::UnexpectedMessage(message->kind);
  const bool was_made = reader.Number() != 0;
  HOLDFAST_RETURN_IF_ERROR(reader.status());
  return was_made;
}

absl::Status FindHostProgram() { return HostProgram().status(); }

}  // namespace holdfast
