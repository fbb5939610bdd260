#include "common/storage/open_blob_store.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/io/files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/unit/common/storage/blob_store_conformance.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

class OpenedUnderTest : public BlobStoreUnderTest {
 public:
  OpenedUnderTest() {
    auto store = OpenBlobStore(absl::StrCat("file://", directory_.path()));
    EXPECT_OK(store);
    store_ = *std::move(store);
  }
  BlobStore& store() override { return *store_; }

 private:
  TempDir directory_;
  std::unique_ptr<BlobStore> store_;
};

INSTANTIATE_TEST_SUITE_P(Opened, BlobStoreConformanceTest,
                         testing::Values(BlobStoreMaker{
                             "Opened", [] { return std::make_unique<OpenedUnderTest>(); }}),
                         BlobStoreConformanceTest::NameOf);

TEST(CanonicalBlobStoreUrlTest, PathsAndUrlsOfOnePlaceAreTheSame) {
  for (const char* url : {"/mnt/backup", "/mnt/backup/", "/mnt//backup", "/mnt/./backup/.",
                          "file:///mnt/backup", "file:///mnt/backup/", "file:///mnt/%62ackup"}) {
    EXPECT_THAT(CanonicalBlobStoreUrl(url), IsOkAndHolds("file:///mnt/backup")) << url;
  }
}

TEST(CanonicalBlobStoreUrlTest, WhatUrlsReserveIsEscapedAndComesBack) {
  const std::string path = "/mnt/my share/50%/a?b#c/\xC3\xA4";
  ASSERT_OK_AND_ASSIGN(const std::string url, CanonicalBlobStoreUrl(path));
  EXPECT_EQ(url, "file:///mnt/my%20share/50%25/a%3Fb%23c/\xC3\xA4");
  EXPECT_THAT(CanonicalBlobStoreUrl(url), IsOkAndHolds(url));
}

TEST(CanonicalBlobStoreUrlTest, OtherPlacesAreRefusedWithWhatToDo) {
  const auto is_refused = [](const char* what) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(what));
  };
  EXPECT_THAT(CanonicalBlobStoreUrl(""), is_refused("absolute path"));
  EXPECT_THAT(CanonicalBlobStoreUrl("backup"), is_refused("absolute path"));
  EXPECT_THAT(CanonicalBlobStoreUrl("./backup"), is_refused("absolute path"));
  EXPECT_THAT(CanonicalBlobStoreUrl("file:/mnt"), is_refused("absolute path"));
  EXPECT_THAT(CanonicalBlobStoreUrl("file://host/share"), is_refused("mounted"));
  EXPECT_THAT(CanonicalBlobStoreUrl("file://"), is_refused("three slashes"));
  EXPECT_THAT(CanonicalBlobStoreUrl("s3://bucket/path"), is_refused("not supported"));
  EXPECT_THAT(CanonicalBlobStoreUrl("/"), is_refused("root directory"));
  EXPECT_THAT(CanonicalBlobStoreUrl("file:///"), is_refused("root directory"));
  EXPECT_THAT(CanonicalBlobStoreUrl("/mnt/../etc"), is_refused(".."));
  EXPECT_THAT(CanonicalBlobStoreUrl("file:///mnt/%2e%2e/etc"), is_refused(".."));
  EXPECT_THAT(CanonicalBlobStoreUrl("file:///mnt/%00"), is_refused("control characters"));
  EXPECT_THAT(CanonicalBlobStoreUrl("file:///mnt/%4"), is_refused("hexadecimal"));
  EXPECT_THAT(CanonicalBlobStoreUrl("file:///mnt/a?b"), is_refused("%3F"));
  EXPECT_THAT(CanonicalBlobStoreUrl(std::string(5000, '/')), is_refused("longer"));
}

TEST(CanonicalBlobStoreUrlTest, PlacesThatRcloneReachesAreTakenLiterally) {
  EXPECT_THAT(CanonicalBlobStoreUrl("rclone:nas:backups//my%20share/"),
              IsOkAndHolds("rclone:nas:backups/my%20share"));
  EXPECT_THAT(CanonicalBlobStoreUrl("rclone:nas:"), IsOkAndHolds("rclone:nas:"));
  // What is refused may hold a password, and is not repeated.
  EXPECT_THAT(
      CanonicalBlobStoreUrl("rclone::sftp,host=nas,pass=secret:x"),
      StatusIs(absl::StatusCode::kInvalidArgument,
               testing::AllOf(HasSubstr("names no place"), testing::Not(HasSubstr("secret")))));
}

TEST(ShortNameOfBlobStoreUrlTest, ItIsTheLastPartOfThePathOrTheRemote) {
  EXPECT_THAT(ShortNameOfBlobStoreUrl("file:///mnt/my%20share/"), IsOkAndHolds("my share"));
  EXPECT_THAT(ShortNameOfBlobStoreUrl("rclone:nas:backups/holdfast"), IsOkAndHolds("holdfast"));
  EXPECT_THAT(ShortNameOfBlobStoreUrl("rclone:nas:backups"), IsOkAndHolds("backups"));
  EXPECT_THAT(ShortNameOfBlobStoreUrl("rclone:nas:"), IsOkAndHolds("nas"));
  EXPECT_THAT(ShortNameOfBlobStoreUrl("relative"), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(MakeBlobStoreFolderTest, ADirectoryIsMadeInOneThatIsThere) {
  TempDir directory;
  EXPECT_THAT(MakeBlobStoreFolder(directory.Path("a/b")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("neither")));
  EXPECT_THAT(MakeBlobStoreFolder(directory.Path("a")), IsOkAndHolds(true));
  EXPECT_THAT(MakeBlobStoreFolder(directory.Path("a")), IsOkAndHolds(false));
  EXPECT_OK(OpenBlobStore(directory.Path("a")));
}

TEST(DirectoryOfBlobStoreUrlTest, ItIsThePathThatTheUrlNames) {
  EXPECT_THAT(DirectoryOfBlobStoreUrl("file:///mnt/my%20share/"), IsOkAndHolds("/mnt/my share"));
  EXPECT_THAT(DirectoryOfBlobStoreUrl("/mnt//my share"), IsOkAndHolds("/mnt/my share"));
  EXPECT_THAT(DirectoryOfBlobStoreUrl("s3://bucket"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(DirectoryOfBlobStoreUrl("rclone:nas:x"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not a directory")));
}

TEST(OpenBlobStoreTest, ADirectoryThatIsNotThereIsNotFound) {
  TempDir directory;
  EXPECT_THAT(OpenBlobStore(directory.Path("none")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("mount")));
  EXPECT_THAT(FileExists(directory.Path("none")), IsOkAndHolds(false));
}

TEST(OpenBlobStoreTest, APlaceThatCannotBeIsRefused) {
  EXPECT_THAT(OpenBlobStore("relative"), StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace holdfast
