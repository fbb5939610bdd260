#ifndef HOLDFAST_BACKUP_AGENT_SCHEDULE_TRIGGER_QUEUE_H_
#define HOLDFAST_BACKUP_AGENT_SCHEDULE_TRIGGER_QUEUE_H_

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "backup-agent/transfer/backup_runner.h"
#include "common/base/clock.h"
#include "holdfast/v1/backup_agent.pb.h"

namespace holdfast {

// What a trigger needs of a backup.
struct BackupNeed {
  // At least 1.
  uint32_t required_destinations = 1;
  // How old its checkpoint may have been when the call arrived; absent where that does not matter.
  std::optional<absl::Duration> max_age;
  // The revision that it must hold; zero where that does not matter.
  uint64_t min_revision = 0;
};

// A run as the triggers see it.
struct RunView {
  const v1::Run* run = nullptr;
  // The destinations that it writes to.
  uint32_t destination_count = 0;
  // When it was about to ask the store for its checkpoint; absent before.
  std::optional<MonotonicTime> checkpoint_request = std::nullopt;
};

// A TriggerQueue holds the calls of TriggerBackup that wait for a run, and knows which run each of
// them may take: it joins the run in progress if that is sure to satisfy it (or might, which shows
// later), else it waits for the next one.
//
// Each method returns the answers that have become due; the caller makes the calls, without a lock.
//
// Not thread-safe.
class TriggerQueue {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<v1::TriggerBackupResponse>)>;
  struct Answer {
    Callback callback;
    absl::StatusOr<v1::TriggerBackupResponse> response;
  };
  // What has become of triggers: their answers, and the request ids that came to an end.
  struct Outcome {
    std::vector<Answer> answers;
    std::vector<std::string> failed_request_ids;
    // With the backup that satisfied them.
    std::vector<std::pair<std::string, std::string>> satisfied_request_ids;
  };

  // The most callers that wait at once.
  static constexpr size_t kCallersMax = 1000;

  // Whether another caller may be added.
  bool HasRoom() const { return caller_count_ < kCallersMax; }

  // Someone who waits. The ticket is for Forget.
  struct Caller {
    uint64_t ticket;
    Callback callback;
  };

  // Adds a call that arrived at `arrival`. With `ask_store` it waits for OnStoreAnswered first.
  // REQUIRES: HasRoom(); `request_id` is empty or Has(request_id) is false.
  void Add(const BackupNeed& need, MonotonicTime arrival, const std::string& request_id,
           bool ask_store, const std::optional<RunView>& current, Caller caller);

  // Whether a trigger with this request id waits; and another caller for it.
  bool Has(absl::string_view request_id) const;
  // REQUIRES: HasRoom(); Has(request_id).
  void AddCaller(absl::string_view request_id, Caller caller);

  // The caller has left. What it asked for is still done.
  void Forget(uint64_t ticket);

  // The store was asked at `asked`, and `judge` knows what it said: the answer to a need where no
  // run is needed for it (it can't be satisfied, or is already), nullopt where one is.
  using Judge = absl::FunctionRef<absl::StatusOr<std::optional<v1::TriggerBackupResponse>>(
      const BackupNeed& need)>;
  Outcome OnStoreAnswered(MonotonicTime asked, Judge judge, const std::optional<RunView>& current);

  // Whether the next run shall start at once.
  bool WantsRun() const;
  // Whether one waits for an answer of the store that was asked after `asked`.
  bool WantsStoreAnswer() const;

  // The next run begins, for all that wait for it. Returns their request ids.
  std::vector<std::string> OnRunStarted();
  // Something has changed about the run in progress.
  Outcome OnRunProgress(const RunView& current);
  // It has ended, so; `backup` is absent where no destination holds one. Its state is final.
  Outcome OnRunEnded(const RunView& ended, const std::optional<v1::Backup>& backup);

  // Answers all, with this.
  Outcome Abort(const absl::Status& status);

 private:
  enum class Stage {
    kAskingStore,  // whether min_revision can be satisfied
    kUndecided,    // the run in progress has its checkpoint made, and whether that is good enough
                   // shows when its revision is known
    kJoined,       // the run in progress
    kNextRun,
  };
  struct Trigger {
    BackupNeed need;
    MonotonicTime arrival;
    std::string request_id;
    Stage stage = Stage::kNextRun;
    std::vector<Caller> callers;
  };
  using Triggers = std::list<Trigger>;

  static Stage StageFor(const Trigger& trigger, const std::optional<RunView>& current);
  // Why a trigger that joined the run can no longer succeed; OK while it can.
  static absl::Status WhyHopeless(const Trigger& trigger, const RunView& current);

  Triggers::iterator Finish(Triggers::iterator trigger,
                            const absl::StatusOr<v1::TriggerBackupResponse>& response,
                            Outcome& outcome);

  Triggers triggers_;
  size_t caller_count_ = 0;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SCHEDULE_TRIGGER_QUEUE_H_
