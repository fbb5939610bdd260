#include "common/io/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/io/directory.h"
#include "common/io/path.h"

namespace holdfast {
namespace {

constexpr size_t kTreeDepthMax = 128;  // each level holds a descriptor open

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

FileType TypeOfMode(mode_t mode) {
  if (S_ISREG(mode)) return FileType::kRegular;
  if (S_ISDIR(mode)) return FileType::kDirectory;
  if (S_ISLNK(mode)) return FileType::kSymbolicLink;
  return FileType::kOther;
}

FileInfo InfoOf(const struct stat& info) {
  return {.type = TypeOfMode(info.st_mode),
          .size_bytes = info.st_size,
          .permissions = info.st_mode & 07777,
          .modify_time = absl::TimeFromTimespec(info.st_mtim)};
}

// The entry's type; nullopt if it is gone by now.
absl::StatusOr<std::optional<FileType>> TypeOfEntry(int directory_fd, const dirent& entry) {
  if (entry.d_type != DT_UNKNOWN) return TypeOfMode(DTTOIF(entry.d_type));
  struct stat info;
  if (fstatat(directory_fd, entry.d_name, &info, AT_SYMLINK_NOFOLLOW) == 0) {
    return TypeOfMode(info.st_mode);
  }
  if (errno == ENOENT) return std::nullopt;
  return StatusFromErrno(errno, entry.d_name);
}

absl::StatusOr<std::vector<DirectoryEntry>> ListOpenDirectory(UniqueFd fd, size_t entries_max) {
  const std::unique_ptr<DIR, CloseDirectory> directory(fdopendir(fd.get()));
  if (directory == nullptr) return StatusFromErrno(errno, "list");
  const int directory_fd = fd.Release();  // closed with `directory`
  std::vector<DirectoryEntry> entries;
  while (true) {
    errno = 0;
    const dirent* entry = readdir(directory.get());
    if (entry == nullptr) {
      if (errno != 0) return StatusFromErrno(errno, "list");
      break;
    }
    const absl::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    HOLDFAST_ASSIGN_OR_RETURN(const std::optional<FileType> type,
                              TypeOfEntry(directory_fd, *entry));
    if (!type.has_value()) continue;
    if (entries.size() == entries_max) {
      return absl::ResourceExhaustedError(absl::StrCat("more than ", entries_max, " entries"));
    }
    entries.push_back({.name = std::string(name), .type = *type});
  }
  std::sort(entries.begin(), entries.end(),
            [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
  return entries;
}

absl::Status RemoveTreeAt(int directory_fd, const std::string& name, size_t depth) {
  if (unlinkat(directory_fd, name.c_str(), 0) == 0 || errno == ENOENT) return absl::OkStatus();
  // For a directory Linux says EISDIR; POSIX, and some file systems, say EPERM.
  if (errno != EISDIR && errno != EPERM) return StatusFromErrno(errno, name);
  if (depth == kTreeDepthMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat(name, ": more than ", kTreeDepthMax, " directories deep"));
  }
  // O_NOFOLLOW: had a link taken the directory's place by now, this fails.
  UniqueFd inner(
      openat(directory_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!inner.is_valid()) return errno == ENOENT ? absl::OkStatus() : StatusFromErrno(errno, name);
  UniqueFd list_fd(fcntl(inner.get(), F_DUPFD_CLOEXEC, 0));
  if (!list_fd.is_valid()) return StatusFromErrno(errno, name);
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries,
                            ListOpenDirectory(std::move(list_fd), kDirectoryEntriesMax), name);
  for (const DirectoryEntry& entry : entries) {
    HOLDFAST_RETURN_IF_ERROR(RemoveTreeAt(inner.get(), entry.name, depth + 1), name);
  }
  if (unlinkat(directory_fd, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
    return StatusFromErrno(errno, name);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t size_max_bytes, Links links) {
  HOLDFAST_ASSIGN_OR_RETURN(const UniqueFd file, OpenForReading(path, links));
  const auto too_large = [&] {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": is larger than ", size_max_bytes, " bytes"));
  };
  struct stat info;
  if (fstat(file.get(), &info) != 0) return StatusFromErrno(errno, path);
  if (static_cast<uint64_t>(info.st_size) > size_max_bytes) return too_large();
  // One byte more than it has, to see its end; but files of /proc have no size, and others grow.
  std::string content;
  size_t wanted_bytes = static_cast<size_t>(info.st_size) + 1;
  while (true) {
    const size_t done = content.size();
    content.resize(wanted_bytes);
    HOLDFAST_ASSIGN_OR_RETURN(
        const size_t size,
        ReadFull(file.get(), absl::MakeSpan(reinterpret_cast<uint8_t*>(content.data()) + done,
                                            content.size() - done)),
        path);
    const bool is_at_end = done + size < content.size();
    content.resize(done + size);
    if (content.size() > size_max_bytes) return too_large();
    if (is_at_end) return content;
    wanted_bytes = std::min(size_max_bytes, content.size() * 2) + 1;
  }
}

absl::StatusOr<FileInfo> GetFileInfo(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) return StatusFromErrno(errno, path);
  return InfoOf(info);
}

absl::StatusOr<int64_t> FileSizeBytes(const std::string& path) {
  HOLDFAST_ASSIGN_OR_RETURN(const FileInfo info, GetFileInfo(path));
  if (info.type != FileType::kRegular) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": is not a regular file"));
  }
  return info.size_bytes;
}

absl::StatusOr<bool> FileExists(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) == 0) return true;
  if (errno == ENOENT) return false;
  return StatusFromErrno(errno, path);
}

absl::StatusOr<std::vector<DirectoryEntry>> ListDirectory(const std::string& path,
                                                          size_t entries_max) {
  HOLDFAST_ASSIGN_OR_RETURN(UniqueFd directory, internal::OpenDirectory(path));
  absl::StatusOr<std::vector<DirectoryEntry>> entries =
      ListOpenDirectory(std::move(directory), entries_max);
  if (!entries.ok()) return Annotate(entries.status(), path);
  return entries;
}

absl::Status MakeDirectories(const std::string& path, mode_t mode) {
  if (path.empty()) return absl::InvalidArgumentError("a directory needs a name");
  struct stat info;
  if (stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(path, ": is not a directory"));
  }
  if (errno != ENOENT) return StatusFromErrno(errno, path);
  const std::string folder = FolderOf(path);
  // A path that is its own folder ("/", ".") and does not exist cannot be made.
  if (folder == path) return StatusFromErrno(ENOENT, path);
  HOLDFAST_RETURN_IF_ERROR(MakeDirectories(folder, mode));
  if (mkdir(path.c_str(), mode) != 0) {
    if (errno != EEXIST) return StatusFromErrno(errno, path);
    // Somebody was quicker, or a dangling link has the name.
    if (stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(path, ": is not a directory"));
  }
  // Many shares have permissions of their own and refuse others.
  if (chmod(path.c_str(), mode) != 0 && errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS) {
    return StatusFromErrno(errno, path);
  }
  return SyncDirectory(folder);
}

absl::Status SyncDirectory(const std::string& path) {
  HOLDFAST_ASSIGN_OR_RETURN(const UniqueFd directory, internal::OpenDirectory(path));
  return internal::SyncDirectoryFd(directory.get(), path);
}

absl::Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) != 0) return StatusFromErrno(errno, path);
  return absl::OkStatus();
}

absl::Status RemoveTree(const std::string& path) {
  const std::string name = NameOf(path);
  if (!IsPlainName(name)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", path, "\" cannot be removed"));
  }
  const std::string folder_path = FolderOf(path);
  absl::StatusOr<UniqueFd> folder = internal::OpenDirectory(folder_path);
  if (absl::IsNotFound(folder.status())) return absl::OkStatus();
  if (!folder.ok()) return Annotate(folder.status(), absl::StrCat("remove ", path));
  return Annotate(RemoveTreeAt(folder->get(), name, 0), absl::StrCat("remove ", folder_path));
}

absl::Status RenameDurably(const std::string& from, const std::string& to) {
  const std::string context = absl::StrCat("rename ", from, " to ", to);
  const std::string from_folder_path = FolderOf(from);
  const std::string to_folder_path = FolderOf(to);
  HOLDFAST_ASSIGN_OR_RETURN(const UniqueFd from_folder, internal::OpenDirectory(from_folder_path),
                            context);
  HOLDFAST_ASSIGN_OR_RETURN(const UniqueFd to_folder, internal::OpenDirectory(to_folder_path),
                            context);
  HOLDFAST_RETURN_IF_ERROR(internal::RenameWithoutReplacing(from_folder.get(), NameOf(from),
                                                            to_folder.get(), NameOf(to), context));
  HOLDFAST_RETURN_IF_ERROR(internal::SyncDirectoryFd(to_folder.get(), to_folder_path), context);
  if (from_folder_path == to_folder_path) return absl::OkStatus();
  return Annotate(internal::SyncDirectoryFd(from_folder.get(), from_folder_path), context);
}

absl::StatusOr<int64_t> FreeSpaceBytes(const std::string& path) {
  struct statvfs info;
  int result = 0;
  do {
    result = statvfs(path.c_str(), &info);
  } while (result != 0 && errno == EINTR);
  if (result != 0) return StatusFromErrno(errno, path);
  // Some network file systems say "as good as endless".
  int64_t free_bytes = 0;
  if (__builtin_mul_overflow(info.f_bavail, info.f_frsize, &free_bytes)) {
    return std::numeric_limits<int64_t>::max();
  }
  return free_bytes;
}

absl::StatusOr<bool> AreOnOneFileSystem(const std::string& path, const std::string& other_path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return StatusFromErrno(errno, path);
  struct stat other_info;
  if (stat(other_path.c_str(), &other_info) != 0) return StatusFromErrno(errno, other_path);
  return info.st_dev == other_info.st_dev;
}

}  // namespace holdfast
