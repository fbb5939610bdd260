#include "backup-agent/schedule/trigger_desk.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backup-agent/schedule/agent_errors.h"
#include "backup-agent/schedule/backup_catalog.h"
#include "backup-agent/schedule/store_settings.h"
#include "backup-agent/transfer/listing.h"
#include "common/base/status_macros.h"
#include "common/messages/proto_time.h"

namespace holdfast {

namespace {

constexpr size_t kRequestIdSizeMaxBytes = 128;

// What a request needs.
absl::StatusOr<BackupNeed> ToNeed(const v1::TriggerBackupRequest& request,
                                  const v1::Settings& settings) {
  const bool is_printable = std::all_of(request.request_id().begin(), request.request_id().end(),
                                        [](char c) { return c >= 0x20 && c <= 0x7e; });
  if (request.request_id().size() > kRequestIdSizeMaxBytes || !is_printable) {
    return absl::InvalidArgumentError(absl::StrCat(
        "request_id has at most ", kRequestIdSizeMaxBytes, " characters of printable ASCII"));
  }
  BackupNeed need;
  if (request.freshness_case() == v1::TriggerBackupRequest::kMinRevision) {
    if (request.min_revision() == 0) {
      return absl::InvalidArgumentError("min_revision is at least 1");
    }
    need.min_revision = request.min_revision();
  } else {
    need.max_age = FromProto(request.max_age());
    if (*need.max_age < absl::ZeroDuration()) {
      return absl::InvalidArgumentError("max_age must not be negative");
    }
  }
  need.required_destinations = request.required_destinations() > 0 ? request.required_destinations()
                                                                   : RequiredDestinations(settings);
  if (need.required_destinations > static_cast<uint32_t>(settings.destinations_size())) {
    return absl::FailedPreconditionError(absl::StrCat(
        need.required_destinations, " destinations are required, but the settings have ",
        settings.destinations_size()));
  }
  return need;
}

// A backup as far as the run that made it tells.
v1::Backup DescribeBackup(const v1::Run& run, const agent::v1::StoreMemory& memory) {
  v1::Backup backup;
  backup.set_backup_id(run.backup_id());
  backup.set_store_id(memory.store_id());
  backup.set_revision(run.revision());
  *backup.mutable_checkpoint_time() = run.checkpoint_time();
  backup.set_file_count(run.files_total());
  backup.set_size_bytes(run.size_bytes());
  for (const v1::DestinationResult& result : run.destinations()) {
    if (result.state() == v1::DestinationResult::STATE_SUCCEEDED) {
      backup.add_destination_names(result.destination_name());
    }
  }
  return backup;
}

// The backup of a request that was satisfied; nullopt where nothing is known of it any more.
std::optional<v1::Backup> FindBackup(const agent::v1::RememberedRequest& request,
                                     const StoreKnowledge& known) {
  const v1::Backup* const backup = known.catalog.Find(request.backup_id());
  if (backup != nullptr) return *backup;
  const v1::Run* const run = request.run_id().empty() ? nullptr : known.FindRun(request.run_id());
  if (run == nullptr || run->backup_id() != request.backup_id()) return std::nullopt;
  return DescribeBackup(*run, known.memory);
}

// The answer that a backup is there already.
v1::TriggerBackupResponse AlreadyThere(const v1::Backup& backup, const StoreKnowledge& known) {
  v1::TriggerBackupResponse response;
  response.set_already_there(true);
  *response.mutable_backup() = backup;
  response.set_run_id(known.runs.RunThatMade(backup.backup_id()));
  return response;
}

// The answer to a request of a min_revision by what the store has just said; nullopt where a run
// is needed.
absl::StatusOr<std::optional<v1::TriggerBackupResponse>> JudgeByStore(
    const BackupNeed& need, const absl::StatusOr<v1::StoreStatus>& status,
    const StoreKnowledge& known) {
  if (!status.ok()) {
    return absl::AbortedError(
        absl::StrCat("the store can't be asked whether it has given revision ", need.min_revision,
                     ": ", status.status().message()));
  }
  HOLDFAST_RETURN_IF_ERROR(CheckAgainstMemory(*status, known.memory));
  if (need.min_revision > status->revision()) {
    return AboveRevision(need.min_revision, status->revision());
  }
  for (const v1::RevisionGap& gap : status->revision_gaps()) {
    if (need.min_revision <= gap.after() || need.min_revision > gap.until()) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "no write of the store has revision ", need.min_revision,
        ": if it was ever given, its write was lost before the store was restored, or its log "
        "found damaged, at revision ",
        gap.after()));
  }
  const v1::Backup* const backup =
      known.catalog.NewestWith(status->incarnation(), need.min_revision, need.required_destinations,
                               known.memory.accepted_after_ordinal());
  if (backup == nullptr) return std::nullopt;
  return AlreadyThere(*backup, known);
}

absl::Status TooManyWait() {
  return absl::ResourceExhaustedError("too many callers wait already; try again");
}

TriggerDesk::Answers OneAnswer(TriggerQueue::Caller& caller,
                               absl::StatusOr<v1::TriggerBackupResponse> response) {
  TriggerDesk::Answers answers;
  answers.push_back({std::move(caller.callback), std::move(response)});
  return answers;
}

}  // namespace

void TriggerDesk::AddToState(agent::v1::StoreState& state) {
  for (const agent::v1::RememberedRequest& request : requests_.requests()) {
    *state.add_requests() = request;
  }
}

TriggerDesk::Answers TriggerDesk::Take(const v1::TriggerBackupRequest& request,
                                       MonotonicTime arrival, const StoreKnowledge& known,
                                       TriggerQueue::Caller caller) {
  const std::string& request_id = request.request_id();
  const absl::StatusOr<BackupNeed> need = ToNeed(request, known.settings);
  if (!need.ok()) return OneAnswer(caller, need.status());
  absl::StatusOr<std::optional<v1::TriggerBackupResponse>> answer =
      AnswerAtOnce(*need, request_id, known);
  if (!answer.ok()) return OneAnswer(caller, answer.status());
  if (answer->has_value()) {
    if (request_id.empty() || requests_.Find(request_id) != nullptr) {
      return OneAnswer(caller, **std::move(answer));
    }
    if (answers_to_save_.size() >= TriggerQueue::kCallersMax) {
      return OneAnswer(caller, TooManyWait());
    }
    requests_.Add(request_id);
    requests_.SetRun(request_id, (*answer)->run_id());
    requests_.SetBackup(request_id, (*answer)->backup().backup_id());
    answers_to_save_.push_back({std::move(caller.callback), **std::move(answer)});
    return {};
  }

  if (!queue_.HasRoom()) return OneAnswer(caller, TooManyWait());
  if (!request_id.empty() && queue_.Has(request_id)) {
    queue_.AddCaller(request_id, std::move(caller));
    return {};
  }
  const bool ask_store = need->min_revision > 0;
  queue_.Add(*need, arrival, request_id, ask_store, known.CurrentView(), std::move(caller));
  if (!request_id.empty()) {
    requests_.Add(request_id);
    if (known.current.has_value()) requests_.SetRun(request_id, known.current->run.run_id());
  }
  return {};
}

absl::StatusOr<std::optional<v1::TriggerBackupResponse>> TriggerDesk::AnswerAtOnce(
    const BackupNeed& need, absl::string_view request_id, const StoreKnowledge& known) {
  const agent::v1::RememberedRequest* const request =
      request_id.empty() ? nullptr : requests_.Find(request_id);
  if (request != nullptr && !request->backup_id().empty()) {
    const std::optional<v1::Backup> backup = FindBackup(*request, known);
    if (backup.has_value()) {
      if (backup->revision() < need.min_revision ||
          !IsHeldBy(*backup, need.required_destinations)) {
        return absl::InvalidArgumentError(absl::StrCat(
            "request_id ", request_id, " was that of a request with other needs: take a new one"));
      }
      v1::TriggerBackupResponse response;
      response.set_already_there(true);
      *response.mutable_backup() = *backup;
      response.set_run_id(request->run_id());
      return response;
    }
    requests_.Forget(request_id);
  }

  // Whether a backup holds a revision, only the store can tell: see JudgeByStore.
  if (need.min_revision > 0 || *need.max_age == absl::ZeroDuration()) return std::nullopt;
  const v1::Backup* const backup = known.catalog.NewestAt(need.required_destinations);
  if (backup == nullptr || known.catalog.Age(*backup) > *need.max_age) return std::nullopt;
  return AlreadyThere(*backup, known);
}

TriggerDesk::Answers TriggerDesk::OnStoreAnswered(MonotonicTime asked,
                                                  const absl::StatusOr<v1::StoreStatus>& status,
                                                  const StoreKnowledge& known) {
  return Settle(queue_.OnStoreAnswered(
      asked, [&](const BackupNeed& need) { return JudgeByStore(need, status, known); },
      known.CurrentView()));
}

void TriggerDesk::OnRunStarted(absl::string_view run_id) {
  for (const std::string& request_id : queue_.OnRunStarted()) requests_.SetRun(request_id, run_id);
}

TriggerDesk::Answers TriggerDesk::OnRunProgress(const RunView& current) {
  return Settle(queue_.OnRunProgress(current));
}

TriggerDesk::Answers TriggerDesk::OnRunEnded(const RunView& ended,
                                             const std::optional<v1::Backup>& backup) {
  return Settle(queue_.OnRunEnded(ended, backup));
}

TriggerDesk::Answers TriggerDesk::Settle(TriggerQueue::Outcome outcome) {
  for (const std::string& request_id : outcome.failed_request_ids) requests_.Forget(request_id);
  for (const auto& [request_id, backup_id] : outcome.satisfied_request_ids) {
    requests_.SetBackup(request_id, backup_id);
  }
  return std::move(outcome.answers);
}

}  // namespace holdfast
