#include "store-service/checkpoints/instance_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/crypto/master_key.h"
#include "common/io/fd.h"
#include "common/io/files.h"
#include "common/io/path.h"
#include "store-service/documents/limits.h"

namespace holdfast {
namespace {

constexpr absl::string_view kNamePrefix = "instance/";
constexpr int kReadAttemptsMax = 3;

bool IsSameFile(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

bool IsUnchanged(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

// Whether `path` is `folder` or in it.
bool IsWithin(absl::string_view path, absl::string_view folder) {
  return absl::ConsumePrefix(&path, folder) &&
         (path.empty() || path.front() == '/' || absl::EndsWith(folder, "/"));
}

// The path without links; as it is where nothing is there.
std::string ResolvePath(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> resolved(realpath(path.c_str(), nullptr),
                                                             &std::free);
  return resolved == nullptr ? path : std::string(resolved.get());
}

absl::StatusOr<std::string> NameInBackup(absl::string_view path) {
  const bool has_bad_character = std::any_of(path.begin(), path.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == '\\';
  });
  const std::string name = absl::StrCat(kNamePrefix, path.substr(1));
  if (has_bad_character || name.size() > kInstanceFileNameSizeMaxBytes || !IsUtf8(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the instance file \"", absl::CHexEscape(path),
                     "\" cannot be backed up: its path is longer than 1,014 "
                     "bytes, is no UTF-8, or has a control "
                     "character or a backslash; rename it, or leave it out of "
                     "instance_files"));
  }
  return name;
}

}  // namespace

// One ReadAll.
class InstanceFiles::Reading {
 public:
  Reading(const Options& options, const std::function<absl::Status(const File&)>& visit)
      : visit_(visit) {
    struct stat info;
    if (!options.master_key_path.empty() && stat(options.master_key_path.c_str(), &info) == 0) {
      master_key_ = info;
    }
  }

  // What the configuration names: a file or a folder, links followed.
  absl::Status ReadPath(const std::string& path) {
    struct stat info;
    if (stat(path.c_str(), &info) != 0) {
      return StatusFromErrno(errno, absl::StrCat("instance file ", path));
    }
    if (S_ISDIR(info.st_mode)) return ReadFolder(path, 0);
    return ReadOne(path, Links::kFollow);
  }

 private:
  absl::Status ReadFolder(const std::string& folder, size_t depth) {
    if (depth > kInstanceFolderDepthMax) {
      return absl::ResourceExhaustedError(absl::StrCat("the instance folder ", folder,
                                                       " is nested more than ",
                                                       kInstanceFolderDepthMax, " deep"));
    }
    HOLDFAST_ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries,
                              ListDirectory(folder, kInstanceFilesMax), "instance folder");
    for (const DirectoryEntry& entry : entries) {
      const std::string path = JoinPath(folder, entry.name);
      absl::Status status;
      switch (entry.type) {
        case FileType::kDirectory:
          status = ReadFolder(path, depth + 1);
          break;
        case FileType::kRegular:
          status = ReadOne(path, Links::kRefuse);
          break;
        case FileType::kSymbolicLink:
          LogWarning("a symbolic link in an instance folder is not backed up", {{"path", path}});
          break;
        case FileType::kOther:
          LogWarning("what is no regular file is not backed up", {{"path", path}});
          break;
      }
      // What is gone since it was listed was not there.
      if (!status.ok() && status.code() != absl::StatusCode::kNotFound) return status;
    }
    return absl::OkStatus();
  }

  absl::Status ReadOne(const std::string& path, Links links) {
    File file;
    HOLDFAST_ASSIGN_OR_RETURN(file.name, NameInBackup(path));
    if (!names_.insert(file.name).second) return absl::OkStatus();
    if (names_.size() > kInstanceFilesMax) {
      return absl::ResourceExhaustedError(
          absl::StrCat("there are more than ", kInstanceFilesMax,
                       " instance files: leave some folders out of instance_files"));
    }
    for (int attempt = 1;; ++attempt) {
      HOLDFAST_ASSIGN_OR_RETURN(const UniqueFd fd, OpenForReading(path, links), "instance file");
      struct stat before;
      if (fstat(fd.get(), &before) != 0) return StatusFromErrno(errno, path);
      if (master_key_.has_value() && IsSameFile(before, *master_key_)) {
        LogWarning("the master key's file is not backed up", {{"path", path}});
        return absl::OkStatus();
      }
      if (static_cast<uint64_t>(before.st_size) > kInstanceFileSizeMaxBytes) {
        return absl::ResourceExhaustedError(
            absl::StrCat("the instance file ", path, " has more than ", kInstanceFileSizeMaxBytes,
                         " bytes: leave it out of instance_files"));
      }
      // A byte more than there should be, to notice growth.
      file.bytes.resize(static_cast<size_t>(before.st_size) + 1);
      HOLDFAST_ASSIGN_OR_RETURN(
          const size_t size,
          ReadFull(fd.get(), absl::MakeSpan(reinterpret_cast<uint8_t*>(file.bytes.data()),
                                            file.bytes.size())),
          path);
      struct stat after;
      if (fstat(fd.get(), &after) != 0) return StatusFromErrno(errno, path);
      if (size + 1 == file.bytes.size() && IsUnchanged(before, after)) {
        file.bytes.pop_back();
        file.mode = before.st_mode & 0777;
        return Visit(path, file);
      }
      if (attempt == kReadAttemptsMax) {
        return absl::AbortedError(
            absl::StrCat("the instance file ", path, " keeps changing while it is read"));
      }
    }
  }

  absl::Status Visit(const std::string& path, const File& file) {
    if (MasterKey::IsIn(file.bytes)) {
      LogWarning("a file that holds a master key is not backed up", {{"path", path}});
      return absl::OkStatus();
    }
    size_bytes_ += file.bytes.size();
    if (size_bytes_ > kInstanceFilesSizeMaxBytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the instance files have more than ", kInstanceFilesSizeMaxBytes,
                       " bytes together: leave some out of instance_files"));
    }
    return visit_(file);
  }

  const std::function<absl::Status(const File&)>& visit_;
  std::optional<struct stat> master_key_;
  std::set<std::string> names_;
  size_t size_bytes_ = 0;
};

absl::StatusOr<InstanceFiles> InstanceFiles::FromConfiguration(Options options) {
  const std::string data_directory = ResolvePath(options.data_directory_path);
  std::optional<struct stat> master_key;
  struct stat info;
  if (!options.master_key_path.empty() && stat(options.master_key_path.c_str(), &info) == 0) {
    master_key = info;
  }
  for (std::string& path : options.paths) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    const auto refuse = [&](absl::string_view why) {
      return absl::InvalidArgumentError(absl::StrCat("instance_files: \"", path, "\" ", why));
    };
    if (path.empty() || path.front() != '/') return refuse("is not an absolute path");
    for (const absl::string_view part : absl::StrSplit(absl::string_view(path).substr(1), '/')) {
      if (!IsPlainName(part)) return refuse("has an empty part, \".\" or \"..\"");
    }
    const std::string resolved = ResolvePath(path);
    if (IsWithin(resolved, data_directory) || IsWithin(data_directory, resolved)) {
      return refuse(
          "is in the data directory or around it, which is backed up "
          "by itself");
    }
    if (stat(path.c_str(), &info) != 0) {
      LogWarning("an instance file is not there; backups fail until it is",
                 {{"path", path}, {"error", StatusFromErrno(errno, "look")}});
    } else if (master_key.has_value() && IsSameFile(info, *master_key)) {
      return refuse(
          "is the master key's file: a key in a backup that only "
          "this key opens helps nobody; keep "
          "it elsewhere");
    }
  }
  return InstanceFiles(std::move(options));
}

absl::Status InstanceFiles::ReadAll(const std::function<absl::Status(const File&)>& visit) const {
  Reading reading(options_, visit);
  for (const std::string& path : options_.paths) {
    HOLDFAST_RETURN_IF_ERROR(reading.ReadPath(path));
  }
  return absl::OkStatus();
}

}  // namespace holdfast
