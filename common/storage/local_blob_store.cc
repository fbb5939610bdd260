#include "common/storage/local_blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/io/directory.h"
#include "common/io/durable_file.h"
#include "common/io/fd.h"
#include "common/io/files.h"
#include "common/io/path.h"
#include "common/storage/directory_url.h"

namespace holdfast {

namespace {

constexpr mode_t kFileMode = 0600;
constexpr mode_t kFolderMode = 0700;
constexpr size_t kReadSizeBytes = size_t{256} << 10;
constexpr size_t kDurableFoldersMax = 10'000;

absl::Status NoBlobError(absl::string_view name) {
  return absl::NotFoundError(absl::StrCat("no blob ", name));
}

// In the place of a folder.
absl::Status NotAFolderError(absl::string_view path) {
  return absl::FailedPreconditionError(
      absl::StrCat(path, " is neither a regular file nor a folder: something else put it there"));
}

// In the place of a blob.
absl::Status NotABlobError(absl::string_view path) {
  return absl::DataLossError(
      absl::StrCat(path, " is not a regular file: something else put it there"));
}

// Says what to do where the system does not allow to write.
absl::Status ExplainRefusal(const absl::Status& status) {
  if (!absl::IsPermissionDenied(status)) return status;
  return Annotate(status,
                  "it must be mounted for writing, and the user of this process allowed to write "
                  "there");
}

// What a failed call says of the directory itself.
absl::Status RootError(int error, const std::string& root) {
  absl::Status status = StatusFromErrno(error, root);
  if (error != ENOTCONN && error != ESTALE) return status;
  return absl::Status(status.code(),
                      absl::StrCat(status.message(),
                                   error == ENOTCONN ? ": the program that had mounted the "
                                                       "share there has ended"
                                                     : ": the server has another share there "
                                                       "by now",
                                   ". Unmount it and mount it again"));
}

// The folder that a blob lies in; empty for the top.
absl::string_view FolderOfBlob(absl::string_view name) {
  const size_t slash = name.rfind('/');
  return slash == absl::string_view::npos ? absl::string_view() : name.substr(0, slash);
}

// "a", "a/b", "a/b/c" of "a/b/c".
std::vector<absl::string_view> FoldersDownTo(absl::string_view folder) {
  std::vector<absl::string_view> folders;
  if (folder.empty()) return folders;
  for (size_t slash = folder.find('/'); slash != absl::string_view::npos;
       slash = folder.find('/', slash + 1)) {
    folders.push_back(folder.substr(0, slash));
  }
  folders.push_back(folder);
  return folders;
}

// Yields a range of a file.
class FileSource : public ByteSource {
 public:
  FileSource(UniqueFd file, std::string path, uint64_t begin, uint64_t end)
      : file_(std::move(file)), path_(std::move(path)), begin_(begin), next_(begin), end_(end) {}

  absl::StatusOr<absl::Span<const uint8_t>> Next() override {
    const size_t wanted = static_cast<size_t>(std::min<uint64_t>(kReadSizeBytes, end_ - next_));
    if (wanted == 0) return absl::Span<const uint8_t>();
    buffer_.resize(std::min<uint64_t>(kReadSizeBytes, end_ - begin_));
    HOLDFAST_ASSIGN_OR_RETURN(
        const size_t got,
        PReadFull(file_.get(), absl::MakeSpan(buffer_.data(), wanted), static_cast<int64_t>(next_)),
        absl::StrCat("read ", path_));
    if (got < wanted) {
      return absl::DataLossError(absl::StrCat(path_, " became shorter while it was read"));
    }
    next_ += got;
    return absl::MakeConstSpan(buffer_.data(), got);
  }

  absl::Status Rewind() override {
    next_ = begin_;
    return absl::OkStatus();
  }

 private:
  const UniqueFd file_;
  const std::string path_;
  const uint64_t begin_;
  uint64_t next_;
  const uint64_t end_;
  std::vector<uint8_t> buffer_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<LocalBlobStore>> LocalBlobStore::Open(const std::string& directory) {
  if (directory.empty() || directory.front() != '/') {
    return absl::InvalidArgumentError(absl::StrCat("\"", directory, "\" is no absolute path"));
  }
  UniqueFd root(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct stat info;
  if (!root.is_valid() || fstat(root.get(), &info) != 0) {
    if (errno == ENOTDIR) {
      return absl::FailedPreconditionError(absl::StrCat(directory, " is not a directory"));
    }
    if (errno == ENOENT) {
      return absl::NotFoundError(absl::StrCat(directory,
                                              " does not exist: mount the share that belongs "
                                              "there, or make the directory"));
    }
    return RootError(errno, directory);
  }
  return std::unique_ptr<LocalBlobStore>(
      new LocalBlobStore(directory, std::move(root), info.st_dev));
}

absl::StatusOr<bool> LocalBlobStore::MakeDirectory(const std::string& directory) {
  HOLDFAST_ASSIGN_OR_RETURN(const bool exists, FileExists(directory));
  if (exists) return false;
  const std::string parent = FolderOf(directory);
  HOLDFAST_ASSIGN_OR_RETURN(const bool parent_exists, FileExists(parent));
  if (!parent_exists) {
    return absl::NotFoundError(absl::StrCat("neither ", directory, " nor ", parent,
                                            " exists: make it, or mount what belongs there"));
  }
  HOLDFAST_RETURN_IF_ERROR(MakeDirectories(directory, kFolderMode));
  return true;
}

std::string LocalBlobStore::PathOf(absl::string_view name) const {
  return name.empty() ? root_ : JoinPath(root_, name);
}

absl::Status LocalBlobStore::CheckRoot() const {
  struct stat info;
  if (stat(root_.c_str(), &info) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) return RootError(errno, root_);
    return absl::UnavailableError(
        absl::StrCat(root_, " is gone: the share that belongs there seems not to be mounted"));
  }
  if (info.st_dev != device_) {
    return absl::UnavailableError(absl::StrCat(root_,
                                               " is no longer what was opened: the share that "
                                               "belongs there seems not to be mounted, or was "
                                               "mounted anew"));
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> LocalBlobStore::OpenFolder(absl::string_view folder) const {
  const std::string relative = folder.empty() ? "." : std::string(folder);
  UniqueFd fd;
  do {
    fd = UniqueFd(
        openat(root_fd_.get(), relative.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  } while (!fd.is_valid() && errno == EINTR);
  if (!fd.is_valid()) return StatusFromErrno(errno, PathOf(folder));
  return fd;
}

absl::Status LocalBlobStore::CheckFolder(absl::string_view folder) const {
  HOLDFAST_RETURN_IF_ERROR(CheckRoot());
  for (const absl::string_view each : FoldersDownTo(folder)) {
    const std::string path = PathOf(each);
    const absl::StatusOr<FileInfo> info = GetFileInfo(path);
    if (absl::IsNotFound(info.status())) {
      // The share may have gone since it was looked at.
      HOLDFAST_RETURN_IF_ERROR(CheckRoot());
      return info.status();
    }
    HOLDFAST_RETURN_IF_ERROR(info.status());
    if (info->type == FileType::kRegular) {
      return absl::NotFoundError(absl::StrCat(path, " is a file, not a folder"));
    }
    if (info->type != FileType::kDirectory) return NotAFolderError(path);
  }
  return absl::OkStatus();
}

absl::StatusOr<BlobInfo> LocalBlobStore::Stat(absl::string_view name) {
  HOLDFAST_RETURN_IF_ERROR(CheckBlobName(name));
  if (absl::Status status = CheckFolder(FolderOfBlob(name)); !status.ok()) {
    return absl::IsNotFound(status) ? NoBlobError(name) : status;
  }
  const std::string path = PathOf(name);
  const absl::StatusOr<FileInfo> info = GetFileInfo(path);
  if (absl::IsNotFound(info.status())) {
    HOLDFAST_RETURN_IF_ERROR(CheckRoot());
    return NoBlobError(name);
  }
  HOLDFAST_RETURN_IF_ERROR(info.status());
  if (info->type == FileType::kDirectory) return NoBlobError(name);
  if (info->type != FileType::kRegular) return NotABlobError(path);
  return BlobInfo{.name = std::string(name),
                  .size_bytes = static_cast<uint64_t>(info->size_bytes),
                  .write_time = info->modify_time};
}

absl::StatusOr<std::unique_ptr<ByteSource>> LocalBlobStore::Get(absl::string_view name,
                                                                uint64_t offset,
                                                                uint64_t length_max) {
  HOLDFAST_RETURN_IF_ERROR(Stat(name).status());
  std::string path = PathOf(name);
  absl::StatusOr<UniqueFd> file = OpenForReading(path);
  if (absl::IsNotFound(file.status())) return NoBlobError(name);
  HOLDFAST_RETURN_IF_ERROR(file.status());
  struct stat info;
  if (fstat(file->get(), &info) != 0) return StatusFromErrno(errno, path);
  const auto size_bytes = static_cast<uint64_t>(info.st_size);
  if (offset > size_bytes) {
    return absl::OutOfRangeError(
        absl::StrCat(name, " has ", size_bytes, " bytes: nothing begins at ", offset));
  }
  const uint64_t end = offset + std::min(length_max, size_bytes - offset);
  return std::make_unique<FileSource>(*std::move(file), std::move(path), offset, end);
}

absl::Status LocalBlobStore::Put(absl::string_view name, ByteSource& source) {
  const absl::StatusOr<BlobInfo> existing = Stat(name);
  if (existing.ok()) return absl::AlreadyExistsError(absl::StrCat("there is a blob ", name));
  if (!absl::IsNotFound(existing.status())) return existing.status();
  return WriteBlob(name, source, DurableFile::Existing::kKeepAsFarAsPossible);
}

absl::Status LocalBlobStore::Replace(absl::string_view name, ByteSource& source) {
  const absl::Status existing = Stat(name).status();
  if (!existing.ok() && !absl::IsNotFound(existing) && !absl::IsDataLoss(existing)) return existing;
  return WriteBlob(name, source, DurableFile::Existing::kReplace);
}

absl::Status LocalBlobStore::WriteBlob(absl::string_view name, ByteSource& source,
                                       DurableFile::Existing existing) {
  const std::string path = PathOf(name);
  const absl::StatusOr<FileInfo> info = GetFileInfo(path);
  if (info.ok() && info->type == FileType::kDirectory) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is a folder, not a blob"));
  }
  HOLDFAST_RETURN_IF_ERROR(ExplainRefusal(MakeFolders(name)));
  const DurableFile::Options options = {.mode = kFileMode, .existing = existing};
  absl::StatusOr<UniqueFd> folder = OpenFolder(FolderOfBlob(name));
  if (absl::IsNotFound(folder.status())) {  // somebody removed a folder that had been there
    ForgetFolders();
    HOLDFAST_RETURN_IF_ERROR(MakeFolders(name));
    folder = OpenFolder(FolderOfBlob(name));
    if (absl::IsNotFound(folder.status())) {
      return WithCode(folder.status(), absl::StatusCode::kUnavailable);
    }
  }
  HOLDFAST_RETURN_IF_ERROR(folder.status());
  const absl::StatusOr<std::unique_ptr<DurableFile>> created =
      DurableFile::CreateIn(*std::move(folder), path, options);
  if (!created.ok()) return ExplainRefusal(created.status());
  DurableFile& file = **created;
  for (;;) {
    HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, source.Next());
    if (piece.empty()) break;
    HOLDFAST_RETURN_IF_ERROR(file.Append(piece));
  }
  return file.Commit();
}

absl::Status LocalBlobStore::MakeFolders(absl::string_view name) {
  HOLDFAST_RETURN_IF_ERROR(CheckRoot());
  for (const absl::string_view folder : FoldersDownTo(FolderOfBlob(name))) {
    HOLDFAST_RETURN_IF_ERROR(MakeFolder(folder));
  }
  return absl::OkStatus();
}

absl::Status LocalBlobStore::MakeFolder(absl::string_view folder) {
  {
    MutexLock lock(&mutex_);
    if (durable_folders_.contains(folder)) return absl::OkStatus();
  }
  const std::string path = PathOf(folder);
  absl::StatusOr<UniqueFd> parent = OpenFolder(FolderOfBlob(folder));
  if (absl::IsNotFound(parent.status())) {
    HOLDFAST_RETURN_IF_ERROR(CheckRoot());
  }
  HOLDFAST_RETURN_IF_ERROR(parent.status(), "make a folder");
  const std::string folder_name = NameOf(path);
  if (mkdirat(parent->get(), folder_name.c_str(), kFolderMode) != 0) {
    const int error = errno;
    struct stat info;
    if (fstatat(parent->get(), folder_name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      HOLDFAST_RETURN_IF_ERROR(CheckRoot());
      return StatusFromErrno(error, absl::StrCat("make ", path));
    }
    if (!S_ISDIR(info.st_mode)) {
      return absl::FailedPreconditionError(absl::StrCat(path, " is not a folder"));
    }
  }
  // Also where it was there before: whoever made it may have ended just then.
  HOLDFAST_RETURN_IF_ERROR(internal::SyncDirectoryFd(parent->get(), PathOf(FolderOfBlob(folder))));
  MutexLock lock(&mutex_);
  if (durable_folders_.size() >= kDurableFoldersMax) durable_folders_.clear();
  durable_folders_.insert(std::string(folder));
  return absl::OkStatus();
}

void LocalBlobStore::ForgetFolders() {
  MutexLock lock(&mutex_);
  durable_folders_.clear();
}

absl::Status LocalBlobStore::List(absl::string_view prefix,
                                  const std::function<absl::Status(const BlobInfo&)>& visit) {
  if (!prefix.empty()) HOLDFAST_RETURN_IF_ERROR(CheckBlobName(prefix));
  if (absl::Status status = CheckFolder(prefix); !status.ok()) {
    return absl::IsNotFound(status) ? absl::OkStatus() : status;
  }
  return WalkFiles(prefix, [&](const std::string& name) -> absl::Status {
    if (!CheckBlobName(name).ok()) return absl::OkStatus();
    const absl::StatusOr<FileInfo> info = GetFileInfo(PathOf(name));
    if (absl::IsNotFound(info.status())) return absl::OkStatus();
    HOLDFAST_RETURN_IF_ERROR(info.status());
    if (info->type == FileType::kDirectory) return absl::OkStatus();  // exchanged meanwhile
    // What is not regular is listed all the same: that a blob can't be read must not look as if it
    // were not there.
    const bool is_blob = info->type == FileType::kRegular;
    return visit({.name = name,
                  .size_bytes = is_blob ? static_cast<uint64_t>(info->size_bytes) : 0,
                  .write_time = info->modify_time});
  });
}

absl::Status LocalBlobStore::WalkFiles(
    absl::string_view prefix,
    absl::FunctionRef<absl::Status(const std::string& name)> visit) const {
  std::vector<std::string> folders_to_list = {std::string(prefix)};
  while (!folders_to_list.empty()) {
    const std::string folder = std::move(folders_to_list.back());
    folders_to_list.pop_back();
    const absl::StatusOr<std::vector<DirectoryEntry>> entries = ListDirectory(PathOf(folder));
    if (absl::IsNotFound(entries.status())) continue;
    HOLDFAST_RETURN_IF_ERROR(entries.status());
    for (const DirectoryEntry& entry : *entries) {
      std::string name = folder.empty() ? entry.name : absl::StrCat(folder, "/", entry.name);
      if (entry.type == FileType::kDirectory && CheckBlobName(name).ok()) {
        folders_to_list.push_back(std::move(name));
      } else if (entry.type != FileType::kDirectory) {
        HOLDFAST_RETURN_IF_ERROR(visit(name));
      }
    }
  }
  // What was missing meanwhile may be missing because all is.
  return CheckRoot();
}

absl::StatusOr<std::vector<std::string>> LocalBlobStore::ListFolders(absl::string_view prefix) {
  if (!prefix.empty()) HOLDFAST_RETURN_IF_ERROR(CheckBlobName(prefix));
  std::vector<std::string> folders;
  if (absl::Status status = CheckFolder(prefix); !status.ok()) {
    if (absl::IsNotFound(status)) return folders;
    return status;
  }
  const absl::StatusOr<std::vector<DirectoryEntry>> entries = ListDirectory(PathOf(prefix));
  HOLDFAST_RETURN_IF_ERROR(CheckRoot());
  if (absl::IsNotFound(entries.status())) return folders;
  HOLDFAST_RETURN_IF_ERROR(entries.status());
  for (const DirectoryEntry& entry : *entries) {
    if (entry.type == FileType::kDirectory && CheckBlobName(entry.name).ok()) {
      folders.push_back(entry.name);
    }
  }
  return folders;
}

absl::Status LocalBlobStore::Delete(absl::string_view name) {
  const absl::Status existing = Stat(name).status();
  if (!existing.ok() && !absl::IsDataLoss(existing)) return existing;
  const absl::StatusOr<UniqueFd> folder = OpenFolder(FolderOfBlob(name));
  if (absl::IsNotFound(folder.status())) return NoBlobError(name);
  HOLDFAST_RETURN_IF_ERROR(folder.status());
  const std::string path = PathOf(name);
  if (unlinkat(folder->get(), NameOf(path).c_str(), 0) != 0) {
    if (errno == ENOENT) return NoBlobError(name);
    return StatusFromErrno(errno, path);
  }
  return internal::SyncDirectoryFd(folder->get(), path);
}

absl::StatusOr<uint64_t> LocalBlobStore::RemoveLeftovers(absl::string_view prefix,
                                                         absl::Time before) {
  if (!prefix.empty()) HOLDFAST_RETURN_IF_ERROR(CheckBlobName(prefix));
  uint64_t removed = 0;
  if (absl::Status status = CheckFolder(prefix); !status.ok()) {
    if (absl::IsNotFound(status)) return removed;
    return status;
  }
  HOLDFAST_RETURN_IF_ERROR(WalkFiles(prefix, [&](const std::string& name) -> absl::Status {
    const std::string path = PathOf(name);
    if (!IsTemporaryName(NameOf(path))) return absl::OkStatus();
    const absl::StatusOr<FileInfo> info = GetFileInfo(path);
    if (!info.ok() || info->type != FileType::kRegular || info->modify_time >= before) {
      return absl::OkStatus();
    }
    const absl::Status status = RemoveFile(path);
    if (absl::IsNotFound(status)) return absl::OkStatus();
    HOLDFAST_RETURN_IF_ERROR(status);
    ++removed;
    return absl::OkStatus();
  }));
  return removed;
}

std::string LocalBlobStore::Describe() const {
  const absl::StatusOr<std::string> url = CanonicalDirectoryUrl(root_);
  return url.ok() ? *url : root_;
}

}  // namespace holdfast
