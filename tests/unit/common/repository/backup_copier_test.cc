#include "common/repository/backup_copier.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/repository/checker.h"
#include "common/repository/layout.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fault_blob_store.h"
#include "tests/testing/hooked_blob_store.h"
#include "tests/testing/memory_blob_store.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/common/repository/test_backups.h"

namespace holdfast {
namespace {

using repository::v1::Mark;
using repository::v1::ObjectEntry;
using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using Operation = FaultBlobStore::Operation;
using Result = CopiedBackup::Result;

using Blobs = std::map<std::string, std::string>;

bool IsOfPlace(const std::string& name) {
  return name == kRepositoryFileName || name == kRepositoryFileCopyName ||
         absl::StrContains(name, "/keys/");
}

// What must be the same at every destination.
Blobs SharedFiles(const MemoryBlobStore& blobs) {
  Blobs shared;
  for (const auto& [name, bytes] : blobs.Contents()) {
    if (!IsOfPlace(name)) shared.emplace(name, bytes);
  }
  return shared;
}

// Three backups at a source; the second and the third share tables with those before. An empty
// repository as the target.
class BackupCopierTest : public testing::Test {
 protected:
  BackupCopierTest() {
    target_.set_clock(&clock_);
    EXPECT_OK(Repository::Create(target_, clock_.Now()));
    TestBackups::Files files = SmallStoreFiles(source_.random, 3'000);
    files["000011.blob"].resize(4'000);
    ids_.push_back(source_.Write(files));
    files["000021.sst"] = std::string(70'000, 'n');
    files["MANIFEST-000012"] += "edit";
    ids_.push_back(source_.Write(files));
    files.erase("000009.sst");
    files["000022.sst"] = std::string(90'000, 'm');
    ids_.push_back(source_.Write(files));
    // By now the objects are old: a prune removes them where no manifest names them.
    clock_.SetWallTime(source_.now + absl::Hours(24 * 30));
  }

  CopyReport Copy(const CopyOptions& options = {}) { return CopyTo(target_, options); }
  CopyReport CopyTo(BlobStore& blobs, const CopyOptions& options = {},
                    const Cancellation& cancellation = {}) {
    const std::unique_ptr<StoreRepository> source = source_.Reopen();
    return CopyFromTo(*source, blobs, options, cancellation);
  }
  CopyReport CopyFrom(BlobStore& blobs, const CopyOptions& options = {}) {
    const std::unique_ptr<StoreRepository> source = Open(blobs);
    if (source == nullptr) {
      CopyReport report;
      report.status = absl::UnavailableError("can't be opened");
      return report;
    }
    return CopyFromTo(*source, target_, options, {});
  }
  CopyReport CopyFromTo(StoreRepository& source, BlobStore& blobs, const CopyOptions& options,
                        const Cancellation& cancellation) {
    const absl::StatusOr<Repository> repository = Repository::Open(blobs);
    if (!repository.ok()) {
      CopyReport report;
      report.status = repository.status();
      return report;
    }
    return CopyBackups(source, *repository, source_.master_key, options, clock_, cancellation);
  }

  std::unique_ptr<StoreRepository> Open(BlobStore& blobs) {
    const absl::StatusOr<Repository> repository = Repository::Open(blobs);
    if (!repository.ok()) return nullptr;
    auto store = repository->OpenStore(source_.store_id, source_.master_key);
    return store.ok() ? *std::move(store) : nullptr;
  }

  std::vector<std::string> ListedAt(BlobStore& blobs) {
    std::vector<std::string> ids;
    const std::unique_ptr<StoreRepository> store = Open(blobs);
    if (store == nullptr) return ids;
    const absl::StatusOr<BackupListing> listing = store->ListBackups();
    EXPECT_OK(listing);
    for (const ListedBackup& backup : listing->backups) ids.push_back(backup.summary.backup_id());
    return ids;
  }

  // Whatever is listed at the target is whole.
  void ExpectWhole(BlobStore& blobs, const std::string& when = "") {
    const std::unique_ptr<StoreRepository> store = Open(blobs);
    if (store == nullptr) return;  // nothing is there yet
    const absl::StatusOr<CheckReport> report =
        CheckStore(*store, {.read_data = true, .on_progress = nullptr}, Cancellation());
    ASSERT_OK(report);
    for (const CheckFinding& finding : report->findings) {
      ADD_FAILURE() << when << ": " << finding.path << ": " << finding.status;
    }
  }

  void AddMark(StoreRepository& store, const std::string& backup_id, Mark::Kind kind) {
    Mark mark;
    mark.set_kind(kind);
    mark.set_backup_id(backup_id);
    EXPECT_OK(store.AddMark(mark, clock_.Now()));
  }

  std::string PathOfFile(size_t backup, const std::string& file) {
    return source_.ObjectPaths(ids_[backup]).at(file);
  }

  absl::Time WrittenAt(const std::string& path) {
    const absl::StatusOr<BlobInfo> info = target_.Stat(path);
    EXPECT_OK(info);
    return info.ok() ? info->write_time : absl::InfinitePast();
  }

  testing::Matcher<const CopiedBackup&> Backup(size_t index, Result result) {
    return AllOf(Field("backup_id", &CopiedBackup::backup_id, ids_[index]),
                 Field("result", &CopiedBackup::result, result));
  }
  testing::Matcher<const CopiedBackup&> Failed(size_t index, absl::StatusCode code,
                                               const std::string& words) {
    return AllOf(Backup(index, Result::kFailed),
                 Field("status", &CopiedBackup::status, StatusIs(code, HasSubstr(words))));
  }

  TestBackups source_;
  FakeClock clock_;
  MemoryBlobStore target_;
  std::vector<std::string> ids_;
};

TEST_F(BackupCopierTest, CopiesAllByteForByteTheOldestFirst) {
  const CopyReport report = Copy();
  ASSERT_OK(report.status);
  EXPECT_THAT(report.backups, ElementsAre(Backup(0, Result::kCopied), Backup(1, Result::kCopied),
                                          Backup(2, Result::kCopied)));
  EXPECT_TRUE(SharedFiles(target_) == SharedFiles(source_.blobs));
  ExpectWhole(target_);
  // The chain holds as it was.
  EXPECT_EQ(ListedAt(target_), ids_);
  EXPECT_GT(report.backups[1].objects_there, 0u) << "what the first one brought";

  const Blobs before = target_.Contents();
  const CopyReport again = Copy();
  ASSERT_OK(again.status);
  EXPECT_THAT(again.backups,
              ElementsAre(Backup(0, Result::kThereAlready), Backup(1, Result::kThereAlready),
                          Backup(2, Result::kThereAlready)));
  EXPECT_TRUE(target_.Contents() == before);
}

TEST_F(BackupCopierTest, CopiesWhatIsAskedForAlone) {
  CopyReport report = Copy({.backup_ids = {ids_[1]}});
  ASSERT_OK(report.status);
  EXPECT_THAT(report.backups, ElementsAre(Backup(1, Result::kCopied)));
  EXPECT_THAT(ListedAt(target_), ElementsAre(ids_[1]));
  ExpectWhole(target_);

  const std::string none = "20200101T000000.000Z-00000000";
  report = Copy({.backup_ids = {none, ids_[2], ids_[0]}});
  ASSERT_OK(report.status);
  EXPECT_THAT(report.backups, ElementsAre(Backup(0, Result::kCopied), Backup(2, Result::kCopied),
                                          Field("status", &CopiedBackup::status,
                                                StatusIs(absl::StatusCode::kNotFound))));
  EXPECT_EQ(ListedAt(target_), ids_);
  ExpectWhole(target_);
}

TEST_F(BackupCopierTest, OneThreadDoesAsManyDo) {
  ASSERT_OK(Copy({.objects_at_once = 1}).status);
  EXPECT_TRUE(SharedFiles(target_) == SharedFiles(source_.blobs));
}

TEST_F(BackupCopierTest, ProgressReachesItsEnd) {
  std::vector<CopyProgress> told;
  ASSERT_OK(Copy({.on_progress = [&](const CopyProgress& progress) {
              told.push_back(progress);
            }}).status);
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told.front().bytes_done, 0u);
  EXPECT_GT(told.front().bytes_total, 160'000u);
  EXPECT_EQ(told.back().bytes_done, told.back().bytes_total);
  EXPECT_EQ(told.back().objects_done, told.back().objects_total);
  EXPECT_EQ(told.back().backups_done, 3u);
  for (size_t i = 1; i < told.size(); ++i) EXPECT_GE(told[i].bytes_done, told[i - 1].bytes_done);
}

// --- Keys ------------------------------------------------------------------------------------

TEST_F(BackupCopierTest, KeysComeAlongAndTheCurrentOneStaysAsItIs) {
  // The source began to use another key: the last backup is sealed with it, older objects are not.
  ASSERT_OK_AND_ASSIGN(const Repository source, Repository::Open(source_.blobs));
  const BackupKey second = {.key_id = KeyId{2}, .key = Key::Generate()};
  const KeyId first_id = source_.store->current_key_id();
  ASSERT_OK_AND_ASSIGN(source_.store, source.OpenOrCreateStore(source_.store_id, source_.master_key,
                                                               &second, source_.now));
  TestBackups::Files files = SmallStoreFiles(source_.random, 3'000);
  files["000021.sst"] = std::string(70'000, 'n');  // that of the second backup
  ids_.push_back(source_.Write(files));

  ASSERT_OK(Copy({.backup_ids = {ids_.back()}}).status);
  ExpectWhole(target_);
  std::unique_ptr<StoreRepository> store = Open(target_);
  EXPECT_EQ(store->current_key_id(), second.key_id) << "as at the source, where there was none";
  EXPECT_OK(store->ContentKey(first_id));

  // A place that has a key of its own already.
  MemoryBlobStore other;
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Create(other, source_.now));
  ASSERT_OK_AND_ASSIGN(store,
                       repository.OpenOrCreateStore(source_.store_id, source_.master_key, nullptr,
                                                    source_.now - absl::Hours(1'000)));
  const KeyId own = store->current_key_id();
  ASSERT_OK(CopyTo(other).status);
  EXPECT_EQ(Open(other)->current_key_id(), own);
  EXPECT_OK(Open(other)->ContentKey(second.key_id));
  EXPECT_OK(Open(other)->ContentKey(first_id));
  EXPECT_EQ(ListedAt(other), ids_);
  ExpectWhole(other);
}

TEST_F(BackupCopierTest, ATargetForAnotherMasterKeyIsLeftAsItIs) {
  const MasterKey other_key = MasterKey::Generate();
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(target_));
  ASSERT_OK(repository.OpenOrCreateStore(source_.store_id, other_key, nullptr, clock_.Now()));
  target_.Write(BackupPath(source_.store_id, "20200101T000000.000Z-00000000"), "sealed elsewhere");
  const Blobs before = target_.Contents();
  const CopyReport report = Copy();
  EXPECT_THAT(report.status, StatusIs(absl::StatusCode::kPermissionDenied,
                                      HasSubstr(other_key.fingerprint().ToText())));
  EXPECT_THAT(report.backups[0].status, StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_TRUE(target_.Contents() == before);
}

TEST_F(BackupCopierTest, AnotherKeyOfTheSameIdIsRefused) {
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(target_));
  const BackupKey other = {.key_id = source_.store->current_key_id(), .key = Key::Generate()};
  ASSERT_OK(
      repository.OpenOrCreateStore(source_.store_id, source_.master_key, &other, clock_.Now()));
  EXPECT_THAT(Copy().status,
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("another one")));
  EXPECT_THAT(ListedAt(target_), IsEmpty());
}

// --- Damage at the source --------------------------------------------------------------------

TEST_F(BackupCopierTest, ADamagedObjectIsNamedAndItsBackupsAreNotCopied) {
  const std::string path = PathOfFile(1, "000021.sst");  // the first backup does not need it
  const std::string bytes = source_.blobs.Read(path);
  for (const std::string& damage : {std::string("flipped"), std::string("cut"),
                                    std::string("missing"), std::string("appended")}) {
    SCOPED_TRACE(damage);
    std::string damaged = bytes;
    damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 1);
    if (damage == "cut") damaged = bytes.substr(0, bytes.size() - 1);
    if (damage == "appended") damaged = bytes + "x";
    source_.blobs.Write(path, damaged);
    if (damage == "missing") source_.blobs.Remove(path);

    const CopyReport report = Copy();
    EXPECT_OK(report.status);
    EXPECT_THAT(report.backups, ElementsAre(Field("status", &CopiedBackup::status, IsOk()),
                                            Failed(1, absl::StatusCode::kDataLoss, path),
                                            Failed(2, absl::StatusCode::kDataLoss, path)));
    EXPECT_THAT(ListedAt(target_), ElementsAre(ids_[0]));
    EXPECT_THAT(target_.Stat(path), StatusIs(absl::StatusCode::kNotFound));
    ExpectWhole(target_);
  }
  // Once it is mended the rest is copied.
  source_.blobs.Write(path, bytes);
  EXPECT_OK(Copy().status);
  EXPECT_EQ(ListedAt(target_), ids_);
  EXPECT_TRUE(SharedFiles(target_) == SharedFiles(source_.blobs));
}

TEST_F(BackupCopierTest, ADamagedManifestIsNamedAndTheOthersAreCopied) {
  const std::string path = BackupPath(source_.store_id, ids_[1]);
  std::string bytes = source_.blobs.Read(path);
  bytes[200] = static_cast<char>(bytes[200] ^ 1);
  source_.blobs.Write(path, bytes);
  const CopyReport report = Copy();
  EXPECT_OK(report.status);
  EXPECT_THAT(report.backups, ElementsAre(Backup(0, Result::kCopied), Backup(2, Result::kCopied),
                                          Failed(1, absl::StatusCode::kDataLoss, "damaged")));
  EXPECT_THAT(ListedAt(target_), ElementsAre(ids_[0], ids_[2]));
  ExpectWhole(target_);
}

// --- Damage and leftovers at the target ------------------------------------------------------

TEST_F(BackupCopierTest, WhatABackupThereNamesIsMendedWhereItIsNotWhole) {
  ASSERT_OK(Copy({.backup_ids = {ids_[0]}}).status);
  const std::string cut = PathOfFile(0, "000007.sst");
  const std::string missing = PathOfFile(0, "000011.blob");
  target_.Write(cut, target_.Read(cut).substr(0, 500));
  target_.Remove(missing);
  ASSERT_OK(Copy().status);
  EXPECT_TRUE(SharedFiles(target_) == SharedFiles(source_.blobs));
}

TEST_F(BackupCopierTest, WhatACutCopyLeftIsUsedWhileItIsYoungAndWhole) {
  const std::string whole = PathOfFile(0, "000007.sst");
  const std::string damaged = PathOfFile(0, "000009.sst");
  const std::string bytes = source_.blobs.Read(whole);
  const std::string damaged_bytes = source_.blobs.Read(damaged);
  target_.Write(whole, bytes);
  std::string flipped = damaged_bytes;
  flipped[flipped.size() - 20] = static_cast<char>(flipped[flipped.size() - 20] ^ 1);
  target_.Write(damaged, flipped);
  const absl::Time written = clock_.Now();
  clock_.Advance(absl::Hours(47));

  const CopyReport report = Copy({.backup_ids = {ids_[0]}});
  ASSERT_OK(report.status);
  EXPECT_EQ(report.backups[0].objects_there, 1u);
  EXPECT_EQ(WrittenAt(whole), written) << "it was not written again";
  EXPECT_TRUE(target_.Read(damaged) == damaged_bytes);
  ExpectWhole(target_);
}

// A prune may have such an object on its list.
TEST_F(BackupCopierTest, WhatLiesThereForLongIsNotReliedOnButWrittenAnew) {
  const std::string path = PathOfFile(0, "000007.sst");
  target_.Write(path, source_.blobs.Read(path));
  clock_.Advance(absl::Hours(48));
  ASSERT_OK(Copy({.backup_ids = {ids_[0]}}).status);
  EXPECT_EQ(WrittenAt(path), clock_.Now());
  ExpectWhole(target_);
}

// … and may remove it even after it was written anew: where one is at work, it is not known.
TEST_F(BackupCopierTest, WhatLiesThereForLongIsNotUsedWhileAPruneIsAtWork) {
  const std::string path = PathOfFile(0, "000009.sst");  // the last backup does not need it
  target_.Write(path, source_.blobs.Read(path));
  clock_.Advance(absl::Hours(24 * 8));
  const std::string lease = PruneLeasePath(source_.store_id, clock_.Now());
  target_.Write(lease, "");
  CopyReport report = Copy();
  EXPECT_OK(report.status);
  EXPECT_THAT(report.backups, ElementsAre(Failed(0, absl::StatusCode::kUnavailable, lease),
                                          Failed(1, absl::StatusCode::kUnavailable, lease),
                                          Backup(2, Result::kCopied)));
  EXPECT_THAT(ListedAt(target_), ElementsAre(ids_[2]));
  // The lease of one that was killed counts no longer after two days.
  clock_.Advance(absl::Hours(48));
  EXPECT_OK(Copy().status);
  EXPECT_EQ(ListedAt(target_), ids_);
  ExpectWhole(target_);
  EXPECT_THAT(target_.Stat(lease), StatusIs(absl::StatusCode::kNotFound));
}

// … and where one has just ended, what it removed is copied again.
TEST_F(BackupCopierTest, WhatAPruneRemovedAtTheLastMomentIsCopiedAgain) {
  const std::string path = PathOfFile(0, "000007.sst");
  target_.Write(path, source_.blobs.Read(path));
  clock_.Advance(absl::Hours(24 * 8));
  bool is_removed = false;
  HookedBlobStore pruned(std::make_unique<FaultBlobStore>(target_),
                         [&](BlobCall call, const std::string& name) {
                           if (call == BlobCall::kList && absl::EndsWith(name, "/leases")) {
                             is_removed = true;
                             target_.Remove(path);
                           }
                           return absl::OkStatus();
                         });
  ASSERT_OK(CopyTo(pruned, {.backup_ids = {ids_[0]}}).status);
  EXPECT_TRUE(is_removed);
  EXPECT_THAT(ListedAt(target_), ElementsAre(ids_[0]));
  ExpectWhole(target_);
}

// A place that can't tell when it wrote something protects nothing that is old by its name.
TEST_F(BackupCopierTest, APlaceThatTellsNoTimesIsLookedAtOnceMore) {
  target_.set_clock(nullptr);
  const std::string path = PathOfFile(1, "000021.sst");
  const std::string manifest = BackupPath(source_.store_id, ids_[1]);
  HookedBlobStore pruned(std::make_unique<FaultBlobStore>(target_),
                         [&](BlobCall call, const std::string& name) {
                           if (call == BlobCall::kPut && name == manifest) target_.Remove(path);
                           return absl::OkStatus();
                         });
  ASSERT_OK(CopyTo(pruned).status);
  EXPECT_EQ(ListedAt(target_), ids_);
  ExpectWhole(target_);
}

TEST_F(BackupCopierTest, ABackupThatIsDamagedThereIsNotTouched) {
  ASSERT_OK(Copy().status);
  const std::string path = BackupPath(source_.store_id, ids_[1]);
  target_.Write(path, target_.Read(path).substr(0, 100));
  const Blobs before = target_.Contents();
  const CopyReport report = Copy();
  EXPECT_OK(report.status);
  EXPECT_THAT(report.backups[1], Failed(1, absl::StatusCode::kDataLoss, "check --repair"));
  EXPECT_TRUE(target_.Contents() == before);
}

TEST_F(BackupCopierTest, WhatWasDeletedThereStaysDeleted) {
  ASSERT_OK(Copy().status);
  AddMark(*Open(target_), ids_[1], Mark::KIND_DELETED);
  const CopyReport report = Copy();
  EXPECT_OK(report.status);
  EXPECT_THAT(report.backups[1], Backup(1, Result::kDeletedThere));
  EXPECT_THAT(ListedAt(target_), ElementsAre(ids_[0], ids_[2]));
}

// --- Deleting and pruning meanwhile ----------------------------------------------------------

TEST_F(BackupCopierTest, WhatIsDeletedAtTheSourceIsNotCopied) {
  AddMark(*source_.store, ids_[1], Mark::KIND_DELETED);
  CopyReport report = Copy();
  EXPECT_OK(report.status);
  EXPECT_THAT(report.backups, ElementsAre(Backup(0, Result::kCopied), Backup(2, Result::kCopied)));
  report = Copy({.backup_ids = {ids_[1]}});
  EXPECT_OK(report.status);
  EXPECT_THAT(report.backups,
              ElementsAre(Failed(1, absl::StatusCode::kFailedPrecondition, "deleted")));
  EXPECT_THAT(ListedAt(target_), ElementsAre(ids_[0], ids_[2]));
}

TEST_F(BackupCopierTest, WhatIsDeletedAtTheSourceMeanwhileIsNotCopied) {
  for (const bool is_removed : {false, true}) {
    SCOPED_TRACE(is_removed);
    const size_t index = is_removed ? 2 : 1;
    const std::string own = PathOfFile(index, index == 1 ? "000021.sst" : "000022.sst");
    bool is_done = false;
    HookedBlobStore hooked(
        std::make_unique<FaultBlobStore>(target_), [&](BlobCall call, const std::string& name) {
          if (is_done || call != BlobCall::kPut || !absl::StrContains(name, "/objects/")) {
            return absl::OkStatus();
          }
          is_done = true;
          AddMark(*source_.store, ids_[index], Mark::KIND_DELETED);
          if (is_removed) source_.blobs.Remove(own);
          return absl::OkStatus();
        });
    const CopyReport report = CopyTo(hooked, {.backup_ids = {ids_[index]}, .objects_at_once = 1});
    EXPECT_OK(report.status);
    ASSERT_TRUE(is_done);
    EXPECT_THAT(report.backups,
                ElementsAre(Failed(index, absl::StatusCode::kFailedPrecondition, "deleted")));
    EXPECT_THAT(ListedAt(target_), IsEmpty());
  }
}

// The first backup is deleted there while the second, which shares objects with it, is copied. A
// prune may remove them in a week: they are not relied on.
TEST_F(BackupCopierTest, BeginsAfreshWhereABackupWhoseObjectsItUsesIsDeletedMeanwhile) {
  ASSERT_OK(Copy({.backup_ids = {ids_[0]}}).status);
  clock_.Advance(absl::Hours(100));
  const std::string shared = PathOfFile(0, "000007.sst");
  int deletions = 0;
  HookedBlobStore hooked(
      std::make_unique<FaultBlobStore>(target_), [&](BlobCall call, const std::string& name) {
        if (call == BlobCall::kPut && deletions == 0 && absl::StrContains(name, "/objects/")) {
          ++deletions;
          AddMark(*Open(target_), ids_[0], Mark::KIND_DELETED);
        }
        return absl::OkStatus();
      });
  const CopyReport report = CopyTo(hooked, {.backup_ids = {ids_[1]}});
  ASSERT_OK(report.status);
  EXPECT_THAT(report.backups, ElementsAre(Backup(1, Result::kCopied)));
  EXPECT_EQ(deletions, 1);
  EXPECT_EQ(WrittenAt(shared), clock_.Now());
  EXPECT_THAT(ListedAt(target_), ElementsAre(ids_[1]));
  ExpectWhole(target_);
}

TEST_F(BackupCopierTest, BeginsAfreshAfterTwoDays) {
  ASSERT_OK(Copy({.backup_ids = {ids_[0]}}).status);
  int listings = 0;
  bool is_late = false;
  HookedBlobStore hooked(
      std::make_unique<FaultBlobStore>(target_), [&](BlobCall call, const std::string& name) {
        if (call == BlobCall::kList && absl::EndsWith(name, "/marks")) ++listings;
        if (call == BlobCall::kPut && !is_late && absl::StrContains(name, "/objects/")) {
          is_late = true;
          clock_.Advance(absl::Hours(48));
        }
        return absl::OkStatus();
      });
  const CopyReport report = CopyTo(hooked, {.backup_ids = {ids_[1]}, .objects_at_once = 1});
  ASSERT_OK(report.status);
  EXPECT_THAT(report.backups, ElementsAre(Backup(1, Result::kCopied)));
  EXPECT_EQ(listings, 4) << "when the target is opened, twice in the beginning, and in the end";
  ExpectWhole(target_);
}

// --- Marks -----------------------------------------------------------------------------------

TEST_F(BackupCopierTest, PinsAndKnownDamageComeAlongAndProofsDoNot) {
  AddMark(*source_.store, ids_[0], Mark::KIND_PINNED);
  AddMark(*source_.store, ids_[0], Mark::KIND_DRILLED);
  AddMark(*source_.store, ids_[1], Mark::KIND_PINNED);
  AddMark(*source_.store, ids_[1], Mark::KIND_UNPINNED);
  AddMark(*source_.store, ids_[1], Mark::KIND_DAMAGED);
  AddMark(*source_.store, ids_[2], Mark::KIND_DAMAGED);
  AddMark(*source_.store, ids_[2], Mark::KIND_CHECKED);
  ASSERT_OK(Copy().status);
  ASSERT_OK_AND_ASSIGN(const BackupListing listing, Open(target_)->ListBackups());
  ASSERT_EQ(listing.backups.size(), 3u);
  EXPECT_TRUE(listing.backups[0].pinned);
  EXPECT_EQ(listing.backups[0].drill_time, absl::InfinitePast());
  EXPECT_FALSE(listing.backups[1].pinned);
  EXPECT_TRUE(listing.backups[1].is_damaged);
  EXPECT_FALSE(listing.backups[2].is_damaged);
  for (const auto& [name, bytes] : target_.Contents()) {
    if (!absl::StrContains(name, "/marks/")) continue;
    EXPECT_EQ(bytes, source_.blobs.Read(name)) << name;
  }
  ExpectWhole(target_);

  // A pin that comes later follows; one that the target took back stays so.
  AddMark(*source_.store, ids_[2], Mark::KIND_PINNED);
  clock_.Advance(absl::Hours(1));
  AddMark(*Open(target_), ids_[0], Mark::KIND_UNPINNED);
  ASSERT_OK(Copy().status);
  ASSERT_OK_AND_ASSIGN(const BackupListing later, Open(target_)->ListBackups());
  EXPECT_FALSE(later.backups[0].pinned);
  EXPECT_TRUE(later.backups[2].pinned);
}

TEST_F(BackupCopierTest, AMarkThatCantBeReadIsToldAndNotCopied) {
  AddMark(*source_.store, ids_[0], Mark::KIND_PINNED);
  std::string mark;
  for (const auto& [name, bytes] : source_.blobs.Contents()) {
    if (absl::StrContains(name, "/marks/")) mark = name;
  }
  source_.blobs.Write(mark, "?");
  const CopyReport report = Copy();
  ASSERT_OK(report.status);
  EXPECT_THAT(report.backups[0],
              AllOf(Backup(0, Result::kCopied),
                    Field("warning", &CopiedBackup::warning, HasSubstr("can't be read"))));
  EXPECT_THAT(target_.Stat(mark), StatusIs(absl::StatusCode::kNotFound));
}

// --- Faults ----------------------------------------------------------------------------------

TEST_F(BackupCopierTest, KilledAnywhereItGoesOnWhenRunAgain) {
  AddMark(*source_.store, ids_[1], Mark::KIND_PINNED);
  const Blobs empty = target_.Contents();
  for (const bool can_replace : {true, false}) {
    int kills = 0;
    for (int calls = 0;; ++calls) {
      for (const auto& [name, bytes] : target_.Contents()) {
        if (!empty.contains(name)) target_.Remove(name);
      }
      // Something that has to be replaced.
      const std::string old = PathOfFile(0, "000009.sst");
      target_.Write(old, source_.blobs.Read(old));
      clock_.Advance(absl::Hours(49));

      FaultBlobStore faults(target_);
      faults.set_can_replace(can_replace);
      faults.StopAfter(calls);
      const CopyReport cut = CopyTo(faults, {.objects_at_once = 1});
      ExpectWhole(target_, absl::StrCat("killed after ", calls, " calls"));
      const bool was_cut = !cut.status.ok();
      kills += was_cut ? 1 : 0;
      clock_.Advance(absl::Hours(calls % 60));
      const CopyReport rest = Copy();
      ASSERT_OK(rest.status) << calls;
      ASSERT_TRUE(SharedFiles(target_) == SharedFiles(source_.blobs)) << calls;
      if (!was_cut) break;
      ASSERT_LT(calls, 1000);
    }
    EXPECT_GT(kills, 60);
  }
}

TEST_F(BackupCopierTest, NoFaultOfTheSourceMakesABackupThatIsNotWhole) {
  for (int calls = 0;; ++calls) {
    MemoryBlobStore target;
    ASSERT_OK(Repository::Create(target, clock_.Now()));
    FaultBlobStore faults(source_.blobs);
    const std::unique_ptr<StoreRepository> source = Open(faults);
    ASSERT_NE(source, nullptr);
    faults.Inject({.after_calls = calls, .times = 1'000'000});
    const CopyReport report = CopyFromTo(*source, target, {.objects_at_once = 1}, {});
    ExpectWhole(target, absl::StrCat("after ", calls));
    if (report.status.ok() && report.backups.back().status.ok()) break;
    EXPECT_THAT(report.status, StatusIs(absl::StatusCode::kUnavailable)) << calls;
    ASSERT_LT(calls, 1000);
  }
}

// The source can't read one object now, but everything else.
TEST_F(BackupCopierTest, AnObjectThatCantBeReadNowKeepsBackOneBackup) {
  FaultBlobStore faults(source_.blobs);
  const std::string path = PathOfFile(2, "000022.sst");
  faults.Inject({.operation = Operation::kRead, .name_contains = path, .times = 100});
  const CopyReport report = CopyFrom(faults);
  EXPECT_OK(report.status);
  EXPECT_THAT(report.backups, ElementsAre(Backup(0, Result::kCopied), Backup(1, Result::kCopied),
                                          Failed(2, absl::StatusCode::kUnavailable, path)));
}

TEST_F(BackupCopierTest, AFullTargetEndsTheJobAndKeepsWhatIsWhole) {
  FaultBlobStore faults(target_);
  faults.Inject({.operation = Operation::kPut,
                 .name_contains = PathOfFile(1, "000021.sst"),
                 .times = 100,
                 .status = absl::ResourceExhaustedError("no space left"),
                 .point = FaultBlobStore::Point::kMidway});
  const CopyReport report = CopyTo(faults);
  EXPECT_THAT(report.status,
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("no space left")));
  EXPECT_THAT(report.backups,
              ElementsAre(Backup(0, Result::kCopied),
                          Failed(1, absl::StatusCode::kResourceExhausted, "no space"),
                          Failed(2, absl::StatusCode::kResourceExhausted, "no space")));
  EXPECT_THAT(ListedAt(target_), ElementsAre(ids_[0]));
  ExpectWhole(target_);
}

TEST_F(BackupCopierTest, CancelledItEndsSoonAndLeavesNoManifest) {
  CancellationSource cancel;
  HookedBlobStore hooked(std::make_unique<FaultBlobStore>(target_),
                         [&](BlobCall call, const std::string& name) {
                           if (call == BlobCall::kPut && absl::StrContains(name, "/objects/")) {
                             cancel.Cancel(absl::CancelledError("Ctrl-C"));
                           }
                           return absl::OkStatus();
                         });
  const CopyReport report = CopyTo(hooked, {}, cancel.token());
  EXPECT_THAT(report.status, StatusIs(absl::StatusCode::kCancelled, "Ctrl-C"));
  EXPECT_THAT(report.backups[0].status, StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(ListedAt(target_), IsEmpty());
  ASSERT_OK(Copy().status);
  EXPECT_EQ(ListedAt(target_), ids_);
}

TEST_F(BackupCopierTest, TwoCopiesAtTheSameTimeDoNotHurtEachOther) {
  bool has_begun = false;
  HookedBlobStore hooked(
      std::make_unique<FaultBlobStore>(target_), [&](BlobCall call, const std::string& name) {
        if (!has_begun && call == BlobCall::kPut && absl::StrContains(name, "/objects/")) {
          has_begun = true;
          EXPECT_OK(Copy().status);
        }
        return absl::OkStatus();
      });
  const CopyReport report = CopyTo(hooked, {.objects_at_once = 1});
  EXPECT_OK(report.status);
  for (const CopiedBackup& backup : report.backups) EXPECT_OK(backup.status);
  EXPECT_TRUE(SharedFiles(target_) == SharedFiles(source_.blobs));
}

}  // namespace
}  // namespace holdfast
