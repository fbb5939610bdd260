// Histories of backups, copies, prunes at both places, clocks and kills, by seed: no backup that is
// listed anywhere ever lacks anything.

#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backup-agent/retention/pruner.h"
#include "backup-agent/transfer/backup_runner.h"
#include "backup-agent/transfer/worker_pool.h"
#include "common/repository/backup_copier.h"
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

class History {
 public:
  explicit History(uint64_t seed)
      : random_(seed), runner_(store_.MakeRunner([this](const std::string&) {
          return std::make_unique<FaultBlobStore>(source_);
        })) {
    source_.set_clock(&clock_);
    target_.set_clock(&clock_);
    EXPECT_OK(store_.PrepareDestinations(*runner_));
    EXPECT_OK(Repository::Create(target_, clock_.Now()));
    source_retention_.set_keep_last(3);
    source_retention_.set_keep_daily(4);
    target_retention_.set_keep_last(2);
    target_retention_.set_keep_weekly(2);
    Backup();
  }

  void Run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      Step();
      ExpectListedAreWhole(store_, source_, "source");
      ExpectListedAreWhole(store_, target_, "target");
    }
  }

  int copies() const { return copies_; }
  int replaced() const { return replaced_; }
  int removed() const { return removed_; }

 private:
  using Event = std::function<absl::Status()>;

  uint64_t Pick(uint64_t bound) { return random_.Uniform(bound); }

  // A place as one job sees it: in the middle of the job, at one of its calls, something happens.
  // After an error of the event the job is dead.
  std::unique_ptr<BlobStore> Interrupted(MemoryBlobStore& blobs, uint64_t after_calls_max,
                                         Event event) {
    struct State {
      uint64_t calls_left;
      Event event;
      bool is_dead = false;
    };
    auto state = std::make_shared<State>(
        State{.calls_left = Pick(after_calls_max), .event = std::move(event)});
    return std::make_unique<HookedBlobStore>(
        std::make_unique<FaultBlobStore>(blobs), [state](BlobCall, const std::string&) {
          if (state->is_dead) return absl::UnavailableError("killed");
          if (state->event == nullptr || state->calls_left-- > 0) return absl::OkStatus();
          absl::Status status = std::exchange(state->event, nullptr)();
          state->is_dead = !status.ok();
          return status;
        });
  }

  static absl::Status Killed() { return absl::UnavailableError("killed"); }

  void Step() {
    store_.ChangeTables(random_);
    switch (Pick(9)) {
      case 0:
        clock_.Advance(absl::Hours(Pick(24 * 5)));
        break;
      case 1:
        Backup();
        break;
      case 2:
        Prune(source_, source_retention_);
        Prune(target_, target_retention_);
        break;
      case 3: {  // a copy, in the middle of which one of the places is pruned
        const bool is_source = Pick(2) == 0;
        const auto target = Interrupted(target_, 80, [this, is_source] {
          Prune(is_source ? source_ : target_, is_source ? source_retention_ : target_retention_);
          return absl::OkStatus();
        });
        Copy(*target);
        break;
      }
      case 4: {  // a copy that is killed
        Copy(*Interrupted(target_, 60, Killed));
        break;
      }
      case 5: {  // a copy that is suspended, and that misses prunes meanwhile
        const auto target = Interrupted(target_, 60, [this] {
          for (uint64_t days = Pick(12); days > 0; --days) {
            clock_.Advance(absl::Hours(24));
            Backup();
            Prune(source_, source_retention_);
            Prune(target_, target_retention_);
          }
          return absl::OkStatus();
        });
        Copy(*target);
        break;
      }
      case 6: {  // a prune, in the middle of which backups are copied, or that is suspended
        const auto target = Interrupted(target_, 60, [this, is_suspended = Pick(2) == 0] {
          if (is_suspended) clock_.Advance(absl::Hours(24));
          Copy(target_);
          return absl::OkStatus();
        });
        Prune(*target, target_retention_);
        break;
      }
      case 7:  // a prune that is killed
        Prune(*Interrupted(target_, 60, Killed), target_retention_);
        break;
      default:
        Undelete();
        break;
    }
  }

  void Backup() { ASSERT_OK(store_.Backup(*runner_).status); }

  // nullptr where it was killed, or there was no backup yet.
  std::unique_ptr<StoreRepository> Open(BlobStore& blobs) {
    return store_.Open(blobs).value_or(nullptr);
  }

  void Prune(BlobStore& blobs, const v1::Retention& retention) {
    const std::unique_ptr<StoreRepository> opened = Open(blobs);
    if (opened == nullptr) return;
    const absl::StatusOr<PruneReport> report =
        Pruner(*opened, clock_).Prune(*RetentionPolicy::Create(retention), {}, {});
    if (report.ok()) {
      removed_ += static_cast<int>(report->objects_removed);
    } else {
      EXPECT_THAT(report.status(), StatusIs(absl::StatusCode::kUnavailable));
    }
  }

  void Copy(BlobStore& target) {
    const std::unique_ptr<StoreRepository> opened = Open(source_);
    ASSERT_NE(opened, nullptr);
    const absl::StatusOr<Repository> repository = Repository::Open(target);
    if (!repository.ok()) return;  // killed
    const uint64_t objects_before = CountOf("/objects/");
    const CopyReport report = CopyBackups(
        *opened, *repository, store_.master_key(),
        {.objects_at_once = static_cast<int>(1 + Pick(3)), .on_progress = nullptr}, clock_, {});
    uint64_t objects_copied = 0;
    for (const CopiedBackup& backup : report.backups) {
      copies_ += backup.result == CopiedBackup::Result::kCopied ? 1 : 0;
      objects_copied += backup.objects_copied;
    }
    if (CountOf("/objects/") < objects_before + objects_copied) ++replaced_;
  }

  uint64_t CountOf(const std::string& folder) {
    uint64_t count = 0;
    for (const auto& [name, bytes] : target_.Contents()) {
      count += name.find(folder) == std::string::npos ? 0 : 1;
    }
    return count;
  }

  void Undelete() {
    const std::unique_ptr<StoreRepository> opened = Open(target_);
    if (opened != nullptr) UndeleteSome(*opened, random_, clock_);
  }

  SeededRandom random_;
  FakeClock clock_;
  MemoryBlobStore source_;
  MemoryBlobStore target_;
  BackedUpStore store_{clock_, {"a"}};
  v1::Retention source_retention_;
  v1::Retention target_retention_;
  const std::unique_ptr<BackupRunner> runner_;
  int copies_ = 0;
  int replaced_ = 0;
  int removed_ = 0;
};

TEST(CopyHistoryTest, NoListedBackupEverLacksAnything) {
  const int histories = std::getenv("HOLDFAST_TEST_HEAVY") != nullptr ? 400 : 20;
  SeededRandom seeds;
  int copies = 0;
  int replaced = 0;
  int removed = 0;
  for (int i = 0; i < histories && !testing::Test::HasFailure(); ++i) {
    const uint64_t seed = seeds.Uniform(UINT64_MAX);
    SCOPED_TRACE(absl::StrCat("seed of the history: ", seed));
    History history(seed);
    history.Run(60);
    copies += history.copies();
    replaced += history.replaced();
    removed += history.removed();
  }
  WorkerPool::AwaitLeftBehind();
  // Else nothing was tried.
  EXPECT_GT(copies, histories * 5);
  EXPECT_GT(removed, histories);
  EXPECT_GT(replaced, 0) << "objects that lay at the target for long";
}

}  // namespace
}  // namespace holdfast
