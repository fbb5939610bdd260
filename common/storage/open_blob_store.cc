#include "common/storage/open_blob_store.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/io/files.h"
#include "common/io/path.h"
#include "common/storage/local_blob_store.h"
#include "common/storage/rclone_blob_store.h"
#include "common/storage/rclone_place.h"
#include "common/storage/retrying_blob_store.h"

namespace holdfast {

namespace {

constexpr absl::string_view kFileScheme = "file://";
constexpr size_t kUrlSizeMaxBytes = 4096;
constexpr mode_t kFolderMode = 0700;

bool IsRcloneUrl(absl::string_view url) { return absl::StartsWith(url, RclonePlace::kScheme); }

bool IsUnreservedInPath(unsigned char c) {
  return absl::ascii_isalnum(c) || c == '/' || c == '-' || c == '.' || c == '_' || c == '~' ||
         c >= 0x80;
}

absl::StatusOr<std::string> DecodePercents(absl::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '?' || text[i] == '#') {
      return absl::InvalidArgumentError(absl::StrCat("a \"", text.substr(i, 1),
                                                     "\" in it has no meaning; write it as ",
                                                     text[i] == '?' ? "%3F" : "%23"));
    }
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    const absl::string_view digits = text.substr(i + 1, 2);
    if (digits.size() != 2 || !absl::ascii_isxdigit(static_cast<unsigned char>(digits[0])) ||
        !absl::ascii_isxdigit(static_cast<unsigned char>(digits[1]))) {
      return absl::InvalidArgumentError("a \"%\" in it is not followed by two hexadecimal digits");
    }
    decoded += absl::HexStringToBytes(digits);
    i += 2;
  }
  return decoded;
}

// The path without doubled slashes, "." and a slash at the end.
absl::StatusOr<std::string> CleanPath(absl::string_view path) {
  if (path.empty() || path.front() != '/') {
    return absl::InvalidArgumentError("the path must be absolute");
  }
  std::string clean;
  for (const absl::string_view part : absl::StrSplit(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") return absl::InvalidArgumentError("the path must not hold \"..\"");
    for (const char c : part) {
      if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
        return absl::InvalidArgumentError("the path must not hold control characters");
      }
    }
    absl::StrAppend(&clean, "/", part);
  }
  if (clean.empty()) {
    return absl::InvalidArgumentError("the root directory cannot be used; name one below it");
  }
  return clean;
}

absl::StatusOr<std::string> PathOfUrlUnannotated(absl::string_view url) {
  if (url.size() > kUrlSizeMaxBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("it is longer than ", kUrlSizeMaxBytes, " bytes"));
  }
  if (absl::StartsWith(url, "/")) return CleanPath(url);
  if (absl::ConsumePrefix(&url, kFileScheme)) {
    if (!absl::StartsWith(url, "/")) {
      return absl::InvalidArgumentError(
          "a file URL has three slashes, as in file:///mnt/backup; shares of "
          "other machines are "
          "mounted and named by their mount point");
    }
    HOLDFAST_ASSIGN_OR_RETURN(const std::string path, DecodePercents(url));
    return CleanPath(path);
  }
  if (IsRcloneUrl(url)) {
    return absl::InvalidArgumentError("it is not a directory but a place that rclone reaches");
  }
  if (absl::StrContains(url, "://")) {
    return absl::InvalidArgumentError(
        "this kind of URL is not supported; use file:///absolute/path and mount it, or "
        "rclone:REMOTE:PATH");
  }
  return absl::InvalidArgumentError(
      "it must be an absolute path (/mnt/backup) or a URL (file:///mnt/backup, or "
      "rclone:REMOTE:PATH)");
}

absl::StatusOr<std::string> PathOfUrl(absl::string_view url) {
  absl::StatusOr<std::string> path = PathOfUrlUnannotated(url);
  HOLDFAST_RETURN_IF_ERROR(
      path.status(), absl::StrCat("\"", absl::CHexEscape(url.substr(0, 200)), "\" names no place"));
  return path;
}

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
    HOLDFAST_ASSIGN_OR_RETURN(const std::string path, PathOfUrl(url));
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
  HOLDFAST_ASSIGN_OR_RETURN(const std::string path, PathOfUrl(url));
  HOLDFAST_ASSIGN_OR_RETURN(const bool exists, FileExists(path));
  if (exists) return false;
  const std::string parent = FolderOf(path);
  HOLDFAST_ASSIGN_OR_RETURN(const bool parent_exists, FileExists(parent));
  if (!parent_exists) {
    return absl::NotFoundError(absl::StrCat("neither ", path, " nor ", parent,
                                            " exists: make it, or mount what belongs there"));
  }
  HOLDFAST_RETURN_IF_ERROR(MakeDirectories(path, kFolderMode));
  return true;
}

absl::StatusOr<std::string> CanonicalBlobStoreUrl(absl::string_view url) {
  if (IsRcloneUrl(url)) {
    HOLDFAST_ASSIGN_OR_RETURN(const RclonePlace place, RclonePlaceOfUrl(url));
    return place.ToUrl();
  }
  HOLDFAST_ASSIGN_OR_RETURN(const std::string path, PathOfUrl(url));
  std::string canonical(kFileScheme);
  for (const char c : path) {
    if (IsUnreservedInPath(static_cast<unsigned char>(c))) {
      canonical.push_back(c);
    } else {
      absl::StrAppendFormat(&canonical, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  return canonical;
}

absl::StatusOr<std::string> ShortNameOfBlobStoreUrl(absl::string_view url) {
  if (IsRcloneUrl(url)) {
    HOLDFAST_ASSIGN_OR_RETURN(const RclonePlace place, RclonePlaceOfUrl(url));
    return place.IsTop() ? place.remote() : place.path().substr(place.path().rfind('/') + 1);
  }
  HOLDFAST_ASSIGN_OR_RETURN(const std::string path, PathOfUrl(url));
  return path.substr(path.rfind('/') + 1);
}

absl::StatusOr<std::string> DirectoryOfBlobStoreUrl(absl::string_view url) {
  return PathOfUrl(url);
}

}  // namespace holdfast
