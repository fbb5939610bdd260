#include "common/storage/host_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/base/mutex.h"
#include "common/base/process.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/io/fd.h"
#include "common/storage/blob_store_host.h"
#include "common/storage/host_protocol.h"
#include "common/storage/hosted_blob_store.h"
#include "common/storage/local_blob_store.h"
#include "common/storage/open_blob_store.h"
#include "common/storage/retrying_blob_store.h"

namespace holdfast {

namespace {

// The first argument of a host, which tells what for; the second is the URL of its place. Its
// control socket is this descriptor.
constexpr absl::string_view kHostArgument = "--host-destination";
constexpr absl::string_view kMakeFolderArgument = "--make-destination";
constexpr int kControlFd = 3;
constexpr char kHostName[] = "holdfast-host";

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

// Starts this program once more.
absl::StatusOr<Host> StartHost(absl::string_view first_argument, const std::string& url) {
  StuckHosts::Instance().Reap();
  HOLDFAST_ASSIGN_OR_RETURN(auto sockets, host::MakeSocketPair());
  Host host;
  host.control = std::move(sockets.first);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // Also where it has that number: it is not to be closed by the exec.
  posix_spawn_file_actions_adddup2(&actions, sockets.second.get(), kControlFd);
  std::string name = program_invocation_short_name;
  std::string argument(first_argument);
  std::string place = url;
  char* const argv[] = {name.data(), argument.data(), place.data(), nullptr};
  const int error = posix_spawn(&host.pid, "/proc/self/exe", &actions, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return StatusFromErrno(error, "start a process for a destination");
  return host;
}

// A host that is stuck must hold nothing up: nobody who reads what the service prints, and no other
// mount.
bool LetGoOfTheOutside() {
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.is_valid() || chdir("/") != 0) return false;
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (dup2(null.get(), fd) < 0) return false;
  }
  return true;
}

void ServeMakeFolder(host::Channel control, absl::string_view url) {
  const absl::StatusOr<bool> was_made = MakeBlobStoreFolder(url);
  // Where that fails there is nobody to tell.
  static_cast<void>(was_made.ok()
                        ? control.Send(host::Kind::kInfo, host::Writer().Number(*was_made ? 1 : 0))
                        : control.SendStatus(was_made.status()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<BlobStore>> OpenBlobStoreInHost(absl::string_view url,
                                                               const host::Patience& patience) {
  // Other places are worked on by other programs already.
  if (!DirectoryOfBlobStoreUrl(url).ok()) return OpenBlobStore(url, patience.cancellation);
  HOLDFAST_ASSIGN_OR_RETURN(const std::string canonical, CanonicalBlobStoreUrl(url));
  HOLDFAST_ASSIGN_OR_RETURN(Host host, StartHost(kHostArgument, canonical));
  HOLDFAST_ASSIGN_OR_RETURN(
      std::unique_ptr<HostedBlobStore> store,
      HostedBlobStore::Connect(std::move(host.control),
                               {.url = canonical,
                                .patience = patience,
                                .on_closed = [pid = host.pid] { AwaitEnd(pid); }}));
  return std::make_unique<RetryingBlobStore>(std::move(store), RetryingBlobStore::Options{},
                                             SystemClock(), SystemRandom());
}

absl::StatusOr<bool> MakeBlobStoreFolderInHost(absl::string_view url,
                                               const host::Patience& patience) {
  if (!DirectoryOfBlobStoreUrl(url).ok()) return MakeBlobStoreFolder(url, patience.cancellation);
  HOLDFAST_ASSIGN_OR_RETURN(const std::string canonical, CanonicalBlobStoreUrl(url));
  HOLDFAST_ASSIGN_OR_RETURN(Host host, StartHost(kMakeFolderArgument, canonical));
  host::Channel control(std::move(host.control), patience);
  const absl::StatusOr<host::Message> message = control.Receive();
  control.Close();
  AwaitEnd(host.pid);
  if (absl::IsCancelled(message.status())) return message.status();
  HOLDFAST_RETURN_IF_ERROR(message.status(), canonical);
  host::Reader reader(message->fields);
  if (message->kind == host::Kind::kStatus) return reader.Status();
  if (message->kind != host::Kind::kInfo) return host::UnexpectedMessage(message->kind);
  const bool was_made = reader.Number() != 0;
  HOLDFAST_RETURN_IF_ERROR(reader.status());
  return was_made;
}

std::optional<int> RunHostIfAsked(int argc, const char* const* argv) {
  if (argc != 3 || (argv[1] != kHostArgument && argv[1] != kMakeFolderArgument)) {
    return std::nullopt;
  }
  // What the other end has open is none of its business, and would outlive that.
  close_range(kControlFd + 1, ~0U, 0);
  UniqueFd control(fcntl(kControlFd, F_DUPFD_CLOEXEC, kControlFd + 1));
  close(kControlFd);
  if (!control.is_valid() || !HardenProcess().ok() || !LetGoOfTheOutside()) return kExitFailure;
  prctl(PR_SET_NAME, kHostName, 0, 0, 0);
  // Signals that end a service reach the whole group: the other end then ends what is under way in
  // order, and this with it.
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) std::signal(number, SIG_IGN);
  if (argv[1] == kMakeFolderArgument) {
    ServeMakeFolder(host::Channel(std::move(control)), argv[2]);
    return kExitOk;
  }
  ServeBlobStore(std::move(control), [&]() -> absl::StatusOr<std::unique_ptr<BlobStore>> {
    HOLDFAST_ASSIGN_OR_RETURN(const std::string directory, DirectoryOfBlobStoreUrl(argv[2]));
    HOLDFAST_ASSIGN_OR_RETURN(std::unique_ptr<LocalBlobStore> store,
                              LocalBlobStore::Open(directory));
    return store;
  });
  return kExitOk;
}

}  // namespace holdfast
