// Histories of backups, prunes, clocks and kills, by seed: no backup that is kept ever lacks
// anything.

#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backup-agent/retention/pruner.h"
#include "backup-agent/transfer/backup_runner.h"
#include "backup-agent/transfer/worker_pool.h"
#include "common/crypto/hash.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fault_blob_store.h"
#include "tests/testing/hooked_blob_store.h"
#include "tests/testing/memory_blob_store.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/backup-agent/retention/backed_up_store.h"

namespace holdfast {
namespace {

// What happens in the middle of a job, at one of its calls into the destination.
class Interruption {
 public:
  void Set(int after_calls, std::function<absl::Status()> event) {
    MutexLock lock(&mutex_);
    calls_left_ = after_calls;
    event_ = std::move(event);
    is_dead_ = false;
  }
  // As a hook: the job that makes the call stops for the event. After an error of the event it is
  // dead.
  absl::Status OnCall() {
    std::function<absl::Status()> event;
    {
      MutexLock lock(&mutex_);
      if (is_dead_) return absl::UnavailableError("killed");
      if (event_ == nullptr || calls_left_-- > 0) return absl::OkStatus();
      event = std::exchange(event_, nullptr);
    }
    absl::Status status = event();
    if (!status.ok()) {
      MutexLock lock(&mutex_);
      is_dead_ = true;
    }
    return status;
  }
  void Clear() { Set(0, nullptr); }

 private:
  Mutex mutex_;
  int calls_left_ ABSL_GUARDED_BY(mutex_) = 0;
  std::function<absl::Status()> event_ ABSL_GUARDED_BY(mutex_);
  bool is_dead_ ABSL_GUARDED_BY(mutex_) = false;
};

class History {
 public:
  explicit History(uint64_t seed)
      : random_(seed), runner_(MakeRunner(&run_interruption_)), other_runner_(MakeRunner(nullptr)) {
    EXPECT_OK(store_.PrepareDestinations(*runner_));
    retention_.set_keep_last(2);
    retention_.set_keep_daily(2);
  }

  void Run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      Step();
      CheckAllAreWhole();
    }
  }

  int backups_made() const { return backups_made_; }
  int backups_removed() const { return backups_removed_; }

 private:
  uint64_t Pick(uint64_t bound) { return random_.Uniform(bound); }

  std::unique_ptr<BackupRunner> MakeRunner(Interruption* interruption) {
    return store_.MakeRunner(
        [this, interruption](const std::string&) -> std::unique_ptr<BlobStore> {
          auto blobs = std::make_unique<FaultBlobStore>(blobs_);
          if (interruption == nullptr) return blobs;
          return std::make_unique<HookedBlobStore>(
              std::move(blobs),
              [interruption](BlobCall, const std::string&) { return interruption->OnCall(); });
        });
  }

  void Step() {
    store_.ChangeTables(random_);
    switch (Pick(6)) {
      case 0:
        clock_.Advance(absl::Hours(Pick(24 * 4)));
        break;
      case 1:  // a backup, in the middle of which another machine prunes
        run_interruption_.Set(static_cast<int>(Pick(40)), [this] {
          Prune(nullptr);
          return absl::OkStatus();
        });
        Backup(*runner_);
        break;
      case 2:  // a backup that is killed
        run_interruption_.Set(static_cast<int>(Pick(40)),
                              [] { return absl::UnavailableError("killed"); });
        Backup(*runner_);
        break;
      case 3:  // a prune, in the middle of which a backup is taken, or that is suspended
        prune_interruption_.Set(static_cast<int>(Pick(60)), [this, is_suspended = Pick(2) == 0] {
          if (is_suspended) clock_.Advance(absl::Hours(24));
          Backup(*other_runner_);
          return absl::OkStatus();
        });
        Prune(&prune_interruption_);
        break;
      case 4:  // a prune that is killed
        prune_interruption_.Set(static_cast<int>(Pick(60)),
                                [] { return absl::UnavailableError("killed"); });
        Prune(&prune_interruption_);
        break;
      default:
        Undelete();
        break;
    }
    run_interruption_.Clear();
    prune_interruption_.Clear();
  }

  void Backup(BackupRunner& runner) {
    if (store_.Backup(runner).status.ok()) ++backups_made_;
  }

  // nullptr where it was killed, or there was no backup yet.
  std::unique_ptr<StoreRepository> Open(BlobStore& blobs) {
    return store_.Open(blobs).value_or(nullptr);
  }

  void Prune(Interruption* interruption) {
    HookedBlobStore hooked(
        std::make_unique<FaultBlobStore>(blobs_), [interruption](BlobCall, const std::string&) {
          return interruption == nullptr ? absl::OkStatus() : interruption->OnCall();
        });
    const std::unique_ptr<StoreRepository> store = Open(hooked);
    if (store == nullptr) return;
    const absl::StatusOr<PruneReport> report =
        Pruner(*store, clock_).Prune(*RetentionPolicy::Create(retention_), {}, {});
    if (report.ok()) {
      backups_removed_ += static_cast<int>(report->backups_removed);
    } else {
      EXPECT_THAT(report.status(), StatusIs(absl::StatusCode::kUnavailable));
    }
  }

  void Undelete() {
    const std::unique_ptr<StoreRepository> store = Open(blobs_);
    if (store != nullptr) UndeleteSome(*store, random_, clock_);
  }

  void CheckAllAreWhole() {
    const std::unique_ptr<StoreRepository> store = Open(blobs_);
    if (store == nullptr) return;
    const absl::StatusOr<BackupListing> listing = store->ListBackups();
    ASSERT_OK(listing);
    EXPECT_THAT(listing->damaged, testing::IsEmpty());
    for (const ListedBackup& backup : listing->backups) {
      const std::string& backup_id = backup.summary.backup_id();
      const absl::StatusOr<StoreRepository::LoadedManifest> loaded = store->LoadManifest(backup_id);
      ASSERT_OK(loaded);
      for (const repository::v1::ObjectEntry& object : loaded->manifest.files.objects()) {
        ASSERT_OK(ReadWhole(*store, object)) << backup_id;
      }
    }
  }

  static absl::Status ReadWhole(StoreRepository& store, const repository::v1::ObjectEntry& object) {
    absl::StatusOr<std::unique_ptr<ByteSource>> source = store.ReadObject(object);
    if (!source.ok()) return source.status();
    while (true) {
      const absl::StatusOr<absl::Span<const uint8_t>> piece = (*source)->Next();
      if (!piece.ok() || piece->empty()) return piece.status();
    }
  }

  SeededRandom random_;
  FakeClock clock_;
  MemoryBlobStore blobs_;
  BackedUpStore store_{clock_, {"a"}};
  v1::Retention retention_;
  Interruption run_interruption_;
  Interruption prune_interruption_;
  const std::unique_ptr<BackupRunner> runner_;
  const std::unique_ptr<BackupRunner> other_runner_;
  int backups_made_ = 0;
  int backups_removed_ = 0;
};

TEST(PruneHistoryTest, NoKeptBackupEverLacksAnything) {
  const int histories = std::getenv("HOLDFAST_TEST_HEAVY") != nullptr ? 500 : 40;
  SeededRandom seeds;
  int backups_made = 0;
  int backups_removed = 0;
  for (int i = 0; i < histories && !testing::Test::HasFailure(); ++i) {
    const uint64_t seed = seeds.Uniform(UINT64_MAX);
    SCOPED_TRACE(absl::StrCat("seed of the history: ", seed));
    History history(seed);
    history.Run(60);
    backups_made += history.backups_made();
    backups_removed += history.backups_removed();
  }
  WorkerPool::AwaitLeftBehind();
  // Else nothing was tried.
  EXPECT_GT(backups_made, histories * 5);
  EXPECT_GT(backups_removed, histories);
}

}  // namespace
}  // namespace holdfast
