#include "common/database/file_checksum.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/database/rocksdb_status.h"
#include "common/io/xxh3_stream.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rocksdb/metadata.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/test_store.h"

namespace holdfast {
namespace {

TEST(FileChecksumTest, ManifestHasTheChecksumOfThePlaintextOfEveryTable) {
  const TempDir dir;
  const MasterKey key = MasterKey::Generate();
  ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(dir.Path("data"), key));
  for (int i = 0; i < 100; ++i) {
    ASSERT_OK(store->Put("projects", absl::StrCat(i), std::string(1000, 'x')));
    if (i == 50) {
      ASSERT_OK(store->Flush());
    }
  }
  ASSERT_OK(store->Flush());
  std::vector<rocksdb::LiveFileStorageInfo> files;
  rocksdb::LiveFilesStorageInfoOptions options;
  options.include_checksum_info = true;
  ASSERT_OK(
      StatusFromRocksDb(store->database().db().GetLiveFilesStorageInfo(options, &files), "list"));
  int table_count = 0;
  for (const rocksdb::LiveFileStorageInfo& file : files) {
    if (file.file_type != rocksdb::kTableFile) continue;
    ++table_count;
    EXPECT_EQ(file.file_checksum_func_name, kFileChecksumName);
    std::string plaintext;
    ASSERT_OK(StatusFromRocksDb(
        rocksdb::ReadFileToString(store->directory().env(),
                                  absl::StrCat(file.directory, "/", file.relative_filename),
                                  &plaintext),
        "read"));
    EXPECT_EQ(plaintext.size(), file.size);
    EXPECT_EQ(file.file_checksum, Xxh3Of(plaintext));
  }
  EXPECT_GE(table_count, 2);
  EXPECT_OK(StatusFromRocksDb(store->database().db().VerifyFileChecksums({}), "verify"));
}

TEST(FileChecksumTest, KnowsNoOtherChecksum) {
  const auto factory = NewFileChecksumFactory();
  rocksdb::FileChecksumGenContext context;
  context.requested_checksum_func_name = "FileChecksumCrc32c";
  EXPECT_EQ(factory->CreateFileChecksumGenerator(context), nullptr);
  context.requested_checksum_func_name = kFileChecksumName;
  EXPECT_NE(factory->CreateFileChecksumGenerator(context), nullptr);
}

}  // namespace
}  // namespace holdfast
