#ifndef HOLDFAST_COMMON_REPOSITORY_REPOSITORY_FILE_H_
#define HOLDFAST_COMMON_REPOSITORY_REPOSITORY_FILE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/id128.h"
#include "common/storage/blob_store.h"

namespace holdfast {

// holdfast.json, which tells that a place is a repository and which one, and its copy beside it
// (FORMAT.md, "The repository's file"). Every key file is bound to its bytes, so nothing could be
// opened without them: that is why there are two.
struct RepositoryFile {
  Id128 repository_id;
  std::string bytes;
};

// A new one.
RepositoryFile MakeRepositoryFile(const Id128& repository_id, absl::Time create_time);

// DATA_LOSS where it is damaged, or no such file; UNIMPLEMENTED for a version that is not known.
absl::StatusOr<RepositoryFile> ParseRepositoryFile(absl::string_view bytes);

// Reads holdfast.json, or its copy where that can't be read or is damaged. NOT_FOUND where neither
// is there; else the error of holdfast.json.
absl::StatusOr<RepositoryFile> ReadRepositoryFile(BlobStore& blobs);

// Puts both. ALREADY_EXISTS where holdfast.json is there.
absl::Status PutRepositoryFile(BlobStore& blobs, const RepositoryFile& file);

// Which of the two has not the bytes that ReadRepositoryFile finds, and why: NOT_FOUND where it is
// missing. The errors of ReadRepositoryFile otherwise, and those of the place.
struct RepositoryFileFault {
  std::string path;
  absl::Status status;
};
absl::StatusOr<std::vector<RepositoryFileFault>> CheckRepositoryFiles(BlobStore& blobs);

// DATA_LOSS where both are whole and differ: then nothing may be written that is bound to one of
// them, nor one over the other, for only the key files tell which of the two is right.
absl::Status CheckThatRepositoryFilesAgree(BlobStore& blobs);

// Writes the one at `path` anew with the bytes of the other, unless it is whole.
// The errors of CheckThatRepositoryFilesAgree, and those of the place.
absl::Status RepairRepositoryFile(BlobStore& blobs, absl::string_view path);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_REPOSITORY_REPOSITORY_FILE_H_
