#include "common/repository/store_repairer.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/repository/backup_copier.h"
#include "common/repository/layout.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fault_blob_store.h"
#include "tests/testing/memory_blob_store.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/common/repository/test_backups.h"

namespace holdfast {
namespace {

using repository::v1::Mark;
using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

using Blobs = std::map<std::string, std::string>;

std::string Flip(std::string bytes, size_t offset) {
  bytes.at(offset) = static_cast<char>(bytes.at(offset) ^ 1);
  return bytes;
}

constexpr int kRoundsMax = 5;

// Three backups, the same at two places.
class StoreRepairerTest : public testing::Test {
 protected:
  StoreRepairerTest() {
    TestBackups::Files files = SmallStoreFiles(backups_.random, 3'000);
    files["000011.blob"].resize(4'000);
    ids_.push_back(backups_.Write(files));
    files["000021.sst"] = std::string(70'000, 'n');
    ids_.push_back(backups_.Write(files));
    files.erase("000009.sst");
    files["MANIFEST-000012"] += "edit";
    ids_.push_back(backups_.Write(files));
    clock_.SetWallTime(backups_.now + absl::Hours(24 * 30));
    AddMark(ids_[0], Mark::KIND_PINNED);
    const auto repository = Repository::Create(other_, clock_.Now());
    EXPECT_OK(repository);
    EXPECT_OK(
        CopyBackups(*backups_.store, *repository, backups_.master_key, {}, clock_, {}).status);
    whole_ = here().Contents();
  }

  // The place that is mended.
  MemoryBlobStore& here() { return backups_.blobs; }

  void AddMark(const std::string& backup_id, Mark::Kind kind) {
    Mark mark;
    mark.set_kind(kind);
    mark.set_backup_id(backup_id);
    EXPECT_OK(backups_.store->AddMark(mark, clock_.Now()));
  }

  void MakeWhole() {
    for (const auto& [name, bytes] : here().Contents()) {
      if (!whole_.contains(name)) here().Remove(name);
    }
    for (const auto& [name, bytes] : whole_) here().Write(name, bytes);
  }

  // Checks and mends `place` until there is nothing more to mend.
  absl::StatusOr<std::vector<RepairedFile>> RepairAt(BlobStore& place, bool has_other = true,
                                                     bool read_data = true) {
    HOLDFAST_ASSIGN_OR_RETURN(const Repository repository, Repository::Open(place));
    HOLDFAST_ASSIGN_OR_RETURN(const Repository other_repository, Repository::Open(other_));
    HOLDFAST_ASSIGN_OR_RETURN(const auto other,
                              other_repository.OpenStore(backups_.store_id, backups_.master_key));
    std::vector<StoreRepository*> others;
    if (has_other) others.push_back(other.get());
    StoreRepairer repairer(repository, backups_.store_id, backups_.master_key, others, clock_);
    HOLDFAST_RETURN_IF_ERROR(repairer.Open());
    for (int round = 0; round < kRoundsMax; ++round) {
      HOLDFAST_ASSIGN_OR_RETURN(
          const CheckReport report,
          CheckStore(repairer.store(), {.read_data = read_data, .on_progress = nullptr}, {}));
      HOLDFAST_RETURN_IF_ERROR(repairer.Repair(report, nullptr, {}));
      if (!repairer.has_to_check_again()) return repairer.files();
    }
    return absl::InternalError("it never ends");
  }
  std::vector<RepairedFile> Repair(bool has_other = true) {
    absl::StatusOr<std::vector<RepairedFile>> repaired = RepairAt(here(), has_other);
    EXPECT_OK(repaired);
    return repaired.ok() ? *std::move(repaired) : std::vector<RepairedFile>();
  }

  void ExpectNoFindings(const std::string& when = "") {
    const auto store = backups_.Reopen();
    const absl::StatusOr<CheckReport> report =
        CheckStore(*store, {.read_data = true, .on_progress = nullptr}, {});
    ASSERT_OK(report);
    for (const CheckFinding& finding : report->findings) {
      ADD_FAILURE() << when << ": " << finding.path << ": " << finding.status;
    }
  }

  static testing::Matcher<const RepairedFile&> Repaired(const std::string& path,
                                                        const std::string& from = "memory:") {
    return AllOf(Field("path", &RepairedFile::path, path),
                 Field("status", &RepairedFile::status, IsOk()),
                 Field("repaired_from", &RepairedFile::repaired_from, from));
  }
  static testing::Matcher<const RepairedFile&> NotRepaired(const std::string& path,
                                                           const std::string& words) {
    return AllOf(Field("path", &RepairedFile::path, path),
                 Field("status", &RepairedFile::status,
                       StatusIs(absl::StatusCode::kDataLoss, HasSubstr(words))),
                 Field("repaired_from", &RepairedFile::repaired_from, ""));
  }

  std::string PathOfFile(size_t backup, const std::string& file) {
    return backups_.ObjectPaths(ids_[backup]).at(file);
  }

  TestBackups backups_;
  FakeClock clock_;
  MemoryBlobStore other_;
  std::vector<std::string> ids_;
  Blobs whole_;
};

TEST_F(StoreRepairerTest, NothingIsTouchedWhereAllIsWell) {
  EXPECT_THAT(Repair(), IsEmpty());
  EXPECT_TRUE(here().Contents() == whole_);
}

// Any one file, damaged in any way, is what it was again.
TEST_F(StoreRepairerTest, EachFileIsMendedByteForByte) {
  for (const auto& [path, bytes] : whole_) {
    const bool is_key = absl::StrContains(path, "/keys/");
    const bool is_mark = absl::StrContains(path, "/marks/");
    const std::string from = path == "holdfast.json"        ? "holdfast-copy.json"
                             : path == "holdfast-copy.json" ? "holdfast.json"
                                                            : "memory:";
    const std::vector<std::string> damages = {Flip(bytes, bytes.size() - 20),
                                              Flip(bytes, 10),
                                              Flip(bytes, 50),
                                              bytes.substr(0, bytes.size() - 1),
                                              bytes.substr(0, 60),
                                              "",
                                              bytes + "x",
                                              "foreign"};
    for (const std::string& damage : damages) {
      SCOPED_TRACE(absl::StrCat(path, " with ", damage.size(), " bytes"));
      here().Write(path, damage);
      EXPECT_THAT(Repair(), ElementsAre(Repaired(path, from)));
      ExpectNoFindings();
      if (is_key) {
        EXPECT_OK(backups_.Reopen()->ContentKey(backups_.store->current_key_id()));
        here().Write(path, bytes);
      }
      ASSERT_TRUE(here().Contents() == whole_);
    }
    if (is_mark) continue;  // what is not there any more is not missed
    here().Remove(path);
    EXPECT_THAT(Repair(), ElementsAre(Repaired(path, from))) << path << " was missing";
    ExpectNoFindings();
    if (is_key) here().Write(path, bytes);
    ASSERT_TRUE(here().Contents() == whole_) << path;
  }
}

TEST_F(StoreRepairerTest, TheFileOfTheRepositoryIsMendedWithoutAnotherDestination) {
  here().Write("holdfast.json", Flip(here().Read("holdfast.json"), 70));
  EXPECT_THAT(Repair(/*has_other=*/false),
              ElementsAre(Repaired("holdfast.json", "holdfast-copy.json")));
  EXPECT_TRUE(here().Contents() == whole_);
}

TEST_F(StoreRepairerTest, ManyAtOnceAreMended) {
  here().Remove(BackupPath(backups_.store_id, ids_[1]));
  here().Write(BackupPath(backups_.store_id, ids_[2]), "?");
  // An object of the backup whose manifest is gone, one that all share, and one of the backup whose
  // manifest can't be read: the check learns of it only when that is mended.
  const std::string of_damaged = PathOfFile(0, "000009.sst");
  here().Remove(of_damaged);
  std::string bundle;
  {
    MemoryBlobStore copy;
    for (const auto& [name, bytes] : whole_) copy.Write(name, bytes);
    const auto repository = Repository::Open(copy);
    const auto store = repository->OpenStore(backups_.store_id, backups_.master_key);
    const auto loaded = (*store)->LoadManifest(ids_[2]);
    bundle = ObjectPath(backups_.store_id, loaded->manifest.files.objects().rbegin()->name());
  }
  here().Write(bundle, here().Read(bundle).substr(0, 200));
  const std::vector<RepairedFile> repaired = Repair();
  for (const RepairedFile& file : repaired) EXPECT_OK(file.status) << file.path;
  EXPECT_GE(repaired.size(), 4u);
  EXPECT_TRUE(here().Contents() == whole_);
}

TEST_F(StoreRepairerTest, SwappedObjectsAreMended) {
  const std::string a = PathOfFile(0, "000007.sst");
  const std::string b = PathOfFile(0, "000009.sst");
  here().Swap(a, b);
  EXPECT_THAT(Repair(), UnorderedElementsAre(Repaired(a), Repaired(b)));
  EXPECT_TRUE(here().Contents() == whole_);
}

TEST_F(StoreRepairerTest, WhatIsDamagedEverywhereIsNamedAndLeftAsItIs) {
  const std::string path = PathOfFile(0, "000007.sst");
  here().Write(path, Flip(whole_[path], 1'000));
  other_.Write(path, Flip(whole_[path], 2'000));
  const Blobs before = here().Contents();
  EXPECT_THAT(Repair(), ElementsAre(NotRepaired(path, "no other destination holds it whole")));
  EXPECT_TRUE(here().Contents() == before);
  const std::string manifest = BackupPath(backups_.store_id, ids_[0]);
  here().Write(path, whole_[path]);
  here().Write(manifest, "?");
  other_.Write(manifest, "!");
  EXPECT_THAT(Repair(), ElementsAre(NotRepaired(manifest, "no other destination")));
}

TEST_F(StoreRepairerTest, WithoutAnotherPlaceNothingIsMended) {
  const std::string path = PathOfFile(0, "000007.sst");
  here().Remove(path);
  EXPECT_THAT(Repair(/*has_other=*/false),
              ElementsAre(NotRepaired(path, "there is no other destination")));
}

// The bytes of another backup, however whole, are not those of this one.
TEST_F(StoreRepairerTest, WhatIsWholeElsewhereUnderAnotherNameIsNotTaken) {
  const std::string path = PathOfFile(0, "000007.sst");
  here().Remove(path);
  other_.Write(path, other_.Read(PathOfFile(1, "000021.sst")));
  EXPECT_THAT(Repair(), ElementsAre(NotRepaired(path, "sealed under another name")));
}

// What was stored wrong is the same everywhere.
TEST_F(StoreRepairerTest, WhatWasSealedLikeThisIsNotReplaced) {
  Manifest manifest = backups_.Prepare({{"000031.sst", "content"}, {"CURRENT", "1"}});
  for (auto& file : *manifest.files.mutable_files()) {
    if (file.name() == "000031.sst") file.set_xxh3_128(std::string(16, 'x'));
  }
  backups_.Commit(manifest);
  const auto repository = Repository::Open(other_);
  ASSERT_OK(CopyBackups(*backups_.store, *repository, backups_.master_key, {}, clock_, {}).status);
  const Blobs before = here().Contents();
  const std::vector<RepairedFile> repaired = Repair();
  ASSERT_EQ(repaired.size(), 1u);
  EXPECT_THAT(repaired[0], NotRepaired(repaired[0].path, "its seals hold"));
  EXPECT_TRUE(here().Contents() == before);
}

TEST_F(StoreRepairerTest, AManifestThatItsSuccessorDoesNotKnowIsNotTaken) {
  const std::string path = BackupPath(backups_.store_id, ids_[0]);
  here().Write(path, "?");
  // At the other place somebody put another manifest of that name, sealed with the right key.
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(other_));
  ASSERT_OK_AND_ASSIGN(const auto other,
                       repository.OpenStore(backups_.store_id, backups_.master_key));
  ASSERT_OK_AND_ASSIGN(StoreRepository::LoadedManifest loaded, other->LoadManifest(ids_[0]));
  loaded.manifest.summary.set_store_version("forged");
  ASSERT_OK_AND_ASSIGN(const std::string forged,
                       SealManifest(loaded.manifest, backups_.store_id, other->manifest_key()));
  other_.Write(path, forged);
  EXPECT_THAT(Repair(), ElementsAre(NotRepaired(path, "was made after")));
  EXPECT_EQ(here().Read(path), "?");
}

// --- Backups that are lost, and such as are not ------------------------------------------------

TEST_F(StoreRepairerTest, ABackupThatWasRemovedIsNotBroughtBack) {
  // All that a prune leaves of it: objects that other backups need.
  const std::string manifest = BackupPath(backups_.store_id, ids_[0]);
  const std::vector<std::string> own = {PathOfFile(0, "bundle")};
  here().Remove(manifest);
  for (const std::string& path : own) here().Remove(path);
  const Blobs before = here().Contents();
  EXPECT_THAT(Repair(), IsEmpty());
  EXPECT_TRUE(here().Contents() == before);
}

TEST_F(StoreRepairerTest, ABackupThatIsBeingRemovedIsNotBroughtBack) {
  AddMark(ids_[0], Mark::KIND_DELETED);
  here().Remove(BackupPath(backups_.store_id, ids_[0]));
  const Blobs before = here().Contents();
  EXPECT_THAT(Repair(), IsEmpty());
  EXPECT_TRUE(here().Contents() == before);
}

TEST_F(StoreRepairerTest, ABackupThatWasNeverHereIsNotBroughtHere) {
  MemoryBlobStore third;
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Create(third, clock_.Now()));
  ASSERT_OK(CopyBackups(*backups_.store, repository, backups_.master_key, {.backup_ids = {ids_[2]}},
                        clock_, {})
                .status);
  EXPECT_THAT(RepairAt(third), IsOkAndHolds(IsEmpty()));
}

// --- Key files -------------------------------------------------------------------------------

TEST_F(StoreRepairerTest, AKeyFileForAnotherRepositoryIsNotWrittenAnew) {
  for (const absl::string_view path : {kRepositoryFileName, kRepositoryFileCopyName}) {
    here().Write(std::string(path), other_.Read(std::string(path)));
  }
  const Blobs before = here().Contents();
  EXPECT_THAT(RepairAt(here()),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("another repository")));
  EXPECT_TRUE(here().Contents() == before);
}

TEST_F(StoreRepairerTest, NothingIsBoundToAFileOfTheRepositoryThatWasExchanged) {
  const std::string key_path = KeyFilePath(backups_.store_id, backups_.store->current_key_id(),
                                           backups_.master_key.fingerprint());
  here().Write("holdfast.json", other_.Read("holdfast.json"));
  for (const bool is_damaged : {true, false}) {
    if (is_damaged) {
      here().Write(key_path, Flip(here().Read(key_path), 140));
    } else {
      here().Remove(key_path);
    }
    const Blobs before = here().Contents();
    EXPECT_THAT(RepairAt(here()),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("holdfast-copy.json")));
    EXPECT_TRUE(here().Contents() == before);
  }
  // The other way round, nothing is in the way of the key files; the copy is not written over.
  MakeWhole();
  here().Write("holdfast-copy.json", other_.Read("holdfast-copy.json"));
  EXPECT_THAT(Repair(), ElementsAre(NotRepaired("holdfast-copy.json", "put the right one")));
  EXPECT_EQ(here().Read("holdfast-copy.json"), other_.Read("holdfast-copy.json"));
}

TEST_F(StoreRepairerTest, TheKeyOfOldObjectsAloneIsBroughtBack) {
  // Another key becomes the current one, and only a table of old is sealed with the first.
  ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(here()));
  const KeyId first_id = backups_.store->current_key_id();
  const BackupKey second = {.key_id = KeyId{2}, .key = Key::Generate()};
  ASSERT_OK_AND_ASSIGN(
      backups_.store,
      repository.OpenOrCreateStore(backups_.store_id, backups_.master_key, &second, backups_.now));
  const std::string newest = backups_.Write({{"000021.sst", std::string(70'000, 'n')}});
  const std::string table = backups_.ObjectPaths(newest).at("000021.sst");
  ASSERT_OK_AND_ASSIGN(const Repository other, Repository::Open(other_));
  ASSERT_OK(CopyBackups(*backups_.store, other, backups_.master_key, {}, clock_, {}).status);
  // At this place there is that backup alone, and the first key's file is gone.
  for (const std::string& id : ids_) here().Remove(BackupPath(backups_.store_id, id));
  for (const auto& [name, bytes] : here().Contents()) {
    if (absl::StrContains(name, "/objects/") && name != table) {
      here().Remove(name);
    }
  }
  const std::string key_file =
      KeyFilePath(backups_.store_id, first_id, backups_.master_key.fingerprint());
  here().Remove(key_file);
  const std::vector<RepairedFile> repaired = Repair();
  EXPECT_THAT(repaired, testing::Contains(Repaired(key_file)));
  for (const RepairedFile& file : repaired) EXPECT_OK(file.status) << file.path;
  EXPECT_EQ(backups_.Reopen()->current_key_id(), second.key_id);
  ExpectNoFindings();
}

// --- Faults ----------------------------------------------------------------------------------

TEST_F(StoreRepairerTest, KilledAnywhereItGoesOnWhenRunAgain) {
  const std::string object = PathOfFile(0, "000007.sst");
  const std::string manifest = BackupPath(backups_.store_id, ids_[1]);
  const std::string lost = BackupPath(backups_.store_id, ids_[2]);
  for (const bool can_replace : {true, false}) {
    int kills = 0;
    for (int calls = 0;; calls += 3) {
      MakeWhole();
      here().Write(object, Flip(whole_[object], 2'000));
      here().Write(manifest, Flip(whole_[manifest], 150));
      here().Remove(lost);
      FaultBlobStore faults(here());
      faults.set_can_replace(can_replace);
      faults.StopAfter(calls);
      const absl::Status cut = RepairAt(faults).status();
      kills += cut.ok() ? 0 : 1;
      const std::vector<RepairedFile> rest = Repair();
      for (const RepairedFile& file : rest) EXPECT_OK(file.status) << file.path << " " << calls;
      if (!can_replace && !here().Stat(lost).ok()) {
        // Killed when the only object that told of it was deleted, to be written anew: nothing is
        // left that could be missed. A copy brings the backup back.
        ASSERT_OK_AND_ASSIGN(const Repository repository, Repository::Open(here()));
        ASSERT_OK_AND_ASSIGN(const Repository other, Repository::Open(other_));
        ASSERT_OK_AND_ASSIGN(const auto source,
                             other.OpenStore(backups_.store_id, backups_.master_key));
        ASSERT_OK(CopyBackups(*source, repository, backups_.master_key, {}, clock_, {}).status);
      }
      ASSERT_TRUE(here().Contents() == whole_) << calls;
      if (cut.ok()) break;
      ASSERT_LT(calls, 2000);
    }
    EXPECT_GT(kills, 40);
  }
}

TEST_F(StoreRepairerTest, APlaceThatTakesNothingIsAnError) {
  const std::string path = PathOfFile(0, "000007.sst");
  here().Remove(path);
  FaultBlobStore faults(here());
  faults.Inject({.operation = FaultBlobStore::Operation::kPut,
                 .times = 100,
                 .status = absl::ResourceExhaustedError("no space left")});
  EXPECT_THAT(RepairAt(faults),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("no space left")));
}

}  // namespace
}  // namespace holdfast
