#include "common/repository/repository_file.h"

#include <cstdint>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/base/time_format.h"
#include "common/crypto/hash.h"
#include "common/repository/blob_calls.h"
#include "common/repository/layout.h"
#include "simdjson.h"

namespace holdfast {

namespace {

// Part of the repository format; do not change.
constexpr absl::string_view kFormatName = "holdfast-repository";
constexpr int64_t kFormatVersion = 1;
constexpr uint64_t kRepositoryFileSizeMaxBytes = 4096;

// What the file ends with: the checksum of all that is before.
std::string ChecksumMember(absl::string_view before) {
  return absl::StrCat(",\"checksum\":\"",
                      absl::BytesToHexString(AsText(Blake2b128({AsBytes(before)}))), "\"}\n");
}

absl::Status NotARepositoryError(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("not the file of a Holdfast repository: ", what));
}

absl::Status CheckChecksum(absl::string_view bytes) {
  const size_t member_size = ChecksumMember("").size();
  if (bytes.size() > member_size) {
    const absl::string_view before = bytes.substr(0, bytes.size() - member_size);
    if (absl::EndsWith(bytes, ChecksumMember(before))) return absl::OkStatus();
  }
  return NotARepositoryError("it does not end with the checksum of its text: it is damaged");
}

absl::StatusOr<RepositoryFile> ReadOne(BlobStore& blobs, absl::string_view path) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::string bytes,
                            ReadBlob(blobs, std::string(path), kRepositoryFileSizeMaxBytes));
  return ParseRepositoryFile(bytes);
}

// Whether holdfast.json counts, or its error, whatever the copy is.
bool Decides(const absl::StatusOr<RepositoryFile>& file) {
  return file.ok() || absl::IsUnimplemented(file.status()) || absl::IsCancelled(file.status()) ||
         absl::IsDeadlineExceeded(file.status());
}

// The one that counts.
absl::StatusOr<RepositoryFile> Choose(const absl::StatusOr<RepositoryFile>& file,
                                      const absl::StatusOr<RepositoryFile>& copy) {
  if (Decides(file)) return file;
  if (copy.ok()) return copy;
  // A damaged copy shows that there is a repository.
  const bool is_copy_alone = absl::IsNotFound(file.status()) && !absl::IsNotFound(copy.status());
  return is_copy_alone ? Annotate(copy.status(), kRepositoryFileCopyName)
                       : Annotate(file.status(), kRepositoryFileName);
}

absl::Status CheckThatTheyAgree(const absl::StatusOr<RepositoryFile>& file,
                                const absl::StatusOr<RepositoryFile>& copy) {
  if (!file.ok() || !copy.ok() || file->bytes == copy->bytes) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      kRepositoryFileName, " is of repository ", file->repository_id.ToText(), " and ",
      kRepositoryFileCopyName, " of ", copy->repository_id.ToText(),
      ": put the right one in the place of the other; with the wrong one no key file opens"));
}

}  // namespace

RepositoryFile MakeRepositoryFile(const Id128& repository_id, absl::Time create_time) {
  std::string bytes = absl::StrCat("{\"format\":\"", kFormatName, "\",\"version\":", kFormatVersion,
                                   ",\"repository_id\":\"", repository_id.ToText(),
                                   "\",\"create_time\":\"", FormatRfc3339Millis(create_time), "\"");
  absl::StrAppend(&bytes, ChecksumMember(bytes));
  return {.repository_id = repository_id, .bytes = std::move(bytes)};
}

absl::StatusOr<RepositoryFile> ParseRepositoryFile(absl::string_view bytes) {
  HOLDFAST_RETURN_IF_ERROR(CheckChecksum(bytes));
  simdjson::dom::parser parser;
  const simdjson::padded_string padded(bytes.data(), bytes.size());
  simdjson::dom::object object;
  if (parser.parse(padded).get(object) != simdjson::SUCCESS) {
    return NotARepositoryError("it is no JSON object");
  }
  std::string_view format;
  if (object["format"].get(format) != simdjson::SUCCESS ||
      absl::string_view(format.data(), format.size()) != kFormatName) {
    return NotARepositoryError(absl::StrCat("\"format\" in it is not \"", kFormatName, "\""));
  }
  int64_t version = 0;
  if (object["version"].get(version) != simdjson::SUCCESS || version < 1) {
    return NotARepositoryError("\"version\" in it is not a positive number");
  }
  if (version != kFormatVersion) {
    return absl::UnimplementedError(absl::StrCat(
        "the repository has version ", version, " of the format, and this Holdfast knows ",
        "version ", kFormatVersion, "; a newer Holdfast is needed"));
  }
  std::string_view id_text;
  if (object["repository_id"].get(id_text) != simdjson::SUCCESS) {
    return NotARepositoryError("\"repository_id\" is not in it");
  }
  const absl::StatusOr<Id128> id =
      Id128::FromText(absl::string_view(id_text.data(), id_text.size()));
  if (!id.ok()) return NotARepositoryError(id.status().message());
  return RepositoryFile{.repository_id = *id, .bytes = std::string(bytes)};
}

absl::StatusOr<RepositoryFile> ReadRepositoryFile(BlobStore& blobs) {
  absl::StatusOr<RepositoryFile> file = ReadOne(blobs, kRepositoryFileName);
  if (Decides(file)) return file;
  return Choose(file, ReadOne(blobs, kRepositoryFileCopyName));
}

absl::Status PutRepositoryFile(BlobStore& blobs, const RepositoryFile& file) {
  // The one that decides who made the repository comes first.
  HOLDFAST_RETURN_IF_ERROR(PutAndCompare(blobs, std::string(kRepositoryFileName), file.bytes));
  return PutAndCompare(blobs, std::string(kRepositoryFileCopyName), file.bytes);
}

absl::StatusOr<std::vector<RepositoryFileFault>> CheckRepositoryFiles(BlobStore& blobs) {
  const absl::StatusOr<RepositoryFile> file = ReadOne(blobs, kRepositoryFileName);
  const absl::StatusOr<RepositoryFile> copy = ReadOne(blobs, kRepositoryFileCopyName);
  HOLDFAST_ASSIGN_OR_RETURN(const RepositoryFile chosen, Choose(file, copy));
  std::vector<RepositoryFileFault> faults;
  for (const auto& [path, one] : {std::make_pair(kRepositoryFileName, &file),
                                  std::make_pair(kRepositoryFileCopyName, &copy)}) {
    absl::Status status = one->status();
    if (absl::IsNotFound(status)) {
      status = absl::NotFoundError("missing");
    } else if (one->ok() && (*one)->bytes != chosen.bytes) {
      status = absl::DataLossError(
          absl::StrCat("it is that of another repository, ", (*one)->repository_id.ToText()));
    }
    if (status.ok()) continue;
    HOLDFAST_RETURN_IF_ERROR(CheckThatOnlyTheFileFailed(blobs, status));
    faults.push_back({.path = std::string(path), .status = std::move(status)});
  }
  return faults;
}

absl::Status CheckThatRepositoryFilesAgree(BlobStore& blobs) {
  return CheckThatTheyAgree(ReadOne(blobs, kRepositoryFileName),
                            ReadOne(blobs, kRepositoryFileCopyName));
}

absl::Status RepairRepositoryFile(BlobStore& blobs, absl::string_view path) {
  const absl::StatusOr<RepositoryFile> file = ReadOne(blobs, kRepositoryFileName);
  const absl::StatusOr<RepositoryFile> copy = ReadOne(blobs, kRepositoryFileCopyName);
  HOLDFAST_RETURN_IF_ERROR(CheckThatTheyAgree(file, copy));
  HOLDFAST_ASSIGN_OR_RETURN(const RepositoryFile chosen, Choose(file, copy));
  // They agree, so that one which opens is whole.
  if ((path == kRepositoryFileName ? file : copy).ok()) return absl::OkStatus();
  return ReplaceAndCompare(blobs, std::string(path), chosen.bytes);
}

}  // namespace holdfast
