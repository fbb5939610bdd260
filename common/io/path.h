#ifndef HOLDFAST_COMMON_IO_PATH_H_
#define HOLDFAST_COMMON_IO_PATH_H_

#include <string>

#include "absl/strings/string_view.h"

// Paths as text. Nothing here looks at the disk.

namespace holdfast {

// "a" and "b" are "a/b"; a slash at the end of `folder` is not doubled.
// REQUIRES: `name` is relative.
std::string JoinPath(absl::string_view folder, absl::string_view name);

// The folder that holds `path`: "/a" of "/a/b" and of "/a/b/", "/" of "/a", "." of "a".
std::string FolderOf(absl::string_view path);

// The last part of `path`: "b" of "/a/b" and of "/a/b/", empty of "/".
std::string NameOf(absl::string_view path);

// Whether `name` can name one thing in a folder: not empty, "." or "..", without slash and NUL, and
// at most 255 bytes.
bool IsPlainName(absl::string_view name);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_IO_PATH_H_
