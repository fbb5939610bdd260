#ifndef HOLDFAST_TESTS_TESTING_TEMP_DIR_H_
#define HOLDFAST_TESTS_TESTING_TEMP_DIR_H_

#include <string>

#include "absl/strings/string_view.h"

namespace holdfast {

// A TempDir is a fresh, empty directory that is removed with all that is in it. The process ends if
// it cannot be made.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  // Absolute, without a slash at the end.
  const std::string& path() const { return path_; }

  // path() + "/" + name.
  std::string Path(absl::string_view name) const;

 private:
  std::string path_;
};

}  // namespace holdfast

#endif  // HOLDFAST_TESTS_TESTING_TEMP_DIR_H_
