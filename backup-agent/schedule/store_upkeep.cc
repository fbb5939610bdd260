#include "backup-agent/schedule/store_upkeep.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "backup-agent/retention/pruner.h"
#include "backup-agent/retention/retention_policy.h"
#include "backup-agent/schedule/agent_errors.h"
#include "backup-agent/schedule/paging.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/base/time_format.h"
#include "common/messages/proto_time.h"
#include "common/repository/layout.h"

namespace holdfast {
namespace {

// A prune, and somebody's mark.
constexpr int kBackgroundThreads = 2;
constexpr size_t kBackgroundTasksMax = 64;

// How often it is looked whether a check or drill is due; sooner where a run was in the way.
constexpr absl::Duration kLookInterval = absl::Minutes(10);
constexpr absl::Duration kLookAfterRun = absl::Minutes(1);
// When one that could not be made is tried again.
constexpr absl::Duration kProofRetry = absl::Hours(1);

constexpr size_t kProofIdRandomBytes = 4;

absl::Status NoProof(absl::string_view proof_id) {
  return absl::NotFoundError(proof_id.empty() ? std::string("there was no check or drill yet")
                                              : absl::StrCat("there is no check or drill ",
                                                             absl::Utf8SafeCHexEscape(proof_id),
                                                             ", or it is no longer remembered"));
}

absl::Status NoBackupId(absl::string_view backup_id) {
  return absl::InvalidArgumentError(
      absl::StrCat("backup_id: '", absl::Utf8SafeCHexEscape(backup_id),
                   "' is not the id of a backup; one looks like 20261122T183500.123Z-1f9a2b3c, and "
                   "`holdfast backup list` shows them"));
}

const char* Word(v1::Proof::Kind kind) { return kind == v1::Proof::KIND_DRILL ? "drill" : "check"; }

std::string CouldNotBeMade(v1::Proof::Kind kind, absl::string_view error) {
  return absl::StrCat("the last ", Word(kind), " could not be made: ", error);
}

const char* Word(v1::Proof::State state) {
  switch (state) {
    case v1::Proof::STATE_SUCCEEDED:
      return "succeeded";
    case v1::Proof::STATE_DAMAGED:
      return "found damage";
    case v1::Proof::STATE_CANCELLED:
      return "cancelled";
    default:
      return "failed";
  }
}

v1::DestinationPrune DescribePrune(const BackupRunner::PruneResult& result) {
  v1::DestinationPrune pruned;
  pruned.set_destination_name(result.destination_name);
  if (!result.report.ok()) {
    pruned.set_error(std::string(result.report.status().message()));
    return pruned;
  }
  const PruneReport& report = *result.report;
  for (auto decision = report.decisions.rbegin(); decision != report.decisions.rend(); ++decision) {
    v1::RetentionDecision& described = *pruned.add_decisions();
    described.set_backup_id(decision->backup_id);
    *described.mutable_checkpoint_time() = ToProto(decision->time);
    described.set_kept(decision->is_kept);
    for (const std::string& reason : decision->reasons) described.add_reasons(reason);
  }
  pruned.set_backups_deleted(report.backups_deleted);
  pruned.set_backups_removed(report.backups_removed);
  pruned.set_objects_removed(report.objects_removed);
  pruned.set_removed_bytes(report.removed_bytes);
  pruned.set_removal_refusal(report.removal_refusal);
  return pruned;
}

void LogPrune(absl::string_view store_name, const BackupRunner::PruneResult& result) {
  if (!result.report.ok()) {
    LogWarning("backups can't be pruned", {{"store", store_name},
                                           {"destination", result.destination_name},
                                           {"error", result.report.status()}});
    return;
  }
  const PruneReport& report = *result.report;
  if (!report.removal_refusal.empty()) {
    LogInfo("nothing is removed for good", {{"store", store_name},
                                            {"destination", result.destination_name},
                                            {"reason", report.removal_refusal}});
  }
  if (report.backups_deleted + report.backups_removed + report.objects_removed == 0) return;
  LogInfo("pruned", {{"store", store_name},
                     {"destination", result.destination_name},
                     {"backups_deleted", report.backups_deleted},
                     {"backups_removed", report.backups_removed},
                     {"objects_removed", report.objects_removed},
                     {"removed_bytes", report.removed_bytes}});
}

void LogProof(const v1::Proof& proof) {
  const bool is_well =
      proof.state() == v1::Proof::STATE_SUCCEEDED || proof.state() == v1::Proof::STATE_CANCELLED;
  Log(is_well ? LogLevel::kInfo : LogLevel::kError,
      absl::StrCat("a ", Word(proof.kind()), " ended"),
      {{"store", proof.store_name()},
       {"proof_id", proof.proof_id()},
       {"destination", proof.destination_name()},
       {"state", Word(proof.state())},
       {"backup_id", proof.backup_id()},
       {"damages", proof.damage_count()},
       {"error", proof.error()}});
}

int64_t LastTimeUs(const agent::v1::ProofMemory& memory, v1::Proof::Kind kind) {
  return kind == v1::Proof::KIND_DRILL ? memory.last_drill_time_us() : memory.last_check_time_us();
}

void SetLastTimeUs(agent::v1::ProofMemory& memory, v1::Proof::Kind kind, int64_t time_us) {
  if (kind == v1::Proof::KIND_DRILL) {
    memory.set_last_drill_time_us(time_us);
  } else {
    memory.set_last_check_time_us(time_us);
  }
}

absl::StatusOr<repository::v1::Mark::Kind> ToMarkKind(v1::MarkBackupRequest::Mark mark) {
  switch (mark) {
    case v1::MarkBackupRequest::MARK_PINNED:
      return repository::v1::Mark::KIND_PINNED;
    case v1::MarkBackupRequest::MARK_UNPINNED:
      return repository::v1::Mark::KIND_UNPINNED;
    case v1::MarkBackupRequest::MARK_DELETED:
      return repository::v1::Mark::KIND_DELETED;
    case v1::MarkBackupRequest::MARK_UNDELETED:
      return repository::v1::Mark::KIND_UNDELETED;
    default:
      return absl::InvalidArgumentError("mark: pinned, unpinned, deleted or undeleted");
  }
}

// What a call of MarkBackup returns.
absl::StatusOr<v1::MarkBackupResponse> DescribeMarks(
    const std::string& backup_id, const std::vector<BackupRunner::MarkResult>& results) {
  v1::MarkBackupResponse response;
  bool is_anywhere = false;
  absl::Status refusal;
  for (const BackupRunner::MarkResult& result : results) {
    v1::DestinationMark& described = *response.add_destinations();
    described.set_destination_name(result.destination_name);
    described.set_marked(result.is_marked.value_or(false));
    is_anywhere = is_anywhere || described.marked();
    if (result.is_marked.ok()) continue;
    described.set_error(std::string(result.is_marked.status().message()));
    if (absl::IsFailedPrecondition(result.is_marked.status())) {
      refusal.Update(result.is_marked.status());
    }
  }
  if (is_anywhere) return response;
  if (!refusal.ok()) return refusal;
  for (const BackupRunner::MarkResult& result : results) {
    if (result.is_marked.ok()) continue;
    return absl::UnavailableError(absl::StrCat("destination ", result.destination_name, ": ",
                                               result.is_marked.status().message()));
  }
  return absl::NotFoundError(absl::StrCat("no destination holds a backup ", backup_id));
}

}  // namespace

// --- Start and end ---------------------------------------------------------------------------

StoreUpkeep::StoreUpkeep(absl::string_view store_name, const Dependencies& dependencies)
    : name_(store_name),
      dependencies_(dependencies),
      clock_(*dependencies.clock),
      background_({.name = absl::StrCat("up-", store_name),
                   .threads = kBackgroundThreads,
                   .queue_max = kBackgroundTasksMax}) {
  MutexLock lock(&mutex_);
  next_look_ = clock_.MonotonicNow() + kLookAfterRun;
}

void StoreUpkeep::Load(const agent::v1::StoreState& state) {
  MutexLock lock(&mutex_);
  for (const auto& [name, memory] : state.proof_memories()) memories_[name] = memory;
  for (v1::Proof proof : state.proofs()) {
    if (proof.state() == v1::Proof::STATE_RUNNING) {
      proof.set_state(v1::Proof::STATE_FAILED);
      proof.set_error(std::string(kAgentStoppedError));
      memories_[proof.destination_name()].set_last_error(
          CouldNotBeMade(proof.kind(), proof.error()));
    }
    proofs_.push_back(std::move(proof));
  }
  if (state.clock_look_time_us() != 0) {
    std::vector<ClockWitness::Gap> gaps;
    for (const agent::v1::ClockGap& gap : state.clock_gaps()) {
      gaps.push_back(
          {absl::FromUnixMicros(gap.end_time_us()), absl::Microseconds(gap.length_us())});
    }
    clock_witness_.Load(absl::FromUnixMicros(state.clock_look_time_us()),
                        absl::Microseconds(state.clock_steady_us()), std::move(gaps));
  }
  clock_witness_.Look(clock_);
}

void StoreUpkeep::Start() {
  MutexLock lock(&mutex_);
  has_proof_loop_ended_ = false;
  proof_thread_ = Thread(absl::StrCat("prove-", name_), [this] { RunProofs(); });
}

StoreUpkeep::~StoreUpkeep() {
  BeginShutdown();
  proof_thread_.Join();
  background_.Shutdown();
}

void StoreUpkeep::BeginShutdown() {
  {
    MutexLock lock(&mutex_);
    if (is_stopping_) return;
    is_stopping_ = true;
    proof_wanted_.SignalAll();
  }
  // Without the lock: what is called back may take it.
  stop_.Cancel(absl::CancelledError("the agent is shutting down"));
}

bool StoreUpkeep::AwaitStopped(MonotonicTime deadline) {
  {
    MutexLock lock(&mutex_);
    while (!has_proof_loop_ended_) {
      if (!clock_.WaitUntil(&proof_loop_ended_, &mutex_, deadline)) break;
    }
    if (!has_proof_loop_ended_) return false;
  }
  return background_.AwaitIdle(clock_, deadline);
}

void StoreUpkeep::Schedule(absl::AnyInvocable<void()> task) {
  // Refused at shutdown only: callers see to it that there is room.
  static_cast<void>(background_.TrySchedule(std::move(task)));
}

// --- Pruning and marking ---------------------------------------------------------------------

bool StoreUpkeep::HasRoom() { return background_.pending() < kBackgroundTasksMax; }

void StoreUpkeep::PruneSoon() {
  MutexLock lock(&mutex_);
  if (is_stopping_) return;
  wants_prune_ = true;
  StartPruning();
}

void StoreUpkeep::PruneBackups(const v1::PruneBackupsRequest& request, PruneCallback callback) {
  absl::Status refusal;
  if (request.has_retention() && !request.dry_run()) {
    refusal = absl::InvalidArgumentError(
        "retention goes with dry_run only: backups are deleted by the retention of the settings");
  }
  {
    MutexLock lock(&mutex_);
    if (is_stopping_) {
      refusal = ShuttingDown();
    } else if (!HasRoom() || prune_callbacks_.size() >= kBackgroundTasksMax) {
      refusal.Update(absl::ResourceExhaustedError("too many callers wait already; try again"));
    }
    if (refusal.ok() && !request.dry_run()) {
      prune_callbacks_.push_back(std::move(callback));
      StartPruning();
      return;
    }
    if (refusal.ok()) {
      std::optional<v1::Retention> retention;
      if (request.has_retention()) retention = request.retention();
      Schedule([this, retention = std::move(retention), callback = std::move(callback)]() mutable {
        callback(Prune(retention, /*is_dry_run=*/true));
      });
      return;
    }
  }
  callback(refusal);
}

void StoreUpkeep::StartPruning() {
  if (is_pruning_) return;  // which begins again for who came since
  is_pruning_ = true;
  Schedule([this] { PruneWhileWanted(); });
}

void StoreUpkeep::PruneWhileWanted() {
  while (true) {
    std::deque<PruneCallback> callbacks;
    {
      MutexLock lock(&mutex_);
      if (!wants_prune_ && prune_callbacks_.empty()) {
        is_pruning_ = false;
        return;
      }
      wants_prune_ = false;
      callbacks.swap(prune_callbacks_);
    }
    const absl::StatusOr<v1::PruneBackupsResponse> response =
        Prune(std::nullopt, /*is_dry_run=*/false);
    for (PruneCallback& callback : callbacks) callback(response);
  }
}

void StoreUpkeep::AddClockTo(BackupRunner::PruneRequest& request) {
  MutexLock lock(&mutex_);
  clock_witness_.Look(clock_);
  if (clock_witness_.steady_for() >= kDeletedKeptFor) {
    request.deleted_kept_for = clock_witness_.WallTimeOf(kDeletedKeptFor);
    return;
  }
  request.removal_refusal = absl::StrCat(
      "this agent must first see a week pass without a jump of the clock; it has seen ",
      absl::ToInt64Hours(clock_witness_.steady_for()),
      " h since its first start, or since the clock was set");
}

std::vector<std::string> StoreUpkeep::ProvenBackups() {
  MutexLock lock(&mutex_);
  std::vector<std::string> backup_ids;
  for (const auto& [name, memory] : memories_) {
    if (!memory.drilled_backup_id().empty()) backup_ids.push_back(memory.drilled_backup_id());
  }
  return backup_ids;
}

absl::StatusOr<v1::PruneBackupsResponse> StoreUpkeep::Prune(
    const std::optional<v1::Retention>& retention, bool is_dry_run) {
  const UpkeepHost::View view = dependencies_.host->Look();
  const absl::StatusOr<RetentionPolicy> policy =
      RetentionPolicy::Create(retention.value_or(view.settings.retention()));
  if (!policy.ok()) {
    // That of the settings was good when it was set.
    LogWarning("the retention can't be used, no backup is deleted",
               {{"store", name_}, {"error", policy.status()}});
    return policy.status();
  }
  BackupRunner::PruneRequest request = {
      .policy = *policy, .is_dry_run = is_dry_run, .proven_backup_ids = ProvenBackups()};
  AddClockTo(request);
  const std::vector<BackupRunner::PruneResult> results =
      dependencies_.runner->Prune(view.settings, view.memory, request, stop_.token());
  v1::PruneBackupsResponse response;
  for (const BackupRunner::PruneResult& result : results) {
    *response.add_destinations() = DescribePrune(result);
    if (!is_dry_run) LogPrune(name_, result);
  }
  if (is_dry_run) return response;
  {
    MutexLock lock(&mutex_);
    if (is_stopping_) return response;
    prune_errors_.clear();
    removal_refusals_.clear();
    for (const v1::DestinationPrune& pruned : response.destinations()) {
      if (!pruned.error().empty()) {
        prune_errors_[pruned.destination_name()] = CutError(pruned.error());
      }
      if (!pruned.removal_refusal().empty()) {
        removal_refusals_[pruned.destination_name()] = CutError(pruned.removal_refusal());
      }
    }
  }
  dependencies_.host->OnBackupsChanged();
  return response;
}

void StoreUpkeep::MarkBackup(const v1::MarkBackupRequest& request, MarkCallback callback) {
  absl::StatusOr<repository::v1::Mark::Kind> kind = ToMarkKind(request.mark());
  absl::Status refusal = kind.status();
  if (!IsBackupId(request.backup_id())) {
    refusal.Update(NoBackupId(request.backup_id()));
  }
  {
    MutexLock lock(&mutex_);
    if (is_stopping_) {
      refusal = ShuttingDown();
    } else if (!HasRoom()) {
      refusal.Update(absl::ResourceExhaustedError("too many callers wait already; try again"));
    }
    if (refusal.ok()) {
      Schedule([this, backup_id = request.backup_id(), kind = *kind,
                callback = std::move(callback)]() mutable {
        const UpkeepHost::View view = dependencies_.host->Look();
        absl::StatusOr<v1::MarkBackupResponse> response = DescribeMarks(
            backup_id,
            dependencies_.runner->Mark(view.settings, view.memory, backup_id, kind, stop_.token()));
        if (response.ok()) {
          LogInfo("a backup was marked", {{"store", name_},
                                          {"backup_id", backup_id},
                                          {"mark", repository::v1::Mark::Kind_Name(kind)}});
          dependencies_.host->OnBackupsChanged();
        }
        callback(std::move(response));
      });
      return;
    }
  }
  callback(refusal);
}

// --- Checks and drills -----------------------------------------------------------------------

void StoreUpkeep::RunProofs() {
  while (true) {
    std::optional<Current> current = BeginNextProof();
    if (!current.has_value()) break;
    LogInfo(absl::StrCat("a ", Word(current->proof.kind()), " begins"),
            {{"store", name_},
             {"proof_id", current->proof.proof_id()},
             {"destination", current->proof.destination_name()}});
    // When it began must be known even if it ends this process: else it would begin again at once,
    // and again.
    dependencies_.host->SaveUpkeep();
    const UpkeepHost::View view = dependencies_.host->Look();
    EndProof(dependencies_.runner->Prove(view.settings, view.memory, current->proof,
                                         current->progress, current->cancellation->token()));
    // Before anybody is told.
    dependencies_.host->SaveUpkeep();
    ShowEndedProof();
    dependencies_.host->OnBackupsChanged();
  }
  MutexLock lock(&mutex_);
  has_proof_loop_ended_ = true;
  proof_loop_ended_.SignalAll();
}

std::optional<StoreUpkeep::Current> StoreUpkeep::BeginNextProof() {
  while (true) {
    {
      MutexLock lock(&mutex_);
      while (!is_stopping_ && !current_.has_value() && clock_.MonotonicNow() < next_look_) {
        clock_.WaitUntil(&proof_wanted_, &mutex_, next_look_);
      }
      if (is_stopping_) return std::nullopt;
      if (current_.has_value()) return current_;  // that of a StartProof
    }
    const UpkeepHost::View view = dependencies_.host->Look();
    MutexLock lock(&mutex_);
    clock_witness_.Look(clock_);
    next_look_ = clock_.MonotonicNow() + (view.is_run_in_progress ? kLookAfterRun : kLookInterval);
    if (is_stopping_ || current_.has_value() || view.is_run_in_progress) continue;
    std::optional<v1::Proof> proof = ChooseDueProof(view);
    if (proof.has_value()) {
      BeginProof(*std::move(proof));
      next_look_ = clock_.MonotonicNow();  // another may be due
    }
  }
}

std::vector<ProvableDestination> StoreUpkeep::Provable(const v1::Settings& settings,
                                                       const std::set<std::string>& holding) const {
  std::vector<ProvableDestination> destinations;
  for (const v1::Destination& destination : settings.destinations()) {
    ProvableDestination& provable = destinations.emplace_back();
    provable.name = destination.name();
    const auto memory = memories_.find(destination.name());
    if (memory != memories_.end()) provable.memory = memory->second;
    provable.has_backups =
        holding.contains(destination.name()) && provable.memory.first_backup_time_us() != 0;
  }
  return destinations;
}

std::optional<v1::Proof> StoreUpkeep::ChooseDueProof(const UpkeepHost::View& view) const {
  const auto may_be_tried = [&](const std::string& name, v1::Proof::Kind kind) {
    const auto not_before = not_before_.find({name, kind});
    return not_before == not_before_.end() || clock_.MonotonicNow() >= not_before->second;
  };
  for (const std::string& name : to_check_soon_) {
    if (may_be_tried(name, v1::Proof::KIND_CHECK)) return NextCheck(view.settings, name);
  }
  for (const DueProof& due : FindDueProofs(view.settings.proving(),
                                           Provable(view.settings, view.holding), clock_.Now())) {
    if (!may_be_tried(due.destination_name, due.kind)) continue;
    if (due.kind == v1::Proof::KIND_CHECK) return NextCheck(view.settings, due.destination_name);
    v1::Proof drill;
    drill.set_kind(due.kind);
    drill.set_destination_name(due.destination_name);
    return drill;
  }
  return std::nullopt;
}

v1::Proof StoreUpkeep::NextCheck(const v1::Settings& settings,
                                 const std::string& destination_name) const {
  v1::Proof check;
  check.set_kind(v1::Proof::KIND_CHECK);
  check.set_destination_name(destination_name);
  const uint32_t shares = settings.proving().read_data_days();
  if (shares == 0) return check;  // the structure alone
  const auto memory = memories_.find(destination_name);
  check.set_shares(shares);
  check.set_share(memory == memories_.end() ? 1 : memory->second.next_share() % shares + 1);
  return check;
}

void StoreUpkeep::BeginProof(v1::Proof proof) {
  const absl::Time now = clock_.Now();
  proof.set_proof_id(
      absl::StrCat(FormatTimeCompact(now), "-", dependencies_.random->Hex(kProofIdRandomBytes)));
  proof.set_store_name(name_);
  proof.set_state(v1::Proof::STATE_RUNNING);
  *proof.mutable_start_time() = ToProto(now);
  if (proof.kind() == v1::Proof::KIND_CHECK) to_check_soon_.erase(proof.destination_name());
  current_.emplace();
  agent::v1::ProofMemory& memory = memories_[proof.destination_name()];
  current_->earlier_time_us = LastTimeUs(memory, proof.kind());
  SetLastTimeUs(memory, proof.kind(), absl::ToUnixMicros(now));
  current_->proof = std::move(proof);
  current_->progress = std::make_shared<ProofProgress>();
  current_->cancellation = std::make_shared<CancellationSource>(stop_.token());
}

void StoreUpkeep::EndProof(v1::Proof proof) {
  const absl::Time now = clock_.Now();
  MutexLock lock(&mutex_);
  const v1::Proof shown = Shown(*current_);
  proof.set_bytes_done(shown.bytes_done());
  proof.set_bytes_total(shown.bytes_total());
  proof.set_documents_done(shown.documents_done());
  proof.set_documents_total(shown.documents_total());
  if (current_->cancellation->token().IsCancelled() && proof.state() == v1::Proof::STATE_FAILED) {
    proof.set_state(v1::Proof::STATE_CANCELLED);
    proof.set_error(std::string(current_->cancellation->token().status().message()));
  }
  proof.set_error(CutError(proof.error()));
  *proof.mutable_end_time() = ToProto(now);
  LogProof(proof);

  agent::v1::ProofMemory& memory = memories_[proof.destination_name()];
  const bool was_made =
      proof.state() == v1::Proof::STATE_SUCCEEDED || proof.state() == v1::Proof::STATE_DAMAGED;
  if (was_made) {
    // What was mended is whole: written here was what had been proven elsewhere, and read back.
    const bool is_well = proof.damage_count() == proof.repaired_count() &&
                         (proof.state() == v1::Proof::STATE_SUCCEEDED || proof.damage_count() > 0);
    memory.set_last_error(is_well ? "" : proof.error());
    if (proof.shares() > 1) memory.set_next_share(memory.next_share() + 1);
  } else {
    // Who named a backup is told; that it is not there says nothing of the destination.
    if (proof.state() == v1::Proof::STATE_FAILED && current_->proof.backup_id().empty()) {
      memory.set_last_error(CouldNotBeMade(proof.kind(), proof.error()));
    }
    not_before_[{proof.destination_name(), proof.kind()}] = clock_.MonotonicNow() + kProofRetry;
    SetLastTimeUs(memory, proof.kind(), current_->earlier_time_us);
  }
  if (proof.kind() == v1::Proof::KIND_DRILL && proof.state() == v1::Proof::STATE_SUCCEEDED) {
    memory.set_drilled_backup_id(proof.backup_id());
    memory.set_drilled_time_us(absl::ToUnixMicros(now));
    memory.set_drill_duration_us(absl::ToInt64Microseconds(FromProto(proof.restore_duration())));
  }
  ended_ = std::move(proof);
}

void StoreUpkeep::ShowEndedProof() {
  MutexLock lock(&mutex_);
  proofs_.push_front(*std::move(ended_));
  if (proofs_.size() > kProofsMax) proofs_.pop_back();
  ended_.reset();
  current_.reset();
}

v1::Proof StoreUpkeep::Shown(const Current& current) {
  v1::Proof proof = current.proof;
  proof.set_bytes_done(current.progress->bytes_done);
  proof.set_bytes_total(current.progress->bytes_total);
  proof.set_documents_done(current.progress->documents_done);
  proof.set_documents_total(current.progress->documents_total);
  return proof;
}

absl::StatusOr<v1::Proof> StoreUpkeep::StartProof(const v1::StartProofRequest& request,
                                                  const v1::Settings& settings) {
  if (request.kind() != v1::Proof::KIND_CHECK && request.kind() != v1::Proof::KIND_DRILL) {
    return absl::InvalidArgumentError("kind: a check or a drill");
  }
  const bool is_drill = request.kind() == v1::Proof::KIND_DRILL;
  if (is_drill ? request.read_data() : !request.backup_id().empty()) {
    return absl::InvalidArgumentError(is_drill ? "read_data is for a check; a drill reads all"
                                               : "backup_id is for a drill; a check is of all");
  }
  if (!request.backup_id().empty() && !IsBackupId(request.backup_id())) {
    return NoBackupId(request.backup_id());
  }
  const std::string& destination_name = request.destination_name().empty()
                                            ? settings.destinations(0).name()
                                            : request.destination_name();
  const bool is_known = std::any_of(
      settings.destinations().begin(), settings.destinations().end(),
      [&](const v1::Destination& destination) { return destination.name() == destination_name; });
  if (!is_known) {
    return absl::NotFoundError(absl::StrCat("the settings have no destination ",
                                            absl::Utf8SafeCHexEscape(destination_name)));
  }
  MutexLock lock(&mutex_);
  if (is_stopping_) return ShuttingDown();
  if (current_.has_value()) {
    return absl::AbortedError(absl::StrCat("a ", Word(current_->proof.kind()), " of destination ",
                                           current_->proof.destination_name(),
                                           " is in progress; wait for its end, or cancel it"));
  }
  v1::Proof proof;
  proof.set_kind(request.kind());
  proof.set_destination_name(destination_name);
  proof.set_backup_id(request.backup_id());
  if (request.read_data()) {
    proof.set_share(1);
    proof.set_shares(1);
  }
  BeginProof(std::move(proof));
  proof_wanted_.SignalAll();
  return current_->proof;
}

void StoreUpkeep::CheckSoon(const std::string& destination_name) {
  MutexLock lock(&mutex_);
  to_check_soon_.insert(destination_name);
  next_look_ = clock_.MonotonicNow();
  proof_wanted_.SignalAll();
}

const v1::Proof* StoreUpkeep::FindEnded(absl::string_view proof_id) const {
  const auto found = std::find_if(proofs_.begin(), proofs_.end(), [&](const v1::Proof& proof) {
    return proof.proof_id() == proof_id;
  });
  return found == proofs_.end() ? nullptr : &*found;
}

absl::StatusOr<v1::Proof> StoreUpkeep::GetProof(absl::string_view proof_id) {
  MutexLock lock(&mutex_);
  if (current_.has_value() && (proof_id.empty() || proof_id == current_->proof.proof_id())) {
    return Shown(*current_);
  }
  if (proof_id.empty() && !proofs_.empty()) return proofs_.front();
  const v1::Proof* const proof = FindEnded(proof_id);
  if (proof == nullptr) return NoProof(proof_id);
  return *proof;
}

absl::StatusOr<v1::ListProofsResponse> StoreUpkeep::ListProofs(
    const v1::ListProofsRequest& request) {
  MutexLock lock(&mutex_);
  std::vector<v1::Proof> proofs;
  if (current_.has_value()) proofs.push_back(Shown(*current_));
  proofs.insert(proofs.end(), proofs_.begin(), proofs_.end());
  HOLDFAST_ASSIGN_OR_RETURN(const PageRange page,
                            FindPage(
                                proofs,
                                [](const v1::Proof& proof) {
                                  return PageItem{proof.proof_id(), proof.ByteSizeLong()};
                                },
                                request.page_size(), request.page_token()));
  v1::ListProofsResponse response;
  for (size_t i = page.begin; i < page.end; ++i) *response.add_proofs() = proofs[i];
  response.set_next_page_token(page.next_page_token);
  return response;
}

absl::StatusOr<v1::Proof> StoreUpkeep::CancelProof(absl::string_view proof_id) {
  std::shared_ptr<CancellationSource> cancellation;
  v1::Proof shown;
  {
    MutexLock lock(&mutex_);
    if (!current_.has_value() || (!proof_id.empty() && proof_id != current_->proof.proof_id())) {
      if (proof_id.empty()) return absl::NotFoundError("no check or drill is in progress");
      const v1::Proof* const ended = FindEnded(proof_id);
      if (ended == nullptr) return NoProof(proof_id);
      return absl::FailedPreconditionError(absl::StrCat(
          proof_id, " has ended before: it ",
          ended->state() == v1::Proof::STATE_CANCELLED ? "was " : "", Word(ended->state())));
    }
    cancellation = current_->cancellation;
    shown = Shown(*current_);
  }
  // Without the lock: what is called back may take it.
  cancellation->Cancel(absl::CancelledError("somebody cancelled it"));
  return shown;
}

// --- What is known ---------------------------------------------------------------------------

void StoreUpkeep::OnListed(const std::set<std::string>& holding,
                           const std::map<std::string, BackupRunner::Drilled>& drilled) {
  MutexLock lock(&mutex_);
  for (const std::string& name : holding) {
    agent::v1::ProofMemory& memory = memories_[name];
    if (memory.first_backup_time_us() == 0) {
      memory.set_first_backup_time_us(absl::ToUnixMicros(clock_.Now()));
    }
  }
  for (const auto& [name, drill] : drilled) {
    agent::v1::ProofMemory& memory = memories_[name];
    const int64_t time_us = absl::ToUnixMicros(drill.time);
    if (memory.drilled_backup_id() == drill.backup_id || time_us <= memory.drilled_time_us()) {
      continue;
    }
    // Another agent drilled it, or this one before it was adopted.
    memory.set_drilled_backup_id(drill.backup_id);
    memory.set_drilled_time_us(time_us);
    memory.clear_drill_duration_us();
  }
}

void StoreUpkeep::KeepDestinations(const std::set<std::string>& names) {
  MutexLock lock(&mutex_);
  std::erase_if(memories_, [&](const auto& entry) { return !names.contains(entry.first); });
  std::erase_if(prune_errors_, [&](const auto& entry) { return !names.contains(entry.first); });
  std::erase_if(to_check_soon_, [&](const auto& name) { return !names.contains(name); });
  std::erase_if(removal_refusals_, [&](const auto& entry) { return !names.contains(entry.first); });
  std::erase_if(not_before_, [&](const auto& entry) { return !names.contains(entry.first.first); });
}

void StoreUpkeep::AddToState(agent::v1::StoreState& state) {
  MutexLock lock(&mutex_);
  clock_witness_.Look(clock_);
  if (ended_.has_value()) {
    *state.add_proofs() = *ended_;
  } else if (current_.has_value()) {
    *state.add_proofs() = current_->proof;
  }
  for (const v1::Proof& proof : proofs_) *state.add_proofs() = proof;
  for (const auto& [name, memory] : memories_) (*state.mutable_proof_memories())[name] = memory;
  state.set_clock_look_time_us(absl::ToUnixMicros(clock_witness_.last_look()));
  state.set_clock_steady_us(absl::ToInt64Microseconds(clock_witness_.steady_for()));
  for (const ClockWitness::Gap& gap : clock_witness_.gaps()) {
    agent::v1::ClockGap& saved = *state.add_clock_gaps();
    saved.set_end_time_us(absl::ToUnixMicros(gap.end));
    saved.set_length_us(absl::ToInt64Microseconds(gap.length));
  }
}

std::optional<absl::Time> StoreUpkeep::NextTime(const v1::Proving& proving,
                                                const ProvableDestination& destination,
                                                v1::Proof::Kind kind) const {
  const absl::Time now = clock_.Now();
  std::optional<absl::Time> next = NextProofTime(proving, destination, kind, now);
  const auto not_before = not_before_.find({destination.name, kind});
  if (next.has_value() && not_before != not_before_.end()) {
    next = std::max(*next, now + (not_before->second - clock_.MonotonicNow()));
  }
  return next;
}

void StoreUpkeep::AddToStatus(const v1::Settings& settings, const std::set<std::string>& holding,
                              v1::BackupStatus& status, VerdictInput& verdict) const {
  MutexLock lock(&mutex_);
  if (current_.has_value()) *status.mutable_current_proof() = Shown(*current_);
  if (!proofs_.empty()) *status.mutable_last_proof() = proofs_.front();
  for (const ProvableDestination& destination : Provable(settings, holding)) {
    const std::string unproven = WhyNotProven(settings.proving(), destination, clock_.Now());
    if (!unproven.empty()) verdict.unproven.push_back({destination.name, unproven});
    const auto shown =
        std::find_if(status.mutable_destinations()->begin(), status.mutable_destinations()->end(),
                     [&](const v1::DestinationStatus& one) {
                       return one.destination_name() == destination.name;
                     });
    if (shown == status.mutable_destinations()->end()) continue;
    const std::optional<absl::Time> check =
        NextTime(settings.proving(), destination, v1::Proof::KIND_CHECK);
    if (check.has_value()) *shown->mutable_next_check_time() = ToProto(*check);
    const std::optional<absl::Time> drill =
        NextTime(settings.proving(), destination, v1::Proof::KIND_DRILL);
    if (drill.has_value()) *shown->mutable_next_drill_time() = ToProto(*drill);
  }
  for (v1::DestinationStatus& shown : *status.mutable_destinations()) {
    const std::string& name = shown.destination_name();
    const auto prune_error = prune_errors_.find(name);
    if (prune_error != prune_errors_.end()) {
      shown.set_prune_error(prune_error->second);
      verdict.prune_errors.push_back({name, prune_error->second});
    }
    const auto removal_refusal = removal_refusals_.find(name);
    if (removal_refusal != removal_refusals_.end()) {
      shown.set_removal_refusal(removal_refusal->second);
    }
    const auto found = memories_.find(name);
    if (found == memories_.end()) continue;
    const agent::v1::ProofMemory& memory = found->second;
    shown.set_proof_error(memory.last_error());
    if (!memory.last_error().empty()) verdict.proof_errors.push_back({name, memory.last_error()});
    if (memory.last_check_time_us() != 0) {
      *shown.mutable_last_check_time() = ToProto(absl::FromUnixMicros(memory.last_check_time_us()));
    }
    if (memory.drilled_time_us() == 0) continue;
    shown.set_last_drill_backup_id(memory.drilled_backup_id());
    *shown.mutable_last_drill_time() = ToProto(absl::FromUnixMicros(memory.drilled_time_us()));
    if (memory.drill_duration_us() == 0) continue;
    *shown.mutable_last_drill_duration() = ToProto(absl::Microseconds(memory.drill_duration_us()));
  }
}

}  // namespace holdfast
