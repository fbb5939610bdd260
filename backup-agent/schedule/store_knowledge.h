#ifndef HOLDFAST_BACKUP_AGENT_SCHEDULE_STORE_KNOWLEDGE_H_
#define HOLDFAST_BACKUP_AGENT_SCHEDULE_STORE_KNOWLEDGE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "backup-agent/schedule/backup_catalog.h"
#include "backup-agent/schedule/destination_notes.h"
#include "backup-agent/schedule/run_history.h"
#include "backup-agent/schedule/trigger_queue.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "holdfast/agent/v1/state.pb.h"
#include "holdfast/v1/backup_agent.pb.h"
#include "holdfast/v1/checkpoints.pb.h"

namespace holdfast {

// The run in progress.
struct CurrentRun {
  v1::Run run;
  // Those that it began with.
  v1::Settings settings;
  // See RunSnapshot.
  uint64_t version = 1;
  // See RunView.
  std::optional<MonotonicTime> checkpoint_request;
  std::shared_ptr<CancellationSource> cancellation = std::make_shared<CancellationSource>();
  // By ticket.
  std::map<uint64_t, absl::AnyInvocable<void(absl::StatusOr<v1::Run>)>> cancel_callers;

  // As long as this.
  RunView View() const {
    return {.run = &run,
            .destination_count = static_cast<uint32_t>(settings.destinations_size()),
            .checkpoint_request = checkpoint_request};
  }
};

// StoreKnowledge is all that the agent knows of one store: what it was told, what it remembers
// across restarts, and what it has found out since it started. What decides something by it takes
// it as const; only the StoreSupervisor changes it.
//
// Not thread-safe.
struct StoreKnowledge {
  // The clock must outlive this.
  explicit StoreKnowledge(Clock& clock) : catalog(clock) {}

  // Takes up what an earlier process saved. A run that was in progress then was cut: it has failed,
  // and its destinations may hold objects that no manifest names.
  void Load(const std::string& store_name, const agent::v1::StoreState& state, Clock& clock);
  void AddToState(agent::v1::StoreState& state) const;

  // Applies settings that are durable, of which `added` are the NewDestinations. Returns the names
  // of the destinations that are the same as before.
  std::set<std::string> ChangeSettings(const v1::Settings& changed,
                                       const std::vector<v1::Destination>& added);

  // The run of that id, in progress or ended; the one in progress where `run_id` is empty. nullptr
  // where there is none.
  const v1::Run* FindRun(absl::string_view run_id) const;
  // As BackupAgent.ListRuns.
  absl::StatusOr<v1::ListRunsResponse> ListRuns(const v1::ListRunsRequest& request) const;
  std::optional<RunView> CurrentView() const;

  // The destinations that hold backups.
  std::set<std::string> HoldingDestinations() const;

  // --- Remembered

  v1::Settings settings;
  agent::v1::StoreMemory memory;
  BackupCatalog catalog;  // of which only the newest backup is
  RunHistory runs;
  std::optional<CurrentRun> current;
  // When the agent met the store.
  absl::Time create_time;

  // --- Found out

  DestinationNotes destinations;
  // What the store said when it was last asked with success.
  std::optional<v1::StoreStatus> store_status;
  // What is wrong with the store, or with asking it; empty where all is well.
  std::string store_error;
  // Why the agent's state can't be saved; empty where it can.
  std::string state_error;
  // When this process began, and how long the agent had known the store then.
  MonotonicTime start_time;
  absl::Duration known_before_start;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SCHEDULE_STORE_KNOWLEDGE_H_
