#ifndef HOLDFAST_COMMON_IO_FD_H_
#define HOLDFAST_COMMON_IO_FD_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace holdfast {

// The border between errno and Status: every failed system call goes through here. The message is
// "<context>: <the system's words>"; the code says what the caller should do:
//   NOT_FOUND            ENOENT
//   ALREADY_EXISTS       EEXIST
//   RESOURCE_EXHAUSTED   ENOSPC EDQUOT EFBIG EMFILE ENFILE ENOMEM EMLINK: make room first
//   PERMISSION_DENIED    EACCES EPERM EROFS (the message says read-only)
//   UNAVAILABLE          EIO ESTALE ETIMEDOUT, all of the network, EAGAIN, EBUSY, EINTR: try again
//   FAILED_PRECONDITION  ENOTDIR EISDIR ENOTEMPTY ELOOP EXDEV ETXTBSY: something else is there
//   INVALID_ARGUMENT     EINVAL ENAMETOOLONG EILSEQ: the name or the request cannot be right
//   UNIMPLEMENTED        ENOSYS EOPNOTSUPP: this file system cannot do it
//   INTERNAL             EBADF EFAULT: a mistake of ours
//   UNKNOWN              all else
// REQUIRES: error != 0.
absl::Status StatusFromErrno(int error, absl::string_view context);

// A UniqueFd owns a file descriptor and closes it when it is destroyed. Where an error of closing
// matters (whatever was written), call Close.
//
// Not thread-safe. Movable.
class UniqueFd {
 public:
  UniqueFd() = default;
  // Takes ownership. A negative `fd` is an empty UniqueFd.
  explicit UniqueFd(int fd) : fd_(fd < 0 ? -1 : fd) {}
  ~UniqueFd() { Reset(); }

  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;

  bool is_valid() const { return fd_ >= 0; }
  // -1 if empty.
  int get() const { return fd_; }

  // Gives up ownership.
  [[nodiscard]] int Release();

  // Closes, and ignores what close says. Does nothing if empty.
  void Reset();

  // Closes, and tells what close said; empty afterwards in any case, so never call it again for the
  // same file. OK if empty.
  absl::Status Close(absl::string_view context);

 private:
  int fd_ = -1;
};

// What to do where the last part of a path is a symbolic link. Directories on the way to it may
// always be links.
enum class Links {
  kRefuse,  // for what Holdfast owns: FAILED_PRECONDITION
  kFollow,  // for what the user names: a configuration file, a key file
};

// Opens a regular file for reading. FAILED_PRECONDITION where there is something else than a
// regular file; never blocks on a pipe.
absl::StatusOr<UniqueFd> OpenForReading(const std::string& path, Links links = Links::kRefuse);

// Read until `buffer` is full or the file ends, and return how many bytes were read: fewer than
// `buffer.size()` only at the end. PReadFull reads from an offset and does not move the position.
absl::StatusOr<size_t> ReadFull(int fd, absl::Span<uint8_t> buffer);
absl::StatusOr<size_t> PReadFull(int fd, absl::Span<uint8_t> buffer, int64_t offset_bytes);

// Writes all of `bytes`. On an error it is unknown how much was written.
absl::Status WriteFull(int fd, absl::Span<const uint8_t> bytes);
absl::Status WriteFull(int fd, absl::string_view bytes);

// fsync. A failure is final: the kernel has forgotten what it could not write, so the file must be
// thrown away; never sync again and trust the answer.
absl::Status SyncFile(int fd, absl::string_view context);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_IO_FD_H_
