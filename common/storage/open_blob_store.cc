#include "common/storage/open_blob_store.h"

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/storage/directory_url.h"
#include "common/storage/local_blob_store.h"
#include "common/storage/rclone_blob_store.h"
#include "common/storage/rclone_place.h"
#include "common/storage/retrying_blob_store.h"

namespace holdfast {

namespace {

bool IsRcloneUrl(absl::string_view url) { return absl::StartsWith(url, RclonePlace::kScheme); }

// REQUIRES: IsRcloneUrl(url).
absl::StatusOr<RclonePlace> RclonePlaceOfUrl(absl::string_view url) {
  absl::StatusOr<RclonePlace> place = RclonePlace::Parse(url);
  // A URL that is refused is not shown: it may hold a password, and be refused for that.
  HOLDFAST_RETURN_IF_ERROR(place.status(), "the rclone: URL names no place");
  return place;
}

}  // namespace

absl::StatusOr<std::unique_ptr<BlobStore>> OpenBlobStore(absl::string_view url,
                                                         const Cancellation& cancellation) {
  std::unique_ptr<BlobStore> store;
  if (IsRcloneUrl(url)) {
    HOLDFAST_ASSIGN_OR_RETURN(const RclonePlace place, RclonePlaceOfUrl(url));
    HOLDFAST_ASSIGN_OR_RETURN(store, RcloneBlobStore::Open(place, {.cancellation = cancellation}));
  } else {
    HOLDFAST_ASSIGN_OR_RETURN(const std::string path, DirectoryOfBlobStoreUrl(url));
    HOLDFAST_ASSIGN_OR_RETURN(store, LocalBlobStore::Open(path));
  }
  return std::make_unique<RetryingBlobStore>(std::move(store), RetryingBlobStore::Options{},
                                             SystemClock(), SystemRandom());
}

absl::StatusOr<bool> MakeBlobStoreFolder(absl::string_view url, const Cancellation& cancellation) {
  if (IsRcloneUrl(url)) {
    HOLDFAST_ASSIGN_OR_RETURN(const RclonePlace place, RclonePlaceOfUrl(url));
    return RcloneBlobStore::MakeFolder(place, {.cancellation = cancellation});
  }
  HOLDFAST_ASSIGN_OR_RETURN(const std::string path, DirectoryOfBlobStoreUrl(url));
  return LocalBlobStore::MakeDirectory(path);
}

absl::StatusOr<std::string> CanonicalBlobStoreUrl(absl::string_view url) {
  if (IsRcloneUrl(url)) {
    HOLDFAST_ASSIGN_OR_RETURN(const RclonePlace place, RclonePlaceOfUrl(url));
    return place.ToUrl();
  }
  return CanonicalDirectoryUrl(url);
}

absl::StatusOr<std::string> ShortNameOfBlobStoreUrl(absl::string_view url) {
  if (IsRcloneUrl(url)) {
    HOLDFAST_ASSIGN_OR_RETURN(const RclonePlace place, RclonePlaceOfUrl(url));
    return place.IsTop() ? place.remote() : place.path().substr(place.path().rfind('/') + 1);
  }
  HOLDFAST_ASSIGN_OR_RETURN(const std::string path, DirectoryOfBlobStoreUrl(url));
  return path.substr(path.rfind('/') + 1);
}

}  // namespace holdfast
