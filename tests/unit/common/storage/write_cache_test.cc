#include "common/storage/write_cache.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace holdfast {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Optional;

constexpr char kMountInfo[] =
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "40 22 0:47 / /mnt/my\\040share rw,nosuid,nodev - fuse.rclone share:backups rw,user_id=0\n"
    "41 22 0:48 / /mnt/a rw master:3 propagate_from:2 - fuse.sshfs root@host:/b rw\n"
    "42 22 0:49 /sub /mnt/b rw - fuse.rclone other: rw\n"
    "43 22 0:49 /sub /mnt/c rw - fuse.rclone other: rw\n";

TEST(FindMountTest, FindsTheMountOfADevice) {
  const std::optional<Mount> share = FindMount(kMountInfo, makedev(0, 47));
  ASSERT_TRUE(share.has_value());
  EXPECT_EQ(share->point, "/mnt/my share");
  EXPECT_EQ(share->type, "fuse.rclone");
  EXPECT_EQ(share->source, "share:backups");
  EXPECT_EQ(FindMount(kMountInfo, makedev(0, 48))->type, "fuse.sshfs");
  EXPECT_EQ(FindMount(kMountInfo, makedev(8, 1))->point, "/");
  EXPECT_EQ(FindMount(kMountInfo, makedev(0, 49))->point, "/mnt/c");
  EXPECT_EQ(FindMount(kMountInfo, makedev(0, 4)), std::nullopt);
  EXPECT_EQ(FindMount("nonsense\n0:4 0:4 0:4\n", makedev(0, 4)), std::nullopt);
}

MountProcess Rclone(const std::vector<std::string>& arguments) {
  MountProcess process;
  process.arguments = {"/usr/bin/rclone", "mount", "share:backups", "/mnt/share"};
  process.arguments.insert(process.arguments.end(), arguments.begin(), arguments.end());
  return process;
}

TEST(RcloneCacheModeTest, IsOffUnlessSaidOtherwise) {
  EXPECT_THAT(RcloneCacheMode(Rclone({}), "/mnt/share"), Optional(std::string("off")));
  EXPECT_THAT(RcloneCacheMode(Rclone({"--vfs-cache-max-size", "1G"}), "/mnt/share"),
              Optional(std::string("off")));
}

TEST(RcloneCacheModeTest, ReadsEveryWayToSayIt) {
  const std::vector<std::vector<std::string>> ways = {
      {"--vfs-cache-mode", "full"},
      {"--vfs-cache-mode=full"},
      {"--vfs-cache-mode=FULL"},
      {"--vfs-cache-mode", "off", "--vfs-cache-mode", "full"},
      {"-o", "allow_other,vfs_cache_mode=full"},
      {"-o", "vfs-cache-mode=full"},
  };
  for (const std::vector<std::string>& way : ways) {
    EXPECT_THAT(RcloneCacheMode(Rclone(way), "/mnt/share"), Optional(std::string("full")))
        << way.back();
  }
  MountProcess process = Rclone({});
  process.environment = {"HOME=/root", "RCLONE_VFS_CACHE_MODE=writes"};
  EXPECT_THAT(RcloneCacheMode(process, "/mnt/share"), Optional(std::string("writes")));
  process.arguments.emplace_back("--vfs-cache-mode=minimal");
  EXPECT_THAT(RcloneCacheMode(process, "/mnt/share"), Optional(std::string("minimal")));
}

TEST(RcloneCacheModeTest, OtherProcessesSayNothing) {
  EXPECT_EQ(RcloneCacheMode(Rclone({}), "/mnt/other"), std::nullopt);
  EXPECT_EQ(RcloneCacheMode({}, "/mnt/share"), std::nullopt);
  MountProcess editor = Rclone({});
  editor.arguments.front() = "/usr/bin/vi";
  EXPECT_EQ(RcloneCacheMode(editor, "/mnt/share"), std::nullopt);
}

TEST(RcloneCacheModeTest, TheMountPointMayBeWrittenInAnyWay) {
  MountProcess process;
  process.arguments = {"rclone", "mount", "share:", "../share/", "--vfs-cache-mode=writes"};
  process.working_directory = "/mnt/elsewhere";
  EXPECT_THAT(RcloneCacheMode(process, "/mnt/share"), Optional(std::string("writes")));
  // As fstab starts it.
  process.arguments = {"/sbin/mount.rclone", "share:", "/mnt/share", "-o",
                       "rw,vfs_cache_mode=full"};
  EXPECT_THAT(RcloneCacheMode(process, "/mnt/share"), Optional(std::string("full")));
}

PlaceWarning WarningWith(const std::string& type, const std::vector<MountProcess>& processes) {
  return WriteCacheWarning({.point = "/mnt/share", .type = type, .source = "share:"},
                           [&] { return processes; });
}

TEST(WriteCacheWarningTest, OnlyMountsThatCacheWritesAreUnsafe) {
  for (const std::string mode : {"writes", "full"}) {
    const PlaceWarning warning =
        WarningWith("fuse.rclone", {MountProcess{}, Rclone({"--vfs-cache-mode", mode})});
    EXPECT_TRUE(warning.is_unsafe);
    EXPECT_THAT(warning.text, AllOf(HasSubstr("/mnt/share"), HasSubstr("--vfs-cache-mode " + mode),
                                    HasSubstr("rclone:"), HasSubstr("--vfs-cache-mode off")));
  }
  for (const std::string mode : {"off", "minimal"}) {
    EXPECT_THAT(WarningWith("fuse.rclone", {Rclone({"--vfs-cache-mode", mode})}).text, IsEmpty());
  }
  EXPECT_THAT(WarningWith("fuse.sshfs", {Rclone({"--vfs-cache-mode", "full"})}).text, IsEmpty());
}

TEST(WriteCacheWarningTest, WhatCanNotBeToldIsSaid) {
  const PlaceWarning warning = WarningWith("fuse.rclone", {});
  EXPECT_FALSE(warning.is_unsafe);
  EXPECT_THAT(warning.text, AllOf(HasSubstr("can't be told"), HasSubstr("rclone:")));
}

TEST(WriteCacheWarningTest, AnOrdinaryDirectoryIsAllRight) {
  struct stat info;
  ASSERT_EQ(stat("/", &info), 0);
  EXPECT_THAT(WriteCacheWarning(info.st_dev).text, IsEmpty());
}

}  // namespace
}  // namespace holdfast
