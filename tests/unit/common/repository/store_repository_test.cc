#include "common/repository/store_repository.h"

#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/thread.h"
#include "common/io/durable_file.h"
#include "common/io/files.h"
#include "common/io/xxh3_stream.h"
#include "common/storage/local_blob_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fault_blob_store.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/unit/common/repository/test_backups.h"

namespace holdfast {
namespace {

using repository::v1::Mark;
using repository::v1::ObjectEntry;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;
using testing::Not;
using testing::Pair;

const absl::Time kNow = absl::FromUnixMillis(1'795'372'500'123);

std::vector<std::string> IdsOf(const BackupListing& listing) {
  std::vector<std::string> ids;
  for (const ListedBackup& backup : listing.backups) ids.push_back(backup.summary.backup_id());
  return ids;
}

std::string Flip(std::string bytes, size_t offset) {
  bytes.at(offset) = static_cast<char>(bytes.at(offset) ^ 1);
  return bytes;
}

class StoreRepositoryTest : public testing::Test {
 protected:
  absl::Status Mark(const std::string& backup_id, Mark::Kind kind) {
    repository::v1::Mark mark;
    mark.set_backup_id(backup_id);
    mark.set_kind(kind);
    mark.set_note("a note");
    return backups_.store->AddMark(mark, backups_.now);
  }

  BackupListing List() {
    auto listing = backups_.store->ListBackups();
    EXPECT_OK(listing);
    return listing.ok() ? *std::move(listing) : BackupListing();
  }

  std::string PathOf(const std::string& backup_id) {
    return BackupPath(backups_.store_id, backup_id);
  }

  TestBackups backups_;
};

TEST_F(StoreRepositoryTest, BackupsComeBackFileForFile) {
  const TestBackups::Files files = SmallStoreFiles(backups_.random);
  const std::string backup_id = backups_.Write(files);
  const auto store = backups_.Reopen();
  ASSERT_OK_AND_ASSIGN(const auto loaded, store->LoadManifest(backup_id));
  EXPECT_EQ(loaded.sealed_hash, Blake2b256({AsBytes(backups_.blobs.Read(PathOf(backup_id)))}));
  TestBackups::Files read;
  for (const auto& file : loaded.manifest.files.files()) {
    std::string& bytes = read[file.name()];
    for (const auto& extent : file.extents()) {
      ASSERT_OK_AND_ASSIGN(const auto source, store->ReadObject(loaded.manifest.files.objects(
                                                  static_cast<int>(extent.object_index()))));
      ASSERT_OK_AND_ASSIGN(const std::string object, ReadSource(*source));
      bytes += object.substr(extent.offset(), extent.length());
    }
    EXPECT_EQ(Xxh3Of(bytes), file.xxh3_128()) << file.name();
  }
  EXPECT_TRUE(read == files);
}

// On a real directory: a manifest that is something else must not look as if it had been removed,
// for prune would take what it needs.
class MisplacedManifestTest : public testing::Test {
 protected:
  MisplacedManifestTest() : key_(MasterKey::Generate()) {
    blobs_ = *LocalBlobStore::Open(directory_.path());
    const absl::StatusOr<Repository> repository = Repository::Create(*blobs_, kNow);
    EXPECT_OK(repository);
    store_ = *repository->OpenOrCreateStore(StoreId::Generate(), key_, nullptr, kNow);
  }
  std::string PathOf(absl::string_view name) const {
    return directory_.Path(absl::StrCat(BackupsPath(store_->store_id()), "/", name));
  }
  absl::StatusOr<BackupListing> List() { return store_->ListBackups(); }

  static constexpr char kId[] = "20261122T183500.123Z-1f9a2b3c";
  TempDir directory_;
  MasterKey key_;
  std::unique_ptr<LocalBlobStore> blobs_;
  std::unique_ptr<StoreRepository> store_;
};

TEST_F(MisplacedManifestTest, IsNamedWhateverItIs) {
  ASSERT_OK(MakeDirectories(PathOf("")));
  const auto is_named = [](absl::string_view why) {
    return ElementsAre(
        Pair(kId, StatusIs(absl::StatusCode::kDataLoss, HasSubstr(std::string(why)))));
  };
  ASSERT_EQ(symlink("/dev/null", PathOf(kId).c_str()), 0);
  EXPECT_THAT(List()->damaged, is_named("not a regular file"));
  // It can be given up.
  repository::v1::Mark mark;
  mark.set_backup_id(kId);
  mark.set_kind(Mark::KIND_DELETED);
  ASSERT_OK(store_->AddMark(mark, kNow));
  EXPECT_THAT(List()->deleted, ElementsAre(Key(kId)));
  ASSERT_OK(store_->RemoveBackup(kId, kNow + absl::Hours(1)));

  ASSERT_EQ(mkfifo(PathOf(kId).c_str(), 0600), 0);
  EXPECT_THAT(List()->damaged, is_named("not a regular file"));
  ASSERT_EQ(unlink(PathOf(kId).c_str()), 0);
  ASSERT_OK(MakeDirectories(PathOf(kId)));
  EXPECT_THAT(List()->damaged, is_named("a folder in the place of a manifest"));
  ASSERT_EQ(rmdir(PathOf(kId).c_str()), 0);
  ASSERT_OK(WriteFileDurably(PathOf("20261122T183500.123Z-1F9A2B3C"), "x", {.mode = 0600}));
  EXPECT_THAT(List()->damaged, is_named("give it its name back"));
}

TEST_F(StoreRepositoryTest, NothingOfTheFilesShowsAtTheDestination) {
  TestBackups::Files files = {{"000007.sst", "a secret document"},
                              {"instance/secret-name", "a secret setting"}};
  backups_.Write(files);
  for (const auto& [name, bytes] : backups_.blobs.Contents()) {
    EXPECT_FALSE(absl::StrContains(bytes, "secret")) << name;
    EXPECT_FALSE(absl::StrContains(name, "secret")) << name;
  }
}

TEST_F(StoreRepositoryTest, ListingIsByLineageAndNotByClock) {
  const std::string first = backups_.Write({{"CURRENT", "1"}});
  backups_.now -= absl::Hours(24 * 365);
  const std::string second = backups_.Write({{"CURRENT", "2"}});
  backups_.now += absl::Hours(24);
  const std::string third = backups_.Write({{"CURRENT", "3"}});
  const BackupListing listing = List();
  EXPECT_THAT(IdsOf(listing), ElementsAre(first, second, third));
  EXPECT_EQ(listing.Latest()->summary.backup_id(), third);
  EXPECT_EQ(listing.Find(second)->summary.ordinal(), 2u);
  EXPECT_EQ(listing.Find(second)->sealed_manifest_size_bytes,
            backups_.blobs.Read(PathOf(second)).size());
  EXPECT_EQ(listing.Find("none"), nullptr);
  EXPECT_THAT(listing.damaged, IsEmpty());
}

TEST_F(StoreRepositoryTest, OfTheSameOrdinalTheGreaterRevisionThenIdIsLater) {
  const auto commit = [&](uint64_t ordinal, uint64_t revision, const std::string& backup_id) {
    Manifest manifest = backups_.Prepare({});
    manifest.summary.set_ordinal(ordinal);
    manifest.summary.set_revision(revision);
    manifest.summary.set_backup_id(backup_id);
    if (ordinal > 1) {
      manifest.summary.set_previous_backup_id("20200101T000000.000Z-00000000");
      manifest.summary.set_previous_manifest_hash(std::string(32, 'x'));
    }
    backups_.Commit(manifest);
  };
  const std::string a = "20261122T183500.123Z-0000000a";
  const std::string b = "20261122T183500.123Z-0000000b";
  const std::string c = "20251122T183500.123Z-0000000c";
  const std::string d = "20241122T183500.123Z-0000000d";
  commit(2, 5, b);
  commit(2, 5, a);
  commit(2, 9, c);
  commit(3, 1, d);
  EXPECT_THAT(IdsOf(List()), ElementsAre(a, b, c, d));
}

TEST_F(StoreRepositoryTest, WithoutBackupsTheListingIsEmpty) {
  const BackupListing listing = List();
  EXPECT_THAT(listing.backups, IsEmpty());
  EXPECT_EQ(listing.Latest(), nullptr);
}

TEST_F(StoreRepositoryTest, SummariesAreReadOnce) {
  FaultBlobStore counter(backups_.blobs);
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(counter));
  ASSERT_OK_AND_ASSIGN(const auto store,
                       repository.OpenStore(backups_.store_id, backups_.master_key));
  const std::string backup_id = backups_.Write(SmallStoreFiles(backups_.random));
  ASSERT_OK(Mark(backup_id, Mark::KIND_PINNED));
  ASSERT_OK(store->ListBackups());
  const int calls = counter.calls(FaultBlobStore::Operation::kGet);
  ASSERT_OK_AND_ASSIGN(const BackupListing again, store->ListBackups());
  EXPECT_EQ(counter.calls(FaultBlobStore::Operation::kGet), calls);
  EXPECT_THAT(IdsOf(again), ElementsAre(backup_id));
}

TEST_F(StoreRepositoryTest, ARememberedManifestThatWasCutIsFound) {
  const std::string backup_id = backups_.Write({{"CURRENT", "1"}});
  EXPECT_THAT(IdsOf(List()), ElementsAre(backup_id));
  backups_.blobs.Write(PathOf(backup_id), backups_.blobs.Read(PathOf(backup_id)).substr(0, 200));
  EXPECT_EQ(GetSealedFault(List().damaged.at(backup_id)), SealedFault::kCutShort);
}

TEST_F(StoreRepositoryTest, ManyListAtOnce) {
  std::vector<std::string> ids;
  for (int i = 0; i < 10; ++i) ids.push_back(backups_.Write({{"CURRENT", absl::StrCat(i)}}));
  ASSERT_OK(Mark(ids[3], Mark::KIND_DELETED));
  ids.erase(ids.begin() + 3);
  const auto store = backups_.Reopen();
  std::vector<Thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back("list", [&] {
      for (int j = 0; j < 10; ++j) {
        const auto listing = store->ListBackups();
        EXPECT_OK(listing);
        EXPECT_THAT(IdsOf(*listing), testing::ElementsAreArray(ids));
      }
    });
  }
}

TEST_F(StoreRepositoryTest, DamagedManifestsAreToldAndTheOthersListed) {
  const std::string good = backups_.Write({{"CURRENT", "1"}});
  const std::string flipped = backups_.Write({{"CURRENT", "2"}});
  const std::string cut = backups_.Write({{"CURRENT", "3"}});
  const std::string swapped = backups_.Write({{"CURRENT", "4"}});
  backups_.blobs.Write(PathOf(flipped), Flip(backups_.blobs.Read(PathOf(flipped)), 150));
  backups_.blobs.Write(PathOf(cut), backups_.blobs.Read(PathOf(cut)).substr(0, 100));
  backups_.blobs.Write(PathOf(swapped), backups_.blobs.Read(PathOf(good)));
  Manifest newer = backups_.Prepare({});
  newer.summary.add_required_features("more");
  backups_.Commit(newer);

  const BackupListing listing = List();
  EXPECT_THAT(IdsOf(listing), ElementsAre(good));
  ASSERT_EQ(listing.damaged.size(), 4u);
  EXPECT_EQ(GetSealedFault(listing.damaged.at(flipped)), SealedFault::kSegmentDamaged);
  EXPECT_EQ(GetSealedFault(listing.damaged.at(cut)), SealedFault::kCutShort);
  EXPECT_EQ(GetSealedFault(listing.damaged.at(swapped)), SealedFault::kOtherName);
  EXPECT_THAT(listing.damaged.at(newer.summary.backup_id()),
              StatusIs(absl::StatusCode::kUnimplemented));
}

TEST_F(StoreRepositoryTest, AManifestOfAnotherBackupKeyNamesIt) {
  const std::string backup_id = backups_.Write({{"CURRENT", "1"}});
  const SealingKey other = SealingKey::ForBackup(Id128::Generate().bytes(), Key::Generate());
  const std::string path = PathOf(backup_id);
  backups_.blobs.Write(path, Seal(SealedKind::kManifest, other, path, AsBytes("x")));
  const absl::Status status = List().damaged.at(backup_id);
  EXPECT_THAT(status,
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr(KeyIdText(other.key_id))));
  EXPECT_EQ(GetSealedFault(status), SealedFault::kWrongKey);
}

TEST_F(StoreRepositoryTest, LeftoversAndForeignNamesAreIgnored) {
  const std::string backup_id = backups_.Write({{"CURRENT", "1"}});
  backups_.blobs.Write(absl::StrCat(BackupsPath(backups_.store_id), "/README"), "x");
  backups_.blobs.Write(absl::StrCat(MarksPath(backups_.store_id), "/x"), "x");
  backups_.blobs.Write(absl::StrCat(KeysPath(backups_.store_id), "/x"), "x");
  backups_.blobs.Write(absl::StrCat(ObjectsPath(backups_.store_id), "/00/x"), "x");
  backups_.blobs.Write("stores/not-an-id/keys/x", "x");
  const auto store = backups_.Reopen();
  ASSERT_OK_AND_ASSIGN(const BackupListing listing, store->ListBackups());
  EXPECT_THAT(IdsOf(listing), ElementsAre(backup_id));
  EXPECT_THAT(listing.damaged, IsEmpty());
  int objects = 0;
  ASSERT_OK(store->ListObjects([&](absl::string_view name, uint64_t size_bytes) {
    EXPECT_OK(ParseObjectName(name));
    EXPECT_GT(size_bytes, 0u);
    ++objects;
    return absl::OkStatus();
  }));
  EXPECT_EQ(objects, 1);
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(backups_.blobs));
  EXPECT_THAT(repository.ListStores(), IsOkAndHolds(ElementsAre(backups_.store_id)));
}

TEST_F(StoreRepositoryTest, WhatAKilledWriterLeftIsNotSeen) {
  TempDir directory;
  ASSERT_OK_AND_ASSIGN(const auto blobs, LocalBlobStore::Open(directory.path()));
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Create(*blobs, kNow));
  ASSERT_OK_AND_ASSIGN(
      const auto store,
      repository.OpenOrCreateStore(backups_.store_id, backups_.master_key, nullptr, kNow));
  for (const std::string& folder : {KeysPath(backups_.store_id), BackupsPath(backups_.store_id),
                                    absl::StrCat(ObjectsPath(backups_.store_id), "/00")}) {
    MemorySource source("x");
    ASSERT_OK(blobs->Put(absl::StrCat(folder, "/foreign"), source));
    ASSERT_OK(WriteFileDurably(directory.Path(absl::StrCat(folder, "/.tmp-00ff00ff")), "half a fi",
                               {.mode = 0600}));
  }
  ASSERT_OK_AND_ASSIGN(const auto again,
                       repository.OpenStore(backups_.store_id, backups_.master_key));
  ASSERT_OK_AND_ASSIGN(const BackupListing listing, again->ListBackups());
  EXPECT_THAT(listing.backups, IsEmpty());
  EXPECT_THAT(listing.damaged, IsEmpty());
}

TEST_F(StoreRepositoryTest, ABackupThatIsNotThereIsNotFound) {
  EXPECT_THAT(backups_.store->LoadManifest("20261122T183500.123Z-00000000"),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(backups_.store->LoadManifest("../../etc/passwd"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("20261122T183500.123Z")));
}

TEST_F(StoreRepositoryTest, WhenTheDestinationIsGoneListingFails) {
  const std::string backup_id = backups_.Write({{"CURRENT", "1"}});
  FaultBlobStore faults(backups_.blobs);
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(faults));
  ASSERT_OK_AND_ASSIGN(const auto store,
                       repository.OpenStore(backups_.store_id, backups_.master_key));
  faults.Inject({.operation = FaultBlobStore::Operation::kAny, .after_calls = 2, .times = 100});
  EXPECT_THAT(store->ListBackups(), StatusIs(absl::StatusCode::kUnavailable));
  faults.Clear();
  // One file that can't be read is that file's matter.
  faults.Inject({.operation = FaultBlobStore::Operation::kRead,
                 .name_contains = backup_id,
                 .status = absl::UnavailableError("I/O error")});
  ASSERT_OK_AND_ASSIGN(const BackupListing listing, store->ListBackups());
  EXPECT_THAT(listing.damaged, ElementsAre(Pair(backup_id, StatusIs(absl::StatusCode::kUnavailable,
                                                                    HasSubstr("I/O error")))));
  EXPECT_THAT(store->ListBackups()->damaged, IsEmpty());
}

TEST_F(StoreRepositoryTest, AManifestIsCommittedOnceAndReadBack) {
  const Manifest manifest = backups_.Prepare({{"CURRENT", "1"}});
  const std::string id = manifest.summary.backup_id();
  ASSERT_OK_AND_ASSIGN(const std::string sealed,
                       SealManifest(manifest, backups_.store_id, backups_.store->manifest_key()));
  ASSERT_OK(backups_.store->CommitManifest(id, sealed));
  EXPECT_OK(backups_.store->CommitManifest(id, sealed)) << "who wrote it does not matter";
  ASSERT_OK_AND_ASSIGN(const std::string other,
                       SealManifest(manifest, backups_.store_id, backups_.store->manifest_key()));
  EXPECT_THAT(backups_.store->CommitManifest(id, other),
              StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_EQ(backups_.blobs.Read(PathOf(id)), sealed);
  EXPECT_THAT(backups_.store->CommitManifest("none", sealed),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(StoreRepositoryTest, AManifestThatDoesNotReadBackIsAnError) {
  // A medium that keeps other bytes than it was given.
  class LyingBlobStore : public FaultBlobStore {
   public:
    using FaultBlobStore::FaultBlobStore;
    absl::Status Put(absl::string_view name, ByteSource& source) override {
      const auto bytes = ReadSource(source);
      std::string changed = *bytes;
      changed.back() = static_cast<char>(changed.back() ^ 1);
      MemorySource lie(changed);
      return FaultBlobStore::Put(name, lie);
    }
  };
  LyingBlobStore lying(backups_.blobs);
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(lying));
  ASSERT_OK_AND_ASSIGN(const auto store,
                       repository.OpenStore(backups_.store_id, backups_.master_key));
  const Manifest manifest = backups_.Prepare({{"CURRENT", "1"}});
  const std::string id = manifest.summary.backup_id();
  ASSERT_OK_AND_ASSIGN(const std::string sealed,
                       SealManifest(manifest, backups_.store_id, backups_.store->manifest_key()));
  EXPECT_THAT(store->CommitManifest(id, sealed),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("does not read back")));
  EXPECT_THAT(backups_.blobs.Stat(PathOf(id)), StatusIs(absl::StatusCode::kNotFound));
}

// --- Marks -----------------------------------------------------------------------------------

TEST_F(StoreRepositoryTest, DeletedAndUndeletedByTheNewestMark) {
  const std::string first = backups_.Write({{"CURRENT", "1"}});
  const std::string second = backups_.Write({{"CURRENT", "2"}});
  ASSERT_OK(Mark(second, Mark::KIND_DELETED));
  BackupListing listing = List();
  EXPECT_THAT(IdsOf(listing), ElementsAre(first));
  EXPECT_THAT(listing.deleted, ElementsAre(Key(second)));
  EXPECT_EQ(listing.Latest()->summary.backup_id(), first);
  // By the same clock reading, and by one that went back.
  ASSERT_OK(Mark(second, Mark::KIND_UNDELETED));
  EXPECT_THAT(IdsOf(List()), ElementsAre(first, second));
  backups_.now -= absl::Hours(1000);
  ASSERT_OK(Mark(second, Mark::KIND_DELETED));
  EXPECT_THAT(IdsOf(List()), ElementsAre(first));
  ASSERT_OK(Mark(second, Mark::KIND_UNDELETED));
  EXPECT_THAT(IdsOf(List()), ElementsAre(first, second));
  EXPECT_OK(backups_.store->LoadManifest(second));
}

TEST_F(StoreRepositoryTest, PinnedByTheNewestMark) {
  const std::string id = backups_.Write({{"CURRENT", "1"}});
  EXPECT_FALSE(List().backups[0].pinned);
  ASSERT_OK(Mark(id, Mark::KIND_PINNED));
  ASSERT_OK(Mark(id, Mark::KIND_CHECKED));
  EXPECT_TRUE(List().backups[0].pinned);
  ASSERT_OK(Mark(id, Mark::KIND_UNPINNED));
  EXPECT_FALSE(List().backups[0].pinned);
}

TEST_F(StoreRepositoryTest, APinWinsOverADeletionWhicheverIsNewer) {
  const std::string first = backups_.Write({{"CURRENT", "1"}});
  const std::string second = backups_.Write({{"CURRENT", "2"}});
  ASSERT_OK(Mark(first, Mark::KIND_PINNED));
  ASSERT_OK(Mark(first, Mark::KIND_DELETED));
  ASSERT_OK(Mark(second, Mark::KIND_DELETED));
  ASSERT_OK(Mark(second, Mark::KIND_PINNED));
  const BackupListing listing = List();
  ASSERT_THAT(IdsOf(listing), ElementsAre(first, second));
  for (const ListedBackup& backup : listing.backups) {
    EXPECT_TRUE(backup.pinned && backup.is_deletion_overruled);
    EXPECT_THAT(backups_.store->RemoveBackup(backup.summary.backup_id(), absl::InfiniteFuture()),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("is pinned")));
  }
  EXPECT_THAT(IdsOf(List()), ElementsAre(first, second));
  ASSERT_OK(Mark(first, Mark::KIND_UNPINNED));
  EXPECT_THAT(IdsOf(List()), ElementsAre(second));
  EXPECT_OK(backups_.store->RemoveBackup(first, absl::InfiniteFuture()));
}

TEST_F(StoreRepositoryTest, AMarkIsReadBackWithWhatItSays) {
  const std::string id = backups_.Write({{"CURRENT", "1"}});
  ASSERT_OK(Mark(id, Mark::KIND_DRILLED));
  std::vector<std::string> names;
  for (const auto& [path, bytes] : backups_.blobs.Contents()) {
    if (absl::StrContains(path, "/marks/")) {
      names.push_back(path.substr(MarksPath(backups_.store_id).size() + 1));
    }
  }
  ASSERT_EQ(names.size(), 1u);
  ASSERT_OK_AND_ASSIGN(const repository::v1::Mark mark, backups_.store->ReadMark(names[0]));
  EXPECT_EQ(mark.note(), "a note");
  EXPECT_EQ(mark.create_time_us(), absl::ToUnixMicros(backups_.now));
  EXPECT_THAT(backups_.store->ReadMark("none"), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(StoreRepositoryTest, AMarkThatWasForgedHidesNothingSilently) {
  const std::string id = backups_.Write({{"CURRENT", "1"}});
  const std::string path = MarkPath(backups_.store_id, id, backups_.now, Mark::KIND_DELETED);
  backups_.blobs.Write(path, "no mark at all");
  BackupListing listing = List();
  EXPECT_THAT(IdsOf(listing), IsEmpty());
  EXPECT_THAT(listing.deleted, IsEmpty());
  EXPECT_THAT(listing.damaged,
              ElementsAre(Pair(id, StatusIs(absl::StatusCode::kDataLoss, HasSubstr("deleted")))));
  EXPECT_THAT(listing.damaged_marks,
              ElementsAre(Pair(path, StatusIs(absl::StatusCode::kDataLoss))));
  EXPECT_OK(backups_.store->LoadManifest(id));
  // Whoever has the key can put it right.
  backups_.now += absl::Hours(1);
  ASSERT_OK(Mark(id, Mark::KIND_UNDELETED));
  EXPECT_THAT(IdsOf(List()), ElementsAre(id));
}

TEST_F(StoreRepositoryTest, AMarkThatWasRenamedIsNoMark) {
  const std::string first = backups_.Write({{"CURRENT", "1"}});
  const std::string second = backups_.Write({{"CURRENT", "2"}});
  ASSERT_OK(Mark(first, Mark::KIND_DELETED));
  for (const auto& [path, bytes] : backups_.blobs.Contents()) {
    if (!absl::StrContains(path, "/marks/")) continue;
    backups_.blobs.Rename(path, absl::StrReplaceAll(path, {{first, second}}));
  }
  const BackupListing listing = List();
  EXPECT_THAT(IdsOf(listing), ElementsAre(first));
  EXPECT_EQ(GetSealedFault(listing.damaged.at(second)), SealedFault::kOtherName);
}

TEST_F(StoreRepositoryTest, ADamagedPinStillPins) {
  const std::string id = backups_.Write({{"CURRENT", "1"}});
  const std::string path = MarkPath(backups_.store_id, id, backups_.now, Mark::KIND_UNPINNED);
  backups_.blobs.Write(path, "no mark at all");
  const BackupListing listing = List();
  EXPECT_TRUE(listing.backups[0].pinned);
  EXPECT_THAT(listing.damaged_marks, ElementsAre(Pair(path, testing::_)));
}

TEST_F(StoreRepositoryTest, MarksThatCannotBeAreRefused) {
  const std::string id = backups_.Write({{"CURRENT", "1"}});
  EXPECT_THAT(Mark("20261122T183500.123Z-00000000", Mark::KIND_DELETED),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Mark("none", Mark::KIND_DELETED), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Mark(id, Mark::KIND_UNSPECIFIED), StatusIs(absl::StatusCode::kInvalidArgument));
  repository::v1::Mark mark;
  mark.set_backup_id(id);
  mark.set_kind(Mark::KIND_CHECKED);
  mark.set_note(std::string(5000, 'x'));
  EXPECT_THAT(backups_.store->AddMark(mark, backups_.now),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

// --- Objects ---------------------------------------------------------------------------------

class ReadObjectTest : public testing::TestWithParam<ObjectEntry::Codec> {
 protected:
  ReadObjectTest() {
    std::string content(150'000, '\0');
    backups_.random.Fill(
        absl::MakeSpan(reinterpret_cast<uint8_t*>(content.data()), content.size()));
    entry_ = backups_.WriteObject(content, GetParam());
    path_ = backups_.PathOf(entry_);
    sealed_ = backups_.blobs.Read(path_);
  }

  absl::Status Read(const ObjectEntry& entry) {
    auto source = backups_.store->ReadObject(entry);
    if (!source.ok()) return source.status();
    return ReadSource(**source).status();
  }
  absl::Status ReadChanged(std::string sealed) {
    backups_.blobs.Write(path_, std::move(sealed));
    return Read(entry_);
  }

  TestBackups backups_;
  ObjectEntry entry_;
  std::string path_;
  std::string sealed_;
};

INSTANTIATE_TEST_SUITE_P(Codecs, ReadObjectTest,
                         testing::Values(ObjectEntry::CODEC_NONE, ObjectEntry::CODEC_ZSTD));

TEST_P(ReadObjectTest, DamageOfEachKindIsToldApart) {
  ASSERT_OK(Read(entry_));
  const auto fault = [&](std::string sealed) {
    const absl::Status status = ReadChanged(std::move(sealed));
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path_)));
    return GetSealedFault(status);
  };
  EXPECT_EQ(fault(""), SealedFault::kCutShort);
  EXPECT_EQ(fault(Flip(sealed_, 3)), SealedFault::kNotSealed);
  for (const size_t offset : {9, 10, 11, 12, 17, 40, 70, 100, 105, 120}) {
    EXPECT_EQ(fault(Flip(sealed_, offset)), SealedFault::kHeaderDamaged) << offset;
  }
  for (const size_t offset : {size_t{128}, size_t{65'679}, size_t{65'680}, sealed_.size() - 1}) {
    EXPECT_EQ(fault(Flip(sealed_, offset)), SealedFault::kSegmentDamaged) << offset;
  }
  for (const size_t size : {size_t{1}, size_t{127}, size_t{128}, size_t{65'680}, size_t{131'232}}) {
    EXPECT_EQ(fault(sealed_.substr(0, size)), SealedFault::kCutShort) << size;
  }
}

TEST_P(ReadObjectTest, ACutTellsHowMuchIsLeft) {
  EXPECT_THAT(ReadChanged(sealed_.substr(0, 1000)),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr(absl::StrCat("cut short: 1000 of ", sealed_.size()))));
  EXPECT_THAT(ReadChanged(sealed_ + "x"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("too long")));
}

TEST_P(ReadObjectTest, AMissingObjectIsNotFound) {
  backups_.blobs.Remove(path_);
  EXPECT_THAT(Read(entry_),
              StatusIs(absl::StatusCode::kNotFound, AllOf(HasSubstr(path_), HasSubstr("missing"))));
}

TEST_P(ReadObjectTest, AnotherObjectUnderThisNameIsFound) {
  const ObjectEntry other = backups_.WriteObject("other", GetParam());
  backups_.blobs.Swap(path_, backups_.PathOf(other));
  EXPECT_EQ(GetSealedFault(Read(entry_)), SealedFault::kOtherName);
  EXPECT_EQ(GetSealedFault(Read(other)), SealedFault::kOtherName);
  EXPECT_THAT(Read(entry_), StatusIs(absl::StatusCode::kDataLoss, Not(HasSubstr("cut short"))));
}

TEST_P(ReadObjectTest, WhatIsNotAsTheManifestTellsIsRefused) {
  const auto is_refused = StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path_));
  ObjectEntry entry = entry_;
  entry.set_content_size_bytes(entry_.content_size_bytes() - 1);
  EXPECT_THAT(Read(entry), is_refused);
  entry.set_content_size_bytes(entry_.content_size_bytes() + 1);
  EXPECT_THAT(Read(entry), is_refused);
  entry = entry_;
  entry.set_sealed_size_bytes(entry_.sealed_size_bytes() + 1);
  EXPECT_THAT(Read(entry), is_refused);
  entry = entry_;
  entry.set_key_id(std::string(16, 'x'));
  EXPECT_THAT(Read(entry), StatusIs(absl::StatusCode::kNotFound, HasSubstr("78787878")));
  entry = entry_;
  entry.set_name("../../holdfast.json");
  EXPECT_THAT(Read(entry), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_P(ReadObjectTest, AnErrorStays) {
  backups_.blobs.Write(path_, Flip(sealed_, 128));
  ASSERT_OK_AND_ASSIGN(const auto source, backups_.store->ReadObject(entry_));
  EXPECT_THAT(source->Next(), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(source->Next(), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(StoreRepositoryTest, AnObjectThatIsABombEndsAtItsSize) {
  ObjectEntry entry = backups_.WriteObject(std::string(50 << 20, '\0'), ObjectEntry::CODEC_ZSTD);
  entry.set_content_size_bytes(1000);
  ASSERT_OK_AND_ASSIGN(const auto source, backups_.store->ReadObject(entry));
  EXPECT_THAT(ReadSource(*source),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("more than 1000 bytes")));
}

}  // namespace
}  // namespace holdfast
