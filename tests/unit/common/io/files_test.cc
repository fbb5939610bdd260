#include "common/io/files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "common/io/durable_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;

constexpr auto kNotFound = absl::StatusCode::kNotFound;
constexpr auto kFailedPrecondition = absl::StatusCode::kFailedPrecondition;

auto Entry(const std::string& name, FileType type) {
  return AllOf(Field(&DirectoryEntry::name, name), Field(&DirectoryEntry::type, type));
}

class FilesTest : public testing::Test {
 protected:
  void Write(const std::string& name, absl::string_view content = "x") {
    ASSERT_OK(WriteFileDurably(dir_.Path(name), content, {}));
  }
  void Link(const std::string& target, const std::string& name) {
    ASSERT_EQ(symlink(target.c_str(), dir_.Path(name).c_str()), 0);
  }

  TempDir dir_;
};

TEST_F(FilesTest, ReadFileReadsUpToItsBound) {
  Write("file", "0123456789");
  EXPECT_THAT(ReadFile(dir_.Path("file"), 10), IsOkAndHolds("0123456789"));
  EXPECT_THAT(ReadFile(dir_.Path("file"), 9), StatusIs(kFailedPrecondition, HasSubstr("larger")));
  Write("empty", "");
  EXPECT_THAT(ReadFile(dir_.Path("empty"), 0), IsOkAndHolds(""));
}

TEST_F(FilesTest, ReadFileReadsFilesThatTellNoSize) {
  EXPECT_THAT(ReadFile("/proc/self/status", 1'000'000), IsOkAndHolds(HasSubstr("Pid:")));
  EXPECT_THAT(ReadFile("/proc/self/status", 100), StatusIs(kFailedPrecondition));
}

TEST_F(FilesTest, ReadFileRefusesAllButRegularFiles) {
  Write("file");
  Link("file", "link");
  EXPECT_THAT(ReadFile(dir_.Path("link"), 10), StatusIs(kFailedPrecondition));
  EXPECT_THAT(ReadFile(dir_.Path("link"), 10, Links::kFollow), IsOkAndHolds("x"));
  EXPECT_THAT(ReadFile(dir_.path(), 10), StatusIs(kFailedPrecondition));
  EXPECT_THAT(ReadFile("/dev/zero", 10), StatusIs(kFailedPrecondition));
  EXPECT_THAT(ReadFile(dir_.Path("none"), 10), StatusIs(kNotFound, HasSubstr(dir_.Path("none"))));
}

TEST_F(FilesTest, FileInfoIsAboutTheNameItself) {
  Write("file", "12345");
  Link("file", "link");
  ASSERT_OK_AND_ASSIGN(const FileInfo file, GetFileInfo(dir_.Path("file")));
  EXPECT_EQ(file.type, FileType::kRegular);
  EXPECT_EQ(file.size_bytes, 5);
  EXPECT_EQ(file.permissions, 0600u);
  ASSERT_OK_AND_ASSIGN(const FileInfo link, GetFileInfo(dir_.Path("link")));
  EXPECT_EQ(link.type, FileType::kSymbolicLink);
  EXPECT_THAT(FileSizeBytes(dir_.Path("file")), IsOkAndHolds(5));
  EXPECT_THAT(FileSizeBytes(dir_.Path("link")), StatusIs(kFailedPrecondition));
  EXPECT_THAT(FileSizeBytes(dir_.path()), StatusIs(kFailedPrecondition));
}

TEST_F(FilesTest, FileExistsSeesDanglingLinksAndTellsErrors) {
  Link("nowhere", "link");
  Write("file");
  EXPECT_THAT(FileExists(dir_.Path("link")), IsOkAndHolds(true));
  EXPECT_THAT(FileExists(dir_.Path("none")), IsOkAndHolds(false));
  EXPECT_THAT(FileExists(dir_.Path("file/below")), StatusIs(kFailedPrecondition));
}

TEST_F(FilesTest, ListDirectoryIsSortedAndTyped) {
  Write("b");
  Write(".hidden");
  ASSERT_OK(MakeDirectories(dir_.Path("a")));
  Link("b", "c");
  ASSERT_EQ(mkfifo(dir_.Path("d").c_str(), 0600), 0);
  EXPECT_THAT(
      ListDirectory(dir_.path()),
      IsOkAndHolds(ElementsAre(Entry(".hidden", FileType::kRegular),
                               Entry("a", FileType::kDirectory), Entry("b", FileType::kRegular),
                               Entry("c", FileType::kSymbolicLink), Entry("d", FileType::kOther))));
}

TEST_F(FilesTest, ListDirectoryIsBounded) {
  Write("a");
  Write("b");
  EXPECT_THAT(ListDirectory(dir_.path(), 2), IsOk());
  EXPECT_THAT(ListDirectory(dir_.path(), 1), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(ListDirectory(dir_.Path("none")), StatusIs(kNotFound));
  EXPECT_THAT(ListDirectory(dir_.Path("a")), StatusIs(kFailedPrecondition));
}

TEST_F(FilesTest, MakeDirectoriesMakesWhatIsMissing) {
  const mode_t before = umask(0777);
  EXPECT_OK(MakeDirectories(dir_.Path("a/b/c"), 0750));
  umask(before);
  for (const std::string name : {"a", "a/b", "a/b/c"}) {
    ASSERT_OK_AND_ASSIGN(const FileInfo info, GetFileInfo(dir_.Path(name)));
    EXPECT_EQ(info.permissions, 0750u) << name;
  }
  EXPECT_OK(MakeDirectories(dir_.Path("a/b/c/")));
  EXPECT_OK(MakeDirectories("/"));
  EXPECT_OK(MakeDirectories("."));
}

TEST_F(FilesTest, MakeDirectoriesRefusesWhereSomethingElseIs) {
  Write("file");
  Link("nowhere", "dangling");
  Link(".", "here");
  EXPECT_THAT(MakeDirectories(dir_.Path("file")), StatusIs(kFailedPrecondition));
  EXPECT_THAT(MakeDirectories(dir_.Path("file/below")), StatusIs(kFailedPrecondition));
  EXPECT_THAT(MakeDirectories(dir_.Path("dangling")), StatusIs(kFailedPrecondition));
  EXPECT_OK(MakeDirectories(dir_.Path("here")));
  EXPECT_THAT(MakeDirectories(""), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(FilesTest, RemoveTreeRemovesAllAndFollowsNoLink) {
  ASSERT_OK(MakeDirectories(dir_.Path("outside")));
  Write("outside/kept");
  ASSERT_OK(MakeDirectories(dir_.Path("tree/a/b")));
  Write("tree/a/file");
  Write("tree/a/b/file");
  Link("../outside", "tree/link");
  Link("../../outside/kept", "tree/a/link");
  Link("outside", "link");

  EXPECT_OK(RemoveTree(dir_.Path("tree")));
  EXPECT_OK(RemoveTree(dir_.Path("link")));

  EXPECT_THAT(ListDirectory(dir_.path()),
              IsOkAndHolds(ElementsAre(Entry("outside", FileType::kDirectory))));
  EXPECT_THAT(ReadFile(dir_.Path("outside/kept"), 10), IsOkAndHolds("x"));
}

TEST_F(FilesTest, RemoveTreeOfNothingIsOkAndOfAFolderItselfRefused) {
  EXPECT_OK(RemoveTree(dir_.Path("none")));
  EXPECT_OK(RemoveTree(dir_.Path("none/below")));
  Write("file");
  EXPECT_OK(RemoveTree(dir_.Path("file")));
  for (const std::string& path :
       {std::string("/"), std::string(), std::string("."), dir_.Path("."), dir_.Path("..")}) {
    EXPECT_THAT(RemoveTree(path), StatusIs(absl::StatusCode::kInvalidArgument)) << path;
  }
}

TEST_F(FilesTest, RemoveTreeIsBoundedInDepth) {
  std::string path = dir_.path();
  for (int i = 0; i < 140; ++i) path += "/d";
  ASSERT_OK(MakeDirectories(path));
  EXPECT_THAT(RemoveTree(dir_.Path("d")), StatusIs(absl::StatusCode::kResourceExhausted));
  // Half of it at a time.
  std::string half = dir_.path();
  for (int i = 0; i < 70; ++i) half += "/d";
  EXPECT_OK(RemoveTree(half));
  EXPECT_OK(RemoveTree(dir_.Path("d")));
}

TEST_F(FilesTest, RemoveFileRemovesALinkAndNoDirectory) {
  Write("file");
  Link("file", "link");
  EXPECT_OK(RemoveFile(dir_.Path("link")));
  EXPECT_THAT(FileExists(dir_.Path("file")), IsOkAndHolds(true));
  EXPECT_THAT(RemoveFile(dir_.Path("none")), StatusIs(kNotFound));
  EXPECT_THAT(RemoveFile(dir_.path()), StatusIs(kFailedPrecondition));
}

TEST_F(FilesTest, RenameDurablyMovesBetweenFolders) {
  ASSERT_OK(MakeDirectories(dir_.Path("a/tree")));
  ASSERT_OK(MakeDirectories(dir_.Path("b")));
  EXPECT_OK(RenameDurably(dir_.Path("a/tree"), dir_.Path("b/tree")));
  EXPECT_THAT(FileExists(dir_.Path("b/tree")), IsOkAndHolds(true));
  EXPECT_THAT(FileExists(dir_.Path("a/tree")), IsOkAndHolds(false));
  Write("file");
  EXPECT_THAT(RenameDurably(dir_.Path("file"), dir_.Path("b/tree")),
              StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(RenameDurably(dir_.Path("none"), dir_.Path("b/x")), StatusIs(kNotFound));
}

TEST_F(FilesTest, SyncDirectoryNeedsADirectory) {
  Write("file");
  EXPECT_OK(SyncDirectory(dir_.path()));
  EXPECT_THAT(SyncDirectory(dir_.Path("file")), StatusIs(kFailedPrecondition));
  EXPECT_THAT(SyncDirectory(dir_.Path("none")), StatusIs(kNotFound));
  EXPECT_OK(SyncDirectory("/proc"));  // which cannot be synced
}

TEST_F(FilesTest, FreeSpaceIsKnown) {
  EXPECT_THAT(FreeSpaceBytes(dir_.path()), IsOkAndHolds(testing::Gt(0)));
  EXPECT_THAT(FreeSpaceBytes(dir_.Path("none")), StatusIs(kNotFound));
}

TEST_F(FilesTest, WhatIsMountedIsAnotherFileSystem) {
  EXPECT_THAT(AreOnOneFileSystem(dir_.path(), dir_.path()), IsOkAndHolds(true));
  EXPECT_THAT(AreOnOneFileSystem(dir_.path(), "/proc"), IsOkAndHolds(false));
  EXPECT_THAT(AreOnOneFileSystem(dir_.path(), dir_.Path("none")), StatusIs(kNotFound));
}

}  // namespace
}  // namespace holdfast
