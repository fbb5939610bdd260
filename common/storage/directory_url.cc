#include "common/storage/directory_url.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/storage/rclone_place.h"

namespace holdfast {

namespace {

constexpr absl::string_view kFileScheme = "file://";
constexpr size_t kUrlSizeMaxBytes = 4096;

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
  if (absl::StartsWith(url, RclonePlace::kScheme)) {
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

}  // namespace

absl::StatusOr<std::string> DirectoryOfBlobStoreUrl(absl::string_view url) {
  absl::StatusOr<std::string> path = PathOfUrlUnannotated(url);
  HOLDFAST_RETURN_IF_ERROR(
      path.status(), absl::StrCat("\"", absl::CHexEscape(url.substr(0, 200)), "\" names no place"));
  return path;
}

absl::StatusOr<std::string> CanonicalDirectoryUrl(absl::string_view url) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::string path, DirectoryOfBlobStoreUrl(url));
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

}  // namespace holdfast
