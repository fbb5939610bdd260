#ifndef HOLDFAST_COMMON_STORAGE_DIRECTORY_URL_H_
#define HOLDFAST_COMMON_STORAGE_DIRECTORY_URL_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace holdfast {

// The directory that a URL as OpenBlobStore takes it names: file:///absolute/path, or the path
// itself. INVALID_ARGUMENT where it names none: for "rclone:".
absl::StatusOr<std::string> DirectoryOfBlobStoreUrl(absl::string_view url);

// The canonical form of such a URL.
absl::StatusOr<std::string> CanonicalDirectoryUrl(absl::string_view url);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_STORAGE_DIRECTORY_URL_H_
