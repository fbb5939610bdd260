#ifndef HOLDFAST_COMMON_IO_FILES_H_
#define HOLDFAST_COMMON_IO_FILES_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/io/fd.h"

// Files and directories by path. Writing a file is DurableFile's.
//
// Thread-safe. Errors are those of StatusFromErrno, with the path in the message.

namespace holdfast {

enum class FileType { kRegular, kDirectory, kSymbolicLink, kOther };

struct FileInfo {
  FileType type = FileType::kOther;
  int64_t size_bytes = 0;
  mode_t permissions = 0;  // the lowest 12 bits
  absl::Time modify_time;
};

struct DirectoryEntry {
  std::string name;
  FileType type = FileType::kOther;
};

// Reads a whole regular file. FAILED_PRECONDITION where there is something else than a regular
// file, or it is larger than `size_max_bytes`.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t size_max_bytes,
                                     Links links = Links::kRefuse);

// About the name itself: a symbolic link is not followed.
absl::StatusOr<FileInfo> GetFileInfo(const std::string& path);

// The size of a regular file; FAILED_PRECONDITION for all else.
absl::StatusOr<int64_t> FileSizeBytes(const std::string& path);

// Whether anything has that name; an error if that cannot be told.
absl::StatusOr<bool> FileExists(const std::string& path);

// All names in a directory but "." and "..", sorted. RESOURCE_EXHAUSTED if there are more than
// `entries_max`.
inline constexpr size_t kDirectoryEntriesMax = 10'000'000;
absl::StatusOr<std::vector<DirectoryEntry>> ListDirectory(
    const std::string& path, size_t entries_max = kDirectoryEntriesMax);

// Creates a directory, and the missing ones above it, durably, with these permissions whatever the
// umask. OK where it exists already; FAILED_PRECONDITION where something else has its name.
absl::Status MakeDirectories(const std::string& path, mode_t mode = 0700);

// fsync of a directory, which makes changes of its names durable. OK on file systems that cannot
// do it (some network file systems): they have no such step.
absl::Status SyncDirectory(const std::string& path);

// Removes a name that is not a directory (a link, not what it points to). Durable only after
// SyncDirectory of its folder.
absl::Status RemoveFile(const std::string& path);

// Removes a file, or a directory with all that is in it. Never follows a symbolic link, also when
// the tree changes meanwhile. OK if there is nothing. On an error part of it may be gone. Durable
// only after SyncDirectory of the folder that held it.
absl::Status RemoveTree(const std::string& path);

// Renames a file or a directory, durably: the folders of both names are synced. ALREADY_EXISTS
// where `to` exists; UNIMPLEMENTED where the file system cannot promise not to replace it.
absl::Status RenameDurably(const std::string& from, const std::string& to);

// What a process without privileges may still write on the file system that holds `path`.
absl::StatusOr<int64_t> FreeSpaceBytes(const std::string& path);

// Whether both are on one file system, so that what ends the one ends the other. Symbolic links are
// followed.
absl::StatusOr<bool> AreOnOneFileSystem(const std::string& path, const std::string& other_path);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_IO_FILES_H_
