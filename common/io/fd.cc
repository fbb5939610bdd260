#include "common/io/fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/exit_code.h"

namespace holdfast {
namespace {

// The kernel moves at most about 2 GiB in one call anyway.
constexpr size_t kTransferBytesMax = size_t{1} << 30;

absl::StatusCode CodeOf(int error) {
  switch (error) {
    case ENOENT:
      return absl::StatusCode::kNotFound;
    case EEXIST:
      return absl::StatusCode::kAlreadyExists;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EMLINK:
      return absl::StatusCode::kResourceExhausted;
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::StatusCode::kPermissionDenied;
    case EIO:
    case ESTALE:
    case EREMOTEIO:
    case ENODEV:
    case ENXIO:
    case EAGAIN:
    case EBUSY:
    case EINTR:
    case ETIMEDOUT:
    case ENOTCONN:
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case ESHUTDOWN:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
    case ENETRESET:
      return absl::StatusCode::kUnavailable;
    case ENOTDIR:
    case EISDIR:
    case ENOTEMPTY:
    case ELOOP:
    case EXDEV:
    case ETXTBSY:
      return absl::StatusCode::kFailedPrecondition;
    case EINVAL:
    case ENAMETOOLONG:
    case EILSEQ:
      return absl::StatusCode::kInvalidArgument;
    case ENOSYS:
    case EOPNOTSUPP:
      return absl::StatusCode::kUnimplemented;
    case EBADF:
    case EFAULT:
      return absl::StatusCode::kInternal;
    default:
      return absl::StatusCode::kUnknown;
  }
}

// Reads until `buffer` is full or `read_some(rest, done)`, which is like read(), says that the file
// ends.
template <typename ReadSome>
absl::StatusOr<size_t> ReadUntilFull(absl::Span<uint8_t> buffer, ReadSome read_some) {
  size_t done = 0;
  while (done < buffer.size()) {
    const ssize_t size = read_some(buffer.subspan(done, kTransferBytesMax), done);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return StatusFromErrno(errno, "read");
    if (size == 0) break;
    done += static_cast<size_t>(size);
  }
  return done;
}

}  // namespace

absl::Status StatusFromErrno(int error, absl::string_view context) {
  absl::Status status(CodeOf(error), absl::ErrnoToStatus(error, context).message());
  return absl::IsPermissionDenied(status) ? MarkDeniedBySystem(std::move(status)) : status;
}

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) {
    Reset();
    fd_ = other.Release();
  }
  return *this;
}

int UniqueFd::Release() {
  const int fd = fd_;
  fd_ = -1;
  return fd;
}

void UniqueFd::Reset() {
  if (is_valid()) close(Release());
}

absl::Status UniqueFd::Close(absl::string_view context) {
  if (!is_valid()) return absl::OkStatus();
  // On Linux the descriptor is gone whatever close says, so it is never tried again: by then the
  // number may be another thread's file. EINTR says no more than that.
  if (close(Release()) != 0 && errno != EINTR) {
    return StatusFromErrno(errno, absl::StrCat(context, ": close"));
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> OpenForReading(const std::string& path, Links links) {
  // O_NONBLOCK: opening a pipe would wait for its other end. Regular files ignore it.
  int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  if (links == Links::kRefuse) flags |= O_NOFOLLOW;
  UniqueFd file;
  do {
    file = UniqueFd(open(path.c_str(), flags));
  } while (!file.is_valid() && errno == EINTR);
  if (!file.is_valid()) {
    if (errno == ELOOP && links == Links::kRefuse) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": is a symbolic link, which is not followed here"));
    }
    return StatusFromErrno(errno, path);
  }
  struct stat info;
  if (fstat(file.get(), &info) != 0) return StatusFromErrno(errno, path);
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": is not a regular file"));
  }
  return file;
}

absl::StatusOr<size_t> ReadFull(int fd, absl::Span<uint8_t> buffer) {
  return ReadUntilFull(buffer, [fd](absl::Span<uint8_t> rest, size_t /*done*/) {
    return read(fd, rest.data(), rest.size());
  });
}

absl::StatusOr<size_t> PReadFull(int fd, absl::Span<uint8_t> buffer, int64_t offset_bytes) {
  return ReadUntilFull(buffer, [fd, offset_bytes](absl::Span<uint8_t> rest, size_t done) {
    return pread(fd, rest.data(), rest.size(), offset_bytes + static_cast<off_t>(done));
  });
}

absl::Status WriteFull(int fd, absl::Span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t size = write(fd, bytes.data(), std::min(bytes.size(), kTransferBytesMax));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return StatusFromErrno(errno, "write");
    // POSIX allows it, and trying again would go on for ever.
    if (size == 0) return absl::UnavailableError("write: nothing was written");
    bytes.remove_prefix(static_cast<size_t>(size));
  }
  return absl::OkStatus();
}

absl::Status WriteFull(int fd, absl::string_view bytes) {
  return WriteFull(fd,
                   absl::MakeSpan(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
}

absl::Status SyncFile(int fd, absl::string_view context) {
  int result = 0;
  do {
    result = fsync(fd);
  } while (result != 0 && errno == EINTR);
  if (result != 0) return StatusFromErrno(errno, absl::StrCat(context, ": fsync"));
  return absl::OkStatus();
}

}  // namespace holdfast
