#ifndef HOLDFAST_BACKUP_AGENT_SCHEDULE_TRIGGER_DESK_H_
#define HOLDFAST_BACKUP_AGENT_SCHEDULE_TRIGGER_DESK_H_

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backup-agent/schedule/request_memory.h"
#include "backup-agent/schedule/store_knowledge.h"
#include "backup-agent/schedule/trigger_queue.h"
#include "common/base/clock.h"
#include "holdfast/agent/v1/state.pb.h"
#include "holdfast/v1/backup_agent.pb.h"
#include "holdfast/v1/checkpoints.pb.h"

namespace holdfast {

// A TriggerDesk takes the calls of TriggerBackup for one store: it refuses what can't be asked for,
// answers what a backup that is there satisfies, lets the others wait for a run in a TriggerQueue,
// and remembers the request ids.
//
// Methods return the answers that have become due; the caller makes the calls, without a lock, and
// not before what they say is saved.
//
// Not thread-safe. Does not take ownership of the clock. Errors are those of the call.
class TriggerDesk {
 public:
  using Answers = std::vector<TriggerQueue::Answer>;

  explicit TriggerDesk(Clock& clock) : requests_(clock) {}

  // The request ids that an earlier process remembered; and the same to be saved.
  void Load(const agent::v1::StoreState& state) { requests_.Load(state.requests()); }
  void AddToState(agent::v1::StoreState& state);

  // Takes a call that arrived at `arrival`. What it returns needs no saving. Afterwards look at
  // HasAnswersToSave, WantsStoreAnswer and WantsRun.
  Answers Take(const v1::TriggerBackupRequest& request, MonotonicTime arrival,
               const StoreKnowledge& known, TriggerQueue::Caller caller);
  // The caller with this ticket has left.
  void Forget(uint64_t ticket) { queue_.Forget(ticket); }

  // Answers that are due once their request ids, which are remembered already, are saved.
  bool HasAnswersToSave() const { return !answers_to_save_.empty(); }
  Answers TakeAnswersToSave() { return std::exchange(answers_to_save_, {}); }

  // Whether the next run shall start at once.
  bool WantsRun() const { return queue_.WantsRun(); }
  // Whether the store is to be asked for its status; and what it said when it was, at `asked`.
  bool WantsStoreAnswer() const { return queue_.WantsStoreAnswer(); }
  Answers OnStoreAnswered(MonotonicTime asked, const absl::StatusOr<v1::StoreStatus>& status,
                          const StoreKnowledge& known);

  // As of TriggerQueue.
  void OnRunStarted(absl::string_view run_id);
  Answers OnRunProgress(const RunView& current);
  Answers OnRunEnded(const RunView& ended, const std::optional<v1::Backup>& backup);

  // Answers all that wait for a run, at shutdown. Their requests are not forgotten: the next
  // process does that.
  Answers Abort(const absl::Status& status) { return queue_.Abort(status).answers; }

 private:
  // The answer to a request that needs no waiting; nullopt where there is none yet.
  absl::StatusOr<std::optional<v1::TriggerBackupResponse>> AnswerAtOnce(
      const BackupNeed& need, absl::string_view request_id, const StoreKnowledge& known);
  // Remembers what has become of requests, and returns the answers.
  Answers Settle(TriggerQueue::Outcome outcome);

  TriggerQueue queue_;
  RequestMemory requests_;
  Answers answers_to_save_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SCHEDULE_TRIGGER_DESK_H_
