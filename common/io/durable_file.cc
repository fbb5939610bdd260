#include "common/io/durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/check.h"
#include "common/base/hex.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/io/directory.h"
#include "common/io/path.h"

namespace holdfast {
namespace {

// As RocksDB's bytes_per_sync of our databases.
constexpr int64_t kWriteOutStepBytes = int64_t{1} << 20;

// Part of the repository format; do not change.
constexpr size_t kTemporaryRandomBytes = 8;
constexpr int kTemporaryAttemptsMax = 10;  // even one collision is a wonder

absl::Status CheckNamesFile(const std::string& path) {
  if (IsPlainName(NameOf(path)) && path.back() != '/') return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("\"", path, "\" cannot name a file"));
}

}  // namespace

bool IsTemporaryName(absl::string_view name) {
  return absl::ConsumePrefix(&name, kTemporaryPrefix) && name.size() == 2 * kTemporaryRandomBytes &&
         IsLowerHex(name);
}

absl::StatusOr<std::unique_ptr<DurableFile>> DurableFile::Create(const std::string& path,
                                                                 const Options& options,
                                                                 RandomSource& random) {
  HOLDFAST_RETURN_IF_ERROR(CheckNamesFile(path));
  HOLDFAST_ASSIGN_OR_RETURN(UniqueFd folder, internal::OpenDirectory(FolderOf(path)),
                            absl::StrCat("create ", path));
  return CreateIn(std::move(folder), path, options, random);
}

absl::StatusOr<std::unique_ptr<DurableFile>> DurableFile::CreateIn(UniqueFd folder,
                                                                   const std::string& path,
                                                                   const Options& options,
                                                                   RandomSource& random) {
  HOLDFAST_RETURN_IF_ERROR(CheckNamesFile(path));
  std::string name = NameOf(path);
  std::string temporary_name;
  UniqueFd file;
  for (int attempt = 0; attempt < kTemporaryAttemptsMax && !file.is_valid(); ++attempt) {
    temporary_name = absl::StrCat(kTemporaryPrefix, random.Hex(kTemporaryRandomBytes));
    file = UniqueFd(openat(folder.get(), temporary_name.c_str(),
                           O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.is_valid() && errno != EEXIST && errno != EINTR) break;
  }
  if (!file.is_valid()) return StatusFromErrno(errno, absl::StrCat("create ", path));

  // From here on the destructor removes the temporary file.
  auto result =
      std::unique_ptr<DurableFile>(new DurableFile(path, std::move(name), std::move(temporary_name),
                                                   options, std::move(folder), std::move(file)));
  // Many shares have permissions of their own and refuse others; that is no reason not to write.
  if (fchmod(result->file_.get(), options.mode) != 0 && errno != EPERM && errno != EOPNOTSUPP &&
      errno != ENOSYS && errno != EINVAL) {
    return StatusFromErrno(errno, absl::StrCat("create ", path));
  }
  return result;
}

DurableFile::DurableFile(std::string path, std::string name, std::string temporary_name,
                         const Options& options, UniqueFd folder, UniqueFd file)
    : path_(std::move(path)),
      name_(std::move(name)),
      temporary_name_(std::move(temporary_name)),
      options_(options),
      folder_(std::move(folder)),
      file_(std::move(file)) {}

DurableFile::~DurableFile() { RemoveTemporary(); }

absl::Status DurableFile::Append(absl::Span<const uint8_t> bytes) {
  HOLDFAST_CHECK(state_ != State::kCommitted, "the file is committed already");
  if (state_ == State::kFailed) return error_;
  if (absl::Status status = WriteFull(file_.get(), bytes); !status.ok()) {
    return Fail(Annotate(status, path_));
  }
  size_bytes_ += static_cast<int64_t>(bytes.size());
  if (size_bytes_ - begun_bytes_ >= kWriteOutStepBytes) {
    // A hint, which not every file system knows: Commit tells what went wrong.
    sync_file_range(file_.get(), begun_bytes_, size_bytes_ - begun_bytes_, SYNC_FILE_RANGE_WRITE);
    begun_bytes_ = size_bytes_;
  }
  return absl::OkStatus();
}

absl::Status DurableFile::Append(absl::string_view bytes) {
  return Append(absl::MakeSpan(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
}

absl::Status DurableFile::Commit() {
  HOLDFAST_CHECK(state_ != State::kCommitted, "the file is committed already");
  if (state_ == State::kFailed) return error_;
  if (absl::Status status = CommitSteps(); !status.ok()) return Fail(std::move(status));
  state_ = State::kCommitted;
  return absl::OkStatus();
}

absl::Status DurableFile::CommitSteps() {
  struct stat info;
  if (fstat(file_.get(), &info) != 0) return StatusFromErrno(errno, path_);
  if (info.st_size != size_bytes_) {
    return absl::DataLossError(
        absl::StrCat(path_, ": wrote ", size_bytes_, " bytes, but the file has ", info.st_size));
  }
  HOLDFAST_RETURN_IF_ERROR(SyncFile(file_.get(), path_));
  HOLDFAST_RETURN_IF_ERROR(file_.Close(path_));

  if (options_.existing == Existing::kReplace) {
    if (renameat(folder_.get(), temporary_name_.c_str(), folder_.get(), name_.c_str()) != 0) {
      return StatusFromErrno(errno, absl::StrCat(path_, ": rename"));
    }
  } else {
    absl::Status status = internal::RenameWithoutReplacing(folder_.get(), temporary_name_,
                                                           folder_.get(), name_, path_);
    if (absl::IsUnimplemented(status) && options_.existing == Existing::kKeepAsFarAsPossible) {
      status =
          internal::RenameAfterLooking(folder_.get(), temporary_name_, folder_.get(), name_, path_);
    }
    HOLDFAST_RETURN_IF_ERROR(status);
  }
  has_temporary_ = false;

  absl::Status status = internal::SyncDirectoryFd(folder_.get(), path_);
  // Whether it would survive is unknown, so it must not be seen.
  if (!status.ok() && options_.existing != Existing::kReplace) {
    unlinkat(folder_.get(), name_.c_str(), 0);
  }
  return status;
}

absl::Status DurableFile::Fail(absl::Status status) {
  state_ = State::kFailed;
  error_ = std::move(status);
  RemoveTemporary();
  return error_;
}

void DurableFile::RemoveTemporary() {
  file_.Reset();
  if (!has_temporary_) return;
  has_temporary_ = false;
  unlinkat(folder_.get(), temporary_name_.c_str(), 0);
}

absl::Status WriteFileDurably(const std::string& path, absl::string_view bytes,
                              const DurableFile::Options& options) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<DurableFile> file,
                            DurableFile::Create(path, options));
  HOLDFAST_RETURN_IF_ERROR(file->Append(bytes));
  return file->Commit();
}

}  // namespace holdfast
