#include "backup-agent/schedule/store_supervisor.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "backup-agent/schedule/agent_errors.h"
#include "backup-agent/schedule/run_record.h"
#include "backup-agent/schedule/schedule_times.h"
#include "backup-agent/schedule/status_report.h"
#include "backup-agent/schedule/store_settings.h"
#include "backup-agent/schedule/verdict.h"
#include "backup-agent/transfer/listing.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/base/time_format.h"
#include "common/messages/proto_time.h"

namespace holdfast {

namespace {

// How often the store is asked how it is, also when no run needs it; and how soon again after it
// could not be asked.
constexpr absl::Duration kStoreQuestionInterval = absl::Minutes(1);
constexpr absl::Duration kStoreQuestionRetry = absl::Seconds(5);

// What may block at once: a listing, a change of settings, a question to the store, an acceptance
// of it, a save for who was answered at once. Of each there is one at most.
constexpr int kBackgroundThreads = 5;
constexpr size_t kBackgroundTasksMax = kBackgroundThreads;

// How long whoever changed backups waits for them to be listed: where a destination hangs, they are
// known only later.
constexpr absl::Duration kListingWaitMax = absl::Seconds(10);

constexpr size_t kRunIdRandomBytes = 4;
constexpr size_t kCheckpointHolderRandomBytes = 16;

absl::Status NoRun(absl::string_view run_id) {
  return absl::NotFoundError(run_id.empty() ? std::string("no run is in progress")
                                            : absl::StrCat("there is no run ",
                                                           absl::Utf8SafeCHexEscape(run_id),
                                                           ", or it is no longer remembered"));
}

// A run that started by itself.
bool IsOwn(v1::Run::Cause cause) { return cause != v1::Run::CAUSE_TRIGGERED; }

}  // namespace

// Shows the run in progress to the world.
class StoreSupervisor::Observer : public RunObserver {
 public:
  explicit Observer(StoreSupervisor& supervisor) : supervisor_(supervisor) {}

  void Update(const std::function<void(v1::Run&)>& change) override {
    supervisor_.UpdateRun(change);
  }

 private:
  StoreSupervisor& supervisor_;
};

template <typename Callback, typename Result>
void StoreSupervisor::PostResult(Callback callback, Result result) {
  callbacks_.push_back([callback = std::move(callback), result = std::move(result)]() mutable {
    callback(std::move(result));
  });
  callbacks_wanted_.Signal();
}

// --- Start and end ---------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<StoreSupervisor>> StoreSupervisor::Start(
    const AgentStoreConfig& config, const Dependencies& dependencies) {
  const std::string context = absl::StrCat("store ", config.name);
  HOLDFAST_ASSIGN_OR_RETURN(std::optional<agent::v1::StoreState> state,
                            dependencies.states->Load(config.name), context);
  std::unique_ptr<StoreSupervisor> supervisor(
      new StoreSupervisor(config, dependencies, std::move(state)));
  // Backups matter more than their history: on a full disk they go on, and the status says that
  // nothing is remembered.
  const absl::Status saved = supervisor->Save();
  if (!saved.ok() && !absl::IsResourceExhausted(saved)) return Annotate(saved, context);
  supervisor->StartThreads();
  return supervisor;
}

StoreSupervisor::StoreSupervisor(const AgentStoreConfig& config, const Dependencies& dependencies,
                                 std::optional<agent::v1::StoreState> saved)
    : name_(config.name),
      dependencies_(dependencies),
      clock_(*dependencies.clock),
      known_(clock_),
      triggers_(clock_),
      background_({.name = absl::StrCat("bg-", config.name),
                   .threads = kBackgroundThreads,
                   .queue_max = kBackgroundTasksMax}) {
  MutexLock lock(&mutex_);
  agent::v1::StoreState state;
  if (saved.has_value()) {
    state = *std::move(saved);
  } else {
    *state.mutable_settings() = SeedSettings(config);
    state.set_create_time_us(absl::ToUnixMicros(clock_.Now()));
    LogInfo("met a new store", {{"store", name_}, {"socket", config.socket}});
  }
  if (state.memory().checkpoint_holder().empty()) {
    state.mutable_memory()->set_checkpoint_holder(
        dependencies_.random->Hex(kCheckpointHolderRandomBytes));
  }
  known_.Load(name_, state, clock_);
  triggers_.Load(state);
  upkeep_ = std::make_unique<StoreUpkeep>(
      name_, StoreUpkeep::Dependencies{.runner = dependencies_.runner,
                                       .host = this,
                                       .clock = dependencies_.clock,
                                       .random = dependencies_.random});
  upkeep_->Load(state);
  next_store_question_ = known_.start_time;

  std::optional<ScheduleTimes> times;
  if (known_.settings.schedule().automatic()) {
    absl::StatusOr<ScheduleTimes> created = ScheduleTimes::Create(known_.settings.schedule());
    if (created.ok()) {
      times = *std::move(created);
    } else {
      // The zone was known when it was set.
      LogError("the schedule can't be used, no backup is taken by itself",
               {{"store", name_}, {"error", created.status()}});
      known_.state_error = std::string(created.status().message());
    }
  }
  Scheduler::Remembered remembered;
  if (state.next_due_time_us() != 0) {
    remembered.due = absl::FromUnixMicros(state.next_due_time_us());
  }
  const v1::Run* const last_run = known_.runs.Last();
  remembered.consecutive_failures = known_.runs.consecutive_failures();
  remembered.must_retry = remembered.consecutive_failures > 0 && last_run != nullptr &&
                          IsOwn(last_run->cause()) && last_run->state() != v1::Run::STATE_SUCCEEDED;
  scheduler_.emplace(clock_, *dependencies_.random, times, remembered);
}

void StoreSupervisor::StartThreads() {
  MutexLock lock(&mutex_);
  StartListing();
  upkeep_->Start();
  run_thread_ = Thread(absl::StrCat("run-", name_), [this] { RunRuns(); });
  callback_thread_ = Thread(absl::StrCat("cb-", name_), [this] { MakeCallbacks(); });
}

StoreSupervisor::~StoreSupervisor() {
  BeginShutdown();
  run_thread_.Join();
  background_.Shutdown();
  static_cast<void>(upkeep_->AwaitStopped(MonotonicTime::InfiniteFuture()));
  {
    MutexLock lock(&mutex_);
    may_callbacks_end_ = true;
    callbacks_wanted_.Signal();
  }
  callback_thread_.Join();
}

void StoreSupervisor::BeginShutdown() {
  std::shared_ptr<CancellationSource> run;
  {
    MutexLock lock(&mutex_);
    if (is_stopping_) return;
    is_stopping_ = true;
    Deliver(triggers_.Abort(ShuttingDown()));
    if (known_.current.has_value()) run = known_.current->cancellation;
    run_wanted_.Signal();
    listing_ended_.SignalAll();
  }
  // Without the lock: what is called back may take it.
  if (run != nullptr) run->Cancel(absl::CancelledError(kAgentStoppedError));
  upkeep_->BeginShutdown();
  stop_.Cancel(absl::CancelledError("the agent is shutting down"));
}

bool StoreSupervisor::AwaitStopped(MonotonicTime deadline) {
  const bool has_upkeep_stopped = upkeep_->AwaitStopped(deadline);
  if (AwaitRunLoopEnd(deadline)) {
    return background_.AwaitIdle(clock_, deadline) && has_upkeep_stopped;
  }
  {
    MutexLock lock(&mutex_);
    if (known_.current.has_value()) {
      LogWarning("a run does not end, it is left behind",
                 {{"store", name_}, {"run_id", known_.current->run.run_id()}});
      for (auto& [name, destination] : *known_.memory.mutable_destinations()) {
        destination.set_has_unnamed_objects(true);
      }
      static_cast<void>(RecordEnd(absl::CancelledError(kAgentStoppedError), std::nullopt));
    }
  }
  static_cast<void>(Save());
  MutexLock lock(&mutex_);
  is_given_up_ = true;
  return false;
}

bool StoreSupervisor::AwaitRunLoopEnd(MonotonicTime deadline) {
  MutexLock lock(&mutex_);
  while (!has_run_loop_ended_) {
    if (!clock_.WaitUntil(&run_loop_ended_, &mutex_, deadline)) break;
  }
  return has_run_loop_ended_;
}

// --- State -----------------------------------------------------------------------------------

agent::v1::StoreState StoreSupervisor::MakeState() {
  agent::v1::StoreState state;
  known_.AddToState(state);
  triggers_.AddToState(state);
  const std::optional<absl::Time> due = scheduler_->due();
  if (due.has_value()) state.set_next_due_time_us(absl::ToUnixMicros(*due));
  upkeep_->AddToState(state);
  return state;
}

absl::Status StoreSupervisor::Save() {
  MutexLock lock(&save_mutex_);
  return SaveLocked();
}

absl::Status StoreSupervisor::SaveLocked() {
  agent::v1::StoreState state;
  {
    MutexLock lock(&mutex_);
    if (is_given_up_) return ShuttingDown();
    state = MakeState();
  }
  absl::Status saved = dependencies_.states->Save(name_, std::move(state));
  if (!saved.ok()) {
    LogError("the agent's state could not be saved", {{"store", name_}, {"error", saved}});
  }
  MutexLock lock(&mutex_);
  known_.state_error = std::string(saved.message());
  return saved;
}

// --- Runs ------------------------------------------------------------------------------------

void StoreSupervisor::RunRuns() {
  while (BeginNextRun()) EndRun(ExecuteRun());
  MutexLock lock(&mutex_);
  has_run_loop_ended_ = true;
  run_loop_ended_.SignalAll();
}

bool StoreSupervisor::BeginNextRun() {
  MutexLock lock(&mutex_);
  while (!is_stopping_) {
    const Scheduler::Decision decision = scheduler_->Decide();
    if (decision.start.has_value()) {
      BeginRun(*decision.start);
      return true;
    }
    if (triggers_.WantsRun()) {
      BeginRun(v1::Run::CAUSE_TRIGGERED);
      return true;
    }
    clock_.WaitUntil(&run_wanted_, &mutex_, decision.look_again);
  }
  return false;
}

void StoreSupervisor::BeginRun(v1::Run::Cause cause) {
  known_.current.emplace();
  v1::Run& run = known_.current->run;
  const absl::Time now = clock_.Now();
  run.set_run_id(
      absl::StrCat(FormatTimeCompact(now), "-", dependencies_.random->Hex(kRunIdRandomBytes)));
  run.set_store_name(name_);
  run.set_state(v1::Run::STATE_RUNNING);
  run.set_cause(cause);
  *run.mutable_start_time() = ToProto(now);
  known_.current->settings = known_.settings;
  scheduler_->OnRunStarted(cause);
  triggers_.OnRunStarted(run.run_id());
}

BackupRunOutcome StoreSupervisor::ExecuteRun() {
  BackupRunInput input;
  Cancellation cancellation;
  {
    MutexLock lock(&mutex_);
    input = {.store_name = name_, .settings = known_.current->settings, .memory = known_.memory};
    cancellation = known_.current->cancellation->token();
    LogInfo("a run begins", {{"store", name_},
                             {"run_id", known_.current->run.run_id()},
                             {"cause", CauseWord(known_.current->run.cause())}});
  }
  // If that fails a kill -9 would leave the run unrecorded; the backup matters more.
  static_cast<void>(Save());
  Observer observer(*this);
  return dependencies_.runner->Run(input, observer, cancellation);
}

void StoreSupervisor::UpdateRun(const std::function<void(v1::Run&)>& change) {
  MutexLock lock(&mutex_);
  if (!known_.current.has_value()) return;  // it was given up
  change(known_.current->run);
  ++known_.current->version;
  if (!known_.current->checkpoint_request.has_value() &&
      known_.current->run.phase() != v1::Run::PHASE_UNSPECIFIED) {
    known_.current->checkpoint_request = clock_.MonotonicNow();
  }
  Deliver(triggers_.OnRunProgress(known_.current->View()));
  callbacks_wanted_.Signal();
}

void StoreSupervisor::EndRun(BackupRunOutcome outcome) {
  TriggerDesk::Answers answers;
  {
    MutexLock lock(&mutex_);
    if (!known_.current.has_value()) return;  // it was given up
    const v1::Settings settings = known_.current->settings;
    known_.memory = std::move(outcome.memory);
    for (const std::string& name : outcome.destinations_to_check) upkeep_->CheckSoon(name);
    ForgetDestinations(settings, known_.settings, known_.memory);
    if (outcome.backup.has_value()) {
      known_.current->run.set_backup_id(outcome.backup->backup_id());
      known_.catalog.Add(*outcome.backup,
                         known_.current->checkpoint_request.value_or(clock_.MonotonicNow()));
      for (const std::string& name : outcome.backup->destination_names()) {
        known_.destinations.OnSuccess(name, clock_.MonotonicNow());
      }
    }
    answers = RecordEnd(outcome.status, outcome.backup);
    StartStoreQuestion();
  }
  // Before anybody is told.
  static_cast<void>(Save());
  MutexLock lock(&mutex_);
  Deliver(std::move(answers));
  if (is_stopping_) return;
  StartListing();
  // Also where too few hold it, for a destination that goes on must not fill up while another is
  // gone; and where none does, for one that is full takes no backup before it was pruned.
  upkeep_->PruneSoon();
}

TriggerDesk::Answers StoreSupervisor::RecordEnd(const absl::Status& status,
                                                const std::optional<v1::Backup>& backup) {
  CurrentRun ended = *std::exchange(known_.current, std::nullopt);
  v1::Run& run = ended.run;
  const absl::Status cancelled = ended.cancellation->token().status();
  const bool was_cancelled = !status.ok() && !cancelled.ok();
  CloseRun(run,
           status.ok()     ? v1::Run::STATE_SUCCEEDED
           : was_cancelled ? v1::Run::STATE_CANCELLED
                           : v1::Run::STATE_FAILED,
           was_cancelled ? cancelled.message() : status.message(), clock_.Now());
  known_.runs.Add(run);
  Scheduler::RunEnd end = Scheduler::RunEnd::kFailed;
  if (status.ok()) {
    end = Scheduler::RunEnd::kSucceeded;
  } else if (was_cancelled) {
    end = is_stopping_ ? Scheduler::RunEnd::kAgentStopped : Scheduler::RunEnd::kCancelled;
  }
  scheduler_->OnRunEnded(run.cause(), end, known_.runs.consecutive_failures());
  Log(status.ok() || was_cancelled ? LogLevel::kInfo : LogLevel::kError, "a run has ended",
      {{"store", name_},
       {"run_id", run.run_id()},
       {"state", StateWord(run.state())},
       {"backup_id", run.backup_id()},
       {"revision", run.revision()},
       {"files_sent", run.files_sent()},
       {"bytes_sent", run.bytes_sent()},
       {"error", run.error()}});

  for (auto& [ticket, callback] : ended.cancel_callers) {
    PostResult(std::move(callback), absl::StatusOr<v1::Run>(run));
  }
  for (auto& [callback, snapshot] :
       watchers_.TakeDue({.run = run, .is_last = true}, clock_.MonotonicNow())) {
    PostResult(std::move(callback), absl::StatusOr<RunSnapshot>(std::move(snapshot)));
  }
  return triggers_.OnRunEnded(ended.View(), backup);
}

absl::StatusOr<v1::Run> StoreSupervisor::GetRun(absl::string_view run_id) {
  if (run_id.empty()) return absl::InvalidArgumentError("run_id is required");
  MutexLock lock(&mutex_);
  const v1::Run* const run = known_.FindRun(run_id);
  if (run == nullptr) return NoRun(run_id);
  return *run;
}

absl::StatusOr<v1::ListRunsResponse> StoreSupervisor::ListRuns(const v1::ListRunsRequest& request) {
  MutexLock lock(&mutex_);
  return known_.ListRuns(request);
}

uint64_t StoreSupervisor::AwaitRunChange(const std::string& run_id, uint64_t version,
                                         RunWatchers::Callback callback) {
  MutexLock lock(&mutex_);
  const uint64_t ticket = next_ticket_++;
  using Result = absl::StatusOr<RunSnapshot>;
  const v1::Run* const run = known_.FindRun(run_id);
  if (run == nullptr) {
    PostResult(std::move(callback), Result(NoRun(run_id)));
  } else if (run->state() != v1::Run::STATE_RUNNING) {
    PostResult(std::move(callback), Result(RunSnapshot{.run = *run, .is_last = true}));
  } else if (!watchers_.HasRoom()) {
    PostResult(std::move(callback),
               Result(absl::ResourceExhaustedError("too many callers watch the run already")));
  } else {
    watchers_.Add(ticket, version, clock_.MonotonicNow(), std::move(callback));
    callbacks_wanted_.Signal();
  }
  return ticket;
}

uint64_t StoreSupervisor::CancelRun(const std::string& run_id, RunCallback callback) {
  std::shared_ptr<CancellationSource> cancellation;
  uint64_t ticket = 0;
  {
    MutexLock lock(&mutex_);
    using Result = absl::StatusOr<v1::Run>;
    ticket = next_ticket_++;
    const v1::Run* const run = known_.FindRun(run_id);
    if (run == nullptr) {
      PostResult(std::move(callback), Result(NoRun(run_id)));
    } else if (run->state() != v1::Run::STATE_RUNNING) {
      PostResult(std::move(callback), Result(absl::FailedPreconditionError(absl::StrCat(
                                          "run ", run->run_id(), " has ended before: it ",
                                          run->state() == v1::Run::STATE_CANCELLED ? "was " : "",
                                          StateWord(run->state())))));
    } else if (known_.current->cancel_callers.size() >= TriggerQueue::kCallersMax) {
      PostResult(std::move(callback),
                 Result(absl::ResourceExhaustedError("too many callers cancel the run already")));
    } else {
      known_.current->cancel_callers.emplace(ticket, std::move(callback));
      cancellation = known_.current->cancellation;
    }
  }
  // Without the lock: what is called back may take it.
  if (cancellation != nullptr) cancellation->Cancel(absl::CancelledError("somebody cancelled it"));
  return ticket;
}

void StoreSupervisor::ForgetCaller(uint64_t ticket) {
  MutexLock lock(&mutex_);
  triggers_.Forget(ticket);
  watchers_.Forget(ticket);
  if (known_.current.has_value()) known_.current->cancel_callers.erase(ticket);
}

// --- Triggers --------------------------------------------------------------------------------

uint64_t StoreSupervisor::TriggerBackup(const v1::TriggerBackupRequest& request,
                                        TriggerQueue::Callback callback) {
  const MonotonicTime arrival = clock_.MonotonicNow();
  MutexLock lock(&mutex_);
  const uint64_t ticket = next_ticket_++;
  if (is_stopping_) {
    PostResult(std::move(callback), absl::StatusOr<v1::TriggerBackupResponse>(ShuttingDown()));
    return ticket;
  }
  Deliver(triggers_.Take(request, arrival, known_, {ticket, std::move(callback)}));
  if (triggers_.HasAnswersToSave() && !is_saving_answers_) {
    is_saving_answers_ = true;
    Schedule([this] { SaveAnswers(); });
  }
  if (triggers_.WantsStoreAnswer()) StartStoreQuestion();
  run_wanted_.Signal();
  return ticket;
}

void StoreSupervisor::SaveAnswers() {
  while (true) {
    TriggerDesk::Answers answers;
    {
      MutexLock lock(&mutex_);
      answers = triggers_.TakeAnswersToSave();
      if (answers.empty()) {
        is_saving_answers_ = false;
        return;
      }
    }
    static_cast<void>(Save());
    MutexLock lock(&mutex_);
    Deliver(std::move(answers));
  }
}

void StoreSupervisor::Deliver(TriggerDesk::Answers answers) {
  for (TriggerQueue::Answer& answer : answers) {
    PostResult(std::move(answer.callback), std::move(answer.response));
  }
}

// --- In the background -----------------------------------------------------------------------

void StoreSupervisor::Schedule(absl::AnyInvocable<void()> task) {
  // Refused at shutdown only: there is room for one of each kind.
  static_cast<void>(background_.TrySchedule(std::move(task)));
}

void StoreSupervisor::StartStoreQuestion() {
  if (is_asking_store_ || is_stopping_) return;
  is_asking_store_ = true;
  Schedule([this] { AskStore(); });
}

void StoreSupervisor::AskStore() {
  const MonotonicTime asked = clock_.MonotonicNow();
  absl::StatusOr<v1::StoreStatus> status = dependencies_.source->GetStatus(stop_.token());
  MutexLock lock(&mutex_);
  is_asking_store_ = false;
  next_store_question_ =
      clock_.MonotonicNow() + (status.ok() ? kStoreQuestionInterval : kStoreQuestionRetry);
  Deliver(triggers_.OnStoreAnswered(asked, status, known_));
  if (status.ok()) {
    // Only now it is known whose backups to look for.
    if (known_.memory.store_id().empty() && !known_.store_status.has_value()) StartListing();
    known_.store_error = status->has_sickness() ? status->sickness().message() : "";
    known_.store_status = *std::move(status);
  } else if (!is_stopping_) {
    known_.store_error = CutError(status.status().message());
  }
  if (triggers_.WantsStoreAnswer()) StartStoreQuestion();
  run_wanted_.Signal();
  callbacks_wanted_.Signal();
}

void StoreSupervisor::AcceptStore(AcceptCallback callback) {
  MutexLock lock(&mutex_);
  using Result = absl::StatusOr<v1::AcceptStoreResponse>;
  if (is_stopping_ || is_accepting_) {
    PostResult(std::move(callback),
               Result(is_stopping_ ? ShuttingDown()
                                   : absl::AbortedError("the store is being accepted already")));
    return;
  }
  is_accepting_ = true;
  Schedule([this, callback = std::move(callback)]() mutable {
    Result accepted = TakeStoreAsItIs();
    MutexLock task_lock(&mutex_);
    is_accepting_ = false;
    PostResult(std::move(callback), std::move(accepted));
  });
}

absl::StatusOr<v1::AcceptStoreResponse> StoreSupervisor::TakeStoreAsItIs() {
  HOLDFAST_ASSIGN_OR_RETURN(v1::StoreStatus status, dependencies_.source->GetStatus(stop_.token()));
  v1::AcceptStoreResponse accepted;
  accepted.set_store_id(status.store_id());
  accepted.set_incarnation(status.incarnation());
  accepted.set_revision(status.revision());
  accepted.set_document_count(status.document_count());
  {
    MutexLock lock(&mutex_);
    // It would end with what it remembers itself.
    if (known_.current.has_value()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "run ", known_.current->run.run_id(), " is in progress: wait for its end, or cancel it"));
    }
    const bool is_other_store = known_.memory.store_id() != status.store_id();
    accepted.set_was_refused(!CheckAgainstMemory(status, known_.memory).ok());
    HOLDFAST_RETURN_IF_ERROR(holdfast::AcceptStore(status, known_.memory));
    LogWarning("the store was accepted as it is", {{"store", name_},
                                                   {"store_id", status.store_id()},
                                                   {"revision", status.revision()},
                                                   {"document_count", status.document_count()}});
    known_.store_status = std::move(status);
    if (is_other_store) {
      known_.catalog.KeepDestinations({});
      upkeep_->KeepDestinations({});
      known_.destinations.ForgetSuccesses();
      StartListing();
    }
  }
  HOLDFAST_RETURN_IF_ERROR(Save());
  return accepted;
}

void StoreSupervisor::StartListing() {
  wants_listing_ = true;
  if (is_listing_ || is_stopping_) return;
  is_listing_ = true;
  Schedule([this] { ListDestinations(); });
}

void StoreSupervisor::ListDestinations() {
  v1::Settings settings;
  agent::v1::StoreMemory memory;
  uint64_t begin = 0;
  {
    MutexLock lock(&mutex_);
    wants_listing_ = false;
    settings = known_.settings;
    memory = known_.memory;
    if (memory.store_id().empty() && known_.store_status.has_value()) {
      memory.set_store_id(known_.store_status->store_id());
    }
    begin = known_.catalog.BeginListing();
  }
  const absl::StatusOr<BackupRunner::Listing> listing =
      dependencies_.runner->ListBackups(settings, memory, stop_.token());
  if (stop_.token().IsCancelled()) return;  // it may lack what was not waited for
  if (!listing.ok()) {
    LogWarning("the backups can't be listed", {{"store", name_}, {"error", listing.status()}});
  } else {
    for (const auto& [name, error] : listing->errors) {
      LogWarning("the backups at a destination can't be listed",
                 {{"store", name_}, {"destination", name}, {"error", error}});
    }
  }
  MutexLock lock(&mutex_);
  is_listing_ = false;
  const bool is_of_other_store =
      !known_.memory.store_id().empty() && known_.memory.store_id() != memory.store_id();
  const bool is_stale =
      known_.settings.settings_revision() != settings.settings_revision() || is_of_other_store;
  if (is_stale) {
    wants_listing_ = true;  // it may be of destinations, or of a store, that are no more
  } else {
    known_.destinations.OnListed(settings, listing);
    if (listing.ok()) {
      known_.catalog.FinishListing(begin, *listing);
      upkeep_->OnListed(known_.HoldingDestinations(), listing->drilled);
    }
  }
  if (wants_listing_) StartListing();
  listing_ended_.SignalAll();
}

// --- UpkeepHost ------------------------------------------------------------------------------

UpkeepHost::View StoreSupervisor::Look() {
  MutexLock lock(&mutex_);
  return {.settings = known_.settings,
          .memory = known_.memory,
          .is_run_in_progress = known_.current.has_value(),
          .holding = known_.HoldingDestinations()};
}

void StoreSupervisor::OnBackupsChanged() {
  MutexLock lock(&mutex_);
  StartListing();
  const MonotonicTime deadline = clock_.MonotonicNow() + kListingWaitMax;
  while (is_listing_ && !is_stopping_) {
    if (!clock_.WaitUntil(&listing_ended_, &mutex_, deadline)) return;
  }
}

void StoreSupervisor::SaveUpkeep() { static_cast<void>(Save()); }

// --- Backups ---------------------------------------------------------------------------------

absl::StatusOr<v1::Backup> StoreSupervisor::GetBackup(absl::string_view backup_id) {
  MutexLock lock(&mutex_);
  return known_.catalog.Get(backup_id);
}

absl::StatusOr<v1::ListBackupsResponse> StoreSupervisor::ListBackups(
    const v1::ListBackupsRequest& request) {
  MutexLock lock(&mutex_);
  return known_.catalog.List(request);
}

// --- Settings --------------------------------------------------------------------------------

v1::Settings StoreSupervisor::ShownSettings() {
  v1::Settings settings = known_.settings;
  const std::optional<absl::Time> next = scheduler_->NextStart();
  if (next.has_value()) *settings.mutable_next_due_time() = ToProto(*next);
  settings.set_key_fingerprint(dependencies_.key_fingerprint);
  for (v1::Destination& destination : *settings.mutable_destinations()) {
    const auto known = known_.memory.destinations().find(destination.name());
    if (known != known_.memory.destinations().end()) {
      destination.set_repository_id(known->second.repository_id());
    }
  }
  return settings;
}

v1::Settings StoreSupervisor::GetSettings() {
  MutexLock lock(&mutex_);
  return ShownSettings();
}

void StoreSupervisor::UpdateSettings(const v1::Settings& settings, SettingsCallback callback) {
  absl::StatusOr<v1::Settings> checked = CheckSettings(settings, dependencies_.key_fingerprint);
  MutexLock lock(&mutex_);
  absl::Status refusal = checked.status();
  if (refusal.ok()) refusal = CheckThatNoneIsInside(known_.settings, *checked);
  if (is_stopping_) {
    refusal = ShuttingDown();
  } else if (!refusal.ok()) {
    // Said already.
  } else if (settings.settings_revision() != known_.settings.settings_revision()) {
    refusal = absl::AbortedError(absl::StrCat(
        "the settings were changed: they are at revision ", known_.settings.settings_revision(),
        ", the request is for ", settings.settings_revision(), "; read them again"));
  } else if (is_updating_) {
    refusal = absl::AbortedError("another change of the settings is under way; read them again");
  }
  if (!refusal.ok()) {
    PostResult(std::move(callback), absl::StatusOr<v1::Settings>(refusal));
    return;
  }
  is_updating_ = true;
  checked->set_store_name(name_);
  checked->set_settings_revision(known_.settings.settings_revision() + 1);
  Schedule([this, changed = *checked, added = NewDestinations(known_.settings, *checked),
            callback = std::move(callback)]() mutable {
    absl::StatusOr<v1::Settings> applied = ApplySettings(changed, added);
    MutexLock task_lock(&mutex_);
    is_updating_ = false;
    PostResult(std::move(callback), std::move(applied));
  });
}

std::map<std::string, std::string> StoreSupervisor::KnownRepositories(
    const v1::Settings& settings, const std::vector<v1::Destination>& added) {
  MutexLock lock(&mutex_);
  std::map<std::string, std::string> names;
  for (const v1::Destination& destination : settings.destinations()) {
    const bool is_new = std::any_of(added.begin(), added.end(), [&](const v1::Destination& one) {
      return one.name() == destination.name();
    });
    const auto memory = known_.memory.destinations().find(destination.name());
    if (is_new || memory == known_.memory.destinations().end()) continue;
    names.emplace(memory->second.repository_id(), destination.name());
  }
  names.erase("");
  return names;
}

absl::StatusOr<v1::Settings> StoreSupervisor::ApplySettings(
    const v1::Settings& settings, const std::vector<v1::Destination>& added) {
  std::map<std::string, std::string> names = KnownRepositories(settings, added);
  for (const v1::Destination& destination : added) {
    HOLDFAST_ASSIGN_OR_RETURN(const std::string repository_id,
                              dependencies_.runner->PrepareDestination(destination),
                              absl::StrCat("use the new destination ", destination.name()));
    const auto [other, is_new] = names.emplace(repository_id, destination.name());
    if (!is_new) {
      return absl::FailedPreconditionError(absl::StrCat(
          "destinations.url of ", destination.name(), ": the repository there is that of ",
          other->second, " (", repository_id,
          "): one is a link to the other, or a copy of it, and would not be a second place"));
    }
  }
  std::optional<ScheduleTimes> times;
  if (settings.schedule().automatic()) {
    HOLDFAST_ASSIGN_OR_RETURN(times, ScheduleTimes::Create(settings.schedule()));
  }
  // Nothing else is saved meanwhile, so what is durable then is what is applied.
  MutexLock save_lock(&save_mutex_);
  agent::v1::StoreState state;
  bool is_new_schedule = false;
  {
    MutexLock lock(&mutex_);
    state = MakeState();
    is_new_schedule =
        known_.settings.schedule().SerializeAsString() != settings.schedule().SerializeAsString();
    ForgetDestinations(known_.settings, settings, *state.mutable_memory());
  }
  *state.mutable_settings() = settings;
  if (is_new_schedule) {
    state.set_next_due_time_us(
        times.has_value() ? absl::ToUnixMicros(times->NextAfter(clock_.Now())) : 0);
  }
  HOLDFAST_RETURN_IF_ERROR(dependencies_.states->Save(name_, std::move(state)));

  MutexLock lock(&mutex_);
  upkeep_->KeepDestinations(known_.ChangeSettings(settings, added));
  if (is_new_schedule) scheduler_->SetTimes(times);
  LogInfo("the settings were changed",
          {{"store", name_}, {"settings_revision", known_.settings.settings_revision()}});
  if (!added.empty()) StartListing();
  run_wanted_.Signal();
  return ShownSettings();
}

// --- Status ----------------------------------------------------------------------------------

v1::BackupStatus StoreSupervisor::GetStatus() {
  MutexLock lock(&mutex_);
  StatusReport report =
      ReportStatus(known_, dependencies_.key_fingerprint, scheduler_->NextStart(), clock_);
  upkeep_->AddToStatus(known_.settings, known_.HoldingDestinations(), report.status,
                       report.verdict);
  const VerdictOutput output = ReachVerdict(report.verdict);
  report.status.set_verdict(output.verdict);
  report.status.set_reason(output.reason);
  return std::move(report.status);
}

// --- Callbacks -------------------------------------------------------------------------------

void StoreSupervisor::MakeCallbacks() {
  while (true) {
    std::deque<absl::AnyInvocable<void()>> callbacks = AwaitCallbacks();
    if (callbacks.empty()) return;
    for (absl::AnyInvocable<void()>& callback : callbacks) callback();
  }
}

std::deque<absl::AnyInvocable<void()>> StoreSupervisor::AwaitCallbacks() {
  MutexLock lock(&mutex_);
  std::deque<absl::AnyInvocable<void()>> callbacks;
  while (true) {
    const MonotonicTime now = clock_.MonotonicNow();
    MonotonicTime look_again = MonotonicTime::InfiniteFuture();
    if (known_.current.has_value()) {
      const uint64_t version = known_.current->version;
      for (auto& [callback, snapshot] :
           watchers_.TakeDue({.run = known_.current->run, .version = version}, now)) {
        PostResult(std::move(callback), absl::StatusOr<RunSnapshot>(std::move(snapshot)));
      }
      look_again = watchers_.NextDue(version);
    }
    if (!is_asking_store_ && !is_stopping_) {
      if (now >= next_store_question_) {
        StartStoreQuestion();
      } else {
        look_again = std::min(look_again, next_store_question_);
      }
    }
    callbacks.swap(callbacks_);
    if (!callbacks.empty() || may_callbacks_end_) return callbacks;
    clock_.WaitUntil(&callbacks_wanted_, &mutex_, look_again);
  }
}

}  // namespace holdfast
