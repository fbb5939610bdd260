#include "common/io/durable_file.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/io/files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr DurableFile::Options kReplace = {.existing = DurableFile::Existing::kReplace};

class DurableFileTest : public testing::Test {
 protected:
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    const auto entries = ListDirectory(dir_.path());
    EXPECT_OK(entries);
    for (const DirectoryEntry& entry : *entries) names.push_back(entry.name);
    return names;
  }
  std::string Content(const std::string& name) const {
    return ReadFile(dir_.Path(name), 1'000'000).value_or("(none)");
  }

  TempDir dir_;
};

TEST_F(DurableFileTest, AppearsWholeWithCommitAndNotBefore) {
  ASSERT_OK_AND_ASSIGN(auto file, DurableFile::Create(dir_.Path("file"), {}));
  ASSERT_OK(file->Append("hello "));
  ASSERT_OK(file->Append("world"));
  EXPECT_EQ(file->size_bytes(), 11);
  EXPECT_THAT(Names(), ElementsAre(StartsWith(std::string(kTemporaryPrefix))));

  ASSERT_OK(file->Commit());

  EXPECT_THAT(Names(), ElementsAre("file"));
  EXPECT_EQ(Content("file"), "hello world");
}

TEST_F(DurableFileTest, EmptyFileIsAFile) {
  ASSERT_OK(WriteFileDurably(dir_.Path("file"), "", {}));
  EXPECT_THAT(FileSizeBytes(dir_.Path("file")), IsOkAndHolds(0));
}

TEST_F(DurableFileTest, LeavesNothingWithoutCommit) {
  {
    ASSERT_OK_AND_ASSIGN(auto file, DurableFile::Create(dir_.Path("file"), {}));
    ASSERT_OK(file->Append("hello"));
  }
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(DurableFileTest, NeverReplacesUnlessAsked) {
  ASSERT_OK(WriteFileDurably(dir_.Path("file"), "old", {}));
  EXPECT_THAT(WriteFileDurably(dir_.Path("file"), "new", {}),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr(dir_.Path("file"))));
  EXPECT_EQ(Content("file"), "old");
  EXPECT_THAT(Names(), ElementsAre("file"));

  ASSERT_OK(WriteFileDurably(dir_.Path("file"), "new", kReplace));
  EXPECT_EQ(Content("file"), "new");
  EXPECT_THAT(Names(), ElementsAre("file"));
}

TEST_F(DurableFileTest, OnlyOneOfTwoWritersOfANameWins) {
  ASSERT_OK_AND_ASSIGN(auto first, DurableFile::Create(dir_.Path("file"), {}));
  ASSERT_OK_AND_ASSIGN(auto second, DurableFile::Create(dir_.Path("file"), {}));
  ASSERT_OK(first->Append("first"));
  ASSERT_OK(second->Append("second"));
  EXPECT_OK(second->Commit());
  EXPECT_THAT(first->Commit(), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_EQ(Content("file"), "second");
  EXPECT_THAT(Names(), ElementsAre("file"));
}

TEST_F(DurableFileTest, ReplacesALinkAndNotWhatItPointsTo) {
  ASSERT_OK(WriteFileDurably(dir_.Path("target"), "target", {}));
  ASSERT_EQ(symlink("target", dir_.Path("link").c_str()), 0);
  EXPECT_THAT(WriteFileDurably(dir_.Path("link"), "new", {}),
              StatusIs(absl::StatusCode::kAlreadyExists));
  ASSERT_OK(WriteFileDurably(dir_.Path("link"), "new", kReplace));
  EXPECT_EQ(Content("target"), "target");
  EXPECT_EQ(Content("link"), "new");
}

TEST_F(DurableFileTest, HasThePermissionsAskedForWhateverTheUmask) {
  const mode_t before = umask(0077);
  ASSERT_OK(WriteFileDurably(dir_.Path("open"), "x", {.mode = 0644}));
  umask(0);
  ASSERT_OK(WriteFileDurably(dir_.Path("private"), "x", {}));
  umask(before);
  ASSERT_OK_AND_ASSIGN(const FileInfo open, GetFileInfo(dir_.Path("open")));
  ASSERT_OK_AND_ASSIGN(const FileInfo closed, GetFileInfo(dir_.Path("private")));
  EXPECT_EQ(open.permissions, 0644u);
  EXPECT_EQ(closed.permissions, 0600u);
}

TEST_F(DurableFileTest, FindsOutAWrongLengthAndPublishesNothing) {
  ASSERT_OK_AND_ASSIGN(auto file, DurableFile::Create(dir_.Path("file"), {}));
  ASSERT_OK(file->Append("hello"));
  ASSERT_EQ(truncate(dir_.Path(Names().at(0)).c_str(), 3), 0);
  EXPECT_THAT(file->Commit(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("wrote 5 bytes")));
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(DurableFileTest, ErrorOfAWriteIsFinal) {
  ASSERT_OK_AND_ASSIGN(auto file, DurableFile::Create(dir_.Path("file"), {}));
  // A limit of the size of files is the nearest thing to a full disk that a test can make.
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler_before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit = before;
  limit.rlim_cur = 1000;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  const absl::Status status = file->Append(std::string(2000, 'x'));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler_before);

  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("write")));
  EXPECT_THAT(Names(), IsEmpty());
  EXPECT_EQ(file->Append("x"), status);
  EXPECT_EQ(file->Commit(), status);
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(DurableFileTest, NeedsItsFolderAndAName) {
  EXPECT_THAT(DurableFile::Create(dir_.Path("none/file"), {}),
              StatusIs(absl::StatusCode::kNotFound));
  for (const std::string& path :
       {std::string("/"), dir_.Path("x/"), dir_.Path(".."), dir_.Path("."), std::string(),
        dir_.Path(std::string(256, 'x'))}) {
    EXPECT_THAT(DurableFile::Create(path, {}), StatusIs(absl::StatusCode::kInvalidArgument))
        << path;
  }
}

TEST_F(DurableFileTest, TakesAnotherTemporaryNameWhereOneIsTaken) {
  SeededRandom random(1);
  SeededRandom same_random(1);
  ASSERT_OK_AND_ASSIGN(auto first, DurableFile::Create(dir_.Path("a"), {}, random));
  ASSERT_OK_AND_ASSIGN(auto second, DurableFile::Create(dir_.Path("b"), {}, same_random));
  ASSERT_OK(first->Append("a"));
  ASSERT_OK(second->Append("b"));
  ASSERT_OK(first->Commit());
  ASSERT_OK(second->Commit());
  EXPECT_EQ(Content("a"), "a");
  EXPECT_EQ(Content("b"), "b");
}

TEST_F(DurableFileTest, FindsItsFolderAlsoAfterARename) {
  ASSERT_OK(MakeDirectories(dir_.Path("folder")));
  ASSERT_OK_AND_ASSIGN(auto file, DurableFile::Create(dir_.Path("folder/file"), {}));
  ASSERT_OK(file->Append("x"));
  ASSERT_OK(RenameDurably(dir_.Path("folder"), dir_.Path("renamed")));
  ASSERT_OK(file->Commit());
  EXPECT_EQ(Content("renamed/file"), "x");
}

}  // namespace
}  // namespace holdfast
