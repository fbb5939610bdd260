#ifndef HOLDFAST_TESTS_TESTING_FAKE_BACKUP_RUNNER_H_
#define HOLDFAST_TESTS_TESTING_FAKE_BACKUP_RUNNER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backup-agent/transfer/backup_runner.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace holdfast {

namespace internal {

struct FakeRunInProgress {
  BackupRunInput input;
  RunObserver* observer;
  bool has_asked = false;
  bool has_checkpoint = false;
  absl::Time checkpoint_time;
  std::vector<std::string> destinations_to_check;
  std::optional<BackupRunOutcome> outcome;
};

}  // namespace internal

// A FakeBackupRunner takes backups that are nothing, and goes on only when the test says so.
//
//   … something starts a run …
//   runner.AwaitRun(1);           // it has begun
//   runner.MakeCheckpoint(42);    // the store has made its checkpoint
//   runner.Succeed({"local"});    // it ends, and "local" holds the backup
//
// A run that is cancelled ends by itself, unless told to be stuck.
//
// Thread-safe. Does not take ownership of the clock.
class FakeBackupRunner : public BackupRunner {
 public:
  explicit FakeBackupRunner(Clock& clock) : clock_(clock) {}

  // --- Runs ------------------------------------------------------------------------------------

  // Waits until so many runs have begun since the runner was made, and returns what the last of
  // them was given.
  BackupRunInput AwaitRun(int number);
  int runs_begun() const;

  // Of the run in progress, which must have begun:
  // It is about to ask the store for its checkpoint.
  void AskForCheckpoint();
  // It has it; and asked for it, if it has not yet.
  void MakeCheckpoint(uint64_t revision);
  // A destination leaves the run.
  void FailDestination(const std::string& name, const std::string& error);
  // A destination has something that somebody should look at.
  void WarnOf(const std::string& name, const std::string& warning);
  // Objects are missing at a destination that backups need: the outcome will say so.
  void FindMissingAt(const std::string& name);
  // Bytes were sent.
  void Send(uint64_t bytes);
  // It ends: these destinations hold the backup. The run is OK where they are as many as required.
  // Makes the checkpoint, of the revision before, if there is none yet.
  void Succeed(const std::vector<std::string>& destination_names);
  void Fail(const absl::Status& status);

  // From now on runs succeed by themselves, at once, with these holders.
  void SucceedAlways(const std::vector<std::string>& destination_names);

  // Whether runs end when they are cancelled.
  void set_is_stuck(bool is_stuck);

  // --- Destinations ----------------------------------------------------------------------------

  // What listings say from now on.
  void SetListing(Listing listing);
  // Waits until so many listings have ended.
  void AwaitListings(int count);
  // Listings wait meanwhile.
  void BlockListings(bool is_blocked);
  void AwaitBlockedListing();

  // What prunes say from now on; empty reports unless set.
  void SetPruneResult(const std::string& name, absl::StatusOr<PruneReport> report);
  // Waits until so many prunes have ended.
  void AwaitPrunes(int count);

  // What marks say from now on; true unless set.
  void SetMarkResult(const std::string& name, absl::StatusOr<bool> is_marked);

  // What checks and drills come to from now on: these fields of the proof. They succeed unless set.
  void SetProof(const v1::Proof& ended);
  // Waits until so many have begun, and returns the last.
  v1::Proof AwaitProof(int number);
  int proofs_begun() const;
  // Checks and drills wait meanwhile, until they are cancelled.
  void BlockProofs(bool are_blocked);

  // What PrepareDestination answers for a destination of this name; a repository of its own unless
  // set.
  void SetPrepareStatus(const std::string& name, const absl::Status& status);
  void SetRepositoryId(const std::string& name, const std::string& repository_id);
  // Those that were prepared, in order.
  std::vector<std::string> prepared() const;

  // --- BackupRunner ----------------------------------------------------------------------------

  BackupRunOutcome Run(const BackupRunInput& input, RunObserver& observer,
                       const Cancellation& cancellation) override;
  absl::StatusOr<Listing> ListBackups(const v1::Settings& settings,
                                      const agent::v1::StoreMemory& memory,
                                      const Cancellation& cancellation) override;
  std::vector<PruneResult> Prune(const v1::Settings& settings, const agent::v1::StoreMemory& memory,
                                 const PruneRequest& request,
                                 const Cancellation& cancellation) override;
  // What the last prune was told. REQUIRES: there was one.
  PruneRequest prune_request() const;
  std::vector<MarkResult> Mark(const v1::Settings& settings, const agent::v1::StoreMemory& memory,
                               const std::string& backup_id, repository::v1::Mark::Kind kind,
                               const Cancellation& cancellation) override;
  v1::Proof Prove(const v1::Settings& settings, const agent::v1::StoreMemory& memory,
                  const v1::Proof& proof, const std::shared_ptr<ProofProgress>& progress,
                  const Cancellation& cancellation) override;
  absl::StatusOr<std::string> PrepareDestination(const v1::Destination& destination) override;

 private:
  using InProgress = internal::FakeRunInProgress;

  // The run in progress; the test is wrong if there is none.
  InProgress& Current() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  BackupRunOutcome MakeOutcome(const std::vector<std::string>& destination_names)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Clock& clock_;

  mutable Mutex mutex_;
  CondVar changed_;
  int runs_begun_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<InProgress> current_ ABSL_GUARDED_BY(mutex_);
  bool is_stuck_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::string> succeed_always_ ABSL_GUARDED_BY(mutex_);  // empty: the test says when
  uint64_t revision_ ABSL_GUARDED_BY(mutex_) = 1;
  Listing listing_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::Backup> taken_ ABSL_GUARDED_BY(mutex_);  // newest first
  int listings_ended_ ABSL_GUARDED_BY(mutex_) = 0;
  bool are_listings_blocked_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_listing_waiting_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, absl::Status> prepare_statuses_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> repository_ids_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, absl::StatusOr<PruneReport>> prune_results_ ABSL_GUARDED_BY(mutex_);
  int prunes_ended_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<PruneRequest> prune_request_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, absl::StatusOr<bool>> mark_results_ ABSL_GUARDED_BY(mutex_);
  v1::Proof proof_ ABSL_GUARDED_BY(mutex_);
  v1::Proof last_proof_ ABSL_GUARDED_BY(mutex_);
  int proofs_begun_ ABSL_GUARDED_BY(mutex_) = 0;
  bool are_proofs_blocked_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::string> prepared_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast

#endif  // HOLDFAST_TESTS_TESTING_FAKE_BACKUP_RUNNER_H_
