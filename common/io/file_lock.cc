#include "common/io/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"

namespace holdfast {
namespace {

constexpr int kAttemptsMax = 100;

// The holder as words for a message; it may have no more than locked the file yet.
std::string DescribeHolder(int fd) {
  uint8_t buffer[32];
  const absl::StatusOr<size_t> size = PReadFull(fd, absl::MakeSpan(buffer), 0);
  int64_t pid = 0;
  if (size.ok() &&
      absl::SimpleAtoi(absl::string_view(reinterpret_cast<char*>(buffer), *size), &pid)) {
    return absl::StrCat("process ", pid);
  }
  return "another process";
}

// Whether `path` still names the open file: else somebody has removed it before it was locked.
bool IsStillNamed(int fd, const std::string& path) {
  struct stat opened;
  struct stat named;
  return fstat(fd, &opened) == 0 && lstat(path.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

}  // namespace

absl::StatusOr<std::unique_ptr<FileLock>> FileLock::Acquire(const std::string& path) {
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    UniqueFd file(open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.is_valid()) {
      if (errno == EINTR) continue;
      return StatusFromErrno(errno, absl::StrCat("lock ", path));
    }
    if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) return StatusFromErrno(errno, absl::StrCat("lock ", path));
      return absl::FailedPreconditionError(
          absl::StrCat(path, " is locked by ", DescribeHolder(file.get())));
    }
    if (!IsStillNamed(file.get(), path)) continue;
    // The number is for messages only: a full disk keeps nobody from locking.
    if (ftruncate(file.get(), 0) == 0) {
      WriteFull(file.get(), absl::StrCat(getpid(), "\n")).IgnoreError();
    }
    return std::unique_ptr<FileLock>(new FileLock(std::move(file)));
  }
  return absl::UnavailableError(absl::StrCat(path, " changes all the time"));
}

}  // namespace holdfast
