#include "common/io/directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "absl/strings/str_cat.h"

namespace holdfast::internal {

absl::StatusOr<UniqueFd> OpenDirectory(const std::string& path) {
  UniqueFd directory;
  do {
    directory = UniqueFd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  } while (!directory.is_valid() && errno == EINTR);
  if (!directory.is_valid()) return StatusFromErrno(errno, path);
  return directory;
}

absl::Status SyncDirectoryFd(int directory_fd, absl::string_view context) {
  int result = 0;
  do {
    result = fsync(directory_fd);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return absl::OkStatus();
  if (errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS) return absl::OkStatus();
  return StatusFromErrno(errno, absl::StrCat(context, ": fsync of the directory"));
}

absl::Status RenameWithoutReplacing(int from_directory_fd, const std::string& from,
                                    int to_directory_fd, const std::string& to,
                                    absl::string_view context) {
  if (renameat2(from_directory_fd, from.c_str(), to_directory_fd, to.c_str(), RENAME_NOREPLACE) ==
      0) {
    return absl::OkStatus();
  }
  if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) {
    return StatusFromErrno(errno, context);
  }
  return RenameWithoutReplacingByLink(from_directory_fd, from, to_directory_fd, to, context);
}

absl::Status RenameWithoutReplacingByLink(int from_directory_fd, const std::string& from,
                                          int to_directory_fd, const std::string& to,
                                          absl::string_view context) {
  struct stat info;
  if (fstatat(from_directory_fd, from.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return StatusFromErrno(errno, context);
  }
  if (S_ISDIR(info.st_mode)) {
    // A directory can never replace anything but an empty directory.
    struct stat existing;
    if (fstatat(to_directory_fd, to.c_str(), &existing, AT_SYMLINK_NOFOLLOW) == 0) {
      return StatusFromErrno(EEXIST, context);
    }
    if (renameat(from_directory_fd, from.c_str(), to_directory_fd, to.c_str()) != 0) {
      return StatusFromErrno(errno == ENOTEMPTY || errno == ENOTDIR ? EEXIST : errno, context);
    }
    return absl::OkStatus();
  }

  const nlink_t links_before = info.st_nlink;
  if (linkat(from_directory_fd, from.c_str(), to_directory_fd, to.c_str(), 0) != 0) {
    const int error = errno;
    // EIO is what `rclone mount` says of every link.
    if (error == EPERM || error == EOPNOTSUPP || error == ENOSYS || error == EINVAL ||
        error == EIO) {
      return absl::UnimplementedError(
          absl::StrCat(StatusFromErrno(error, context).message(),
                       ": this file system can neither rename without replacing nor link"));
    }
    // A network file system may have made the link and lost the answer, and then find its own.
    const bool has_linked =
        error == EEXIST &&
        fstatat(from_directory_fd, from.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        info.st_nlink > links_before;
    if (!has_linked) return StatusFromErrno(error, context);
  }
  // If this fails a second name stays, which nobody reads.
  unlinkat(from_directory_fd, from.c_str(), 0);
  return absl::OkStatus();
}

absl::Status RenameAfterLooking(int from_directory_fd, const std::string& from, int to_directory_fd,
                                const std::string& to, absl::string_view context) {
  struct stat existing;
  if (fstatat(to_directory_fd, to.c_str(), &existing, AT_SYMLINK_NOFOLLOW) == 0) {
    return StatusFromErrno(EEXIST, context);
  }
  if (errno != ENOENT) return StatusFromErrno(errno, context);
  if (renameat(from_directory_fd, from.c_str(), to_directory_fd, to.c_str()) != 0) {
    return StatusFromErrno(errno, context);
  }
  return absl::OkStatus();
}

}  // namespace holdfast::internal
