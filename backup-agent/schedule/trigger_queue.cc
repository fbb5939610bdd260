#include "backup-agent/schedule/trigger_queue.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "backup-agent/schedule/agent_errors.h"
#include "backup-agent/schedule/backup_catalog.h"

namespace holdfast {

namespace {

// "share: no space left; local: …"
std::string DestinationErrors(const v1::Run& run) {
  std::string errors;
  for (const v1::DestinationResult& result : run.destinations()) {
    if (result.state() != v1::DestinationResult::STATE_FAILED) continue;
    absl::StrAppend(&errors, errors.empty() ? "" : "; ", result.destination_name(), ": ",
                    result.error().empty() ? "failed" : result.error());
  }
  return errors;
}

// How many destinations may still come to hold the run's backup.
uint32_t ReachableCount(const RunView& view) {
  const auto failed = static_cast<uint32_t>(
      std::count_if(view.run->destinations().begin(), view.run->destinations().end(),
                    [](const v1::DestinationResult& result) {
                      return result.state() == v1::DestinationResult::STATE_FAILED;
                    }));
  return view.destination_count - std::min(failed, view.destination_count);
}

}  // namespace

TriggerQueue::Stage TriggerQueue::StageFor(const Trigger& trigger,
                                           const std::optional<RunView>& current) {
  if (!current.has_value() || ReachableCount(*current) < trigger.need.required_destinations) {
    return Stage::kNextRun;
  }
  // Where its checkpoint is made after the call arrived nothing can be too old; a revision that is
  // too low then was never given.
  if (!current->checkpoint_request.has_value() || *current->checkpoint_request > trigger.arrival) {
    return Stage::kJoined;
  }
  if (trigger.need.max_age.has_value() &&
      trigger.arrival - *current->checkpoint_request > *trigger.need.max_age) {
    return Stage::kNextRun;
  }
  if (trigger.need.min_revision == 0) return Stage::kJoined;
  if (!current->run->has_checkpoint_time()) return Stage::kUndecided;
  return current->run->revision() < trigger.need.min_revision ? Stage::kNextRun : Stage::kJoined;
}

absl::Status TriggerQueue::WhyHopeless(const Trigger& trigger, const RunView& current) {
  const v1::Run& run = *current.run;
  if (run.has_checkpoint_time() && run.revision() < trigger.need.min_revision) {
    return AboveRevision(trigger.need.min_revision, run.revision());
  }
  const uint32_t reachable = ReachableCount(current);
  if (reachable < trigger.need.required_destinations) {
    return absl::AbortedError(absl::StrCat("run ", run.run_id(), " can reach only ", reachable,
                                           " of ", current.destination_count, " destinations, and ",
                                           trigger.need.required_destinations,
                                           " must hold the backup: ", DestinationErrors(run)));
  }
  return absl::OkStatus();
}

void TriggerQueue::Add(const BackupNeed& need, MonotonicTime arrival, const std::string& request_id,
                       bool ask_store, const std::optional<RunView>& current, Caller caller) {
  Trigger& trigger = triggers_.emplace_back();
  trigger.need = need;
  trigger.arrival = arrival;
  trigger.request_id = request_id;
  trigger.stage = ask_store ? Stage::kAskingStore : StageFor(trigger, current);
  trigger.callers.push_back(std::move(caller));
  ++caller_count_;
}

bool TriggerQueue::Has(absl::string_view request_id) const {
  return std::any_of(triggers_.begin(), triggers_.end(), [request_id](const Trigger& trigger) {
    return trigger.request_id == request_id;
  });
}

void TriggerQueue::AddCaller(absl::string_view request_id, Caller caller) {
  for (Trigger& trigger : triggers_) {
    if (trigger.request_id != request_id) continue;
    trigger.callers.push_back(std::move(caller));
    ++caller_count_;
    return;
  }
}

void TriggerQueue::Forget(uint64_t ticket) {
  for (Trigger& trigger : triggers_) {
    for (auto caller = trigger.callers.begin(); caller != trigger.callers.end(); ++caller) {
      if (caller->ticket != ticket) continue;
      trigger.callers.erase(caller);
      --caller_count_;
      return;
    }
  }
}

TriggerQueue::Triggers::iterator TriggerQueue::Finish(
    Triggers::iterator trigger, const absl::StatusOr<v1::TriggerBackupResponse>& response,
    Outcome& outcome) {
  for (Caller& caller : trigger->callers) {
    outcome.answers.push_back({std::move(caller.callback), response});
  }
  caller_count_ -= trigger->callers.size();
  if (!trigger->request_id.empty()) {
    if (response.ok()) {
      outcome.satisfied_request_ids.emplace_back(trigger->request_id,
                                                 response->backup().backup_id());
    } else {
      outcome.failed_request_ids.push_back(trigger->request_id);
    }
  }
  return triggers_.erase(trigger);
}

TriggerQueue::Outcome TriggerQueue::OnStoreAnswered(MonotonicTime asked, Judge judge,
                                                    const std::optional<RunView>& current) {
  Outcome outcome;
  for (auto trigger = triggers_.begin(); trigger != triggers_.end();) {
    if (trigger->stage != Stage::kAskingStore || trigger->arrival > asked) {
      ++trigger;
      continue;
    }
    const absl::StatusOr<std::optional<v1::TriggerBackupResponse>> verdict = judge(trigger->need);
    if (!verdict.ok()) {
      trigger = Finish(trigger, verdict.status(), outcome);
    } else if (verdict->has_value()) {
      trigger = Finish(trigger, **verdict, outcome);
    } else {
      trigger->stage = StageFor(*trigger, current);
      ++trigger;
    }
  }
  return outcome;
}

bool TriggerQueue::WantsRun() const {
  return std::any_of(triggers_.begin(), triggers_.end(),
                     [](const Trigger& trigger) { return trigger.stage == Stage::kNextRun; });
}

bool TriggerQueue::WantsStoreAnswer() const {
  return std::any_of(triggers_.begin(), triggers_.end(),
                     [](const Trigger& trigger) { return trigger.stage == Stage::kAskingStore; });
}

std::vector<std::string> TriggerQueue::OnRunStarted() {
  std::vector<std::string> request_ids;
  for (Trigger& trigger : triggers_) {
    if (trigger.stage != Stage::kNextRun) continue;
    trigger.stage = Stage::kJoined;
    if (!trigger.request_id.empty()) request_ids.push_back(trigger.request_id);
  }
  return request_ids;
}

TriggerQueue::Outcome TriggerQueue::OnRunProgress(const RunView& current) {
  Outcome outcome;
  for (auto trigger = triggers_.begin(); trigger != triggers_.end();) {
    if (trigger->stage == Stage::kUndecided) trigger->stage = StageFor(*trigger, current);
    const absl::Status why =
        trigger->stage == Stage::kJoined ? WhyHopeless(*trigger, current) : absl::OkStatus();
    trigger = why.ok() ? std::next(trigger) : Finish(trigger, why, outcome);
  }
  return outcome;
}

TriggerQueue::Outcome TriggerQueue::OnRunEnded(const RunView& ended,
                                               const std::optional<v1::Backup>& backup) {
  Outcome outcome;
  const v1::Run& run = *ended.run;
  for (auto trigger = triggers_.begin(); trigger != triggers_.end();) {
    if (trigger->stage == Stage::kUndecided) trigger->stage = Stage::kNextRun;
    if (trigger->stage != Stage::kJoined) {
      ++trigger;
      continue;
    }
    if (backup.has_value() && IsHeldBy(*backup, trigger->need.required_destinations) &&
        backup->revision() >= trigger->need.min_revision) {
      v1::TriggerBackupResponse response;
      *response.mutable_backup() = *backup;
      response.set_run_id(run.run_id());
      trigger = Finish(trigger, response, outcome);
      continue;
    }
    absl::Status why = WhyHopeless(*trigger, ended);
    if (!absl::IsFailedPrecondition(why) && run.state() != v1::Run::STATE_SUCCEEDED) {
      const absl::string_view how =
          run.state() == v1::Run::STATE_CANCELLED ? " was cancelled" : " failed";
      why = absl::AbortedError(
          absl::StrCat("run ", run.run_id(), how, run.error().empty() ? "" : ": ", run.error()));
    } else if (why.ok()) {
      why = absl::AbortedError(absl::StrCat("run ", run.run_id(), " made no such backup"));
    }
    trigger = Finish(trigger, why, outcome);
  }
  return outcome;
}

TriggerQueue::Outcome TriggerQueue::Abort(const absl::Status& status) {
  Outcome outcome;
  while (!triggers_.empty()) Finish(triggers_.begin(), status, outcome);
  return outcome;
}

}  // namespace holdfast
