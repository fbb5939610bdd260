// Histories of backups, prunes, clocks and kills at two destinations that come and go, by seed: no
// backup that is kept ever lacks anything.

#include <array>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "backup-agent/retention/pruner.h"
#include "backup-agent/transfer/backup_runner.h"
#include "backup-agent/transfer/worker_pool.h"
#include "common/base/mutex.h"
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

// What happens in the middle of a job, at one of its calls into the destinations.
class Interruption {
 public:
  void Set(int after_calls, std::function<absl::Status()> event) {
    MutexLock lock(&mutex_);
    is_at_manifest_ = false;
    calls_left_ = after_calls;
    event_ = std::move(event);
    is_dead_ = false;
  }
  // The same, but when the first manifest is about to be written.
  void SetAtManifest(std::function<absl::Status()> event) {
    Set(0, std::move(event));
    MutexLock lock(&mutex_);
    is_at_manifest_ = true;
  }
  // As a hook: the job that makes the call stops for the event, with all its threads. After an
  // error of the event it is dead.
  absl::Status OnCall(BlobCall call, const std::string& name) {
    std::function<absl::Status()> event;
    {
      MutexLock lock(&mutex_);
      while (is_happening_) happened_.Wait(&mutex_);
      if (is_dead_) return absl::UnavailableError("killed");
      const bool is_manifest = call == BlobCall::kPut && absl::StrContains(name, "/backups/");
      if (event_ == nullptr || (is_at_manifest_ && !is_manifest) || calls_left_-- > 0) {
        return absl::OkStatus();
      }
      event = std::exchange(event_, nullptr);
      is_happening_ = true;
    }
    absl::Status status = event();
    MutexLock lock(&mutex_);
    is_dead_ = !status.ok();
    is_happening_ = false;
    happened_.SignalAll();
    return status;
  }
  void Clear() { Set(0, nullptr); }

 private:
  Mutex mutex_;
  CondVar happened_;
  bool is_at_manifest_ ABSL_GUARDED_BY(mutex_) = false;
  int calls_left_ ABSL_GUARDED_BY(mutex_) = 0;
  std::function<absl::Status()> event_ ABSL_GUARDED_BY(mutex_);
  bool is_happening_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_dead_ ABSL_GUARDED_BY(mutex_) = false;
};

class History {
 public:
  explicit History(uint64_t seed)
      : random_(seed), runner_(MakeRunner(&run_interruption_)), other_runner_(MakeRunner(nullptr)) {
    places_[0].blobs.set_clock(&clock_);  // the other does not tell when it wrote something
    EXPECT_OK(store_.PrepareDestinations(*runner_));
    retention_.set_keep_last(2);
    retention_.set_keep_daily(2);
    // From now on all have one backup key: who opened a place before another key came can't read
    // what that seals.
    Backup(*runner_);
  }

  void Run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      Step();
      for (Place& place : places_) ExpectListedAreWhole(store_, place.blobs, place.name);
    }
  }

  int backups_made() const { return backups_made_; }
  int backups_removed() const { return backups_removed_; }
  int objects_removed() const { return objects_removed_; }

 private:
  struct Place {
    std::string name;
    MemoryBlobStore blobs;
  };

  uint64_t Pick(uint64_t bound) { return random_.Uniform(bound); }
  Place& PickPlace() { return places_[Pick(places_.size())]; }

  std::unique_ptr<BackupRunner> MakeRunner(Interruption* interruption) {
    return store_.MakeRunner([this, interruption](const std::string& destination)
                                 -> absl::StatusOr<std::unique_ptr<BlobStore>> {
      if (destination == away_) return absl::UnavailableError("it is away");
      Place& place = places_[destination == places_[0].name ? 0 : 1];
      auto blobs = std::make_unique<FaultBlobStore>(place.blobs);
      if (interruption == nullptr) return blobs;
      return std::make_unique<HookedBlobStore>(
          std::move(blobs), [interruption](BlobCall call, const std::string& name) {
            return interruption->OnCall(call, name);
          });
    });
  }

  void Step() {
    store_.ChangeTables(random_);
    switch (Pick(8)) {
      case 0:
      case 1:
        clock_.Advance(absl::Hours(Pick(24 * 4)));
        break;
      case 2:  // from now on only one of the places can be reached at a time, or both
        are_apart_ = Pick(4) != 0;
        break;
      case 3: {  // a backup, in the middle of which another machine prunes
        const auto prune = [this] {
          for (Place& place : places_) Prune(place, nullptr);
          return absl::OkStatus();
        };
        if (Pick(2) == 0) {
          run_interruption_.SetAtManifest(prune);
        } else {
          run_interruption_.Set(static_cast<int>(Pick(60)), prune);
        }
        Backup(*runner_);
        break;
      }
      case 4:  // a backup that is killed
        run_interruption_.Set(static_cast<int>(Pick(60)),
                              [] { return absl::UnavailableError("killed"); });
        Backup(*runner_);
        break;
      case 5:  // a prune, in the middle of which a backup is taken, or that is suspended
        prune_interruption_.Set(static_cast<int>(Pick(60)), [this, is_suspended = Pick(2) == 0] {
          if (is_suspended) clock_.Advance(absl::Hours(24));
          Backup(*other_runner_);
          return absl::OkStatus();
        });
        Prune(PickPlace(), &prune_interruption_);
        break;
      case 6:  // a prune that is killed
        prune_interruption_.Set(static_cast<int>(Pick(60)),
                                [] { return absl::UnavailableError("killed"); });
        Prune(PickPlace(), &prune_interruption_);
        break;
      default:
        Undelete();
        break;
    }
    run_interruption_.Clear();
    prune_interruption_.Clear();
  }

  void Backup(BackupRunner& runner) {
    away_ = are_apart_ ? PickPlace().name : "";
    if (store_.Backup(runner).status.ok()) ++backups_made_;
  }

  // nullptr where it was killed, or there was no backup yet.
  std::unique_ptr<StoreRepository> Open(BlobStore& blobs) {
    return store_.Open(blobs).value_or(nullptr);
  }

  void Prune(Place& place, Interruption* interruption) {
    HookedBlobStore hooked(std::make_unique<FaultBlobStore>(place.blobs),
                           [interruption](BlobCall call, const std::string& name) {
                             return interruption == nullptr ? absl::OkStatus()
                                                            : interruption->OnCall(call, name);
                           });
    const std::unique_ptr<StoreRepository> store = Open(hooked);
    if (store == nullptr) return;
    const absl::StatusOr<PruneReport> report =
        Pruner(*store, clock_).Prune(*RetentionPolicy::Create(retention_), {}, {});
    if (report.ok()) {
      backups_removed_ += static_cast<int>(report->backups_removed);
      objects_removed_ += static_cast<int>(report->objects_removed);
    } else {
      EXPECT_THAT(report.status(), StatusIs(absl::StatusCode::kUnavailable));
    }
  }

  void Undelete() {
    const std::unique_ptr<StoreRepository> store = Open(PickPlace().blobs);
    if (store != nullptr) UndeleteSome(*store, random_, clock_);
  }

  SeededRandom random_;
  FakeClock clock_;
  std::array<Place, 2> places_ = {Place{.name = "a", .blobs = MemoryBlobStore()},
                                  Place{.name = "b", .blobs = MemoryBlobStore()}};
  BackedUpStore store_{clock_, {places_[0].name, places_[1].name}};
  v1::Retention retention_;
  Interruption run_interruption_;
  Interruption prune_interruption_;
  // Constant while a run is under way.
  bool are_apart_ = false;
  std::string away_;
  const std::unique_ptr<BackupRunner> runner_;
  const std::unique_ptr<BackupRunner> other_runner_;
  int backups_made_ = 0;
  int backups_removed_ = 0;
  int objects_removed_ = 0;
};

TEST(PruneHistoryTest, NoKeptBackupEverLacksAnything) {
  const int histories = std::getenv("HOLDFAST_TEST_HEAVY") != nullptr ? 500 : 20;
  SeededRandom seeds;
  int backups_made = 0;
  int backups_removed = 0;
  int objects_removed = 0;
  for (int i = 0; i < histories && !testing::Test::HasFailure(); ++i) {
    const uint64_t seed = seeds.Uniform(UINT64_MAX);
    SCOPED_TRACE(absl::StrCat("seed of the history: ", seed));
    History history(seed);
    history.Run(60);
    backups_made += history.backups_made();
    backups_removed += history.backups_removed();
    objects_removed += history.objects_removed();
  }
  WorkerPool::AwaitLeftBehind();
  // Else nothing was tried.
  EXPECT_GT(backups_made, histories * 5);
  EXPECT_GT(backups_removed, histories);
  EXPECT_GT(objects_removed, histories);
}

}  // namespace
}  // namespace holdfast
