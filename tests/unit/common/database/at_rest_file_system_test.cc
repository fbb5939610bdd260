#include "common/database/at_rest_file_system.h"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/crypto/hash.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/log_capture.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/test_store.h"

namespace holdfast {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr size_t kNonceOffset = 32;
constexpr size_t kNonceSizeBytes = 24;

std::shared_ptr<const AtRestKeyring> NewKeyring() {
  std::map<KeyId, Key> keys;
  keys.emplace(KeyId{1}, Key::Generate());
  return std::make_shared<const AtRestKeyring>(std::move(keys), KeyId{1});
}

class AtRestFileSystemTest : public testing::Test {
 protected:
  void Write(const std::string& path, absl::string_view content) {
    std::unique_ptr<rocksdb::WritableFile> file;
    ASSERT_TRUE(env_->NewWritableFile(path, &file, {}).ok());
    // In pieces of all kinds of lengths.
    for (size_t size = 1; !content.empty(); size = size * 2 + 1) {
      const absl::string_view piece = content.substr(0, size);
      ASSERT_TRUE(file->Append({piece.data(), piece.size()}).ok());
      content.remove_prefix(piece.size());
    }
    ASSERT_TRUE(file->Sync().ok());
    ASSERT_TRUE(file->Close().ok());
  }

  std::pair<rocksdb::Status, std::string> Read(const std::string& path) {
    std::string content;
    const rocksdb::Status status = rocksdb::ReadFileToString(env_.get(), path, &content);
    return {status, content};
  }

  const TempDir dir_;
  const std::shared_ptr<const AtRestKeyring> keyring_ = NewKeyring();
  const std::unique_ptr<rocksdb::Env> env_ = NewAtRestEnv(keyring_);
  const std::string content_ = std::string(10'000, 'p') + std::string(70'000, 'q');
};

TEST_F(AtRestFileSystemTest, WhatIsWrittenComesBack) {
  const std::string path = dir_.Path("000001.sst");
  Write(path, content_);
  EXPECT_EQ(Read(path).second, content_);
  uint64_t size_bytes = 0;
  ASSERT_TRUE(env_->GetFileSize(path, &size_bytes).ok());
  EXPECT_EQ(size_bytes, content_.size());
  EXPECT_EQ(ReadRaw(path).size(), content_.size() + kAtRestPrefixSizeBytes);
  EXPECT_EQ(ReadRaw(path).find("pppp"), std::string::npos);
}

TEST_F(AtRestFileSystemTest, AnyRangeCanBeRead) {
  const std::string path = dir_.Path("000001.sst");
  Write(path, content_);
  std::unique_ptr<rocksdb::RandomAccessFile> file;
  ASSERT_TRUE(env_->NewRandomAccessFile(path, &file, {}).ok());
  std::vector<char> scratch(content_.size());
  for (const size_t offset : {0, 1, 63, 64, 65, 4095, 4096, 9'999, 79'999}) {
    for (const size_t size : {1, 63, 64, 65, 5'000}) {
      rocksdb::Slice result;
      ASSERT_TRUE(file->Read(offset, size, &result, scratch.data()).ok());
      EXPECT_EQ(result.ToString(), content_.substr(offset, size)) << offset << " " << size;
    }
  }
}

TEST_F(AtRestFileSystemTest, HardLinkReadsLikeTheFile) {
  Write(dir_.Path("000001.sst"), content_);
  ASSERT_TRUE(env_->LinkFile(dir_.Path("000001.sst"), dir_.Path("linked.sst")).ok());
  ASSERT_TRUE(env_->DeleteFile(dir_.Path("000001.sst")).ok());
  EXPECT_EQ(Read(dir_.Path("linked.sst")).second, content_);
}

TEST_F(AtRestFileSystemTest, AttributesOfSmallFilesAndFoldersDoNotUnderflow) {
  Write(dir_.Path("000001.sst"), "12345");
  WriteRaw(dir_.Path("foreign"), "x");
  ASSERT_TRUE(env_->CreateDir(dir_.Path("folder")).ok());
  std::vector<rocksdb::Env::FileAttributes> files;
  ASSERT_TRUE(env_->GetChildrenFileAttributes(dir_.path(), &files).ok());
  for (const auto& file : files) {
    EXPECT_EQ(file.size_bytes, file.name == "000001.sst" ? 5u : 0u) << file.name;
  }
}

TEST_F(AtRestFileSystemTest, AnotherKeyOpensNothing) {
  Write(dir_.Path("000001.sst"), content_);
  const auto other_env = NewAtRestEnv(NewKeyring());
  std::string content;
  const rocksdb::Status status =
      rocksdb::ReadFileToString(other_env.get(), dir_.Path("000001.sst"), &content);
  EXPECT_TRUE(status.IsCorruption()) << status.ToString();
  EXPECT_THAT(content, IsEmpty());
}

TEST_F(AtRestFileSystemTest, DamagedPrefixIsFound) {
  const std::string path = dir_.Path("000001.sst");
  Write(path, content_);
  FlipByte(path, kNonceOffset);
  EXPECT_TRUE(Read(path).first.IsCorruption());
}

TEST_F(AtRestFileSystemTest, LogWithoutAPrefixReadsAsEmpty) {
  const std::string path = dir_.Path("000001.log");
  Write(path, "content");
  const std::string whole = ReadRaw(path);
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{79}, size_t{80}, size_t{2048}, kAtRestPrefixSizeBytes - 1}) {
    WriteRaw(path, whole.substr(0, size));
    const LogCapture log;
    const auto [status, content] = Read(path);
    EXPECT_TRUE(status.ok()) << size << status.ToString();
    EXPECT_THAT(content, IsEmpty()) << size;
    uint64_t size_bytes = 1;
    EXPECT_TRUE(env_->GetFileSize(path, &size_bytes).ok());
    EXPECT_EQ(size_bytes, 0u);
    if (size > 0) {
      EXPECT_THAT(log.lines(), Contains(HasSubstr("no content yet")));
    }
  }
  WriteRaw(path, std::string(kAtRestPrefixSizeBytes, '\0'));
  const LogCapture log;
  const auto [status, content] = Read(path);
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_THAT(content, IsEmpty());
}

TEST_F(AtRestFileSystemTest, ContentOfALogBehindAPrefixOfZerosIsCorruption) {
  const std::string path = dir_.Path("000001.log");
  Write(path, "content");
  std::string bytes = ReadRaw(path);
  bytes.replace(0, kAtRestPrefixSizeBytes, kAtRestPrefixSizeBytes, '\0');
  for (const std::string& content : {bytes, bytes.substr(0, kAtRestPrefixSizeBytes + 1),
                                     std::string(kAtRestPrefixSizeBytes + 7, '\0')}) {
    WriteRaw(path, content);
    std::unique_ptr<rocksdb::SequentialFile> file;
    ASSERT_TRUE(env_->NewSequentialFile(path, &file, {}).ok());
    char scratch[8];
    rocksdb::Slice read;
    const rocksdb::Status status = file->Read(sizeof(scratch), &read, scratch);
    EXPECT_TRUE(status.IsCorruption()) << status.ToString();
    EXPECT_THAT(status.ToString(), HasSubstr("prefix is gone"));
    EXPECT_TRUE(file->Skip(1).IsCorruption());
  }
}

// Counts what is synced, with the length that the file had then.
class SyncCounter : public rocksdb::FileSystemWrapper {
 public:
  SyncCounter() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}

  const char* Name() const override { return "SyncCounter"; }

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* context) override {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    rocksdb::IOStatus status = target()->NewWritableFile(path, options, &file, context);
    if (status.ok()) *result = std::make_unique<File>(std::move(file), path, synced_);
    return status;
  }

  const std::vector<std::pair<std::string, size_t>>& synced() const { return synced_; }

 private:
  class File : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    File(std::unique_ptr<rocksdb::FSWritableFile>&& file, std::string path,
         std::vector<std::pair<std::string, size_t>>& synced)
        : FSWritableFileOwnerWrapper(std::move(file)), path_(std::move(path)), synced_(synced) {}

    rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* context) override {
      synced_.emplace_back(path_, ReadRaw(path_).size());
      return FSWritableFileOwnerWrapper::Sync(options, context);
    }

   private:
    const std::string path_;
    std::vector<std::pair<std::string, size_t>>& synced_;
  };

  std::vector<std::pair<std::string, size_t>> synced_;
};

TEST_F(AtRestFileSystemTest, PrefixOfALogIsSyncedBeforeItsContent) {
  const auto counter = std::make_shared<SyncCounter>();
  const auto env = rocksdb::NewCompositeEnv(NewAtRestFileSystem(counter, keyring_));
  std::unique_ptr<rocksdb::WritableFile> log;
  ASSERT_TRUE(env->NewWritableFile(dir_.Path("000001.log"), &log, {}).ok());
  std::unique_ptr<rocksdb::WritableFile> table;
  ASSERT_TRUE(env->NewWritableFile(dir_.Path("000002.sst"), &table, {}).ok());
  EXPECT_THAT(counter->synced(),
              testing::ElementsAre(testing::Pair(dir_.Path("000001.log"), kAtRestPrefixSizeBytes)));
}

TEST_F(AtRestFileSystemTest, OtherFileWithoutAPrefixIsCorruptionAndNotTheEnd) {
  const std::string path = dir_.Path("000001.sst");
  Write(path, "content");
  const std::string whole = ReadRaw(path);
  for (const size_t size : {size_t{1}, size_t{80}, kAtRestPrefixSizeBytes - 1}) {
    WriteRaw(path, whole.substr(0, size));
    EXPECT_TRUE(Read(path).first.IsCorruption()) << size;
    uint64_t size_bytes = 0;
    EXPECT_TRUE(env_->GetFileSize(path, &size_bytes).IsCorruption()) << size;
    std::unique_ptr<rocksdb::RandomAccessFile> file;
    EXPECT_TRUE(env_->NewRandomAccessFile(path, &file, {}).IsCorruption()) << size;
  }
  WriteRaw(path, std::string(kAtRestPrefixSizeBytes + 10, '\0'));
  EXPECT_TRUE(Read(path).first.IsCorruption());
}

TEST_F(AtRestFileSystemTest, WaysAroundTheEncryptionAreRefused) {
  const std::string path = dir_.Path("000001.sst");
  Write(path, content_);
  const std::string before = ReadRaw(path);
  std::unique_ptr<rocksdb::WritableFile> writable;
  EXPECT_TRUE(env_->ReopenWritableFile(path, &writable, {}).IsNotSupported());
  EXPECT_TRUE(
      env_->ReuseWritableFile(dir_.Path("000002.sst"), path, &writable, {}).IsNotSupported());
  std::unique_ptr<rocksdb::RandomRWFile> random;
  EXPECT_TRUE(env_->NewRandomRWFile(path, &random, {}).IsNotSupported());
  std::unique_ptr<rocksdb::MemoryMappedFileBuffer> mapped;
  EXPECT_TRUE(env_->NewMemoryMappedFileBuffer(path, &mapped).IsNotSupported());
  std::shared_ptr<rocksdb::Logger> logger;
  EXPECT_TRUE(env_->NewLogger(dir_.Path("LOG"), &logger).IsNotSupported());
  rocksdb::EnvOptions direct;
  direct.use_direct_writes = true;
  EXPECT_TRUE(env_->NewWritableFile(dir_.Path("d"), &writable, direct).IsNotSupported());
  rocksdb::EnvOptions mapped_writes;
  mapped_writes.use_mmap_writes = true;
  EXPECT_FALSE(env_->NewWritableFile(dir_.Path("m"), &writable, mapped_writes).ok());
  EXPECT_EQ(ReadRaw(path), before);
  EXPECT_EQ(ListFiles(dir_.path()).size(), 1u);
}

TEST_F(AtRestFileSystemTest, RewrittenFileHasANewNonce) {
  const std::string path = dir_.Path("000001.sst");
  std::set<std::string> nonces;
  for (int i = 0; i < 10; ++i) {
    Write(path, "content");
    nonces.insert(ReadRaw(path).substr(kNonceOffset, kNonceSizeBytes));
  }
  EXPECT_EQ(nonces.size(), 10u);
}

TEST(AtRestCipherStreamTest, RefusesToEncryptAnOffsetTwice) {
  const auto keyring = NewKeyring();
  const auto prefix = keyring->MakePrefix();
  ASSERT_OK_AND_ASSIGN(AtRestStream opened, keyring->OpenPrefix(prefix));
  AtRestCipherStream stream(std::move(opened));
  std::string data = "0123456789";
  ASSERT_TRUE(stream.Encrypt(kAtRestPrefixSizeBytes, data.data(), data.size()).ok());
  EXPECT_NE(data, "0123456789");
  std::string again = "abcdefghij";
  for (const uint64_t offset :
       {uint64_t{0}, uint64_t{kAtRestPrefixSizeBytes}, uint64_t{kAtRestPrefixSizeBytes + 9}}) {
    EXPECT_TRUE(stream.Encrypt(offset, again.data(), again.size()).IsIOError()) << offset;
    EXPECT_EQ(again, "abcdefghij");
  }
  EXPECT_TRUE(stream.Encrypt(kAtRestPrefixSizeBytes + 10, again.data(), again.size()).ok());
  // Reading is free.
  ASSERT_TRUE(stream.Decrypt(kAtRestPrefixSizeBytes, data.data(), data.size()).ok());
  EXPECT_EQ(data, "0123456789");
}

TEST(AtRestDatabaseTest, NoPlaintextAndNoNonceTwiceInAWholeDataDirectory) {
  const TempDir dir;
  const MasterKey key = MasterKey::Generate();
  {
    ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(dir.Path("data"), key));
    for (int i = 0; i < 300; ++i) {
      ASSERT_OK(store->Put("plaincollection", absl::StrCat("plainid", i), "plaincontent"));
      if (i % 100 == 50) {
        ASSERT_OK(store->Flush());
      }
    }
  }
  {
    ASSERT_OK_AND_ASSIGN(const auto store, TestStore::Open(dir.Path("data"), key));
    ASSERT_OK(store->Put("plaincollection", "plainid", "plaincontent"));
  }
  std::set<std::string> nonces;
  size_t encrypted_count = 0;
  for (const std::string& path : ListFiles(dir.Path("data"))) {
    const std::string bytes = ReadRaw(path);
    for (const absl::string_view text : {"plaincollection", "plainid", "plaincontent",
                                         "application/json", "identity", "rocksdb", "leveldb"}) {
      EXPECT_EQ(bytes.find(std::string(text)), std::string::npos) << path << " holds " << text;
    }
    if (path.find("/db/") == std::string::npos || bytes.empty()) continue;
    ++encrypted_count;
    ASSERT_GE(bytes.size(), kAtRestPrefixSizeBytes) << path;
    EXPECT_TRUE(nonces.insert(bytes.substr(kNonceOffset, kNonceSizeBytes)).second) << path;
  }
  EXPECT_GE(encrypted_count, 6u);
}

}  // namespace
}  // namespace holdfast
