#include "tests/testing/fake_backup_runner.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/time_format.h"

namespace holdfast {

namespace {

google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  google::protobuf::Timestamp timestamp;
  const int64_t nanos = absl::ToUnixNanos(time);
  timestamp.set_seconds(nanos / 1'000'000'000);
  timestamp.set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
  return timestamp;
}

}  // namespace

BackupRunInput FakeBackupRunner::AwaitRun(int number) {
  MutexLock lock(&mutex_);
  while (runs_begun_ < number || !current_.has_value()) changed_.Wait(&mutex_);
  return current_->input;
}

int FakeBackupRunner::runs_begun() const {
  MutexLock lock(&mutex_);
  return runs_begun_;
}

FakeBackupRunner::InProgress& FakeBackupRunner::Current() {
  HOLDFAST_CHECK(current_.has_value(), "no run has begun: AwaitRun first");
  return *current_;
}

void FakeBackupRunner::AskForCheckpoint() {
  RunObserver* observer = nullptr;
  {
    MutexLock lock(&mutex_);
    Current().has_asked = true;
    observer = Current().observer;
  }
  observer->Update([](v1::Run& run) { run.set_phase(v1::Run::PHASE_CHECKPOINT); });
}

void FakeBackupRunner::MakeCheckpoint(uint64_t revision) {
  RunObserver* observer = nullptr;
  bool has_asked = false;
  const absl::Time now = clock_.Now();
  {
    MutexLock lock(&mutex_);
    has_asked = Current().has_asked;
    Current().has_checkpoint = true;
    Current().checkpoint_time = now;
    revision_ = revision;
    observer = Current().observer;
  }
  if (!has_asked) AskForCheckpoint();
  observer->Update([&](v1::Run& run) {
    run.set_phase(v1::Run::PHASE_TRANSFER);
    run.set_revision(revision);
    *run.mutable_checkpoint_time() = ToTimestamp(now);
  });
}

void FakeBackupRunner::FailDestination(const std::string& name, const std::string& error) {
  RunObserver* observer = nullptr;
  {
    MutexLock lock(&mutex_);
    observer = Current().observer;
  }
  observer->Update([&](v1::Run& run) {
    for (v1::DestinationResult& result : *run.mutable_destinations()) {
      if (result.destination_name() != name) continue;
      result.set_state(v1::DestinationResult::STATE_FAILED);
      result.set_error(error);
    }
  });
}

void FakeBackupRunner::WarnOf(const std::string& name, const std::string& warning) {
  RunObserver* observer = nullptr;
  {
    MutexLock lock(&mutex_);
    observer = Current().observer;
  }
  observer->Update([&](v1::Run& run) {
    for (v1::DestinationResult& result : *run.mutable_destinations()) {
      if (result.destination_name() == name) result.set_warning(warning);
    }
  });
}

void FakeBackupRunner::FindMissingAt(const std::string& name) {
  MutexLock lock(&mutex_);
  Current().destinations_to_check.push_back(name);
}

void FakeBackupRunner::Send(uint64_t bytes) {
  RunObserver* observer = nullptr;
  {
    MutexLock lock(&mutex_);
    observer = Current().observer;
  }
  observer->Update([bytes](v1::Run& run) { run.set_bytes_sent(run.bytes_sent() + bytes); });
}

void FakeBackupRunner::Succeed(const std::vector<std::string>& destination_names) {
  bool has_checkpoint = false;
  uint64_t revision = 0;
  {
    MutexLock lock(&mutex_);
    has_checkpoint = Current().has_checkpoint;
    revision = revision_;
  }
  if (!has_checkpoint) MakeCheckpoint(revision);

  MutexLock lock(&mutex_);
  Current().outcome = MakeOutcome(destination_names);
  changed_.SignalAll();
}

void FakeBackupRunner::SucceedAlways(const std::vector<std::string>& destination_names) {
  {
    MutexLock lock(&mutex_);
    succeed_always_ = destination_names;
    if (!current_.has_value()) return;
  }
  Succeed(destination_names);
}

BackupRunOutcome FakeBackupRunner::MakeOutcome(const std::vector<std::string>& destination_names) {
  InProgress& run = Current();
  BackupRunOutcome outcome;
  outcome.memory = run.input.memory;
  outcome.destinations_to_check = run.destinations_to_check;
  v1::Backup& backup = outcome.backup.emplace();
  const uint64_t ordinal = outcome.memory.last_ordinal() + 1;
  backup.set_backup_id(
      absl::StrCat(FormatTimeCompact(clock_.Now()), "-", absl::Hex(ordinal, absl::kZeroPad8)));
  backup.set_store_id("00112233445566778899aabbccddeeff");  // as FakeCheckpointSource says
  backup.set_incarnation("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf");
  backup.set_ordinal(ordinal);
  backup.set_revision(revision_);
  *backup.mutable_checkpoint_time() = ToTimestamp(run.checkpoint_time);
  for (const std::string& name : destination_names) {
    backup.add_destination_names(name);
    agent::v1::DestinationMemory& memory = (*outcome.memory.mutable_destinations())[name];
    memory.set_repository_id(std::string(32, 'b'));
    memory.set_last_backup_id(backup.backup_id());
    memory.set_last_success_time_us(absl::ToUnixMicros(clock_.Now()));
    memory.set_consecutive_failures(0);
    memory.clear_last_error();
  }
  outcome.memory.set_store_id(backup.store_id());
  outcome.memory.set_incarnation(backup.incarnation());
  outcome.memory.set_revision(revision_);
  outcome.memory.set_last_backup_id(backup.backup_id());
  outcome.memory.set_last_ordinal(ordinal);
  const v1::Settings& settings = run.input.settings;
  for (const v1::Destination& destination : settings.destinations()) {
    if (std::find(destination_names.begin(), destination_names.end(), destination.name()) !=
        destination_names.end()) {
      continue;
    }
    agent::v1::DestinationMemory& memory =
        (*outcome.memory.mutable_destinations())[destination.name()];
    memory.set_consecutive_failures(memory.consecutive_failures() + 1);
    memory.set_last_error("it failed");
  }
  const size_t required = settings.required_destinations() > 0
                              ? settings.required_destinations()
                              : static_cast<size_t>(settings.destinations_size());
  if (destination_names.size() < required) {
    outcome.status = absl::UnavailableError("too few destinations hold the backup");
  }
  taken_.insert(taken_.begin(), backup);
  return outcome;
}

void FakeBackupRunner::Fail(const absl::Status& status) {
  MutexLock lock(&mutex_);
  InProgress& run = Current();
  run.outcome = BackupRunOutcome{status, std::nullopt, run.input.memory};
  changed_.SignalAll();
}

void FakeBackupRunner::set_is_stuck(bool is_stuck) {
  MutexLock lock(&mutex_);
  is_stuck_ = is_stuck;
  changed_.SignalAll();
}

void FakeBackupRunner::SetListing(Listing listing) {
  MutexLock lock(&mutex_);
  taken_.clear();
  listing_ = std::move(listing);
}

void FakeBackupRunner::AwaitListings(int count) {
  MutexLock lock(&mutex_);
  while (listings_ended_ < count) changed_.Wait(&mutex_);
}

void FakeBackupRunner::BlockListings(bool is_blocked) {
  MutexLock lock(&mutex_);
  are_listings_blocked_ = is_blocked;
  changed_.SignalAll();
}

void FakeBackupRunner::AwaitBlockedListing() {
  MutexLock lock(&mutex_);
  while (!is_listing_waiting_) changed_.Wait(&mutex_);
}

void FakeBackupRunner::SetPrepareStatus(const std::string& name, const absl::Status& status) {
  MutexLock lock(&mutex_);
  prepare_statuses_[name] = status;
}

std::vector<std::string> FakeBackupRunner::prepared() const {
  MutexLock lock(&mutex_);
  return prepared_;
}

BackupRunOutcome FakeBackupRunner::Run(const BackupRunInput& input, RunObserver& observer,
                                       const Cancellation& cancellation) {
  CancellationCallback wake(cancellation, [this] {
    MutexLock lock(&mutex_);
    changed_.SignalAll();
  });
  observer.Update([&](v1::Run& run) {
    for (const v1::Destination& destination : input.settings.destinations()) {
      v1::DestinationResult& result = *run.add_destinations();
      result.set_destination_name(destination.name());
      result.set_state(v1::DestinationResult::STATE_RUNNING);
    }
  });
  BackupRunOutcome outcome;
  {
    MutexLock lock(&mutex_);
    HOLDFAST_CHECK(!current_.has_value(), "two runs of one store overlap");
    current_.emplace();
    current_->input = input;
    current_->observer = &observer;
    current_->checkpoint_time = clock_.Now();
    if (!succeed_always_.empty()) current_->outcome = MakeOutcome(succeed_always_);
    ++runs_begun_;
    changed_.SignalAll();
    while (!current_->outcome.has_value()) {
      if (cancellation.IsCancelled() && !is_stuck_) {
        current_->outcome = BackupRunOutcome{cancellation.status(), std::nullopt, input.memory};
      } else {
        changed_.Wait(&mutex_);
      }
    }
    outcome = *std::move(current_->outcome);
    current_.reset();
  }
  if (outcome.backup.has_value()) {
    observer.Update([&](v1::Run& run) {
      for (v1::DestinationResult& result : *run.mutable_destinations()) {
        const auto& names = outcome.backup->destination_names();
        if (std::find(names.begin(), names.end(), result.destination_name()) != names.end()) {
          result.set_state(v1::DestinationResult::STATE_SUCCEEDED);
        }
      }
    });
  }
  return outcome;
}

absl::StatusOr<BackupRunner::Listing> FakeBackupRunner::ListBackups(
    const v1::Settings& /*settings*/, const agent::v1::StoreMemory& /*memory*/,
    const Cancellation& /*cancellation*/) {
  MutexLock lock(&mutex_);
  while (are_listings_blocked_) {
    is_listing_waiting_ = true;
    changed_.SignalAll();
    changed_.Wait(&mutex_);
  }
  is_listing_waiting_ = false;
  Listing listing = listing_;
  listing.backups.insert(listing.backups.begin(), taken_.begin(), taken_.end());
  ++listings_ended_;
  changed_.SignalAll();
  return listing;
}

void FakeBackupRunner::SetPruneResult(const std::string& name, absl::StatusOr<PruneReport> report) {
  MutexLock lock(&mutex_);
  prune_results_.insert_or_assign(name, std::move(report));
}

void FakeBackupRunner::AwaitPrunes(int count) {
  MutexLock lock(&mutex_);
  while (prunes_ended_ < count) changed_.Wait(&mutex_);
}

std::vector<BackupRunner::PruneResult> FakeBackupRunner::Prune(
    const v1::Settings& settings, const agent::v1::StoreMemory& /*memory*/,
    const PruneRequest& request, const Cancellation& /*cancellation*/) {
  MutexLock lock(&mutex_);
  prune_request_ = request;
  std::vector<PruneResult> results;
  for (const v1::Destination& destination : settings.destinations()) {
    const auto result = prune_results_.find(destination.name());
    results.push_back(
        {destination.name(), result == prune_results_.end() ? PruneReport() : result->second});
  }
  ++prunes_ended_;
  changed_.SignalAll();
  return results;
}

BackupRunner::PruneRequest FakeBackupRunner::prune_request() const {
  MutexLock lock(&mutex_);
  return *prune_request_;
}

void FakeBackupRunner::SetMarkResult(const std::string& name, absl::StatusOr<bool> is_marked) {
  MutexLock lock(&mutex_);
  mark_results_.insert_or_assign(name, std::move(is_marked));
}

std::vector<BackupRunner::MarkResult> FakeBackupRunner::Mark(
    const v1::Settings& settings, const agent::v1::StoreMemory& /*memory*/,
    const std::string& /*backup_id*/, repository::v1::Mark::Kind /*kind*/,
    const Cancellation& /*cancellation*/) {
  MutexLock lock(&mutex_);
  std::vector<MarkResult> results;
  for (const v1::Destination& destination : settings.destinations()) {
    const auto result = mark_results_.find(destination.name());
    results.push_back({destination.name(), result == mark_results_.end()
                                               ? absl::StatusOr<bool>(true)
                                               : result->second});
  }
  return results;
}

void FakeBackupRunner::SetProof(const v1::Proof& ended) {
  MutexLock lock(&mutex_);
  proof_ = ended;
}

v1::Proof FakeBackupRunner::AwaitProof(int number) {
  MutexLock lock(&mutex_);
  while (proofs_begun_ < number) changed_.Wait(&mutex_);
  return last_proof_;
}

int FakeBackupRunner::proofs_begun() const {
  MutexLock lock(&mutex_);
  return proofs_begun_;
}

void FakeBackupRunner::BlockProofs(bool are_blocked) {
  MutexLock lock(&mutex_);
  are_proofs_blocked_ = are_blocked;
  changed_.SignalAll();
}

v1::Proof FakeBackupRunner::Prove(const v1::Settings& /*settings*/,
                                  const agent::v1::StoreMemory& /*memory*/, const v1::Proof& proof,
                                  const std::shared_ptr<ProofProgress>& progress,
                                  const Cancellation& cancellation) {
  CancellationCallback wake(cancellation, [this] {
    MutexLock lock(&mutex_);
    changed_.SignalAll();
  });
  MutexLock lock(&mutex_);
  progress->bytes_total = 100;
  ++proofs_begun_;
  last_proof_ = proof;
  changed_.SignalAll();
  while (are_proofs_blocked_ && !cancellation.IsCancelled()) changed_.Wait(&mutex_);
  v1::Proof ended = proof;
  if (cancellation.IsCancelled()) {
    ended.set_state(v1::Proof::STATE_FAILED);
    ended.set_error(std::string(cancellation.status().message()));
    return ended;
  }
  ended.set_state(v1::Proof::STATE_SUCCEEDED);
  ended.MergeFrom(proof_);
  return ended;
}

absl::StatusOr<std::string> FakeBackupRunner::PrepareDestination(
    const v1::Destination& destination) {
  MutexLock lock(&mutex_);
  prepared_.push_back(destination.name());
  const auto status = prepare_statuses_.find(destination.name());
  if (status != prepare_statuses_.end() && !status->second.ok()) return status->second;
  const auto repository_id = repository_ids_.find(destination.name());
  return repository_id == repository_ids_.end() ? absl::StrCat("repository of ", destination.name())
                                                : repository_id->second;
}

void FakeBackupRunner::SetRepositoryId(const std::string& name, const std::string& repository_id) {
  MutexLock lock(&mutex_);
  repository_ids_[name] = repository_id;
}

}  // namespace holdfast
