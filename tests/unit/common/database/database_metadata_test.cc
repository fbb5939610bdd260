#include "common/database/database_metadata.h"

#include <string>

#include "common/database/rocksdb_status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/test_store.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(DatabaseMetadataTest, NewIncarnationKeepsTheOldOneAndRaisesTheRevision) {
  SeededRandom random;
  DatabaseMetadata metadata = MakeMetadata(Id128::Generate(random), kTestTime, random);
  metadata.head.set_revision(41);
  const Id128 store_id = metadata.store_id();
  const Id128 first = metadata.incarnation();
  ASSERT_OK(BeginIncarnation(metadata, 0, random));
  EXPECT_NE(metadata.incarnation(), first);
  EXPECT_EQ(metadata.store_id(), store_id);
  EXPECT_EQ(metadata.head.revision(), 41 + (uint64_t{1} << 40));
  EXPECT_THAT(metadata.identity.earlier_incarnations(), ElementsAre(first.ToByteString()));
}

TEST(DatabaseMetadataTest, OldestIncarnationsAreForgotten) {
  SeededRandom random;
  DatabaseMetadata metadata = MakeMetadata(Id128::Generate(random), kTestTime, random);
  std::string second;
  for (int i = 0; i < kEarlierIncarnationsMax + 1; ++i) {
    ASSERT_OK(BeginIncarnation(metadata, 0, random));
    if (i == 0) second = metadata.incarnation().ToByteString();
  }
  EXPECT_EQ(metadata.identity.earlier_incarnations_size(), kEarlierIncarnationsMax);
  EXPECT_EQ(metadata.identity.earlier_incarnations(0), second);
}

TEST(DatabaseMetadataTest, RevisionCounterDoesNotWrapAround) {
  SeededRandom random;
  DatabaseMetadata metadata = MakeMetadata(Id128::Generate(random), kTestTime, random);
  metadata.head.set_revision(UINT64_MAX - 5);
  EXPECT_THAT(BeginIncarnation(metadata, 0, random), StatusIs(absl::StatusCode::kOutOfRange));
}

class StoredMetadataTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(store_, TestStore::Open(dir_.Path("data"), MasterKey::Generate()));
    ASSERT_OK(store_->Put("projects", "a", "1"));
    ASSERT_OK(store_->Put("environments", "b", "2"));
  }

  void PutRaw(absl::string_view key, const std::string& value) {
    ASSERT_OK(StatusFromRocksDb(
        store_->database().db().Put({}, rocksdb::Slice(key.data(), key.size()), value), "put"));
  }
  absl::Status Read() { return ReadMetadata(store_->database().db()).status(); }

  const TempDir dir_;
  std::unique_ptr<TestStore> store_;
};

TEST_F(StoredMetadataTest, ComesBack) {
  ASSERT_OK_AND_ASSIGN(const DatabaseMetadata metadata, ReadMetadata(store_->database().db()));
  EXPECT_EQ(metadata.store_id(), store_->directory().store_id());
  EXPECT_EQ(metadata.head.revision(), 2u);
  EXPECT_EQ(metadata.digest.document_count(), 2u);
  EXPECT_EQ(metadata.digest.Digest(metadata.DigestKey()), store_->Digest());
  ASSERT_OK(store_->Delete("projects", "a"));
  ASSERT_OK_AND_ASSIGN(const DatabaseMetadata later, ReadMetadata(store_->database().db()));
  EXPECT_EQ(later.digest.collections().count("projects"), 0u);
}

TEST_F(StoredMetadataTest, MissingEntryIsDataLoss) {
  ASSERT_OK(StatusFromRocksDb(store_->database().db().Delete({}, "head"), "delete"));
  EXPECT_THAT(Read(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("\"head\"")));
}

TEST_F(StoredMetadataTest, SenselessEntryIsDataLoss) {
  PutRaw(kIdentityKey, "\xff\xff");
  EXPECT_THAT(Read(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("identity")));
  store::v1::DatabaseIdentity identity = store_->metadata().identity;
  identity.set_digest_key("short");
  PutRaw(kIdentityKey, identity.SerializeAsString());
  EXPECT_THAT(Read(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("identity")));
}

TEST_F(StoredMetadataTest, DamagedCollectionIsNamed) {
  PutRaw(CollectionKey("projects"), "short");
  EXPECT_THAT(Read(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("collection projects")));
}

TEST_F(StoredMetadataTest, NewerSchemaIsToldApart) {
  store::v1::DatabaseIdentity identity = store_->metadata().identity;
  identity.set_schema_version(kSchemaVersion + 1);
  PutRaw(kIdentityKey, identity.SerializeAsString());
  EXPECT_THAT(Read(), StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("newer Holdfast")));
}

}  // namespace
}  // namespace holdfast
