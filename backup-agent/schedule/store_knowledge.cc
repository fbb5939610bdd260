#include "backup-agent/schedule/store_knowledge.h"

#include <algorithm>
#include <utility>

#include "backup-agent/proving/proof_schedule.h"
#include "backup-agent/retention/retention_policy.h"
#include "backup-agent/schedule/agent_errors.h"
#include "backup-agent/schedule/paging.h"
#include "backup-agent/schedule/run_record.h"
#include "backup-agent/schedule/store_settings.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"

namespace holdfast {

void StoreKnowledge::Load(const std::string& store_name, const agent::v1::StoreState& state,
                          Clock& clock) {
  settings = state.settings();
  settings.set_store_name(store_name);
  if (!settings.has_retention()) *settings.mutable_retention() = DefaultRetention();
  if (!settings.has_proving()) *settings.mutable_proving() = DefaultProving();
  memory = state.memory();
  runs.Load(state);
  if (state.has_current_run()) {
    v1::Run run = state.current_run();
    CloseRun(run, v1::Run::STATE_FAILED, kAgentStoppedError, clock.Now());
    LogWarning("a run was cut: the agent was stopped while it ran",
               {{"store", store_name}, {"run_id", run.run_id()}});
    runs.Add(std::move(run));
    for (auto& [name, destination] : *memory.mutable_destinations()) {
      destination.set_has_unnamed_objects(true);
    }
  }
  if (state.has_last_backup()) {
    catalog.FinishListing(catalog.BeginListing(), {.backups = {state.last_backup()}, .errors = {}});
  }
  create_time = absl::FromUnixMicros(state.create_time_us());
  start_time = clock.MonotonicNow();
  known_before_start = std::max(absl::ZeroDuration(), clock.Now() - create_time);
}

void StoreKnowledge::AddToState(agent::v1::StoreState& state) const {
  *state.mutable_settings() = settings;
  *state.mutable_memory() = memory;
  runs.AddToState(state);
  if (current.has_value()) *state.mutable_current_run() = current->run;
  const v1::Backup* const last_backup = catalog.NewestAt(RequiredDestinations(settings));
  if (last_backup != nullptr) *state.mutable_last_backup() = *last_backup;
  state.set_create_time_us(absl::ToUnixMicros(create_time));
}

std::set<std::string> StoreKnowledge::ChangeSettings(const v1::Settings& changed,
                                                     const std::vector<v1::Destination>& added) {
  ForgetDestinations(settings, changed, memory);
  std::set<std::string> kept;
  for (const v1::Destination& destination : changed.destinations()) {
    kept.insert(destination.name());
  }
  for (const v1::Destination& destination : added) {
    kept.erase(destination.name());
    destinations.Forget(destination.name());
  }
  catalog.KeepDestinations(kept);
  settings = changed;
  return kept;
}

const v1::Run* StoreKnowledge::FindRun(absl::string_view run_id) const {
  if (current.has_value() && (run_id.empty() || current->run.run_id() == run_id)) {
    return &current->run;
  }
  return runs.Find(run_id);
}

absl::StatusOr<v1::ListRunsResponse> StoreKnowledge::ListRuns(
    const v1::ListRunsRequest& request) const {
  std::vector<const v1::Run*> all;
  if (current.has_value()) all.push_back(&current->run);
  for (const v1::Run& run : runs.runs()) all.push_back(&run);
  HOLDFAST_ASSIGN_OR_RETURN(const PageRange page,
                            FindPage(
                                all,
                                [](const v1::Run* run) {
                                  return PageItem{run->run_id(), run->ByteSizeLong()};
                                },
                                request.page_size(), request.page_token()));
  v1::ListRunsResponse response;
  for (size_t i = page.begin; i < page.end; ++i) *response.add_runs() = *all[i];
  response.set_next_page_token(page.next_page_token);
  return response;
}

std::optional<RunView> StoreKnowledge::CurrentView() const {
  if (!current.has_value()) return std::nullopt;
  return current->View();
}

std::set<std::string> StoreKnowledge::HoldingDestinations() const {
  std::set<std::string> names;
  for (const v1::Backup& backup : catalog.backups()) {
    names.insert(backup.destination_names().begin(), backup.destination_names().end());
    if (names.size() == static_cast<size_t>(settings.destinations_size())) break;
  }
  return names;
}

}  // namespace holdfast
