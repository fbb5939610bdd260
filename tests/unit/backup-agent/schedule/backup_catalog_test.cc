#include "backup-agent/schedule/backup_catalog.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/messages/proto_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class BackupCatalogTest : public ::testing::Test {
 protected:
  v1::Backup Make(uint64_t ordinal, const std::vector<std::string>& destinations) {
    v1::Backup backup;
    backup.set_backup_id(absl::StrCat("backup-", ordinal));
    backup.set_ordinal(ordinal);
    backup.set_revision(ordinal * 10);
    *backup.mutable_checkpoint_time() = ToProto(clock_.Now());
    for (const std::string& name : destinations) backup.add_destination_names(name);
    return backup;
  }

  void List(const std::vector<v1::Backup>& backups,
            const std::map<std::string, absl::Status>& errors = {}) {
    catalog_.FinishListing(catalog_.BeginListing(), {.backups = backups, .errors = errors});
  }

  std::vector<std::string> Shown() const {
    std::vector<std::string> shown;
    for (const v1::Backup& backup : catalog_.backups()) {
      std::string text = absl::StrCat(backup.ordinal(), ":");
      for (const std::string& name : backup.destination_names()) absl::StrAppend(&text, " ", name);
      shown.push_back(text);
    }
    return shown;
  }

  FakeClock clock_;
  BackupCatalog catalog_{clock_};
};

TEST_F(BackupCatalogTest, NewestIsFirstByLineage) {
  List({Make(3, {"a"}), Make(1, {"a"}), Make(2, {"a"})});
  catalog_.Add(Make(4, {"a"}), clock_.MonotonicNow());
  EXPECT_THAT(Shown(), ElementsAre("4: a", "3: a", "2: a", "1: a"));
}

TEST_F(BackupCatalogTest, ListingReplacesWhatWasKnown) {
  List({Make(1, {"a", "b"}), Make(2, {"a"})});
  List({Make(2, {"a", "b"})});
  EXPECT_THAT(Shown(), ElementsAre("2: a b"));
}

TEST_F(BackupCatalogTest, BackupThatWasTakenDuringAListingStays) {
  const uint64_t begin = catalog_.BeginListing();
  catalog_.Add(Make(2, {"a"}), clock_.MonotonicNow());
  catalog_.FinishListing(begin, {.backups = {Make(1, {"a"})}, .errors = {}});
  EXPECT_THAT(Shown(), ElementsAre("2: a", "1: a"));
  // A later listing knows better.
  List({Make(1, {"a"})});
  EXPECT_THAT(Shown(), ElementsAre("1: a"));
}

TEST_F(BackupCatalogTest, WhatIsAtADestinationThatCannotBeReadStaysKnown) {
  List({Make(2, {"a", "b"}), Make(1, {"b"})});
  List({Make(2, {"a"})}, {{"b", absl::UnavailableError("gone")}});
  EXPECT_THAT(Shown(), ElementsAre("2: a b", "1: b"));
}

TEST_F(BackupCatalogTest, DestinationsThatAreNoMoreDoNotCount) {
  List({Make(2, {"a", "b"}), Make(1, {"b"})});
  catalog_.KeepDestinations({"a"});
  EXPECT_THAT(Shown(), ElementsAre("2: a"));
  catalog_.KeepDestinations({});
  EXPECT_THAT(Shown(), IsEmpty());
}

TEST_F(BackupCatalogTest, NewestThatEnoughHoldIsFound) {
  List({Make(3, {"a"}), Make(2, {"a", "b"}), Make(1, {"a", "b"})});
  EXPECT_EQ(catalog_.NewestAt(1)->ordinal(), 3u);
  EXPECT_EQ(catalog_.NewestAt(2)->ordinal(), 2u);
  EXPECT_EQ(catalog_.NewestAt(3), nullptr);
  EXPECT_EQ(catalog_.NewestWith("", 30, 1)->ordinal(), 3u);
  EXPECT_EQ(catalog_.NewestWith("", 30, 2), nullptr);
  EXPECT_EQ(catalog_.NewestWith("", 20, 2)->ordinal(), 2u);
  EXPECT_EQ(catalog_.NewestWith("", 31, 1), nullptr);
  EXPECT_EQ(catalog_.NewestWith("", 20, 2, /*after_ordinal=*/1)->ordinal(), 2u);
  EXPECT_EQ(catalog_.NewestWith("", 20, 2, /*after_ordinal=*/2), nullptr);
  EXPECT_EQ(catalog_.NewestWith("another", 20, 1), nullptr);
}

TEST_F(BackupCatalogTest, AgeOfABackupOfThisProcessDoesNotFollowTheWallClock) {
  catalog_.Add(Make(1, {"a"}), clock_.MonotonicNow());
  clock_.Advance(absl::Minutes(5));
  clock_.SetWallTime(clock_.Now() + absl::Hours(1000));
  EXPECT_EQ(catalog_.Age(catalog_.backups()[0]), absl::Minutes(5));
}

TEST_F(BackupCatalogTest, AgeOfAnotherBackupIsByTheWallClockAndNeverTooLittle) {
  List({Make(1, {"a"})});
  clock_.Advance(absl::Minutes(5));
  EXPECT_EQ(catalog_.Age(catalog_.backups()[0]), absl::Minutes(5));
  clock_.SetWallTime(clock_.Now() - absl::Hours(1));
  EXPECT_EQ(catalog_.Age(catalog_.backups()[0]), absl::InfiniteDuration());
}

}  // namespace
}  // namespace holdfast
