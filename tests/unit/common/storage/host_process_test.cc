#include "common/storage/host_process.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

// Beside the tests there is no such program. The end-to-end tests run it.
TEST(HostProcessTest, AMissingHostProgramIsNamed) {
  TempDir directory;
  EXPECT_THAT(FindHostProgram(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/holdfast-host")));
  EXPECT_THAT(OpenBlobStoreInHost(directory.path()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/holdfast-host")));
  EXPECT_THAT(MakeBlobStoreFolderInHost(directory.path()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/holdfast-host")));
}

}  // namespace
}  // namespace holdfast
