#include "common/io/path.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace holdfast {
namespace {

TEST(PathTest, JoinPathPutsOneSlashBetween) {
  EXPECT_EQ(JoinPath("/a", "b"), "/a/b");
  EXPECT_EQ(JoinPath("/a/", "b"), "/a/b");
  EXPECT_EQ(JoinPath("/", "b"), "/b");
  EXPECT_EQ(JoinPath("a", "b/c"), "a/b/c");
}

TEST(PathTest, FolderAndNameTakeAPathApart) {
  struct Case {
    std::string path, folder, name;
  };
  for (const Case& c : {Case{"/a/b", "/a", "b"}, Case{"/a/b/", "/a", "b"},
                        Case{"/a//b//", "/a", "b"}, Case{"/a", "/", "a"}, Case{"a", ".", "a"},
                        Case{"a/b", "a", "b"}, Case{"/", "/", ""}, Case{"../a", "..", "a"}}) {
    EXPECT_EQ(FolderOf(c.path), c.folder) << c.path;
    EXPECT_EQ(NameOf(c.path), c.name) << c.path;
  }
}

TEST(PathTest, PlainNamesCannotLeaveAFolder) {
  EXPECT_TRUE(IsPlainName("000042.sst"));
  EXPECT_TRUE(IsPlainName("..."));
  EXPECT_TRUE(IsPlainName(std::string(255, 'x')));
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("/"),
        std::string("a\0b", 3), std::string(256, 'x')}) {
    EXPECT_FALSE(IsPlainName(name)) << name;
  }
}

}  // namespace
}  // namespace holdfast
