// A run that copies old objects to a destination that lacks them, while a prune is at work there.

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "backup-agent/retention/pruner.h"
#include "backup-agent/transfer/backup_runner.h"
#include "backup-agent/transfer/worker_pool.h"
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

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// The store was backed up to A alone; 8 days later, with objects of other names, to B alone. The
// next backup copies the old objects of A to B.
class CatchUpTest : public testing::Test {
 protected:
  CatchUpTest()
      : runner_(store_.MakeRunner(
            [this](const std::string& destination) { return OpenPlace(destination); })) {
    a_.set_clock(&clock_);
    b_.set_clock(&clock_);
    retention_.set_keep_last(5);
    EXPECT_OK(store_.PrepareDestinations(*runner_));
    store_.source().SetFile("001001.sst", std::string(10'000, 'x'));
    BackupOnlyTo("a");
    old_objects_ = NamesIn(a_, "/objects/");
  }
  ~CatchUpTest() override { WorkerPool::AwaitLeftBehind(); }

  void BackupOnlyTo(const std::string& destination) {
    away_ = destination == "a" ? "b" : "a";
    EXPECT_OK(store_.Backup(*runner_).status);
    away_ = "";
  }
  void PassEightDaysAndBackUpToB() {
    clock_.Advance(absl::Hours(24 * 8));
    BackupOnlyTo("b");
  }

  // As a catch-up does that is killed.
  void LeaveOldObjectsAtB() {
    for (const std::string& name : old_objects_) b_.Write(name, a_.Read(name));
  }

  // The backup that catches up; at the calls into B, `hook`.
  BackupRunOutcome CatchUp(BlobHook hook = nullptr) {
    hook_ = std::move(hook);
    BackupRunOutcome outcome = store_.Backup(*runner_);
    hook_ = nullptr;
    return outcome;
  }
  void ExpectIsAtBoth(const BackupRunOutcome& outcome) {
    ASSERT_OK(outcome.status);
    EXPECT_THAT(outcome.backup->destination_names(), ElementsAre("a", "b"));
    EXPECT_THAT(NamesIn(b_, outcome.backup->backup_id()), SizeIs(1));
    ExpectAllAreWhole();
  }
  void ExpectIsOnlyAtA(const BackupRunOutcome& outcome, const std::string& why_not_at_b) {
    ASSERT_OK(outcome.status);
    EXPECT_THAT(outcome.backup->destination_names(), ElementsAre("a"));
    EXPECT_THAT(outcome.memory.destinations().at("b").last_error(), HasSubstr(why_not_at_b));
    EXPECT_THAT(NamesIn(b_, outcome.backup->backup_id()), IsEmpty());
    ExpectAllAreWhole();
  }
  void ExpectAllAreWhole() {
    ExpectListedAreWhole(store_, a_, "a");
    ExpectListedAreWhole(store_, b_, "b");
  }

  // A hook that does something before the first call of that kind whose name is such.
  static BlobHook Before(BlobCall call, const std::string& name_contains,
                         std::function<void()> action) {
    auto todo = std::make_shared<std::function<void()>>(std::move(action));
    return [=](BlobCall made, const std::string& name) {
      if (made == call && absl::StrContains(name, name_contains) && *todo != nullptr) {
        std::exchange(*todo, nullptr)();
      }
      return absl::OkStatus();
    };
  }
  static constexpr char kManifests[] = "/backups/";

  void PruneB() { PruneB(b_); }
  void PruneB(BlobStore& blobs) {
    const absl::StatusOr<std::unique_ptr<StoreRepository>> opened = store_.Open(blobs);
    ASSERT_OK(opened);
    const absl::StatusOr<PruneReport> report =
        Pruner(**opened, clock_).Prune(*RetentionPolicy::Create(retention_), {}, {});
    ASSERT_OK(report);
    EXPECT_EQ(report->removal_refusal, "");
    objects_removed_ += report->objects_removed;
  }

  std::vector<std::string> NamesIn(MemoryBlobStore& blobs, const std::string& part) {
    std::vector<std::string> names;
    for (const auto& [name, bytes] : blobs.Contents()) {
      if (absl::StrContains(name, part)) names.push_back(name);
    }
    return names;
  }
  absl::Time WrittenToBAt(const std::string& name) {
    const absl::StatusOr<BlobInfo> info = b_.Stat(name);
    EXPECT_OK(info);
    return info.ok() ? info->write_time : absl::InfinitePast();
  }
  // The object of the table, which every backup needs.
  std::string TableAtA() {
    for (const std::string& name : old_objects_) {
      if (a_.Read(name).size() > 10'000) return name;
    }
    ADD_FAILURE() << "no object is that large";
    return "";
  }

  FakeClock clock_;
  FakeClock slow_clock_{clock_.Now() - absl::Hours(24 * 12)};
  MemoryBlobStore a_;
  MemoryBlobStore b_;
  BackedUpStore store_{clock_, {"a", "b"}};
  v1::Retention retention_;
  std::string away_;
  BlobHook hook_;
  const std::unique_ptr<BackupRunner> runner_;
  std::vector<std::string> old_objects_;
  uint64_t objects_removed_ = 0;

 private:
  absl::StatusOr<std::unique_ptr<BlobStore>> OpenPlace(const std::string& destination) {
    if (destination == away_) return absl::UnavailableError("it is away");
    auto blobs = std::make_unique<FaultBlobStore>(destination == "a" ? a_ : b_);
    if (destination == "a" || hook_ == nullptr) return blobs;
    return std::make_unique<HookedBlobStore>(std::move(blobs), hook_);
  }
};

TEST_F(CatchUpTest, WhatWasJustWrittenStaysHoweverOldItsName) {
  PassEightDaysAndBackUpToB();
  ExpectIsAtBoth(CatchUp(Before(BlobCall::kPut, kManifests, [&] { PruneB(); })));
  EXPECT_EQ(objects_removed_, 0u);
  EXPECT_EQ(WrittenToBAt(TableAtA()), clock_.Now());
}

// A place that can't tell when it wrote something protects nothing that is old by its name.
TEST_F(CatchUpTest, APlaceThatTellsNoTimesIsLookedAtOnceMore) {
  b_.set_clock(nullptr);
  PassEightDaysAndBackUpToB();
  ExpectIsAtBoth(CatchUp(Before(BlobCall::kPut, kManifests, [&] { PruneB(); })));
  EXPECT_GT(objects_removed_, 0u);
}

TEST_F(CatchUpTest, APlaceWhoseClockIsFarBehindIsLookedAtOnceMore) {
  b_.set_clock(&slow_clock_);
  PassEightDaysAndBackUpToB();
  ExpectIsAtBoth(CatchUp(Before(BlobCall::kPut, kManifests, [&] { PruneB(); })));
  EXPECT_GT(objects_removed_, 0u);
}

TEST_F(CatchUpTest, APlaceThatTellsNoTimesIsNotReliedOnWhileAPruneIsAtWork) {
  b_.set_clock(nullptr);
  PassEightDaysAndBackUpToB();
  const std::string lease = PruneLeasePath(store_.store_id(), clock_.Now());
  b_.Write(lease, "");
  ExpectIsOnlyAtA(CatchUp(), lease);
  clock_.Advance(absl::Hours(48));  // the prune was killed
  ExpectIsAtBoth(CatchUp());
}

TEST_F(CatchUpTest, AManifestIsTakenBackWhereAPruneBeganJustBefore) {
  b_.set_clock(nullptr);
  PassEightDaysAndBackUpToB();
  const std::string lease = PruneLeasePath(store_.store_id(), clock_.Now());
  ExpectIsOnlyAtA(CatchUp(Before(BlobCall::kPut, kManifests,
                                 [&] {
                                   b_.Write(lease, "");
                                   b_.Remove(TableAtA());
                                 })),
                  lease);
  b_.Remove(lease);
  ExpectIsAtBoth(CatchUp());
}

// A prune that looked before the catch-up began, and takes its lease after that ended.
TEST_F(CatchUpTest, APruneLooksOnceMoreWhenItHasItsLease) {
  b_.set_clock(nullptr);
  BackupRunOutcome first = CatchUp();  // from now on both have one backup key
  ASSERT_OK(first.status);
  b_.Remove(BackupPath(store_.store_id(), first.backup->backup_id()));
  PassEightDaysAndBackUpToB();
  HookedBlobStore hooked(std::make_unique<FaultBlobStore>(b_),
                         Before(BlobCall::kPut, "/leases/", [&] { ExpectIsAtBoth(CatchUp()); }));
  PruneB(hooked);
  ExpectAllAreWhole();
}

// A prune may have it on its list, however whole it is.
TEST_F(CatchUpTest, WhatLiesThereForLongIsNotReliedOnButWrittenAnew) {
  LeaveOldObjectsAtB();
  PassEightDaysAndBackUpToB();
  ExpectIsAtBoth(CatchUp(Before(BlobCall::kPut, kManifests, [&] { PruneB(); })));
  EXPECT_EQ(WrittenToBAt(TableAtA()), clock_.Now());
}

TEST_F(CatchUpTest, WhatLiesThereForLongIsNotUsedWhileAPruneIsAtWork) {
  LeaveOldObjectsAtB();
  PassEightDaysAndBackUpToB();
  const std::string lease = PruneLeasePath(store_.store_id(), clock_.Now());
  b_.Write(lease, "");
  ExpectIsOnlyAtA(CatchUp(), lease);
}

TEST_F(CatchUpTest, WhatAPruneRemovedAtTheLastMomentIsCopiedAgain) {
  LeaveOldObjectsAtB();
  PassEightDaysAndBackUpToB();
  bool is_removed = false;
  ExpectIsAtBoth(CatchUp(Before(BlobCall::kList, "/leases", [&] {
    b_.Remove(TableAtA());
    is_removed = true;
  })));
  EXPECT_TRUE(is_removed);
}

TEST_F(CatchUpTest, WhatACutCatchUpLeftIsUsedWhileItIsYoungAndWhole) {
  PassEightDaysAndBackUpToB();
  LeaveOldObjectsAtB();
  std::string damaged;  // another than the table
  for (const std::string& name : old_objects_) {
    if (name != TableAtA()) damaged = name;
  }
  std::string bytes = a_.Read(damaged);
  bytes[bytes.size() - 20] = static_cast<char>(bytes[bytes.size() - 20] ^ 1);
  b_.Write(damaged, bytes);
  const absl::Time written = clock_.Now();
  clock_.Advance(absl::Hours(47));
  ExpectIsAtBoth(CatchUp());
  EXPECT_EQ(WrittenToBAt(TableAtA()), written) << "it was not written again";
}

}  // namespace
}  // namespace holdfast
