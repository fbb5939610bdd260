#ifndef HOLDFAST_COMMON_STORAGE_OPEN_BLOB_STORE_H_
#define HOLDFAST_COMMON_STORAGE_OPEN_BLOB_STORE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/storage/blob_store.h"

namespace holdfast {

// The one factory that knows the implementations: opens the place that `url` names, with retries of
// transient failures.
//   file:///absolute/path   a directory, or a mounted share
//   /absolute/path          the same, for people
//
// NOT_FOUND where the directory does not exist: it is never made here, as a share that is not
// mounted looks just like that. INVALID_ARGUMENT for other schemes and relative paths.
absl::StatusOr<std::unique_ptr<BlobStore>> OpenBlobStore(absl::string_view url);

// The canonical form of a URL as above.
absl::StatusOr<std::string> CanonicalBlobStoreUrl(absl::string_view url);

// The directory that a URL as above names.
absl::StatusOr<std::string> DirectoryOfBlobStoreUrl(absl::string_view url);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_STORAGE_OPEN_BLOB_STORE_H_
