#include "common/storage/host_program.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/exit_code.h"
#include "common/base/process.h"
#include "common/base/status_macros.h"
#include "common/base/version.h"
#include "common/io/fd.h"
#include "common/storage/blob_store_host.h"
#include "common/storage/host_protocol.h"
#include "common/storage/local_blob_store.h"

namespace holdfast {

namespace {

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

void ServeMakeFolder(host::Channel control, const std::string& directory) {
  const absl::StatusOr<bool> was_made = LocalBlobStore::MakeDirectory(directory);
  // Where that fails there is nobody to tell.
  static_cast<void>(was_made.ok()
                        ? control.Send(host::Kind::kInfo, host::Writer().Number(*was_made ? 1 : 0))
                        : control.SendStatus(was_made.status()));
}

}  // namespace

int RunHostProgram(int argc, const char* const* argv) {
  const absl::string_view job = argc == 4 ? argv[1] : "";
  if (job != host::kServeArgument && job != host::kMakeFolderArgument) {
    std::fputs(absl::StrCat(host::kProgramName, " ", Version(),
                            ": works on directories for holdfast and holdfast-agent, which start "
                            "it\n")
                   .c_str(),
               stderr);
    return kExitUsage;
  }
  // What the other end has open is none of its business, and would outlive that.
  close_range(host::kControlFd + 1, ~0U, 0);
  UniqueFd control(fcntl(host::kControlFd, F_DUPFD_CLOEXEC, host::kControlFd + 1));
  close(host::kControlFd);
  if (!control.is_valid() || !HardenProcess().ok() || !LetGoOfTheOutside()) return kExitFailure;
  // It is started by a descriptor, whose number would else be its name.
  prctl(PR_SET_NAME, host::kProgramName, 0, 0, 0);
  // Signals that end a service reach the whole group: the other end then ends what is under way in
  // order, and this with it.
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) std::signal(number, SIG_IGN);
  if (argv[3] != Version()) {
    // Where that fails there is nobody to tell.
    static_cast<void>(host::Channel(std::move(control))
                          .SendStatus(absl::FailedPreconditionError(
                              absl::StrCat(host::kProgramName, " is of version ", Version(),
                                           ", and what has started it of version ", argv[3],
                                           ": install both together, and start the agent again"))));
    return kExitRefused;
  }
  const std::string directory = argv[2];
  if (job == host::kMakeFolderArgument) {
    ServeMakeFolder(host::Channel(std::move(control)), directory);
    return kExitOk;
  }
  ServeBlobStore(std::move(control), [&]() -> absl::StatusOr<std::unique_ptr<BlobStore>> {
    HOLDFAST_ASSIGN_OR_RETURN(std::unique_ptr<LocalBlobStore> store,
                              LocalBlobStore::Open(directory));
    return store;
  });
  return kExitOk;
}

}  // namespace holdfast
