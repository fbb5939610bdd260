#ifndef HOLDFAST_COMMON_REPOSITORY_BLOB_CALLS_H_
#define HOLDFAST_COMMON_REPOSITORY_BLOB_CALLS_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/storage/blob_store.h"

// What the parts of the repository do with a BlobStore in the same way: small files that are proven
// to be there, folders, and what an error is of.

namespace holdfast {

// Puts and reads back what is small. OK where there are these very bytes already, ALREADY_EXISTS
// where there are others. DATA_LOSS where it does not read back as it was written.
absl::Status PutAndCompare(BlobStore& blobs, const std::string& name, absl::string_view bytes);

// Puts what is small in the place of what is there, and reads it back. DATA_LOSS as above.
absl::Status ReplaceAndCompare(BlobStore& blobs, const std::string& name, absl::string_view bytes);

// What somebody else removed meanwhile is removed.
absl::Status IgnoreNotFound(const absl::Status& removed);

// Calls `visit` with the rest of each name below `folder`, and its size; ends with its first error.
absl::Status ListBelow(BlobStore& blobs, const std::string& folder,
                       const std::function<absl::Status(absl::string_view, uint64_t)>& visit);

// Returned by a visitor to end a listing early: ABORTED.
absl::Status StopListing();

// OK where `failure` was of one file alone; else the error to end with, as the job was cancelled or
// the destination can't be reached.
absl::Status CheckThatOnlyTheFileFailed(BlobStore& blobs, const absl::Status& failure);

// Whether `failure` to read a file says that it is not what was written: it is missing, cut short,
// or does not authenticate. Any other says only that it could not be read, which may pass.
bool IsProofOfDamage(const absl::Status& failure);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_REPOSITORY_BLOB_CALLS_H_
