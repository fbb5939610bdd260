#ifndef HOLDFAST_BACKUP_AGENT_SCHEDULE_STORE_SUPERVISOR_H_
#define HOLDFAST_BACKUP_AGENT_SCHEDULE_STORE_SUPERVISOR_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "backup-agent/schedule/run_watchers.h"
#include "backup-agent/schedule/scheduler.h"
#include "backup-agent/schedule/store_knowledge.h"
#include "backup-agent/schedule/store_upkeep.h"
#include "backup-agent/schedule/trigger_desk.h"
#include "backup-agent/schedule/trigger_queue.h"
#include "backup-agent/source/checkpoint_source.h"
#include "backup-agent/state/state_store.h"
#include "backup-agent/transfer/backup_runner.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/mutex.h"
#include "common/base/random.h"
#include "common/base/thread.h"
#include "common/config/config.h"
#include "holdfast/agent/v1/state.pb.h"
#include "holdfast/v1/backup_agent.pb.h"

namespace holdfast {

// A StoreSupervisor sees to the backups of one store: it starts the runs, by the schedule and by
// triggers, never two at once; remembers what became of them, across kill -9; and tells how safe
// the store is. It is the agent's service for one store, without gRPC; backup_agent.proto is the
// reference of its methods.
//
//   HOLDFAST_ASSIGN_OR_RETURN(auto supervisor, StoreSupervisor::Start(config, dependencies));
//   supervisor->TriggerBackup(request, [](absl::StatusOr<v1::TriggerBackupResponse> r) { … });
//   …
//   supervisor->BeginShutdown();
//   supervisor->AwaitStopped(deadline);
//
// Thread-safe. No method but Start, AwaitStopped and the destructor blocks, so that reactions of
// gRPC may call them. Callbacks are called once, on a thread of the supervisor's, which they must
// not block. That of a caller that was forgotten is dropped, or called all the same if it was due
// already.
//
// Errors are those of backup_agent.proto. UNAVAILABLE once BeginShutdown was called.
//
// How: one mutex guards all that is known (StoreKnowledge) and those who wait, and is never held
// while anything is waited for. The parts decide, without a lock of their own; this class has the
// threads and does what was decided. One thread runs the runs. A few work on what may block:
// listings, destinations to be prepared, questions to the store, saving. One makes the callbacks.
class StoreSupervisor : private UpkeepHost {
 public:
  // Does not take ownership; all must outlive the supervisor.
  struct Dependencies {
    StateStore* states = nullptr;
    BackupRunner* runner = nullptr;
    CheckpointSource* source = nullptr;
    // Of the master key in use.
    std::string key_fingerprint;
    Clock* clock = nullptr;
    RandomSource* random = nullptr;
  };

  // Takes up where the last process left, or begins with the settings of `config`. The errors of
  // StateStore::Load and Save; that the disk is full is none: GetStatus tells it.
  static absl::StatusOr<std::unique_ptr<StoreSupervisor>> Start(const AgentStoreConfig& config,
                                                                const Dependencies& dependencies);

  // Stops as BeginShutdown does, and waits for all that is under way, however long that takes.
  ~StoreSupervisor() override;
  StoreSupervisor(const StoreSupervisor&) = delete;
  StoreSupervisor& operator=(const StoreSupervisor&) = delete;

  const std::string& store_name() const { return name_; }

  // Returns a ticket for ForgetCaller.
  uint64_t TriggerBackup(const v1::TriggerBackupRequest& request, TriggerQueue::Callback callback);

  // As WatchRun, one change at a time: calls back when the run is at a version above `version`,
  // or has ended. An empty `run_id` is the run in progress. Returns a ticket for ForgetCaller.
  uint64_t AwaitRunChange(const std::string& run_id, uint64_t version,
                          RunWatchers::Callback callback);

  using RunCallback = absl::AnyInvocable<void(absl::StatusOr<v1::Run>)>;
  uint64_t CancelRun(const std::string& run_id, RunCallback callback);

  using AcceptCallback = absl::AnyInvocable<void(absl::StatusOr<v1::AcceptStoreResponse>)>;
  void AcceptStore(AcceptCallback callback);

  // Pruning, marking and proving what there is.
  StoreUpkeep& upkeep() { return *upkeep_; }

  using SettingsCallback = absl::AnyInvocable<void(absl::StatusOr<v1::Settings>)>;
  void UpdateSettings(const v1::Settings& settings, SettingsCallback callback);

  // The caller with this ticket has left.
  void ForgetCaller(uint64_t ticket);

  absl::StatusOr<v1::Run> GetRun(absl::string_view run_id);
  absl::StatusOr<v1::ListRunsResponse> ListRuns(const v1::ListRunsRequest& request);
  absl::StatusOr<v1::Backup> GetBackup(absl::string_view backup_id);
  absl::StatusOr<v1::ListBackupsResponse> ListBackups(const v1::ListBackupsRequest& request);
  v1::Settings GetSettings();
  v1::BackupStatus GetStatus();

  // Takes no more calls, starts no more runs, cancels the one in progress, and answers those who
  // wait.
  void BeginShutdown();

  // Waits until the run in progress has ended, nothing is under way in the background, and all is
  // saved. False at the deadline: a run that does not end is then recorded as cancelled, and the
  // process should end without destroying this.
  // REQUIRES: BeginShutdown was called.
  bool AwaitStopped(MonotonicTime deadline);

 private:
  class Observer;

  StoreSupervisor(const AgentStoreConfig& config, const Dependencies& dependencies,
                  std::optional<agent::v1::StoreState> state);
  void StartThreads();

  // --- State
  agent::v1::StoreState MakeState() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Save() ABSL_LOCKS_EXCLUDED(save_mutex_, mutex_);
  absl::Status SaveLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(save_mutex_) ABSL_LOCKS_EXCLUDED(mutex_);

  // --- Runs
  void RunRuns() ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether it has, or does before the deadline.
  bool AwaitRunLoopEnd(MonotonicTime deadline) ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits until a run shall start and begins it. False at shutdown.
  bool BeginNextRun() ABSL_LOCKS_EXCLUDED(mutex_);
  void BeginRun(v1::Run::Cause cause) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  BackupRunOutcome ExecuteRun() ABSL_LOCKS_EXCLUDED(mutex_);
  void EndRun(BackupRunOutcome outcome) ABSL_LOCKS_EXCLUDED(mutex_);
  // Puts the run in progress among the ended ones. Returns what its triggers are to be told.
  TriggerDesk::Answers RecordEnd(const absl::Status& status,
                                 const std::optional<v1::Backup>& backup)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void UpdateRun(const std::function<void(v1::Run&)>& change) ABSL_LOCKS_EXCLUDED(mutex_);

  // --- Triggers
  // Saves for those who were answered at once, and then answers them.
  void SaveAnswers() ABSL_LOCKS_EXCLUDED(mutex_, save_mutex_);
  void Deliver(TriggerDesk::Answers answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // --- In the background
  void Schedule(absl::AnyInvocable<void()> task) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StartStoreQuestion() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AskStore() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<v1::AcceptStoreResponse> TakeStoreAsItIs() ABSL_LOCKS_EXCLUDED(mutex_);
  void StartListing() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ListDestinations() ABSL_LOCKS_EXCLUDED(mutex_);
  // The ids of the repositories of destinations that are not `added`, with their names.
  std::map<std::string, std::string> KnownRepositories(const v1::Settings& settings,
                                                       const std::vector<v1::Destination>& added)
      ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<v1::Settings> ApplySettings(const v1::Settings& settings,
                                             const std::vector<v1::Destination>& added)
      ABSL_LOCKS_EXCLUDED(mutex_, save_mutex_);
  v1::Settings ShownSettings() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // --- UpkeepHost
  View Look() override ABSL_LOCKS_EXCLUDED(mutex_);
  void OnBackupsChanged() override ABSL_LOCKS_EXCLUDED(mutex_);
  void SaveUpkeep() override ABSL_LOCKS_EXCLUDED(save_mutex_, mutex_);

  // --- Callbacks
  void MakeCallbacks() ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits until there are callbacks to be made, and takes them; none at the end.
  std::deque<absl::AnyInvocable<void()>> AwaitCallbacks() ABSL_LOCKS_EXCLUDED(mutex_);
  template <typename Callback, typename Result>
  void PostResult(Callback callback, Result result) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string name_;
  const Dependencies dependencies_;
  Clock& clock_;

  CancellationSource stop_;

  Mutex save_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);  // held while the state is written

  mutable Mutex mutex_;
  CondVar run_wanted_;        // or shutdown, or a change of what decides it
  CondVar callbacks_wanted_;  // or a watched run has changed, or shutdown
  CondVar run_loop_ended_;
  CondVar listing_ended_;  // or shutdown

  StoreKnowledge known_ ABSL_GUARDED_BY(mutex_);
  std::optional<Scheduler> scheduler_ ABSL_GUARDED_BY(mutex_);
  TriggerDesk triggers_ ABSL_GUARDED_BY(mutex_);
  RunWatchers watchers_ ABSL_GUARDED_BY(mutex_);

  bool is_asking_store_ ABSL_GUARDED_BY(mutex_) = false;
  MonotonicTime next_store_question_ ABSL_GUARDED_BY(mutex_);

  bool is_listing_ ABSL_GUARDED_BY(mutex_) = false;
  bool wants_listing_ ABSL_GUARDED_BY(mutex_) = false;  // one that begins from now on
  bool is_updating_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_accepting_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_saving_answers_ ABSL_GUARDED_BY(mutex_) = false;

  std::deque<absl::AnyInvocable<void()>> callbacks_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_ticket_ ABSL_GUARDED_BY(mutex_) = 1;

  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool has_run_loop_ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_given_up_ ABSL_GUARDED_BY(mutex_) = false;  // AwaitStopped waited in vain
  bool may_callbacks_end_ ABSL_GUARDED_BY(mutex_) = false;

  std::unique_ptr<StoreUpkeep> upkeep_;  // self-synchronised

  BoundedExecutor background_;
  Thread run_thread_;
  Thread callback_thread_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SCHEDULE_STORE_SUPERVISOR_H_
