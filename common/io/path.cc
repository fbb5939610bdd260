#include "common/io/path.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace holdfast {
namespace {

constexpr size_t kNameBytesMax = 255;  // NAME_MAX of every file system that matters

absl::string_view WithoutSlashesAtEnd(absl::string_view path) {
  while (path.size() > 1 && absl::ConsumeSuffix(&path, "/")) {
  }
  return path;
}

}  // namespace

std::string JoinPath(absl::string_view folder, absl::string_view name) {
  return absl::StrCat(folder, absl::EndsWith(folder, "/") ? "" : "/", name);
}

std::string FolderOf(absl::string_view path) {
  path = WithoutSlashesAtEnd(path);
  const size_t slash = path.rfind('/');
  if (slash == absl::string_view::npos) return ".";
  return std::string(WithoutSlashesAtEnd(path.substr(0, slash + 1)));
}

std::string NameOf(absl::string_view path) {
  path = WithoutSlashesAtEnd(path);
  const size_t slash = path.rfind('/');
  return std::string(slash == absl::string_view::npos ? path : path.substr(slash + 1));
}

bool IsPlainName(absl::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax && name != "." && name != ".." &&
         name.find('/') == absl::string_view::npos && name.find('\0') == absl::string_view::npos;
}

}  // namespace holdfast
