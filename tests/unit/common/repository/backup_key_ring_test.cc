#include "common/repository/backup_key_ring.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/memory_blob_store.h"
#include "tests/testing/status_matchers.h"

// What becomes of damaged, foreign and missing key files is tested with Repository.

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class BackupKeyRingTest : public testing::Test {
 protected:
  BackupKeyRing Read(const MasterKey& master_key) {
    absl::StatusOr<BackupKeyRing> ring =
        BackupKeyRing::Read(blobs_, store_id_, master_key, repository_hash_);
    EXPECT_OK(ring);
    return *std::move(ring);
  }
  static DatedBackupKey NewKey(uint8_t id, int64_t create_time_us) {
    return {.backup_key = {KeyId{id}, Key::Generate()}, .create_time_us = create_time_us};
  }

  MemoryBlobStore blobs_;
  const StoreId store_id_ = StoreId::Generate();
  const Hash256 repository_hash_ = {};
  const MasterKey master_key_ = MasterKey::Generate();
};

TEST_F(BackupKeyRingTest, KeysThatWereAddedAreReadAgain) {
  BackupKeyRing ring = Read(master_key_);
  EXPECT_TRUE(ring.IsEmpty());
  ASSERT_OK(ring.Add(master_key_, NewKey(1, 20)));
  ASSERT_OK(ring.Add(master_key_, NewKey(2, 10)));
  const BackupKeyRing again = Read(master_key_);
  EXPECT_THAT(again.all(), SizeIs(2));
  EXPECT_THAT(again.files(), SizeIs(2));
  EXPECT_THAT(again.unopened(), IsEmpty());
  EXPECT_OK(again.Find(KeyId{1}));
  EXPECT_THAT(again.Find(KeyId{3}), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(BackupKeyRingTest, NewestIsTheCurrentOneAndTheOldestIsClonedFirst) {
  BackupKeyRing ring = Read(master_key_);
  ASSERT_OK(ring.Add(master_key_, NewKey(1, 20)));
  ASSERT_OK(ring.Add(master_key_, NewKey(2, 10)));
  ring.ChooseCurrent();
  const BackupKeyRing moved = std::move(ring);
  EXPECT_EQ(moved.current_id(), KeyId{1});
  EXPECT_EQ(moved.current().create_time_us, 20);
  std::vector<KeyId> ids;
  for (const DatedBackupKey& key : moved.Clone()) ids.push_back(key.backup_key.key_id);
  EXPECT_THAT(ids, ElementsAre(KeyId{2}, KeyId{1}));
}

TEST_F(BackupKeyRingTest, OtherMasterKeysAreNamedOnceEach) {
  const MasterKey other = MasterKey::Generate();
  BackupKeyRing ring = Read(other);
  ASSERT_OK(ring.Add(other, NewKey(1, 10)));
  ASSERT_OK(ring.Add(other, NewKey(2, 20)));
  EXPECT_THAT(Read(master_key_).other_fingerprints(), ElementsAre(other.fingerprint().ToText()));
  EXPECT_TRUE(Read(master_key_).IsEmpty());
}

TEST_F(BackupKeyRingTest, FileThatIsDamagedIsToldUntilItIsReplaced) {
  const DatedBackupKey key = NewKey(1, 10);
  ASSERT_OK(
      Read(master_key_)
          .Add(master_key_, {.backup_key = {key.backup_key.key_id, key.backup_key.key.Clone()},
                             .create_time_us = key.create_time_us}));
  const std::string path = KeyFilePath(store_id_, KeyId{1}, master_key_.fingerprint());
  blobs_.Write(path, blobs_.Read(path).substr(0, 100));
  EXPECT_THAT(Read(master_key_).Find(KeyId{1}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path)));
  ASSERT_OK(Read(master_key_).ReplaceFile(master_key_, key));
  EXPECT_OK(Read(master_key_).Find(KeyId{1}));
}

}  // namespace
}  // namespace holdfast
