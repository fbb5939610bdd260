#include "common/io/file_lock.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/io/files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

constexpr auto kFailedPrecondition = absl::StatusCode::kFailedPrecondition;

TEST(FileLockTest, SecondHolderIsRefusedAndToldWhoHoldsIt) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(auto lock, FileLock::Acquire(dir.Path("LOCK")));
  EXPECT_THAT(FileLock::Acquire(dir.Path("LOCK")),
              StatusIs(kFailedPrecondition, HasSubstr(absl::StrCat("process ", getpid()))));
  lock.reset();
  EXPECT_OK(FileLock::Acquire(dir.Path("LOCK")));
}

TEST(FileLockTest, EndsWithItsProcessHoweverThatEnds) {
  TempDir dir;
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    auto lock = FileLock::Acquire(dir.Path("LOCK"));
    const char answer = lock.ok() ? 'y' : 'n';
    if (write(ready[1], &answer, 1) != 1) _exit(1);
    pause();
    _exit(0);
  }
  char answer = 0;
  ASSERT_EQ(read(ready[0], &answer, 1), 1);
  ASSERT_EQ(answer, 'y');
  EXPECT_THAT(FileLock::Acquire(dir.Path("LOCK")),
              StatusIs(kFailedPrecondition, HasSubstr(absl::StrCat("process ", child))));
  kill(child, SIGKILL);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_OK(FileLock::Acquire(dir.Path("LOCK")));
  close(ready[0]);
  close(ready[1]);
}

TEST(FileLockTest, LocksWhatTheNameMeansNow) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(auto removed, FileLock::Acquire(dir.Path("LOCK")));
  ASSERT_OK(RemoveFile(dir.Path("LOCK")));
  ASSERT_OK_AND_ASSIGN(auto lock, FileLock::Acquire(dir.Path("LOCK")));
  EXPECT_THAT(FileLock::Acquire(dir.Path("LOCK")), StatusIs(kFailedPrecondition));
}

TEST(FileLockTest, NeedsItsFolderAndFollowsNoLink) {
  TempDir dir;
  EXPECT_THAT(FileLock::Acquire(dir.Path("none/LOCK")), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_EQ(symlink("target", dir.Path("LOCK").c_str()), 0);
  EXPECT_THAT(FileLock::Acquire(dir.Path("LOCK")), StatusIs(kFailedPrecondition));
  EXPECT_THAT(FileExists(dir.Path("target")), IsOkAndHolds(false));
}

}  // namespace
}  // namespace holdfast
