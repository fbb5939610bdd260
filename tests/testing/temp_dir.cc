#include "tests/testing/temp_dir.h"

#include <cstdio>
#include <cstdlib>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/io/files.h"
#include "common/io/path.h"

namespace holdfast {

TempDir::TempDir() {
  const char* root = std::getenv("TMPDIR");
  path_ = JoinPath(root != nullptr && *root == '/' ? root : "/tmp", "holdfast-test-XXXXXX");
  HOLDFAST_CHECK(mkdtemp(path_.data()) != nullptr, path_);
}

TempDir::~TempDir() {
  if (const absl::Status status = RemoveTree(path_); !status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
  }
}

std::string TempDir::Path(absl::string_view name) const { return JoinPath(path_, name); }

}  // namespace holdfast
