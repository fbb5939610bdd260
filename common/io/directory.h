#ifndef HOLDFAST_COMMON_IO_DIRECTORY_H_
#define HOLDFAST_COMMON_IO_DIRECTORY_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/io/fd.h"

// Directories by descriptor: what files.cc, durable_file.cc and a LocalBlobStore, which must not be
// led elsewhere by a path, share. Others use files.h.

namespace holdfast::internal {

absl::StatusOr<UniqueFd> OpenDirectory(const std::string& path);

// fsync of a directory. OK on file systems that cannot do it.
absl::Status SyncDirectoryFd(int directory_fd, absl::string_view context);

// Renames within or between directories, never replacing: ALREADY_EXISTS where the new name is
// taken (an empty directory may be replaced by a directory, where the file system cannot do
// better); UNIMPLEMENTED where the file system cannot promise it.
absl::Status RenameWithoutReplacing(int from_directory_fd, const std::string& from,
                                    int to_directory_fd, const std::string& to,
                                    absl::string_view context);

// RenameWithoutReplacing for file systems that have no such call (NFS and others).
absl::Status RenameWithoutReplacingByLink(int from_directory_fd, const std::string& from,
                                          int to_directory_fd, const std::string& to,
                                          absl::string_view context);

// For file systems that have neither: looks, then renames. What takes the name in between is
// replaced.
absl::Status RenameAfterLooking(int from_directory_fd, const std::string& from, int to_directory_fd,
                                const std::string& to, absl::string_view context);

}  // namespace holdfast::internal

#endif  // HOLDFAST_COMMON_IO_DIRECTORY_H_
