#include "backup-agent/schedule/store_supervisor.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "backup-agent/proving/proof_schedule.h"
#include "backup-agent/retention/retention_policy.h"
#include "backup-agent/schedule/agent_errors.h"
#include "backup-agent/schedule/paging.h"
#include "backup-agent/schedule/schedule_times.h"
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

constexpr size_t kRequestIdSizeMaxBytes = 128;
constexpr size_t kRunIdRandomBytes = 4;
constexpr size_t kCheckpointHolderRandomBytes = 16;

constexpr absl::string_view kCutRunError = "the agent was stopped while it ran";

// What the run that ended last warned of at a destination; empty where it did not.
std::string RunWarning(const std::deque<v1::Run>& runs, absl::string_view destination_name) {
  if (runs.empty()) return "";
  for (const v1::DestinationResult& result : runs.front().destinations()) {
    if (result.destination_name() == destination_name) return result.warning();
  }
  return "";
}

// What a request of TriggerBackup needs; the errors are those of the call.
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

absl::Status NoRun(absl::string_view run_id) {
  return absl::NotFoundError(run_id.empty() ? std::string("no run is in progress")
                                            : absl::StrCat("there is no run ",
                                                           absl::Utf8SafeCHexEscape(run_id),
                                                           ", or it is no longer remembered"));
}

// A run that started by itself.
bool IsOwn(v1::Run::Cause cause) { return cause != v1::Run::CAUSE_TRIGGERED; }

const char* Word(v1::Run::State state) {
  switch (state) {
    case v1::Run::STATE_SUCCEEDED:
      return "succeeded";
    case v1::Run::STATE_CANCELLED:
      return "cancelled";
    default:
      return "failed";
  }
}

const char* Word(v1::Run::Cause cause) {
  switch (cause) {
    case v1::Run::CAUSE_SCHEDULED:
      return "scheduled";
    case v1::Run::CAUSE_CAUGHT_UP:
      return "caught up";
    case v1::Run::CAUSE_RETRIED:
      return "retried";
    default:
      return "triggered";
  }
}

// What happens to the parts of a run that are still shown as running when it ends.
void CloseRun(v1::Run& run, v1::Run::State state, absl::string_view error, absl::Time now) {
  run.set_state(state);
  run.set_phase(v1::Run::PHASE_UNSPECIFIED);
  *run.mutable_end_time() = ToProto(now);
  run.set_error(CutError(error));
  for (v1::DestinationResult& result : *run.mutable_destinations()) {
    if (result.state() != v1::DestinationResult::STATE_SUCCEEDED &&
        result.state() != v1::DestinationResult::STATE_FAILED) {
      result.set_state(v1::DestinationResult::STATE_FAILED);
      if (result.error().empty()) result.set_error("the run ended before");
    }
    result.set_error(CutError(result.error()));
  }
}

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
      catalog_(clock_),
      requests_(clock_),
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
  RecoverCutRun(state);

  settings_ = state.settings();
  settings_.set_store_name(name_);
  if (!settings_.has_retention()) *settings_.mutable_retention() = DefaultRetention();
  if (!settings_.has_proving()) *settings_.mutable_proving() = DefaultProving();
  upkeep_ = std::make_unique<StoreUpkeep>(
      name_, StoreUpkeep::Dependencies{.runner = dependencies_.runner,
                                       .host = this,
                                       .clock = dependencies_.clock,
                                       .random = dependencies_.random});
  upkeep_->Load(state);
  memory_ = state.memory();
  runs_.assign(state.runs().begin(), state.runs().end());
  consecutive_failures_ = state.consecutive_failures();
  last_error_ = state.last_error();
  requests_.Load(state.requests());
  if (state.has_last_backup()) {
    catalog_.FinishListing(catalog_.BeginListing(),
                           {.backups = {state.last_backup()}, .errors = {}});
  }
  create_time_ = absl::FromUnixMicros(state.create_time_us());
  start_time_ = clock_.MonotonicNow();
  known_before_start_ = std::max(absl::ZeroDuration(), clock_.Now() - create_time_);
  next_store_question_ = start_time_;

  std::optional<ScheduleTimes> times;
  if (settings_.schedule().automatic()) {
    absl::StatusOr<ScheduleTimes> created = ScheduleTimes::Create(settings_.schedule());
    if (created.ok()) {
      times = *std::move(created);
    } else {
      // The zone was known when it was set.
      LogError("the schedule can't be used, no backup is taken by itself",
               {{"store", name_}, {"error", created.status()}});
      state_error_ = std::string(created.status().message());
    }
  }
  Scheduler::Remembered remembered;
  if (state.next_due_time_us() != 0) {
    remembered.due = absl::FromUnixMicros(state.next_due_time_us());
  }
  remembered.consecutive_failures = consecutive_failures_;
  remembered.must_retry = consecutive_failures_ > 0 && !runs_.empty() &&
                          IsOwn(runs_.front().cause()) &&
                          runs_.front().state() != v1::Run::STATE_SUCCEEDED;
  scheduler_.emplace(clock_, *dependencies_.random, times, remembered);
}

void StoreSupervisor::RecoverCutRun(agent::v1::StoreState& state) {
  if (!state.has_current_run()) return;
  v1::Run run = state.current_run();
  state.clear_current_run();
  CloseRun(run, v1::Run::STATE_FAILED, kCutRunError, clock_.Now());
  LogWarning("a run was cut: the agent was stopped while it ran",
             {{"store", name_}, {"run_id", run.run_id()}});
  state.mutable_runs()->Add(std::move(run));
  // To the front.
  for (int i = state.runs_size() - 1; i > 0; --i) state.mutable_runs()->SwapElements(i, i - 1);
  while (state.runs_size() > static_cast<int>(kRunsMax)) state.mutable_runs()->RemoveLast();
  state.set_consecutive_failures(state.consecutive_failures() + 1);
  state.set_last_error(std::string(kCutRunError));
  for (auto& [name, destination] : *state.mutable_memory()->mutable_destinations()) {
    destination.set_has_unnamed_objects(true);
  }
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
    if (current_.has_value()) run = current_->cancellation;
    run_wanted_.Signal();
  }
  // Without the lock: what is called back may take it.
  if (run != nullptr) run->Cancel(absl::CancelledError(kCutRunError));
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
    if (current_.has_value()) {
      LogWarning("a run does not end, it is left behind",
                 {{"store", name_}, {"run_id", current_->run.run_id()}});
      for (auto& [name, destination] : *memory_.mutable_destinations()) {
        destination.set_has_unnamed_objects(true);
      }
      static_cast<void>(RecordEnd(absl::CancelledError(kCutRunError), std::nullopt));
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
  *state.mutable_settings() = settings_;
  *state.mutable_memory() = memory_;
  for (const v1::Run& run : runs_) *state.add_runs() = run;
  if (current_.has_value()) *state.mutable_current_run() = current_->run;
  const std::optional<absl::Time> due = scheduler_->due();
  if (due.has_value()) state.set_next_due_time_us(absl::ToUnixMicros(*due));
  for (const agent::v1::RememberedRequest& request : requests_.requests()) {
    *state.add_requests() = request;
  }
  state.set_consecutive_failures(consecutive_failures_);
  state.set_last_error(last_error_);
  const v1::Backup* const last_backup = catalog_.NewestAt(RequiredDestinations(settings_));
  if (last_backup != nullptr) *state.mutable_last_backup() = *last_backup;
  state.set_create_time_us(absl::ToUnixMicros(create_time_));
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
  state_error_ = std::string(saved.message());
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
  current_.emplace();
  v1::Run& run = current_->run;
  const absl::Time now = clock_.Now();
  run.set_run_id(
      absl::StrCat(FormatTimeCompact(now), "-", dependencies_.random->Hex(kRunIdRandomBytes)));
  run.set_store_name(name_);
  run.set_state(v1::Run::STATE_RUNNING);
  run.set_cause(cause);
  *run.mutable_start_time() = ToProto(now);
  current_->settings = settings_;
  scheduler_->OnRunStarted(cause);
  for (const std::string& request_id : triggers_.OnRunStarted()) {
    requests_.SetRun(request_id, run.run_id());
  }
}

BackupRunOutcome StoreSupervisor::ExecuteRun() {
  BackupRunInput input;
  Cancellation cancellation;
  {
    MutexLock lock(&mutex_);
    input = {.store_name = name_, .settings = current_->settings, .memory = memory_};
    cancellation = current_->cancellation->token();
    LogInfo("a run begins", {{"store", name_},
                             {"run_id", current_->run.run_id()},
                             {"cause", Word(current_->run.cause())}});
  }
  // If that fails a kill -9 would leave the run unrecorded; the backup matters more.
  static_cast<void>(Save());
  Observer observer(*this);
  return dependencies_.runner->Run(input, observer, cancellation);
}

void StoreSupervisor::UpdateRun(const std::function<void(v1::Run&)>& change) {
  MutexLock lock(&mutex_);
  if (!current_.has_value()) return;  // it was given up
  change(current_->run);
  ++current_->version;
  if (!current_->checkpoint_request.has_value() &&
      current_->run.phase() != v1::Run::PHASE_UNSPECIFIED) {
    current_->checkpoint_request = clock_.MonotonicNow();
  }
  TriggerQueue::Outcome outcome = triggers_.OnRunProgress(*CurrentView());
  Remember(outcome);
  Deliver(std::move(outcome));
  callbacks_wanted_.Signal();
}

std::optional<RunView> StoreSupervisor::CurrentView() const {
  if (!current_.has_value()) return std::nullopt;
  return RunView{.run = &current_->run,
                 .destination_count = static_cast<uint32_t>(current_->settings.destinations_size()),
                 .checkpoint_request = current_->checkpoint_request};
}

void StoreSupervisor::EndRun(BackupRunOutcome outcome) {
  const bool has_backup = outcome.backup.has_value();
  TriggerQueue::Outcome triggers;
  {
    MutexLock lock(&mutex_);
    if (!current_.has_value()) return;  // it was given up
    const v1::Settings settings = current_->settings;
    memory_ = std::move(outcome.memory);
    ForgetDestinations(settings, settings_, memory_);
    if (outcome.backup.has_value()) {
      current_->run.set_backup_id(outcome.backup->backup_id());
      catalog_.Add(*outcome.backup, current_->checkpoint_request.value_or(clock_.MonotonicNow()));
      for (const std::string& name : outcome.backup->destination_names()) {
        success_times_[name] = clock_.MonotonicNow();
      }
    }
    triggers = RecordEnd(outcome.status, outcome.backup);
    Remember(triggers);
    StartStoreQuestion();
  }
  // Before anybody is told.
  static_cast<void>(Save());
  MutexLock lock(&mutex_);
  Deliver(std::move(triggers));
  if (is_stopping_) return;
  StartListing();
  // Also where too few hold it: a destination that goes on must not fill up while another is gone.
  if (has_backup) upkeep_->PruneSoon();
}

TriggerQueue::Outcome StoreSupervisor::RecordEnd(const absl::Status& status,
                                                 const std::optional<v1::Backup>& backup) {
  v1::Run& run = current_->run;
  const bool was_cancelled = !status.ok() && current_->cancellation->token().IsCancelled();
  CloseRun(run,
           status.ok()     ? v1::Run::STATE_SUCCEEDED
           : was_cancelled ? v1::Run::STATE_CANCELLED
                           : v1::Run::STATE_FAILED,
           was_cancelled ? current_->cancellation->token().status().message() : status.message(),
           clock_.Now());
  Scheduler::RunEnd end = Scheduler::RunEnd::kSucceeded;
  if (status.ok()) {
    consecutive_failures_ = 0;
    last_error_.clear();
  } else if (was_cancelled) {
    end = is_stopping_ ? Scheduler::RunEnd::kAgentStopped : Scheduler::RunEnd::kCancelled;
  } else {
    end = Scheduler::RunEnd::kFailed;
    ++consecutive_failures_;
    last_error_ = run.error();
  }
  scheduler_->OnRunEnded(run.cause(), end, consecutive_failures_);
  Log(status.ok() || was_cancelled ? LogLevel::kInfo : LogLevel::kError, "a run has ended",
      {{"store", name_},
       {"run_id", run.run_id()},
       {"state", Word(run.state())},
       {"backup_id", run.backup_id()},
       {"revision", run.revision()},
       {"files_sent", run.files_sent()},
       {"bytes_sent", run.bytes_sent()},
       {"error", run.error()}});

  const RunView ended{
      .run = &run,
      .destination_count = static_cast<uint32_t>(current_->settings.destinations_size())};
  TriggerQueue::Outcome outcome = triggers_.OnRunEnded(ended, backup);
  for (auto& [ticket, callback] : current_->cancel_callers) {
    PostResult(std::move(callback), absl::StatusOr<v1::Run>(run));
  }
  for (auto& [callback, snapshot] :
       watchers_.TakeDue({.run = run, .is_last = true}, clock_.MonotonicNow())) {
    PostResult(std::move(callback), absl::StatusOr<RunSnapshot>(std::move(snapshot)));
  }
  runs_.push_front(std::move(run));
  if (runs_.size() > kRunsMax) runs_.pop_back();
  current_.reset();
  return outcome;
}

const v1::Run* StoreSupervisor::FindRun(absl::string_view run_id) const {
  if (current_.has_value() && (run_id.empty() || current_->run.run_id() == run_id)) {
    return &current_->run;
  }
  for (const v1::Run& run : runs_) {
    if (run.run_id() == run_id) return &run;
  }
  return nullptr;
}

absl::StatusOr<v1::Run> StoreSupervisor::GetRun(absl::string_view run_id) {
  if (run_id.empty()) return absl::InvalidArgumentError("run_id is required");
  MutexLock lock(&mutex_);
  const v1::Run* const run = FindRun(run_id);
  if (run == nullptr) return NoRun(run_id);
  return *run;
}

absl::StatusOr<v1::ListRunsResponse> StoreSupervisor::ListRuns(const v1::ListRunsRequest& request) {
  MutexLock lock(&mutex_);
  std::vector<const v1::Run*> runs;
  if (current_.has_value()) runs.push_back(&current_->run);
  for (const v1::Run& run : runs_) runs.push_back(&run);
  HOLDFAST_ASSIGN_OR_RETURN(const PageRange page,
                            FindPage(
                                runs,
                                [](const v1::Run* run) {
                                  return PageItem{run->run_id(), run->ByteSizeLong()};
                                },
                                request.page_size(), request.page_token()));
  v1::ListRunsResponse response;
  for (size_t i = page.begin; i < page.end; ++i) *response.add_runs() = *runs[i];
  response.set_next_page_token(page.next_page_token);
  return response;
}

uint64_t StoreSupervisor::AwaitRunChange(const std::string& run_id, uint64_t version,
                                         RunWatchers::Callback callback) {
  MutexLock lock(&mutex_);
  const uint64_t ticket = next_ticket_++;
  using Result = absl::StatusOr<RunSnapshot>;
  const v1::Run* const run = FindRun(run_id);
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
    const v1::Run* const run = FindRun(run_id);
    if (run == nullptr) {
      PostResult(std::move(callback), Result(NoRun(run_id)));
    } else if (run->state() != v1::Run::STATE_RUNNING) {
      PostResult(std::move(callback),
                 Result(absl::FailedPreconditionError(absl::StrCat(
                     "run ", run->run_id(), " has ended before: it ",
                     run->state() == v1::Run::STATE_CANCELLED ? "was " : "", Word(run->state())))));
    } else if (current_->cancel_callers.size() >= TriggerQueue::kCallersMax) {
      PostResult(std::move(callback),
                 Result(absl::ResourceExhaustedError("too many callers cancel the run already")));
    } else {
      current_->cancel_callers.emplace(ticket, std::move(callback));
      cancellation = current_->cancellation;
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
  if (current_.has_value()) current_->cancel_callers.erase(ticket);
}

// --- Triggers --------------------------------------------------------------------------------

uint64_t StoreSupervisor::TriggerBackup(const v1::TriggerBackupRequest& request,
                                        TriggerQueue::Callback callback) {
  const MonotonicTime arrival = clock_.MonotonicNow();
  MutexLock lock(&mutex_);
  using Result = absl::StatusOr<v1::TriggerBackupResponse>;
  const uint64_t ticket = next_ticket_++;
  const std::string& request_id = request.request_id();
  const absl::StatusOr<BackupNeed> need =
      is_stopping_ ? absl::StatusOr<BackupNeed>(ShuttingDown()) : ToNeed(request, settings_);
  if (!need.ok()) {
    PostResult(std::move(callback), Result(need.status()));
    return ticket;
  }
  absl::StatusOr<std::optional<v1::TriggerBackupResponse>> answer = AnswerAtOnce(*need, request_id);
  if (!answer.ok()) {
    PostResult(std::move(callback), Result(answer.status()));
    return ticket;
  }
  if (answer->has_value()) {
    if (request_id.empty() || requests_.Find(request_id) != nullptr) {
      PostResult(std::move(callback), Result(**std::move(answer)));
      return ticket;
    }
    if (answers_to_save_.size() >= TriggerQueue::kCallersMax) {
      PostResult(std::move(callback),
                 Result(absl::ResourceExhaustedError("too many callers wait already; try again")));
      return ticket;
    }
    requests_.Add(request_id);
    requests_.SetRun(request_id, (*answer)->run_id());
    requests_.SetBackup(request_id, (*answer)->backup().backup_id());
    answers_to_save_.push_back({std::move(callback), **std::move(answer)});
    if (!is_saving_answers_) {
      is_saving_answers_ = true;
      Schedule([this] { SaveAnswers(); });
    }
    return ticket;
  }

  if (!triggers_.HasRoom()) {
    PostResult(std::move(callback),
               Result(absl::ResourceExhaustedError("too many callers wait already; try again")));
    return ticket;
  }
  TriggerQueue::Caller caller = {ticket, std::move(callback)};
  if (!request_id.empty() && triggers_.Has(request_id)) {
    triggers_.AddCaller(request_id, std::move(caller));
    return ticket;
  }
  const bool ask_store = need->min_revision > 0;
  triggers_.Add(*need, arrival, request_id, ask_store, CurrentView(), std::move(caller));
  if (!request_id.empty()) {
    requests_.Add(request_id);
    if (current_.has_value()) requests_.SetRun(request_id, current_->run.run_id());
  }
  if (ask_store) StartStoreQuestion();
  run_wanted_.Signal();
  return ticket;
}

void StoreSupervisor::SaveAnswers() {
  while (true) {
    std::deque<AnswerToSave> answers;
    {
      MutexLock lock(&mutex_);
      answers.swap(answers_to_save_);
      if (answers.empty()) {
        is_saving_answers_ = false;
        return;
      }
    }
    static_cast<void>(Save());
    MutexLock lock(&mutex_);
    for (AnswerToSave& answer : answers) {
      PostResult(std::move(answer.callback),
                 absl::StatusOr<v1::TriggerBackupResponse>(std::move(answer.response)));
    }
  }
}

absl::StatusOr<std::optional<v1::TriggerBackupResponse>> StoreSupervisor::AnswerAtOnce(
    const BackupNeed& need, absl::string_view request_id) {
  v1::TriggerBackupResponse response;
  response.set_already_there(true);
  const agent::v1::RememberedRequest* const request =
      request_id.empty() ? nullptr : requests_.Find(request_id);
  if (request != nullptr && !request->backup_id().empty()) {
    const std::optional<v1::Backup> backup = FindBackup(request->backup_id(), request->run_id());
    if (backup.has_value()) {
      if (backup->revision() < need.min_revision ||
          !IsHeldBy(*backup, need.required_destinations)) {
        return absl::InvalidArgumentError(absl::StrCat(
            "request_id ", request_id, " was that of a request with other needs: take a new one"));
      }
      *response.mutable_backup() = *backup;
      response.set_run_id(request->run_id());
      return response;
    }
    requests_.Forget(request_id);
  }

  // Whether a backup holds a revision, only the store can tell: see JudgeByStore.
  if (need.min_revision > 0 || *need.max_age == absl::ZeroDuration()) return std::nullopt;
  const v1::Backup* const backup = catalog_.NewestAt(need.required_destinations);
  if (backup == nullptr || catalog_.Age(*backup) > *need.max_age) return std::nullopt;
  *response.mutable_backup() = *backup;
  response.set_run_id(RunThatMade(backup->backup_id()));
  return response;
}

absl::StatusOr<std::optional<v1::TriggerBackupResponse>> StoreSupervisor::JudgeByStore(
    const BackupNeed& need, const absl::StatusOr<v1::StoreStatus>& status) const {
  if (!status.ok()) {
    return absl::AbortedError(
        absl::StrCat("the store can't be asked whether it has given revision ", need.min_revision,
                     ": ", status.status().message()));
  }
  HOLDFAST_RETURN_IF_ERROR(CheckAgainstMemory(*status, memory_));
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
      catalog_.NewestWith(status->incarnation(), need.min_revision, need.required_destinations,
                          memory_.accepted_after_ordinal());
  if (backup == nullptr) return std::nullopt;
  v1::TriggerBackupResponse response;
  response.set_already_there(true);
  *response.mutable_backup() = *backup;
  response.set_run_id(RunThatMade(backup->backup_id()));
  return response;
}

std::optional<v1::Backup> StoreSupervisor::FindBackup(absl::string_view backup_id,
                                                      absl::string_view run_id) const {
  const v1::Backup* const backup = catalog_.Find(backup_id);
  if (backup != nullptr) return *backup;
  const v1::Run* const run = run_id.empty() ? nullptr : FindRun(run_id);
  if (run == nullptr || run->backup_id() != backup_id) return std::nullopt;
  return DescribeBackup(*run, memory_);
}

std::string StoreSupervisor::RunThatMade(absl::string_view backup_id) const {
  for (const v1::Run& run : runs_) {
    if (run.backup_id() == backup_id) return run.run_id();
  }
  return "";
}

void StoreSupervisor::Remember(const TriggerQueue::Outcome& outcome) {
  for (const std::string& request_id : outcome.failed_request_ids) requests_.Forget(request_id);
  for (const auto& [request_id, backup_id] : outcome.satisfied_request_ids) {
    requests_.SetBackup(request_id, backup_id);
  }
}

void StoreSupervisor::Deliver(TriggerQueue::Outcome outcome) {
  for (TriggerQueue::Answer& answer : outcome.answers) {
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
  TriggerQueue::Outcome outcome = triggers_.OnStoreAnswered(
      asked,
      [&](const BackupNeed& need) {
        mutex_.AssertHeld();
        return JudgeByStore(need, status);
      },
      CurrentView());
  if (status.ok()) {
    // Only now it is known whose backups to look for.
    if (memory_.store_id().empty() && !store_status_.has_value()) StartListing();
    store_error_ = status->has_sickness() ? status->sickness().message() : "";
    store_status_ = *std::move(status);
  } else if (!is_stopping_) {
    store_error_ = CutError(status.status().message());
  }
  Remember(outcome);
  Deliver(std::move(outcome));
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
    if (current_.has_value()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "run ", current_->run.run_id(), " is in progress: wait for its end, or cancel it"));
    }
    const bool is_other_store = memory_.store_id() != status.store_id();
    HOLDFAST_RETURN_IF_ERROR(holdfast::AcceptStore(status, memory_));
    LogWarning("the store was accepted as it is", {{"store", name_},
                                                   {"store_id", status.store_id()},
                                                   {"revision", status.revision()},
                                                   {"document_count", status.document_count()}});
    store_status_ = std::move(status);
    if (is_other_store) {
      catalog_.KeepDestinations({});
      upkeep_->KeepDestinations({});
      success_times_.clear();
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
    settings = settings_;
    memory = memory_;
    if (memory.store_id().empty() && store_status_.has_value()) {
      memory.set_store_id(store_status_->store_id());
    }
    begin = catalog_.BeginListing();
  }
  const absl::StatusOr<BackupRunner::Listing> listing =
      dependencies_.runner->ListBackups(settings, memory, stop_.token());
  if (stop_.token().IsCancelled()) return;  // it may lack what was not waited for
  std::map<std::string, std::string> errors;
  if (listing.ok()) {
    for (const auto& [name, error] : listing->errors) {
      LogWarning("the backups at a destination can't be listed",
                 {{"store", name_}, {"destination", name}, {"error", error}});
      errors[name] = CutError(error.message());
    }
  } else {
    LogWarning("the backups can't be listed", {{"store", name_}, {"error", listing.status()}});
    for (const v1::Destination& destination : settings.destinations()) {
      errors[destination.name()] = CutError(listing.status().message());
    }
  }
  MutexLock lock(&mutex_);
  is_listing_ = false;
  const bool is_of_other_store =
      !memory_.store_id().empty() && memory_.store_id() != memory.store_id();
  const bool is_stale =
      settings_.settings_revision() != settings.settings_revision() || is_of_other_store;
  if (is_stale) {
    wants_listing_ = true;  // it may be of destinations, or of a store, that are no more
  } else {
    listing_errors_ = std::move(errors);
  }
  if (!is_stale && listing.ok()) {
    catalog_.FinishListing(begin, *listing);
    // Of a place that does not answer nothing new is known.
    for (const v1::Destination& destination : settings.destinations()) {
      const std::string& name = destination.name();
      if (listing->errors.count(name) == 0) place_warnings_.erase(name);
    }
    place_warnings_.insert(listing->warnings.begin(), listing->warnings.end());
    upkeep_->OnListed(HoldingDestinations());
  }
  if (wants_listing_) StartListing();
}

// --- UpkeepHost ------------------------------------------------------------------------------

UpkeepHost::View StoreSupervisor::Look() {
  MutexLock lock(&mutex_);
  return {.settings = settings_,
          .memory = memory_,
          .is_run_in_progress = current_.has_value(),
          .holding = HoldingDestinations()};
}

void StoreSupervisor::OnBackupsChanged() {
  MutexLock lock(&mutex_);
  StartListing();
}

void StoreSupervisor::SaveUpkeep() { static_cast<void>(Save()); }

std::set<std::string> StoreSupervisor::HoldingDestinations() const {
  std::set<std::string> names;
  for (const v1::Backup& backup : catalog_.backups()) {
    names.insert(backup.destination_names().begin(), backup.destination_names().end());
    if (names.size() == static_cast<size_t>(settings_.destinations_size())) break;
  }
  return names;
}

// --- Backups ---------------------------------------------------------------------------------

absl::StatusOr<v1::Backup> StoreSupervisor::GetBackup(absl::string_view backup_id) {
  MutexLock lock(&mutex_);
  if (backup_id.empty()) {
    if (catalog_.backups().empty()) return absl::NotFoundError("there is no backup yet");
    return catalog_.backups().front();
  }
  const v1::Backup* const backup = catalog_.Find(backup_id);
  if (backup == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("there is no backup ", absl::Utf8SafeCHexEscape(backup_id)));
  }
  return *backup;
}

absl::StatusOr<v1::ListBackupsResponse> StoreSupervisor::ListBackups(
    const v1::ListBackupsRequest& request) {
  MutexLock lock(&mutex_);
  HOLDFAST_ASSIGN_OR_RETURN(const PageRange page,
                            FindPage(
                                catalog_.backups(),
                                [](const v1::Backup& backup) {
                                  return PageItem{backup.backup_id(), backup.ByteSizeLong()};
                                },
                                request.page_size(), request.page_token()));
  v1::ListBackupsResponse response;
  for (size_t i = page.begin; i < page.end; ++i) *response.add_backups() = catalog_.backups()[i];
  response.set_next_page_token(page.next_page_token);
  return response;
}

// --- Settings --------------------------------------------------------------------------------

v1::Settings StoreSupervisor::ShownSettings() {
  v1::Settings settings = settings_;
  const std::optional<absl::Time> next = scheduler_->NextStart();
  if (next.has_value()) *settings.mutable_next_due_time() = ToProto(*next);
  settings.set_key_fingerprint(dependencies_.key_fingerprint);
  for (v1::Destination& destination : *settings.mutable_destinations()) {
    const auto known = memory_.destinations().find(destination.name());
    if (known != memory_.destinations().end()) {
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
  if (is_stopping_) {
    refusal = ShuttingDown();
  } else if (!refusal.ok()) {
    // Said already.
  } else if (settings.settings_revision() != settings_.settings_revision()) {
    refusal = absl::AbortedError(absl::StrCat(
        "the settings were changed: they are at revision ", settings_.settings_revision(),
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
  checked->set_settings_revision(settings_.settings_revision() + 1);
  Schedule([this, changed = *checked, added = NewDestinations(settings_, *checked),
            callback = std::move(callback)]() mutable {
    absl::StatusOr<v1::Settings> applied = ApplySettings(changed, added);
    MutexLock task_lock(&mutex_);
    is_updating_ = false;
    PostResult(std::move(callback), std::move(applied));
  });
}

absl::StatusOr<v1::Settings> StoreSupervisor::ApplySettings(
    const v1::Settings& settings, const std::vector<v1::Destination>& added) {
  for (const v1::Destination& destination : added) {
    HOLDFAST_RETURN_IF_ERROR(dependencies_.runner->PrepareDestination(destination),
                             absl::StrCat("use the new destination ", destination.name()));
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
        settings_.schedule().SerializeAsString() != settings.schedule().SerializeAsString();
    ForgetDestinations(settings_, settings, *state.mutable_memory());
  }
  *state.mutable_settings() = settings;
  if (is_new_schedule) {
    state.set_next_due_time_us(
        times.has_value() ? absl::ToUnixMicros(times->NextAfter(clock_.Now())) : 0);
  }
  HOLDFAST_RETURN_IF_ERROR(dependencies_.states->Save(name_, std::move(state)));

  MutexLock lock(&mutex_);
  ForgetDestinations(settings_, settings, memory_);
  std::set<std::string> kept;
  for (const v1::Destination& destination : settings.destinations()) {
    kept.insert(destination.name());
  }
  for (const v1::Destination& destination : added) {
    kept.erase(destination.name());
    success_times_.erase(destination.name());
    place_warnings_.erase(destination.name());
    listing_errors_.erase(destination.name());
  }
  catalog_.KeepDestinations(kept);
  upkeep_->KeepDestinations(kept);
  settings_ = settings;
  if (is_new_schedule) scheduler_->SetTimes(times);
  LogInfo("the settings were changed",
          {{"store", name_}, {"settings_revision", settings_.settings_revision()}});
  if (!added.empty()) StartListing();
  run_wanted_.Signal();
  return ShownSettings();
}

// --- Status ----------------------------------------------------------------------------------

v1::BackupStatus StoreSupervisor::GetStatus() {
  MutexLock lock(&mutex_);
  const absl::Time now = clock_.Now();
  const MonotonicTime monotonic_now = clock_.MonotonicNow();
  v1::BackupStatus status;
  status.set_store_name(name_);
  status.set_store_id(!memory_.store_id().empty() ? memory_.store_id()
                      : store_status_.has_value() ? store_status_->store_id()
                                                  : "");
  VerdictInput verdict;
  verdict.known_for = known_before_start_ + (monotonic_now - start_time_);
  verdict.interval = FromProto(WithDefaults(settings_.schedule()).interval());
  verdict.is_automatic = settings_.schedule().automatic();
  verdict.consecutive_failures = consecutive_failures_;
  verdict.last_error = last_error_;
  verdict.is_key_confirmed = settings_.key_confirmed_fingerprint() == dependencies_.key_fingerprint;
  verdict.store_error = store_error_;
  verdict.state_error = state_error_;

  const v1::Backup* const last_backup = catalog_.NewestAt(RequiredDestinations(settings_));
  if (last_backup != nullptr) {
    absl::Duration age = catalog_.Age(*last_backup);
    // The wall clock was set back: it is older than this process at least.
    if (age == absl::InfiniteDuration()) age = monotonic_now - start_time_;
    verdict.last_backup_age = age;
    *status.mutable_last_backup() = *last_backup;
    *status.mutable_last_backup_age() = ToProto(age);
  }
  if (current_.has_value()) *status.mutable_current_run() = current_->run;
  if (!runs_.empty()) *status.mutable_last_run() = runs_.front();
  status.set_consecutive_failures(consecutive_failures_);
  status.set_last_error(last_error_);
  const std::optional<absl::Time> next = scheduler_->NextStart();
  if (next.has_value()) *status.mutable_next_due_time() = ToProto(*next);
  status.set_store_error(store_error_);

  for (const v1::Destination& destination : settings_.destinations()) {
    v1::DestinationStatus& shown = *status.add_destinations();
    shown.set_destination_name(destination.name());
    shown.set_url(destination.url());
    const v1::Backup* const newest = NewestAtDestination(destination.name());
    std::optional<absl::Time> success_time;
    if (newest != nullptr) {
      shown.set_last_backup_id(newest->backup_id());
      success_time = FromProto(newest->checkpoint_time());
    }
    const auto known = memory_.destinations().find(destination.name());
    if (known != memory_.destinations().end()) {
      const agent::v1::DestinationMemory& memory = known->second;
      shown.set_repository_id(memory.repository_id());
      shown.set_consecutive_failures(memory.consecutive_failures());
      shown.set_last_error(memory.last_error());
      if (!memory.last_backup_id().empty()) {
        shown.set_last_backup_id(memory.last_backup_id());
        success_time = absl::FromUnixMicros(memory.last_success_time_us());
      }
    }
    const auto place_warning = place_warnings_.find(destination.name());
    if (place_warning != place_warnings_.end()) {
      shown.set_warning(place_warning->second.text);
      if (place_warning->second.is_unsafe) {
        verdict.unsafe_destinations.push_back({destination.name(), place_warning->second.text});
      }
    }
    const std::string run_warning = RunWarning(runs_, destination.name());
    if (!absl::StrContains(shown.warning(), run_warning)) {
      // It has what is known against the place as well, where that was known at its time.
      shown.set_warning(absl::StrContains(run_warning, shown.warning())
                            ? run_warning
                            : absl::StrCat(shown.warning(), "; ", run_warning));
      verdict.run_warnings.push_back({destination.name(), run_warning});
    }
    const auto listing_error = listing_errors_.find(destination.name());
    if (listing_error != listing_errors_.end()) shown.set_listing_error(listing_error->second);
    if (success_time.has_value()) {
      *shown.mutable_last_success_time() = ToProto(*success_time);
      const auto seen = success_times_.find(destination.name());
      *shown.mutable_last_success_age() = ToProto(
          seen != success_times_.end() ? monotonic_now - seen->second
                                       : std::max(absl::ZeroDuration(), now - *success_time));
    }
    const bool lacks_newest = !catalog_.backups().empty() && newest != &catalog_.backups().front();
    if (lacks_newest || shown.consecutive_failures() > 0) {
      verdict.destinations_behind.push_back({destination.name(), shown.last_error().empty()
                                                                     ? shown.listing_error()
                                                                     : shown.last_error()});
    } else if (!shown.listing_error().empty()) {
      verdict.unreadable_destinations.push_back({destination.name(), shown.listing_error()});
    }
  }

  upkeep_->AddToStatus(settings_, HoldingDestinations(), status, verdict);

  const VerdictOutput output = ReachVerdict(verdict);
  status.set_verdict(output.verdict);
  status.set_reason(output.reason);
  return status;
}

const v1::Backup* StoreSupervisor::NewestAtDestination(absl::string_view destination_name) const {
  for (const v1::Backup& backup : catalog_.backups()) {
    if (IsHeldAt(backup, destination_name)) return &backup;
  }
  return nullptr;
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
    if (current_.has_value()) {
      const uint64_t version = current_->version;
      for (auto& [callback, snapshot] :
           watchers_.TakeDue({.run = current_->run, .version = version}, now)) {
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
