#include "common/storage/rclone_place.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(RclonePlaceTest, IsARemoteAndAPath) {
  ASSERT_OK_AND_ASSIGN(const RclonePlace place,
                       RclonePlace::Parse("rclone:my nas:backups/holdfast"));
  EXPECT_EQ(place.remote(), "my nas");
  EXPECT_EQ(place.path(), "backups/holdfast");
  EXPECT_EQ(place.ToFs(), "my nas:backups/holdfast");
  EXPECT_EQ(place.ToUrl(), "rclone:my nas:backups/holdfast");
  EXPECT_FALSE(place.IsTop());
}

TEST(RclonePlaceTest, PathsOfOnePlaceAreTheSame) {
  for (const char* url :
       {"rclone:nas:a/b", "rclone:nas:a//b", "rclone:nas:a/b/", "rclone:nas:./a/./b/."}) {
    ASSERT_OK_AND_ASSIGN(const RclonePlace place, RclonePlace::Parse(url));
    EXPECT_EQ(place.ToUrl(), "rclone:nas:a/b") << url;
  }
  // For SFTP a path from the top is another than one from where a session begins.
  ASSERT_OK_AND_ASSIGN(const RclonePlace absolute, RclonePlace::Parse("rclone:nas://a/b"));
  EXPECT_EQ(absolute.ToUrl(), "rclone:nas:/a/b");
  ASSERT_OK_AND_ASSIGN(const RclonePlace literal,
                       RclonePlace::Parse("rclone:nas:50%20/a:b=\xC3\xA4"));
  EXPECT_EQ(literal.path(), "50%20/a:b=\xC3\xA4");
}

TEST(RclonePlaceTest, TheTopHasNoParent) {
  for (const char* url : {"rclone:nas:", "rclone:nas:.", "rclone:nas:/", "rclone:nas://"}) {
    ASSERT_OK_AND_ASSIGN(const RclonePlace place, RclonePlace::Parse(url));
    EXPECT_TRUE(place.IsTop()) << url;
  }
  for (const auto& [url, parent] :
       {std::pair("rclone:nas:a", "rclone:nas:"), std::pair("rclone:nas:a/b", "rclone:nas:a"),
        std::pair("rclone:nas:/a", "rclone:nas:/"),
        std::pair("rclone:nas:/a/b", "rclone:nas:/a")}) {
    ASSERT_OK_AND_ASSIGN(const RclonePlace place, RclonePlace::Parse(url));
    EXPECT_EQ(place.Parent().ToUrl(), parent) << url;
  }
}

TEST(RclonePlaceTest, WhatIsNoneIsRefusedWithWhatToDo) {
  const auto is_refused = [](const char* what) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(what));
  };
  EXPECT_THAT(RclonePlace::Parse("file:///mnt"), is_refused("rclone:"));
  EXPECT_THAT(RclonePlace::Parse("rclone:nas"), is_refused("rclone:REMOTE:PATH"));
  EXPECT_THAT(RclonePlace::Parse("rclone:/mnt"), is_refused("rclone:REMOTE:PATH"));
  EXPECT_THAT(RclonePlace::Parse("rclone://nas:x"), is_refused("name"));
  EXPECT_THAT(RclonePlace::Parse("rclone:-nas:x"), is_refused("name"));
  EXPECT_THAT(RclonePlace::Parse("rclone:nas:a/../b"), is_refused(".."));
  EXPECT_THAT(RclonePlace::Parse("rclone:nas:a\nb"), is_refused("control characters"));
  EXPECT_THAT(RclonePlace::Parse("rclone:nas:a]b"), is_refused("alias"));
  EXPECT_THAT(RclonePlace::Parse("rclone:nas:\xFF"), is_refused("UTF-8"));
  EXPECT_THAT(RclonePlace::Parse(absl::StrCat("rclone:nas:", std::string(5000, 'a'))),
              is_refused("longer"));
}

TEST(RclonePlaceTest, PasswordsInAUrlAreRefusedAndNotRepeated) {
  for (const char* url : {"rclone::sftp,host=nas,pass=secret:path", "rclone:nas,pass=secret:path",
                          "rclone::local:/x"}) {
    EXPECT_THAT(RclonePlace::Parse(url),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("shown"), Not(HasSubstr("secret")))))
        << url;
  }
}

}  // namespace
}  // namespace holdfast
