#include "common/rpc/unix_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/io/fd.h"
#include "common/io/files.h"
#include "common/io/path.h"

namespace holdfast {
namespace {

constexpr mode_t kFolderMode = 0700;
constexpr mode_t kSocketMode = 0600;
constexpr mode_t kOthersMask = 0077;

absl::Status PrepareFolder(const std::string& folder) {
  HOLDFAST_ASSIGN_OR_RETURN(const bool exists, FileExists(folder));
  if (!exists) return MakeDirectories(folder, kFolderMode);
  struct stat info;
  if (stat(folder.c_str(), &info) != 0) return StatusFromErrno(errno, folder);
  if (!S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(folder, " is not a folder"));
  }
  if (info.st_uid != geteuid() || (info.st_mode & kOthersMask) != 0) {
    return absl::FailedPreconditionError(
        absl::StrFormat("the folder %s belongs to user %d and has mode %04o; a socket needs a "
                        "folder of its own, that "
                        "of user %d with mode 0700: choose another one, or chown and chmod it",
                        folder, info.st_uid, info.st_mode & 07777, geteuid()));
  }
  return absl::OkStatus();
}

// Whether a process accepts connections there. An error if it cannot be told.
absl::StatusOr<bool> IsListening(const std::string& path) {
  const UniqueFd socket_fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_fd.is_valid()) return StatusFromErrno(errno, "make a socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  if (connect(socket_fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return true;
  }
  switch (errno) {
    case EAGAIN:  // its queue of connections is full
      return true;
    case ECONNREFUSED:
    case ENOENT:
      return false;
    default:
      return StatusFromErrno(errno, absl::StrCat("connect to ", path));
  }
}

absl::Status RemoveStaleSocket(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return StatusFromErrno(errno, path);
  }
  if (!S_ISSOCK(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(path,
                     " is there and is no socket: choose another path "
                     "for the socket, or move it away"));
  }
  HOLDFAST_ASSIGN_OR_RETURN(const bool is_listening, IsListening(path));
  if (is_listening) {
    return absl::UnavailableError(
        absl::StrCat("another process listens on ", path, ": stop it, or choose another path"));
  }
  LogInfo("removing the socket that a process left behind", {{"socket", path}});
  return RemoveFile(path);
}

}  // namespace

absl::Status CheckUnixSocketPath(absl::string_view path) {
  if (path.empty() || path.front() != '/' || path.back() == '/') {
    return absl::InvalidArgumentError(
        absl::StrCat("the path of a socket is absolute and names a file, not \"", path, "\""));
  }
  if (path.find('\0') != absl::string_view::npos) {
    return absl::InvalidArgumentError("the path of a socket has a zero byte");
  }
  if (path.size() > kUnixSocketPathSizeMaxBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the path of a socket has at most ", kUnixSocketPathSizeMaxBytes,
                     " bytes; this one has ", path.size(), ": ", path));
  }
  return absl::OkStatus();
}

std::string UnixSocketAddress(absl::string_view path) {
  constexpr absl::string_view kPlain = "/._-";
  std::string address = "unix:";
  for (const char c : path) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
        kPlain.find(c) != absl::string_view::npos) {
      address.push_back(c);
    } else {
      absl::StrAppend(&address, "%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    }
  }
  return address;
}

absl::StatusOr<std::unique_ptr<UnixSocketClaim>> UnixSocketClaim::Acquire(const std::string& path) {
  HOLDFAST_RETURN_IF_ERROR(CheckUnixSocketPath(path));
  HOLDFAST_RETURN_IF_ERROR(PrepareFolder(FolderOf(path)));
  absl::StatusOr<std::unique_ptr<FileLock>> lock = FileLock::Acquire(absl::StrCat(path, ".lock"));
  if (!lock.ok()) {
    return lock.status().code() == absl::StatusCode::kFailedPrecondition
               ? WithCode(Annotate(lock.status(), "another process listens there"),
                          absl::StatusCode::kUnavailable)
               : lock.status();
  }
  HOLDFAST_RETURN_IF_ERROR(RemoveStaleSocket(path));
  return std::unique_ptr<UnixSocketClaim>(new UnixSocketClaim(path, *std::move(lock)));
}

absl::Status UnixSocketClaim::RestrictToOwner() const {
  if (chmod(path_.c_str(), kSocketMode) != 0) {
    return StatusFromErrno(errno, absl::StrCat("set the mode of ", path_));
  }
  return absl::OkStatus();
}

}  // namespace holdfast
