#include "common/repository/repository.h"

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/thread.h"
#include "common/crypto/hash.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/memory_blob_store.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/common/repository/test_backups.h"

namespace holdfast {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

const absl::Time kNow = absl::FromUnixMillis(1'795'372'500'123);

std::string Flip(std::string bytes, size_t offset) {
  bytes.at(offset) = static_cast<char>(bytes.at(offset) ^ 1);
  return bytes;
}

// The text of a holdfast.json, of which all but its end is given.
std::string WithChecksum(const std::string& before) {
  return absl::StrCat(before, ",\"checksum\":\"",
                      absl::BytesToHexString(AsText(Blake2b128({AsBytes(before)}))), "\"}\n");
}

// --- holdfast.json ---------------------------------------------------------------------------

TEST(RepositoryTest, WhatIsMadeIsOpened) {
  MemoryBlobStore blobs;
  ASSERT_OK_AND_ASSIGN(const Repository made, Repository::Create(blobs, kNow));
  ASSERT_OK_AND_ASSIGN(const Repository opened, Repository::Open(blobs));
  EXPECT_EQ(opened.repository_id(), made.repository_id());
  EXPECT_EQ(blobs.Read("holdfast.json"),
            WithChecksum(absl::StrCat(
                "{\"format\":\"holdfast-repository\",\"version\":1,\"repository_id\":\"",
                made.repository_id().ToText(), "\",\"create_time\":\"2026-11-22T18:35:00.123Z\"")));
  EXPECT_EQ(blobs.Read("holdfast-copy.json"), blobs.Read("holdfast.json"));
  EXPECT_THAT(opened.ListStores(), IsOkAndHolds(IsEmpty()));
}

TEST(RepositoryTest, NothingMakesASecondOne) {
  MemoryBlobStore blobs;
  ASSERT_OK(Repository::Create(blobs, kNow));
  const std::string before = blobs.Read("holdfast.json");
  EXPECT_THAT(Repository::Create(blobs, kNow), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_EQ(blobs.Read("holdfast.json"), before);
}

TEST(RepositoryTest, OfManyThatMakeItOneDoes) {
  MemoryBlobStore blobs;
  std::vector<absl::Status> results(8);
  {
    std::vector<Thread> threads;
    for (absl::Status& result : results) {
      threads.emplace_back("create", [&] { result = Repository::Create(blobs, kNow).status(); });
    }
  }
  int made = 0;
  for (const absl::Status& result : results) {
    if (result.ok()) {
      ++made;
    } else {
      EXPECT_THAT(result, StatusIs(testing::AnyOf(absl::StatusCode::kAlreadyExists,
                                                  absl::StatusCode::kFailedPrecondition)));
    }
  }
  EXPECT_EQ(made, 1);
}

TEST(RepositoryTest, APlaceThatHoldsOtherThingsIsNotTaken) {
  MemoryBlobStore blobs;
  blobs.Write("photos/holiday.jpg", "x");
  EXPECT_THAT(Repository::Create(blobs, kNow),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("photos/holiday.jpg")));
  EXPECT_THAT(blobs.Contents(), ElementsAre(Pair("photos/holiday.jpg", "x")));
}

TEST(RepositoryTest, WithoutRepositoryItSaysThatAShareMayNotBeMounted) {
  MemoryBlobStore blobs;
  EXPECT_THAT(Repository::Open(blobs),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("not mounted")));
}

// As FORMAT.md shows it.
TEST(RepositoryTest, TheExampleOfTheFormatIsOpened) {
  MemoryBlobStore blobs;
  blobs.Write("holdfast.json",
              "{\"format\":\"holdfast-repository\",\"version\":1,"
              "\"repository_id\":\"0f1e2d3c4b5a69788796a5b4c3d2e1f0\","
              "\"create_time\":\"2026-11-22T18:35:00.123Z\","
              "\"checksum\":\"cbbab0e8f5b4bb19e9d69e15ea095c14\"}\n");
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(blobs));
  EXPECT_EQ(repository.repository_id().ToText(), "0f1e2d3c4b5a69788796a5b4c3d2e1f0");
}

TEST(RepositoryTest, UnknownVersionsAndOtherFilesAreToldApart) {
  const auto open = [](const std::string& json) {
    MemoryBlobStore blobs;
    blobs.Write("holdfast.json", json);
    return Repository::Open(blobs).status();
  };
  const std::string id = "\"repository_id\":\"0f1e2d3c4b5a69788796a5b4c3d2e1f0\"";
  const std::string format = "\"format\":\"holdfast-repository\"";
  const std::string good = absl::StrCat("{", format, ",\"version\":1,", id);
  EXPECT_OK(open(WithChecksum(absl::StrCat(good, ",\"later\":[{}]"))));
  EXPECT_THAT(open(WithChecksum(absl::StrCat("{", format, ",\"version\":2,", id))),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("newer Holdfast")));
  EXPECT_THAT(open(WithChecksum(absl::StrCat("{", format, ",\"version\":2"))),
              StatusIs(absl::StatusCode::kUnimplemented));
  for (const std::string& json :
       {std::string(), std::string("\n"), std::string("[]"), std::string("{}"),
        absl::StrCat(good, "}\n"), WithChecksum(""), WithChecksum("{"), WithChecksum("["),
        WithChecksum(absl::StrCat("{", format, ",", id)),
        WithChecksum(absl::StrCat("{", format, ",\"version\":1")),
        WithChecksum(absl::StrCat("{", format, ",\"version\":\"1\",", id)),
        WithChecksum(absl::StrCat("{", format, ",\"version\":0,", id)),
        WithChecksum(absl::StrCat("{", format, ",\"version\":-1,", id)),
        WithChecksum(absl::StrCat("{", format, ",\"version\":1.5,", id)),
        WithChecksum(absl::StrCat("{\"format\":\"restic\",\"version\":1,", id)),
        WithChecksum(absl::StrCat("{", format, ",\"version\":1,\"repository_id\":\"short\"")),
        WithChecksum(good) + " ", WithChecksum(absl::StrCat(good, "}")),
        WithChecksum(absl::StrCat(good, std::string(5000, ' ')))}) {
    EXPECT_THAT(open(json), StatusIs(absl::StatusCode::kDataLoss)) << json;
  }
}

TEST(RepositoryTest, TheCopyCountsWhereTheFileIsDamagedOrMissing) {
  MemoryBlobStore blobs;
  ASSERT_OK_AND_ASSIGN(const Repository made, Repository::Create(blobs, kNow));
  const std::string whole = blobs.Read("holdfast.json");
  const auto expect_opened = [&] {
    ASSERT_OK_AND_ASSIGN(const Repository opened, Repository::Open(blobs));
    EXPECT_EQ(opened.repository_id(), made.repository_id());
  };
  for (size_t i = 0; i < whole.size(); ++i) {
    SCOPED_TRACE(i);
    blobs.Write("holdfast.json", Flip(whole, i));
    expect_opened();
    blobs.Write("holdfast.json", whole.substr(0, i));
    expect_opened();
  }
  blobs.Remove("holdfast.json");
  expect_opened();
  // That there is a copy shows that something is mounted, and was a repository.
  blobs.Write("holdfast-copy.json", "");
  EXPECT_THAT(Repository::Open(blobs), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(Repository::Create(blobs, kNow), StatusIs(absl::StatusCode::kFailedPrecondition));
  blobs.Write("holdfast.json", Flip(whole, 3));
  EXPECT_THAT(Repository::Open(blobs), StatusIs(absl::StatusCode::kDataLoss));
}

// --- Stores and keys -------------------------------------------------------------------------

TEST(StoreKeysTest, AStoreIsMadeOnceAndFoundAgain) {
  MemoryBlobStore blobs;
  const MasterKey master_key = MasterKey::Generate();
  const StoreId store_id = StoreId::Generate();
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Create(blobs, kNow));
  EXPECT_THAT(repository.OpenStore(store_id, master_key), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK_AND_ASSIGN(const auto made,
                       repository.OpenOrCreateStore(store_id, master_key, nullptr, kNow));
  ASSERT_OK_AND_ASSIGN(const auto again,
                       repository.OpenOrCreateStore(store_id, master_key, nullptr, kNow));
  ASSERT_OK_AND_ASSIGN(const auto read, repository.OpenStore(store_id, master_key));
  EXPECT_EQ(made->current_key_id(), again->current_key_id());
  EXPECT_EQ(made->current_key_id(), read->current_key_id());
  EXPECT_TRUE(ConstantTimeEqual(made->CloneCurrentBackupKey().key.bytes(),
                                read->CloneCurrentBackupKey().key.bytes()));
  EXPECT_THAT(repository.ListStores(), IsOkAndHolds(ElementsAre(store_id)));
  EXPECT_EQ(blobs.Contents().size(), 3u);
}

TEST(StoreKeysTest, NoKeyShowsInItsFile) {
  TestBackups backups;
  const BackupKey key = backups.store->CloneCurrentBackupKey();
  for (const auto& [name, bytes] : backups.blobs.Contents()) {
    EXPECT_FALSE(absl::StrContains(bytes, AsText(key.key.bytes()))) << name;
  }
}

TEST(StoreKeysTest, AnotherMasterKeyIsToldWhichOneOpensIt) {
  TestBackups backups;
  backups.Write({{"CURRENT", "x"}});
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(backups.blobs));
  const MasterKey other = MasterKey::Generate();
  EXPECT_THAT(repository.OpenStore(backups.store_id, other),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       AllOf(HasSubstr(other.fingerprint().ToText()),
                             HasSubstr(backups.master_key.fingerprint().ToText()))));
  EXPECT_THAT(repository.OpenOrCreateStore(backups.store_id, other, nullptr, kNow),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr(backups.master_key.fingerprint().ToText())));
  EXPECT_OK(repository.OpenStore(backups.store_id, backups.master_key));
}

TEST(StoreKeysTest, AnExchangedRepositoryFileIsNoticed) {
  TestBackups backups;
  MemoryBlobStore other;
  ASSERT_OK(Repository::Create(other, kNow));
  backups.blobs.Write("holdfast.json", other.Read("holdfast.json"));
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(backups.blobs));
  EXPECT_THAT(repository.OpenStore(backups.store_id, backups.master_key),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("holdfast.json")));
}

TEST(StoreKeysTest, DamagedKeyFilesAreToldApart) {
  TestBackups backups;
  const KeyId key_id = backups.store->current_key_id();
  const std::string path = KeyFilePath(backups.store_id, key_id, backups.master_key.fingerprint());
  const std::string good = backups.blobs.Read(path);
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(backups.blobs));
  const auto open_with = [&](const std::string& bytes) {
    backups.blobs.Write(path, bytes);
    const absl::Status status = repository.OpenStore(backups.store_id, backups.master_key).status();
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path)));
    // Nothing is made in its place.
    EXPECT_EQ(repository.OpenOrCreateStore(backups.store_id, backups.master_key, nullptr, kNow)
                  .status()
                  .code(),
              absl::StatusCode::kDataLoss);
    return GetSealedFault(status);
  };
  EXPECT_EQ(open_with(Flip(good, 0)), SealedFault::kNotSealed);
  EXPECT_EQ(open_with(Flip(good, 20)), SealedFault::kHeaderDamaged);
  EXPECT_EQ(open_with(Flip(good, 140)), SealedFault::kSegmentDamaged);
  EXPECT_EQ(open_with(good.substr(0, good.size() - 1)), SealedFault::kCutShort);
  EXPECT_EQ(open_with(good + "x"), SealedFault::kBytesAppended);
  EXPECT_EQ(open_with(good + std::string(5000, 'x')), std::nullopt);
}

TEST(StoreKeysTest, AKeyFileUnderTheNameOfAnotherStoreOrKeyIsFound) {
  TestBackups backups;
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(backups.blobs));
  const StoreId other = StoreId::Generate();
  const KeyId key_id = backups.store->current_key_id();
  const KeyFingerprint fingerprint = backups.master_key.fingerprint();
  backups.blobs.Rename(KeyFilePath(backups.store_id, key_id, fingerprint),
                       KeyFilePath(other, key_id, fingerprint));
  const absl::Status status = repository.OpenStore(other, backups.master_key).status();
  EXPECT_EQ(GetSealedFault(status), SealedFault::kOtherName);
}

TEST(StoreKeysTest, AStoreWithoutKeyFilesIsDamaged) {
  TestBackups backups;
  backups.Write({{"CURRENT", "x"}});
  backups.blobs.Remove(KeyFilePath(backups.store_id, backups.store->current_key_id(),
                                   backups.master_key.fingerprint()));
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(backups.blobs));
  EXPECT_THAT(repository.OpenStore(backups.store_id, backups.master_key),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("missing")));
  EXPECT_THAT(repository.OpenOrCreateStore(backups.store_id, backups.master_key, nullptr, kNow),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("missing")));
}

TEST(StoreKeysTest, TheKeyOfAnotherDestinationIsPutHereTooAndBecomesCurrent) {
  TestBackups first;
  TestBackups second;  // with a key of its own
  const BackupKey key = first.store->CloneCurrentBackupKey();
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(second.blobs));
  // Even where the clock went back meanwhile.
  ASSERT_OK_AND_ASSIGN(
      const auto store,
      repository.OpenOrCreateStore(second.store_id, second.master_key, &key, absl::UnixEpoch()));
  EXPECT_EQ(store->current_key_id(), key.key_id);
  EXPECT_OK(store->ContentKey(second.store->current_key_id()));
  const size_t files = second.blobs.Contents().size();
  ASSERT_OK_AND_ASSIGN(const auto again, repository.OpenOrCreateStore(
                                             second.store_id, second.master_key, &key, kNow));
  EXPECT_EQ(again->current_key_id(), key.key_id);
  EXPECT_EQ(second.blobs.Contents().size(), files);
  // What is sealed with it there can be read here.
  EXPECT_TRUE(
      ConstantTimeEqual(again->content_key().key.bytes(), first.store->content_key().key.bytes()));

  const BackupKey forged = {key.key_id, Key::Generate()};
  EXPECT_THAT(repository.OpenOrCreateStore(second.store_id, second.master_key, &forged, kNow),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("another one")));
}

TEST(StoreKeysTest, OneDamagedKeyFileLeavesTheOthersUsable) {
  TestBackups backups;
  const std::string backup_id = backups.Write({{"CURRENT", "x"}});
  const BackupKey key = {Id128::Generate().bytes(), Key::Generate()};
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(backups.blobs));
  ASSERT_OK(repository.OpenOrCreateStore(backups.store_id, backups.master_key, &key, kNow));
  const std::string path =
      KeyFilePath(backups.store_id, key.key_id, backups.master_key.fingerprint());
  backups.blobs.Write(path, Flip(backups.blobs.Read(path), 130));

  const auto store = backups.Reopen();
  EXPECT_OK(store->LoadManifest(backup_id));
  EXPECT_THAT(store->ContentKey(key.key_id),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path)));
  EXPECT_THAT(store->ContentKey(KeyId{}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(KeyIdText(KeyId{}))));
  EXPECT_THAT(store->key_files().at(path), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(StoreKeysTest, WithoutBackupsAnotherMasterKeyMayBegin) {
  TestBackups backups;
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(backups.blobs));
  const MasterKey other = MasterKey::Generate();
  EXPECT_OK(repository.OpenOrCreateStore(backups.store_id, other, nullptr, kNow));
}

}  // namespace
}  // namespace holdfast
