#include "backup-agent/restore/restore_plan.h"

#include <string>
#include <vector>

#include "common/crypto/at_rest_cipher.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace holdfast {
namespace {

using repository::v1::FileEntry;
using repository::v1::FileList;
using testing::ElementsAre;

FileEntry& AddFile(FileList& files, const std::string& name, uint64_t size_bytes,
                   uint32_t object_index, uint64_t offset) {
  FileEntry& file = *files.add_files();
  file.set_name(name);
  file.set_kind(FileEntry::KIND_TABLE);
  file.set_size_bytes(size_bytes);
  if (size_bytes > 0) {
    repository::v1::Extent& extent = *file.add_extents();
    extent.set_object_index(object_index);
    extent.set_offset(offset);
    extent.set_length(size_bytes);
  }
  return file;
}

std::vector<std::string> Names(const RestoreUnit& unit) {
  std::vector<std::string> names;
  for (const FileEntry* file : unit.files) names.push_back(file->name());
  return names;
}

TEST(PlanRestoreTest, ReadsEachObjectOnceFromItsBeginningToItsEnd) {
  FileList files;
  AddFile(files, "a", 10, 1, 90);
  AddFile(files, "b", 10, 1, 0);
  AddFile(files, "c", 10, 1, 50);
  const std::vector<RestoreUnit> units = PlanRestore(files);
  ASSERT_EQ(units.size(), 1);
  EXPECT_THAT(Names(units[0]), ElementsAre("b", "c", "a"));
}

TEST(PlanRestoreTest, BeginsWithTheLargestUnit) {
  FileList files;
  AddFile(files, "small", 10, 0, 0);
  AddFile(files, "large", 1000, 1, 0);
  AddFile(files, "middle 1", 60, 2, 0);
  AddFile(files, "middle 2", 60, 2, 60);
  const std::vector<RestoreUnit> units = PlanRestore(files);
  ASSERT_EQ(units.size(), 3);
  EXPECT_THAT(Names(units[0]), ElementsAre("large"));
  EXPECT_THAT(Names(units[1]), ElementsAre("middle 1", "middle 2"));
  EXPECT_THAT(Names(units[2]), ElementsAre("small"));
}

TEST(PlanRestoreTest, HasEmptyFilesToo) {
  FileList files;
  AddFile(files, "empty 1", 0, 0, 0);
  AddFile(files, "full", 1, 0, 0);
  AddFile(files, "empty 2", 0, 0, 0);
  const std::vector<RestoreUnit> units = PlanRestore(files);
  ASSERT_EQ(units.size(), 2);
  EXPECT_THAT(Names(units[1]), ElementsAre("empty 1", "empty 2"));
}

TEST(PlanRestoreTest, OfNothingIsNothing) { EXPECT_TRUE(PlanRestore(FileList()).empty()); }

TEST(RestoreSpaceTest, CountsLogsTwiceAndThePrefixOfEachFile) {
  FileList files;
  const uint64_t reserve = RestoreSpaceNeededBytes(files);
  AddFile(files, "table", 1000, 0, 0);
  EXPECT_EQ(RestoreSpaceNeededBytes(files), reserve + 1000 + kAtRestPrefixSizeBytes);
  AddFile(files, "log", 10, 1, 0).set_kind(FileEntry::KIND_LOG);
  EXPECT_EQ(RestoreSpaceNeededBytes(files), reserve + 1020 + 2 * kAtRestPrefixSizeBytes);
}

}  // namespace
}  // namespace holdfast
