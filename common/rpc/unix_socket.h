#ifndef HOLDFAST_COMMON_RPC_UNIX_SOCKET_H_
#define HOLDFAST_COMMON_RPC_UNIX_SOCKET_H_

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/io/file_lock.h"

namespace holdfast {

// The longest path that the kernel takes for a unix socket.
inline constexpr size_t kUnixSocketPathSizeMaxBytes = 107;

// INVALID_ARGUMENT unless `path` is absolute, names a file, and is short enough
// for a unix socket.
absl::Status CheckUnixSocketPath(absl::string_view path);

// The address of a unix socket as gRPC writes it, whatever characters the path
// has.
std::string UnixSocketAddress(absl::string_view path);

// A UnixSocketClaim is the right of this process to listen on a path: nobody
// else of Holdfast has it while this lives, and what a dead process left there
// is gone.
//
//   HOLDFAST_ASSIGN_OR_RETURN(auto claim, UnixSocketClaim::Acquire(path));
//   … listen on the path …
//   HOLDFAST_RETURN_IF_ERROR(claim->RestrictToOwner());
//
// The folder of the socket is made with mode 0700 if it is not there; one that
// others may enter is refused, for the folder is what keeps them out. Beside
// the socket stays an empty file `<path>.lock`.
//
// Not thread-safe.
class UnixSocketClaim {
 public:
  // Errors:
  //   INVALID_ARGUMENT     the path is no path for a socket
  //   UNAVAILABLE          another process listens there
  //   FAILED_PRECONDITION  something that is no socket has the name, or others
  //   may enter the folder
  static absl::StatusOr<std::unique_ptr<UnixSocketClaim>> Acquire(const std::string& path);

  UnixSocketClaim(const UnixSocketClaim&) = delete;
  UnixSocketClaim& operator=(const UnixSocketClaim&) = delete;

  // Gives the socket, once it is there, mode 0600.
  absl::Status RestrictToOwner() const;

 private:
  UnixSocketClaim(std::string path, std::unique_ptr<FileLock> lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  const std::string path_;
  const std::unique_ptr<FileLock> lock_;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_RPC_UNIX_SOCKET_H_
