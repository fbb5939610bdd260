#ifndef HOLDFAST_COMMON_STORAGE_OPEN_BLOB_STORE_H_
#define HOLDFAST_COMMON_STORAGE_OPEN_BLOB_STORE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/cancellation.h"
#include "common/storage/blob_store.h"
#include "common/storage/directory_url.h"

namespace holdfast {

// The one factory that knows the implementations: opens the place that `url` names, with retries of
// transient failures.
//   file:///absolute/path   a directory, or a mounted share
//   /absolute/path          the same, for people
//   rclone:REMOTE:PATH      a folder of a remote of rclone's configuration; see RclonePlace
//
// NOT_FOUND where the directory or folder does not exist: it is never made here, as a share that is
// not mounted looks just like that. INVALID_ARGUMENT for other schemes and relative paths.
// `cancellation` ends calls that are under way, where the place can end them: the rclone ones.
absl::StatusOr<std::unique_ptr<BlobStore>> OpenBlobStore(
    absl::string_view url, const Cancellation& cancellation = Cancellation());

// Makes the directory or folder that a URL as above names, if it is not there but the one that it
// lies in is. Returns whether it did. NOT_FOUND where that one does not exist either.
absl::StatusOr<bool> MakeBlobStoreFolder(absl::string_view url,
                                         const Cancellation& cancellation = Cancellation());

// The canonical form of a URL as above. An "rclone:" URL is taken literally: nothing in it is
// escaped.
absl::StatusOr<std::string> CanonicalBlobStoreUrl(absl::string_view url);

// What people would call the place: the last part of its path; the remote where it has none.
absl::StatusOr<std::string> ShortNameOfBlobStoreUrl(absl::string_view url);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_STORAGE_OPEN_BLOB_STORE_H_
