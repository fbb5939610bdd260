#include "common/storage/rclone_place.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "simdjson.h"

namespace holdfast {

namespace {

constexpr size_t kUrlSizeMaxBytes = 4096;

// As rclone's own rule for names, in ASCII.
bool IsRemoteName(absl::string_view name) {
  return !name.empty() && name.front() != '-' && name.front() != ' ' && name.back() != ' ' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' ||
                  c == '.' || c == ' ';
         });
}

absl::StatusOr<std::string> CleanPath(absl::string_view path) {
  std::string clean;
  for (const absl::string_view part : absl::StrSplit(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") return absl::InvalidArgumentError("the path must not hold \"..\"");
    if (!clean.empty() || absl::StartsWith(path, "/")) clean.push_back('/');
    absl::StrAppend(&clean, part);
  }
  if (clean.empty() && absl::StartsWith(path, "/")) clean = "/";
  for (const char c : clean) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      return absl::InvalidArgumentError("the path must not hold control characters");
    }
    // Reading names places as "[REMOTE:PATH]/name".
    if (c == ']') {
      return absl::InvalidArgumentError(
          "the path must not hold a \"]\"; an alias in rclone's configuration can stand for it");
    }
  }
  if (!simdjson::validate_utf8(clean.data(), clean.size())) {
    return absl::InvalidArgumentError("the path is not UTF-8");
  }
  return clean;
}

}  // namespace

absl::StatusOr<RclonePlace> RclonePlace::Parse(absl::string_view url) {
  if (url.size() > kUrlSizeMaxBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("it is longer than ", kUrlSizeMaxBytes, " bytes"));
  }
  if (!absl::ConsumePrefix(&url, kScheme)) {
    return absl::InvalidArgumentError("it does not begin with \"rclone:\"");
  }
  if (absl::StartsWith(url, ":")) {
    return absl::InvalidArgumentError(
        "a backend that is described in the URL is not taken, for URLs are shown and logged; make "
        "a remote with `rclone config` and name it: rclone:REMOTE:PATH");
  }
  const size_t colon = url.find(':');
  if (colon == absl::string_view::npos) {
    return absl::InvalidArgumentError(
        "it must be of the form rclone:REMOTE:PATH, with a remote of rclone's configuration");
  }
  const absl::string_view remote = url.substr(0, colon);
  if (absl::StrContains(remote, ',')) {
    return absl::InvalidArgumentError(
        "options of a remote are not taken in the URL, for URLs are shown and logged; put them "
        "into rclone's configuration");
  }
  if (!IsRemoteName(remote)) {
    return absl::InvalidArgumentError(
        "the remote must be one of rclone's configuration, and have a name of letters, digits, "
        "\"_\", \"-\", \".\" and blanks");
  }
  HOLDFAST_ASSIGN_OR_RETURN(std::string path, CleanPath(url.substr(colon + 1)));
  return RclonePlace(std::string(remote), std::move(path));
}

std::string RclonePlace::ToUrl() const { return absl::StrCat(kScheme, ToFs()); }

std::string RclonePlace::ToFs() const { return absl::StrCat(remote_, ":", path_); }

RclonePlace RclonePlace::Parent() const {
  const size_t slash = path_.rfind('/');
  if (slash == std::string::npos) return RclonePlace(remote_, "");
  return RclonePlace(remote_, path_.substr(0, std::max<size_t>(slash, 1)));
}

}  // namespace holdfast
