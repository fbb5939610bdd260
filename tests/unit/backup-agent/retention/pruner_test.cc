#include "backup-agent/retention/pruner.h"

#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "backup-agent/transfer/backup_runner.h"
#include "common/messages/proto_time.h"
#include "common/repository/layout.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fault_blob_store.h"
#include "tests/testing/hooked_blob_store.h"
#include "tests/testing/memory_blob_store.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/backup-agent/retention/backed_up_store.h"

namespace holdfast {
namespace {

using repository::v1::Mark;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// Real backups of a store in memory, at a destination in memory.
class PrunerTest : public testing::Test {
 protected:
  PrunerTest()
      : runner_(store_.MakeRunner(
            [this](const std::string&) { return std::make_unique<FaultBlobStore>(blobs_); })) {
    EXPECT_OK(store_.PrepareDestinations(*runner_));
    retention_.set_keep_last(1);
  }

  // Takes a backup in which one table is new, and returns its id.
  std::string Backup() {
    ++tables_;
    store_.source().SetFile(absl::StrCat("00", 1000 + tables_, ".sst"),
                            absl::StrCat("table ", tables_));
    const BackupRunOutcome outcome = store_.Backup(*runner_);
    EXPECT_OK(outcome.status);
    return outcome.backup.has_value() ? outcome.backup->backup_id() : "";
  }
  // RocksDB compacted all tables away; the next backup has a new one.
  void Compact() {
    for (int i = 1; i <= tables_; ++i) {
      store_.source().RemoveFile(absl::StrCat("00", 1000 + i, ".sst"));
    }
  }

  std::unique_ptr<StoreRepository> Open(BlobStore& blobs) { return *store_.Open(blobs); }
  absl::StatusOr<PruneReport> Prune(const Pruner::Options& options = {}) {
    const std::unique_ptr<StoreRepository> store = Open(blobs_);
    return Pruner(*store, clock_).Prune(*RetentionPolicy::Create(retention_), options, {});
  }
  std::vector<std::string> Listed() {
    std::vector<std::string> ids;
    const std::unique_ptr<StoreRepository> store = Open(blobs_);
    const absl::StatusOr<BackupListing> listing = store->ListBackups();
    EXPECT_OK(listing);
    if (!listing.ok()) return ids;
    for (const ListedBackup& backup : listing->backups) {
      ids.push_back(backup.summary.backup_id());
    }
    return ids;
  }
  int Count(const std::string& folder) {
    int count = 0;
    for (const auto& [name, bytes] : blobs_.Contents()) count += absl::StrContains(name, folder);
    return count;
  }

  FakeClock clock_;
  MemoryBlobStore blobs_;
  BackedUpStore store_{clock_, {"a"}};
  v1::Retention retention_;
  int tables_ = 0;
  const std::unique_ptr<BackupRunner> runner_;
};

TEST_F(PrunerTest, DryRunDecidesAndChangesNothing) {
  Backup();
  Backup();
  const auto before = blobs_.Contents();
  ASSERT_OK_AND_ASSIGN(PruneReport report, Prune({.is_dry_run = true}));
  EXPECT_THAT(report.decisions, SizeIs(2));
  EXPECT_FALSE(report.decisions[0].is_kept);
  EXPECT_THAT(report.decisions[1].reasons, ElementsAre("the newest", "one of the last"));
  EXPECT_EQ(report.removal_refusal, "");
  ASSERT_OK_AND_ASSIGN(report, Prune({.is_dry_run = true, .removal_refusal = "the clock jumped"}));
  EXPECT_EQ(report.removal_refusal, "the clock jumped");
  EXPECT_TRUE(blobs_.Contents() == before);
}

TEST_F(PrunerTest, TellsThatAListingOfObjectsGoesOn) {
  // Looks at the progress after each object that it lists.
  class Listing : public FaultBlobStore {
   public:
    using FaultBlobStore::FaultBlobStore;
    absl::Status List(absl::string_view prefix,
                      const std::function<absl::Status(const BlobInfo&)>& visit) override {
      return FaultBlobStore::List(prefix, [&](const BlobInfo& info) {
        const int before = progress;
        absl::Status status = visit(info);
        if (absl::StrContains(info.name, "/objects/")) told.push_back(progress - before);
        return status;
      });
    }
    int progress = 0;
    std::vector<int> told;
  };
  Backup();
  Listing blobs(blobs_);
  const std::unique_ptr<StoreRepository> store = Open(blobs);
  ASSERT_OK(Pruner(*store, clock_)
                .Prune(*RetentionPolicy::Create(retention_),
                       {.on_progress = [&blobs] { ++blobs.progress; }}, {}));
  EXPECT_THAT(blobs.told, AllOf(SizeIs(3), Each(1)));
}

TEST_F(PrunerTest, FirstDeletesAndAWeekLaterRemoves) {
  const std::string first = Backup();
  Compact();
  const std::string second = Backup();
  const int objects = Count("/objects/");
  ASSERT_OK_AND_ASSIGN(PruneReport report, Prune());
  EXPECT_EQ(report.backups_deleted, 1u);
  EXPECT_THAT(Listed(), ElementsAre(second));
  EXPECT_EQ(Count("/objects/"), objects) << "all can still be undeleted";
  EXPECT_EQ(Count("/backups/"), 2);

  clock_.Advance(kDeletedKeptFor - absl::Hours(1));
  const std::string third = Backup();
  ASSERT_OK_AND_ASSIGN(report, Prune());
  EXPECT_EQ(report.backups_removed, 0u);
  clock_.Advance(absl::Hours(2));
  ASSERT_OK_AND_ASSIGN(report, Prune());
  EXPECT_EQ(report.backups_removed, 1u);
  EXPECT_EQ(report.objects_removed, 2u) << "its bundle and the table that went";
  EXPECT_GT(report.removed_bytes, 0u);
  EXPECT_THAT(Listed(), ElementsAre(third));
  EXPECT_EQ(Count(first), 0) << "its manifest and marks";
}

TEST_F(PrunerTest, WhatOtherBackupsNeedStays) {
  const std::string first = Backup();
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(absl::Hours(24 * 8));
    Backup();
    ASSERT_OK(Prune());
  }
  EXPECT_EQ(Count(first), 0);
  const std::unique_ptr<StoreRepository> store = Open(blobs_);
  ASSERT_OK_AND_ASSIGN(const BackupListing listing, store->ListBackups());
  ASSERT_OK_AND_ASSIGN(const StoreRepository::LoadedManifest loaded,
                       store->LoadManifest(listing.Latest()->summary.backup_id()));
  for (const repository::v1::ObjectEntry& object : loaded.manifest.files.objects()) {
    EXPECT_OK(store->ReadObject(object)) << object.name();
  }
}

TEST_F(PrunerTest, UndeletedComesBackWhole) {
  const std::string first = Backup();
  const std::string second = Backup();
  ASSERT_OK(Prune());
  clock_.Advance(absl::Hours(24 * 5));
  ASSERT_OK(UndeleteBackup(*Open(blobs_), first, clock_.Now()));
  EXPECT_THAT(Listed(), ElementsAre(first, second));
  EXPECT_THAT(UndeleteBackup(*Open(blobs_), first, clock_.Now()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("is not deleted")));
  EXPECT_THAT(UndeleteBackup(*Open(blobs_), "20200101T000000.000Z-00000000", clock_.Now()),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(PrunerTest, DeletingByHandSparesTheNewestAndWhatIsPinned) {
  const std::string first = Backup();
  const std::string second = Backup();
  const std::string third = Backup();
  const std::unique_ptr<StoreRepository> store = Open(blobs_);
  EXPECT_THAT(DeleteBackup(*store, third, clock_.Now()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("the newest")));
  Mark pin;
  pin.set_kind(Mark::KIND_PINNED);
  pin.set_backup_id(second);
  ASSERT_OK(store->AddMark(pin, clock_.Now()));
  EXPECT_THAT(DeleteBackup(*store, second, clock_.Now()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("pinned")));
  ASSERT_OK(DeleteBackup(*store, first, clock_.Now()));
  EXPECT_THAT(Listed(), ElementsAre(second, third));
  EXPECT_THAT(DeleteBackup(*store, first, clock_.Now()), StatusIs(absl::StatusCode::kNotFound));
}

// Months of use (eleven in the long form): the space is that of what is kept, and of what can still
// be taken back.
TEST_F(PrunerTest, OnlyTheObjectsOfBackupsThatAreKeptStay) {
  const int backups = std::getenv("HOLDFAST_TEST_HEAVY") != nullptr ? 2000 : 300;
  retention_ = DefaultRetention();
  for (int i = 0; i < backups; ++i) {
    // Tables come, and are compacted away.
    if (i % 30 == 29) Compact();
    store_.source().EditState(
        [this](v1::Checkpoint& state) { *state.mutable_create_time() = ToProto(clock_.Now()); });
    Backup();
    if (i % 6 == 5 || i == backups - 1) {
      ASSERT_OK(Prune());
    }
    clock_.Advance(absl::Hours(4));
  }
  const std::unique_ptr<StoreRepository> store = Open(blobs_);
  ASSERT_OK_AND_ASSIGN(const BackupListing listing, store->ListBackups());
  EXPECT_LT(listing.backups.size(), 70u);
  EXPECT_GT(listing.backups.size(), 40u);
  EXPECT_LE(listing.deleted.size(), 7u * 6 + 6) << "the backups that 7 days bring";

  std::set<std::string> named;
  const auto add = [&](const std::string& backup_id) {
    const absl::StatusOr<StoreRepository::LoadedManifest> loaded = store->LoadManifest(backup_id);
    ASSERT_OK(loaded);
    for (const auto& object : loaded->manifest.files.objects()) named.insert(object.name());
  };
  for (const ListedBackup& backup : listing.backups) add(backup.summary.backup_id());
  for (const auto& [backup_id, time] : listing.deleted) add(backup_id);
  std::set<std::string> there;
  ASSERT_OK(store->ListObjects([&](absl::string_view name, uint64_t) {
    // What no backup names any more stays until it is a week old.
    const absl::StatusOr<ParsedObjectName> parsed = ParseObjectName(name);
    if (named.contains(std::string(name)) || clock_.Now() - parsed->time > kDeletedKeptFor) {
      there.emplace(name);
    }
    return absl::OkStatus();
  }));
  EXPECT_EQ(there, named);
}

TEST_F(PrunerTest, UndeleteIsRefusedWhileAPruneMayBeRemoving) {
  const std::string first = Backup();
  Backup();
  ASSERT_OK(Prune());
  clock_.Advance(absl::Hours(24 * 6 + 1));
  EXPECT_THAT(UndeleteBackup(*Open(blobs_), first, clock_.Now()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("more than 6 days ago")));
}

TEST_F(PrunerTest, WhatWasUndeletedSinceItWasListedIsNotRemoved) {
  const std::string first = Backup();
  Backup();
  ASSERT_OK(Prune());
  const std::unique_ptr<StoreRepository> suspended = Open(blobs_);
  const absl::Time long_ago = clock_.Now() + absl::Hours(1);
  ASSERT_OK(suspended->ListBackups());
  ASSERT_OK(UndeleteBackup(*Open(blobs_), first, clock_.Now()));
  EXPECT_THAT(suspended->RemoveBackup(first, long_ago),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(Listed(), SizeIs(2));
}

TEST_F(PrunerTest, PinnedStays) {
  const std::string first = Backup();
  Mark pin;
  pin.set_kind(Mark::KIND_PINNED);
  pin.set_backup_id(first);
  ASSERT_OK(Open(blobs_)->AddMark(pin, clock_.Now()));
  Backup();
  const std::string third = Backup();
  ASSERT_OK(Prune());
  EXPECT_THAT(Listed(), ElementsAre(first, third));
}

TEST_F(PrunerTest, WhatIsPinnedAfterItWasDecidedStays) {
  const std::string first = Backup();
  const std::string second = Backup();
  const std::string marks_of_first = absl::StrCat(MarksPath(store_.store_id()), "/", first);
  bool is_pinned = false;
  HookedBlobStore hooked(std::make_unique<FaultBlobStore>(blobs_),
                         [&](BlobCall call, const std::string& name) {
                           if (call == BlobCall::kList && name == marks_of_first && !is_pinned) {
                             is_pinned = true;
                             EXPECT_OK(PinBackup(*Open(blobs_), first, true, clock_.Now()));
                           }
                           return absl::OkStatus();
                         });
  ASSERT_OK_AND_ASSIGN(
      const PruneReport report,
      Pruner(*Open(hooked), clock_).Prune(*RetentionPolicy::Create(retention_), {}, {}));
  EXPECT_TRUE(is_pinned);
  EXPECT_EQ(report.backups_deleted, 0u);
  EXPECT_THAT(report.decisions[0].reasons, ElementsAre("pinned"));
  EXPECT_THAT(Listed(), ElementsAre(first, second));
  EXPECT_EQ(Count("-deleted-"), 0);
}

// A prune that was suspended between its last look and its mark.
TEST_F(PrunerTest, ADeletionThatAPinOverrulesNeverCounts) {
  const std::string first = Backup();
  const std::string second = Backup();
  HookedBlobStore hooked(std::make_unique<FaultBlobStore>(blobs_),
                         [&](BlobCall call, const std::string& name) {
                           if (call == BlobCall::kPut && absl::StrContains(name, "-pinned-")) {
                             Mark deleted;
                             deleted.set_kind(Mark::KIND_DELETED);
                             deleted.set_backup_id(first);
                             EXPECT_OK(Open(blobs_)->AddMark(deleted, clock_.Now()));
                           }
                           return absl::OkStatus();
                         });
  ASSERT_OK(PinBackup(*Open(hooked), first, true, clock_.Now()));
  EXPECT_THAT(Listed(), ElementsAre(first, second));
  clock_.Advance(kDeletedKeptFor + absl::Hours(1));
  ASSERT_OK(PinBackup(*Open(blobs_), first, false, clock_.Now()));
  EXPECT_THAT(Listed(), ElementsAre(first, second)) << "or it would be removed at once";
}

TEST_F(PrunerTest, WhatIsPinnedAndCannotBeReadCanBeGivenUp) {
  const std::string first = Backup();
  const std::string second = Backup();
  ASSERT_OK(PinBackup(*Open(blobs_), first, true, clock_.Now()));
  const std::string path = BackupPath(store_.store_id(), first);
  blobs_.Write(path, blobs_.Read(path).substr(0, 100));
  ASSERT_OK(DeleteBackup(*Open(blobs_), first, clock_.Now()));
  EXPECT_OK(Prune());
  EXPECT_THAT(Listed(), ElementsAre(second));
}

TEST_F(PrunerTest, AnUnreadableManifestStopsItAndIsNamed) {
  const std::string first = Backup();
  const std::string second = Backup();
  const std::string path = BackupPath(store_.store_id(), second);
  blobs_.Write(path, blobs_.Read(path).substr(0, 100));
  const auto before = blobs_.Contents();
  EXPECT_THAT(Prune(), StatusIs(absl::StatusCode::kDataLoss,
                                HasSubstr(absl::StrCat("`holdfast backup delete ", second))));
  EXPECT_TRUE(blobs_.Contents() == before);
}

TEST_F(PrunerTest, AnUnreadableManifestThatIsGivenUpGoesLikeADeletedBackup) {
  Backup();
  const std::string second = Backup();
  const std::string path = BackupPath(store_.store_id(), second);
  blobs_.Write(path, blobs_.Read(path).substr(0, 100));
  ASSERT_OK(DeleteBackup(*Open(blobs_), second, clock_.Now()));
  Backup();
  const int objects = Count("/objects/");
  ASSERT_OK_AND_ASSIGN(PruneReport report, Prune());
  EXPECT_THAT(report.removal_refusal, HasSubstr(second));

  clock_.Advance(kDeletedKeptFor + absl::Hours(1));
  Backup();
  ASSERT_OK_AND_ASSIGN(report, Prune());
  EXPECT_EQ(report.removal_refusal, "");
  EXPECT_GT(report.objects_removed, 0u);
  EXPECT_LT(Count("/objects/"), objects + 2) << "a bundle and a table are new";
  EXPECT_EQ(Count(second), 0);
}

TEST_F(PrunerTest, AManifestThatIsMendedAfterItWasGivenUpCanBeTakenBack) {
  Backup();
  const std::string second = Backup();
  const std::string path = BackupPath(store_.store_id(), second);
  const std::string whole = blobs_.Read(path);
  blobs_.Write(path, whole.substr(0, 100));
  ASSERT_OK(DeleteBackup(*Open(blobs_), second, clock_.Now()));
  Backup();
  ASSERT_OK(Prune());
  blobs_.Write(path, whole);
  ASSERT_OK(UndeleteBackup(*Open(blobs_), second, clock_.Now()));
  EXPECT_THAT(Listed(), testing::Contains(second));
  EXPECT_OK(Open(blobs_)->LoadManifest(second));
}

// A copy brings objects that were made long ago.
TEST_F(PrunerTest, WhatWasWrittenHereLatelyStaysHoweverOldItsName) {
  blobs_.set_clock(&clock_);
  Backup();
  Compact();
  Backup();
  ASSERT_OK(Prune());
  clock_.Advance(kDeletedKeptFor + absl::Hours(1));
  Backup();
  // Written anew, as by a copy that goes on at this moment.
  for (const auto& [name, bytes] : blobs_.Contents()) {
    if (absl::StrContains(name, "/objects/")) blobs_.Write(name, bytes);
  }
  ASSERT_OK_AND_ASSIGN(PruneReport report, Prune());
  EXPECT_EQ(report.backups_removed, 1u);
  EXPECT_EQ(report.objects_removed, 0u);
  clock_.Advance(kDeletedKeptFor + absl::Hours(1));
  Backup();
  ASSERT_OK_AND_ASSIGN(report, Prune());
  EXPECT_EQ(report.objects_removed, 3u)
      << "the bundle and the table of the first, and by now the bundle of the second";
}

TEST_F(PrunerTest, HoldsALeaseWhileItRemovesObjects) {
  Backup();
  Compact();
  Backup();
  ASSERT_OK(Prune());
  EXPECT_EQ(Count("/leases/"), 0);
  clock_.Advance(kDeletedKeptFor + absl::Hours(1));
  Backup();
  // Of a prune that was killed two days ago.
  const StoreId store_id = store_.store_id();
  blobs_.Write(PruneLeasePath(store_id, clock_.Now() - kPruneLeaseCountsFor), "");
  int removals = 0;
  HookedBlobStore hooked(std::make_unique<FaultBlobStore>(blobs_),
                         [&](BlobCall call, const std::string& name) {
                           if (call == BlobCall::kDelete && absl::StrContains(name, "/objects/")) {
                             ++removals;
                             EXPECT_EQ(Count("/leases/"), 1) << name;
                             // Suspended: what comes after that is left to the next prune.
                             clock_.Advance(kPruneLeaseHeldMax);
                           }
                           return absl::OkStatus();
                         });
  const std::unique_ptr<StoreRepository> store = Open(hooked);
  EXPECT_THAT(Pruner(*store, clock_).Prune(*RetentionPolicy::Create(retention_), {}, {}),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("the next prune begins afresh")));
  EXPECT_EQ(removals, 1);
  EXPECT_EQ(Count("/leases/"), 0);
  ASSERT_OK_AND_ASSIGN(const PruneReport report, Prune());
  EXPECT_EQ(report.objects_removed, 1u);
}

// The wall clock jumps: everything would seem old enough to be removed for good.
TEST_F(PrunerTest, NothingIsRemovedByAClockThatJumped) {
  Backup();
  Compact();
  Backup();
  ASSERT_OK(Prune());
  clock_.SetWallTime(clock_.Now() + absl::Hours(24 * 3650));
  ASSERT_OK_AND_ASSIGN(PruneReport report, Prune());
  EXPECT_THAT(report.removal_refusal, HasSubstr("the clock is wrong"));
  EXPECT_EQ(report.backups_removed + report.objects_removed, 0u);
  clock_.SetWallTime(clock_.Now() - absl::Hours(24 * 3660));
  ASSERT_OK_AND_ASSIGN(report, Prune());
  EXPECT_THAT(report.removal_refusal, HasSubstr("of the future"));
}

// By its date the deletion would be past taking back as soon as the clock is right.
TEST_F(PrunerTest, NothingIsDeletedByAClockThatIsSetBack) {
  const std::string first = Backup();
  const std::string second = Backup();
  clock_.SetWallTime(clock_.Now() - absl::Hours(24 * 10));
  const std::string third = Backup();  // the newest now, and of that clock
  ASSERT_OK_AND_ASSIGN(PruneReport report, Prune());
  EXPECT_THAT(report.removal_refusal, HasSubstr("of the future"));
  EXPECT_EQ(report.backups_deleted, 0u);
  EXPECT_THAT(DeleteBackup(*Open(blobs_), first, clock_.Now()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("of the future")));
  EXPECT_THAT(Listed(), ElementsAre(first, second, third));

  clock_.SetWallTime(clock_.Now() + absl::Hours(24 * 10));
  ASSERT_OK_AND_ASSIGN(report, Prune());
  EXPECT_EQ(report.backups_deleted, 2u);
  EXPECT_OK(UndeleteBackup(*Open(blobs_), first, clock_.Now()));
}

// A clock that was years ahead for one backup hinders no deletion after the next.
TEST_F(PrunerTest, ABackupOfTheFarFutureSaysNothingOfTheClockOfNow) {
  const std::string first = Backup();
  const absl::Time right = clock_.Now();
  clock_.SetWallTime(right + absl::Hours(24 * 3650));
  Backup();
  clock_.SetWallTime(right);
  ASSERT_OK_AND_ASSIGN(PruneReport report, Prune());
  EXPECT_THAT(report.removal_refusal, HasSubstr("of the future"));
  const std::string third = Backup();
  ASSERT_OK_AND_ASSIGN(report, Prune());
  EXPECT_EQ(report.backups_deleted, 2u);
  EXPECT_THAT(Listed(), ElementsAre(third));
}

// A place that is full: nothing can be written before something was removed.
TEST_F(PrunerTest, RemovesForGoodBeforeItMarks) {
  const std::string first = Backup();
  Compact();
  Backup();
  ASSERT_OK(Prune());
  const std::string third = Backup();
  clock_.Advance(kDeletedKeptFor + absl::Hours(1));
  HookedBlobStore full(std::make_unique<FaultBlobStore>(blobs_),
                       [&](BlobCall call, const std::string& /*name*/) {
                         if (call == BlobCall::kPut && Count(first) > 0) {
                           return absl::ResourceExhaustedError("no space left");
                         }
                         return absl::OkStatus();
                       });
  const auto prune = [&](bool is_clock_trusted) {
    return Pruner(*Open(full), clock_)
        .Prune(*RetentionPolicy::Create(retention_), {.is_clock_trusted = is_clock_trusted}, {});
  };
  // No backup could be taken for a week.
  EXPECT_THAT(prune(false), StatusIs(absl::StatusCode::kResourceExhausted));
  ASSERT_OK_AND_ASSIGN(const PruneReport report, prune(true));
  EXPECT_EQ(report.backups_removed, 1u);
  EXPECT_GT(report.objects_removed, 0u);
  EXPECT_EQ(report.backups_deleted, 1u);
  EXPECT_THAT(Listed(), ElementsAre(third));
}

TEST_F(PrunerTest, GoesOnWhereAnotherWasCut) {
  Backup();
  Compact();
  Backup();
  ASSERT_OK(Prune());
  clock_.Advance(kDeletedKeptFor + absl::Hours(1));
  const std::string newest = Backup();
  const auto full = blobs_.Contents();
  for (int calls = 0;; ++calls) {
    for (const auto& [name, bytes] : full) blobs_.Write(name, bytes);
    FaultBlobStore faults(blobs_);
    const std::unique_ptr<StoreRepository> store = Open(faults);
    faults.StopAfter(calls);
    const absl::Status cut =
        Pruner(*store, clock_).Prune(*RetentionPolicy::Create(retention_), {}, {}).status();
    EXPECT_THAT(Listed(), testing::Contains(newest)) << calls;
    ASSERT_OK(Prune()) << calls;
    EXPECT_THAT(Listed(), ElementsAre(newest)) << calls;
    EXPECT_EQ(Count("/backups/"), 2) << "the newest, and the one that was deleted just now";
    if (cut.ok()) break;
    ASSERT_LT(calls, 1000);
  }
}

}  // namespace
}  // namespace holdfast
