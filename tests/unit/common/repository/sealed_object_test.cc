#include "common/repository/sealed_object.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fault_blob_store.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/common/repository/test_backups.h"

namespace holdfast {
namespace {

using repository::v1::ObjectEntry;
using testing::HasSubstr;

class SealedObjectTest : public testing::Test {
 protected:
  SealedObjectTest() {
    std::string content(200'000, '\0');
    backups_.random.Fill(
        absl::MakeSpan(reinterpret_cast<uint8_t*>(content.data()), content.size()));
    plain_ = backups_.WriteObject(content, ObjectEntry::CODEC_NONE);
    packed_ = backups_.WriteObject(std::string(300'000, 'z'), ObjectEntry::CODEC_ZSTD);
  }

  absl::StatusOr<std::string> Read(const ObjectEntry& entry) {
    SealedObjectSource source(*backups_.store, entry, Cancellation());
    absl::StatusOr<std::string> bytes = ReadSource(source);
    EXPECT_EQ(source.failure(), bytes.status());
    return bytes;
  }

  TestBackups backups_;
  ObjectEntry plain_;
  ObjectEntry packed_;
};

TEST_F(SealedObjectTest, YieldsTheBytesAsTheyAre) {
  for (const ObjectEntry& entry : {plain_, packed_}) {
    ASSERT_OK_AND_ASSIGN(const std::string bytes, Read(entry));
    EXPECT_TRUE(bytes == backups_.blobs.Read(backups_.PathOf(entry)));
    EXPECT_OK(CheckObjectBeginning(*backups_.store, entry));
    EXPECT_OK(ProveObject(*backups_.store, entry, Cancellation()));
  }
}

TEST_F(SealedObjectTest, EndsWellOnlyIfEveryByteAuthenticated) {
  for (const ObjectEntry& entry : {plain_, packed_}) {
    const std::string path = backups_.PathOf(entry);
    const std::string bytes = backups_.blobs.Read(path);
    for (size_t offset = 0; offset < bytes.size(); offset += 1 + bytes.size() / 50) {
      std::string flipped = bytes;
      flipped[offset] = static_cast<char>(flipped[offset] ^ 4);
      backups_.blobs.Write(path, flipped);
      EXPECT_THAT(Read(entry), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path))) << offset;
      backups_.blobs.Write(path, bytes.substr(0, offset));
      EXPECT_THAT(Read(entry), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path))) << offset;
    }
    backups_.blobs.Write(path, bytes + "x");
    EXPECT_THAT(Read(entry), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("appended")));
    backups_.blobs.Remove(path);
    EXPECT_THAT(Read(entry), StatusIs(absl::StatusCode::kNotFound, HasSubstr("missing")));
    backups_.blobs.Write(path, bytes);
  }
}

TEST_F(SealedObjectTest, MustBeWhatItsEntrySays) {
  ObjectEntry other = plain_;
  other.set_sealed_size_bytes(other.sealed_size_bytes() - 1);
  EXPECT_THAT(Read(other), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(CheckObjectBeginning(*backups_.store, other), StatusIs(absl::StatusCode::kDataLoss));
  other = plain_;
  other.set_content_size_bytes(other.content_size_bytes() - 1);
  EXPECT_THAT(Read(other), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(CheckObjectBeginning(*backups_.store, other), StatusIs(absl::StatusCode::kDataLoss));
  other = plain_;
  other.set_key_id(std::string(16, 'k'));
  EXPECT_THAT(Read(other), StatusIs(absl::StatusCode::kNotFound, HasSubstr("key")));
}

TEST_F(SealedObjectTest, CanBeginAgain) {
  std::vector<int64_t> told;
  SealedObjectSource source(*backups_.store, plain_, Cancellation(),
                            [&](int64_t bytes) { told.push_back(bytes); });
  ASSERT_OK(source.Next());
  ASSERT_OK(source.Rewind());
  ASSERT_OK_AND_ASSIGN(const std::string bytes, ReadSource(source));
  EXPECT_TRUE(bytes == backups_.blobs.Read(backups_.PathOf(plain_)));
  int64_t sum = 0;
  for (const int64_t each : told) sum += each;
  EXPECT_EQ(sum, static_cast<int64_t>(bytes.size())) << "what is read again counts once";
}

TEST_F(SealedObjectTest, ReplacingProvesTheSourceBeforeItTouchesTheTarget) {
  const std::string path = backups_.PathOf(plain_);
  const std::string bytes = backups_.blobs.Read(path);
  std::string damaged = bytes;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  // The target: the same repository, at another place.
  MemoryBlobStore copy;
  for (const auto& [name, content] : backups_.blobs.Contents()) copy.Write(name, content);
  copy.Write(path, "what is there");
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(copy));
  ASSERT_OK_AND_ASSIGN(const auto target,
                       repository.OpenStore(backups_.store_id, backups_.master_key));
  backups_.blobs.Write(path, damaged);
  ObjectTransfer transfer = ReplaceObject(*backups_.store, *target, plain_, Cancellation());
  EXPECT_THAT(transfer.source, StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path)));
  EXPECT_OK(transfer.target);
  EXPECT_EQ(copy.Read(path), "what is there");

  backups_.blobs.Write(path, bytes);
  transfer = CopyObject(*backups_.store, *target, plain_, Cancellation());
  EXPECT_OK(transfer.source);
  EXPECT_THAT(transfer.target, StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_EQ(copy.Read(path), "what is there");

  transfer = ReplaceObject(*backups_.store, *target, plain_, Cancellation());
  EXPECT_TRUE(transfer.ok()) << transfer.source << transfer.target;
  EXPECT_TRUE(copy.Read(path) == bytes);
}

}  // namespace
}  // namespace holdfast
