#include "common/io/directory.h"

#include <unistd.h>

#include <string>

#include "common/io/durable_file.h"
#include "common/io/files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace holdfast::internal {
namespace {

constexpr auto kAlreadyExists = absl::StatusCode::kAlreadyExists;

// All ways of renaming keep the same promise where nobody else renames at that moment: with the
// kernel's call, and without it.
using RenameFunction = absl::Status (*)(int, const std::string&, int, const std::string&,
                                        absl::string_view);

class RenameWithoutReplacingTest : public testing::TestWithParam<RenameFunction> {
 protected:
  absl::Status Rename(const std::string& from, const std::string& to) {
    const absl::StatusOr<UniqueFd> directory = OpenDirectory(dir_.path());
    EXPECT_OK(directory);
    return GetParam()(directory->get(), from, directory->get(), to, "rename");
  }

  TempDir dir_;
};

INSTANTIATE_TEST_SUITE_P(Ways, RenameWithoutReplacingTest,
                         testing::Values(&RenameWithoutReplacing, &RenameWithoutReplacingByLink,
                                         &RenameAfterLooking),
                         [](const auto& param_info) {
                           if (param_info.param == &RenameWithoutReplacing) return "Call";
                           return param_info.param == &RenameAfterLooking ? "Look" : "Link";
                         });

TEST_P(RenameWithoutReplacingTest, FileGetsItsNewNameOnly) {
  ASSERT_OK(WriteFileDurably(dir_.Path("a"), "a", {}));
  EXPECT_OK(Rename("a", "b"));
  EXPECT_THAT(ReadFile(dir_.Path("b"), 10), IsOkAndHolds("a"));
  EXPECT_THAT(FileExists(dir_.Path("a")), IsOkAndHolds(false));
}

TEST_P(RenameWithoutReplacingTest, NothingIsReplaced) {
  ASSERT_OK(WriteFileDurably(dir_.Path("a"), "a", {}));
  ASSERT_OK(WriteFileDurably(dir_.Path("b"), "b", {}));
  ASSERT_OK(MakeDirectories(dir_.Path("d")));
  ASSERT_OK(MakeDirectories(dir_.Path("full/inner")));
  ASSERT_EQ(symlink("nowhere", dir_.Path("link").c_str()), 0);
  EXPECT_THAT(Rename("a", "b"), StatusIs(kAlreadyExists));
  EXPECT_THAT(Rename("a", "d"), StatusIs(kAlreadyExists));
  EXPECT_THAT(Rename("a", "link"), StatusIs(kAlreadyExists));
  EXPECT_THAT(Rename("d", "b"), StatusIs(kAlreadyExists));
  EXPECT_THAT(Rename("d", "full"), StatusIs(kAlreadyExists));
  EXPECT_THAT(ReadFile(dir_.Path("a"), 10), IsOkAndHolds("a"));
  EXPECT_THAT(ReadFile(dir_.Path("b"), 10), IsOkAndHolds("b"));
  EXPECT_THAT(FileExists(dir_.Path("d")), IsOkAndHolds(true));
}

TEST_P(RenameWithoutReplacingTest, DirectoryMovesWithAllInIt) {
  ASSERT_OK(MakeDirectories(dir_.Path("d/inner")));
  EXPECT_OK(Rename("d", "e"));
  EXPECT_THAT(FileExists(dir_.Path("e/inner")), IsOkAndHolds(true));
}

TEST_P(RenameWithoutReplacingTest, MissingIsNotFound) {
  EXPECT_THAT(Rename("none", "b"), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace holdfast::internal
