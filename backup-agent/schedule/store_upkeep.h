#ifndef HOLDFAST_BACKUP_AGENT_SCHEDULE_STORE_UPKEEP_H_
#define HOLDFAST_BACKUP_AGENT_SCHEDULE_STORE_UPKEEP_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "backup-agent/proving/proof_schedule.h"
#include "backup-agent/proving/prover.h"
#include "backup-agent/retention/clock_witness.h"
#include "backup-agent/schedule/verdict.h"
#include "backup-agent/transfer/backup_runner.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/mutex.h"
#include "common/base/random.h"
#include "common/base/thread.h"
#include "holdfast/agent/v1/state.pb.h"
#include "holdfast/v1/backup_agent.pb.h"

namespace holdfast {

// What a StoreUpkeep needs of whoever knows the store.
//
// Thread-safe: called by threads of the upkeep, which hold no lock then.
class UpkeepHost {
 public:
  virtual ~UpkeepHost() = default;

  struct View {
    v1::Settings settings;
    agent::v1::StoreMemory memory;
    bool is_run_in_progress = false;
    // The destinations that hold backups, as far as is known.
    std::set<std::string> holding;
  };
  virtual View Look() = 0;

  // Backups were deleted, marked or found damaged: what is known of them is out of date. Waits
  // until it is known anew, but not for long, so that whoever asked for the change sees it.
  virtual void OnBackupsChanged() = 0;

  // Makes what AddToState tells durable. May block.
  virtual void SaveUpkeep() = 0;
};

// A StoreUpkeep looks after the backups of one store that exist: it prunes them after every run,
// proves them by checks and drills, by the settings' schedule and on demand, and marks them when
// somebody asks for it. It remembers what came of the proofs.
//
//   StoreUpkeep upkeep("main", dependencies);
//   upkeep.Load(state);
//   upkeep.Start();
//   upkeep.PruneSoon();                      // after a run, however it ended
//   upkeep.StartProof(request);
//   …
//   upkeep.BeginShutdown();
//   upkeep.AwaitStopped(deadline);
//
// Thread-safe. Only AwaitStopped and the destructor block. Callbacks are called once: on a thread
// of the upkeep's, or, where a request is refused, before the method returns. Whoever holds a lock
// that the host takes may call any method: the upkeep never calls the host with its own lock held.
//
// Errors are those of backup_agent.proto; UNAVAILABLE once BeginShutdown was called.
class StoreUpkeep {
 public:
  // Does not take ownership; all must outlive the upkeep.
  struct Dependencies {
    BackupRunner* runner = nullptr;
    UpkeepHost* host = nullptr;
    Clock* clock = nullptr;
    RandomSource* random = nullptr;
  };
  StoreUpkeep(absl::string_view store_name, const Dependencies& dependencies);
  // Stops as BeginShutdown does, and waits for all that is under way.
  ~StoreUpkeep();
  StoreUpkeep(const StoreUpkeep&) = delete;
  StoreUpkeep& operator=(const StoreUpkeep&) = delete;

  // Takes up what an earlier process remembered. REQUIRES: before Start.
  void Load(const agent::v1::StoreState& state);
  void Start();

  // --- Pruning and marking

  // Prunes by the settings' retention; after a prune that is under way.
  void PruneSoon();

  using PruneCallback = absl::AnyInvocable<void(absl::StatusOr<v1::PruneBackupsResponse>)>;
  void PruneBackups(const v1::PruneBackupsRequest& request, PruneCallback callback);

  using MarkCallback = absl::AnyInvocable<void(absl::StatusOr<v1::MarkBackupResponse>)>;
  void MarkBackup(const v1::MarkBackupRequest& request, MarkCallback callback);

  // --- Checks and drills

  // `settings` are those in force.
  absl::StatusOr<v1::Proof> StartProof(const v1::StartProofRequest& request,
                                       const v1::Settings& settings);
  // The next check of this destination is due now, whatever the schedule says: something there is
  // not as it should be.
  void CheckSoon(const std::string& destination_name);
  absl::StatusOr<v1::Proof> GetProof(absl::string_view proof_id);
  absl::StatusOr<v1::ListProofsResponse> ListProofs(const v1::ListProofsRequest& request);
  absl::StatusOr<v1::Proof> CancelProof(absl::string_view proof_id);

  // --- What is known

  // A listing has shown which destinations hold backups, and what was last drilled there, by the
  // marks of the backups: whoever did it, this is when they were last proven.
  void OnListed(const std::set<std::string>& holding,
                const std::map<std::string, BackupRunner::Drilled>& drilled);
  // Those that are not among these are the store's no longer.
  void KeepDestinations(const std::set<std::string>& names);

  void AddToState(agent::v1::StoreState& state);
  // Adds what is known of pruning and proofs, at each destination of `status` too.
  void AddToStatus(const v1::Settings& settings, const std::set<std::string>& holding,
                   v1::BackupStatus& status, VerdictInput& verdict) const;

  // --- The end

  void BeginShutdown();
  // Waits until nothing is under way. False at the deadline. REQUIRES: BeginShutdown was called.
  bool AwaitStopped(MonotonicTime deadline);

 private:
  // The ended checks and drills that are remembered.
  static constexpr size_t kProofsMax = 100;

  struct Current {
    v1::Proof proof;
    std::shared_ptr<ProofProgress> progress;
    std::shared_ptr<CancellationSource> cancellation;
    // When the last of its kind at its destination began: counts again if this one can't be made.
    int64_t earlier_time_us = 0;
  };

  void StartPruning() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // One prune after the other, as long as somebody wants one that begins from now on.
  void PruneWhileWanted() ABSL_LOCKS_EXCLUDED(mutex_);
  bool HasRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Schedule(absl::AnyInvocable<void()> task) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // By the settings' retention where there is no other.
  absl::StatusOr<v1::PruneBackupsResponse> Prune(const std::optional<v1::Retention>& retention,
                                                 bool is_dry_run) ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether deleted backups may be removed for good now, and after how long.
  void AddClockTo(BackupRunner::PruneRequest& request) ABSL_LOCKS_EXCLUDED(mutex_);
  // What the last drill that succeeded restored, of each destination.
  std::vector<std::string> ProvenBackups() ABSL_LOCKS_EXCLUDED(mutex_);

  void RunProofs() ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits for the next proof, and begins it; nullopt at shutdown.
  std::optional<Current> BeginNextProof() ABSL_LOCKS_EXCLUDED(mutex_);
  // The proof that is due by itself; nullopt where there is none.
  std::optional<v1::Proof> ChooseDueProof(const UpkeepHost::View& view) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::vector<ProvableDestination> Provable(const v1::Settings& settings,
                                            const std::set<std::string>& holding) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // When a destination is checked or drilled next by itself; nullopt where it is not.
  std::optional<absl::Time> NextTime(const v1::Proving& proving,
                                     const ProvableDestination& destination,
                                     v1::Proof::Kind kind) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The check of a destination that is next by the schedule.
  v1::Proof NextCheck(const v1::Settings& settings, const std::string& destination_name) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void BeginProof(v1::Proof proof) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndProof(v1::Proof proof) ABSL_LOCKS_EXCLUDED(mutex_);
  void ShowEndedProof() ABSL_LOCKS_EXCLUDED(mutex_);
  static v1::Proof Shown(const Current& current);
  const v1::Proof* FindEnded(absl::string_view proof_id) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string name_;
  const Dependencies dependencies_;
  Clock& clock_;

  CancellationSource stop_;

  mutable Mutex mutex_;
  CondVar proof_wanted_;  // or shutdown
  CondVar proof_loop_ended_;

  std::optional<Current> current_ ABSL_GUARDED_BY(mutex_);
  // As it ended; shown once it is saved.
  std::optional<v1::Proof> ended_ ABSL_GUARDED_BY(mutex_);
  std::deque<v1::Proof> proofs_ ABSL_GUARDED_BY(mutex_);  // ended, newest first
  std::map<std::string, agent::v1::ProofMemory> memories_ ABSL_GUARDED_BY(mutex_);
  // Before when a proof that could not be made is not tried again, by destination and kind.
  std::map<std::pair<std::string, v1::Proof::Kind>, MonotonicTime> not_before_
      ABSL_GUARDED_BY(mutex_);
  MonotonicTime next_look_ ABSL_GUARDED_BY(mutex_);
  // Of CheckSoon.
  std::set<std::string> to_check_soon_ ABSL_GUARDED_BY(mutex_);

  ClockWitness clock_witness_ ABSL_GUARDED_BY(mutex_);
  bool is_pruning_ ABSL_GUARDED_BY(mutex_) = false;
  bool wants_prune_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<PruneCallback> prune_callbacks_ ABSL_GUARDED_BY(mutex_);
  // Why the last prune failed at a destination, by its name.
  std::map<std::string, std::string> prune_errors_ ABSL_GUARDED_BY(mutex_);
  // Why it removed nothing for good there.
  std::map<std::string, std::string> removal_refusals_ ABSL_GUARDED_BY(mutex_);

  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool has_proof_loop_ended_ ABSL_GUARDED_BY(mutex_) = true;

  BoundedExecutor background_;
  Thread proof_thread_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SCHEDULE_STORE_UPKEEP_H_
