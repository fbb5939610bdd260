#ifndef HOLDFAST_BACKUP_AGENT_TRANSFER_BACKUP_RUNNER_H_
#define HOLDFAST_BACKUP_AGENT_TRANSFER_BACKUP_RUNNER_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "backup-agent/proving/prover.h"
#include "backup-agent/retention/pruner.h"
#include "backup-agent/retention/retention_policy.h"
#include "backup-agent/source/checkpoint_source.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/crypto/master_key.h"
#include "common/storage/blob_store.h"
#include "holdfast/agent/v1/state.pb.h"
#include "holdfast/repository/v1/repository.pb.h"
#include "holdfast/v1/backup_agent.pb.h"

namespace holdfast {

// Opens the place that a URL names; see OpenBlobStore. Called by several threads, at any time.
using BlobStoreOpener =
    std::function<absl::StatusOr<std::unique_ptr<BlobStore>>(absl::string_view url)>;

// Shows the world how a run goes.
//
// Thread-safe: several threads of a run call it.
class RunObserver {
 public:
  virtual ~RunObserver() = default;

  // Applies `change` to the run as the world sees it. `change` is called once, under a lock: it
  // must be short, and must not call back. Fields that the runner keeps up: phase, revision,
  // checkpoint_time, backup_id, the counts of files and bytes, and destinations. revision and
  // checkpoint_time are set in one change, as soon as the store has made the checkpoint.
  virtual void Update(const std::function<void(v1::Run&)>& change) = 0;
};

// What a run is given.
struct BackupRunInput {
  std::string store_name;
  // Destinations and how many of them must hold the backup; as they are when the run begins.
  v1::Settings settings;
  // What was remembered of earlier runs.
  agent::v1::StoreMemory memory;
};

// What a run leaves.
struct BackupRunOutcome {
  // OK where the required number of destinations hold the backup. CANCELLED where the run was.
  absl::Status status;
  // The backup, if at least one destination holds it.
  std::optional<v1::Backup> backup;
  // What to remember now, also after a failure.
  agent::v1::StoreMemory memory;
  // The names of the destinations where objects are missing that backups need: a check will tell
  // which backups, and mark them.
  std::vector<std::string> destinations_to_check = {};
};

// BackupRunner takes backups of one store: checkpoint, compare, seal once and send to every
// destination what is missing, manifest last, report (design: "The agent"). It keeps nothing
// between runs but caches; what must be remembered is handed in and out.
//
// Thread-safe; but runs of one store must not overlap, and the caller sees to that.
class BackupRunner {
 public:
  // Does not take ownership; all must outlive it.
  struct Dependencies {
    CheckpointSource* source = nullptr;
    const MasterKey* master_key = nullptr;
    Clock* clock = nullptr;
    RandomSource* random = nullptr;
    // Where drills restore to; a folder of this runner's own, which need not be there.
    std::string scratch_directory = "";
    // How destinations are opened; OpenBlobStore unless set.
    BlobStoreOpener open_blob_store = {};
  };
  static std::unique_ptr<BackupRunner> Create(const Dependencies& dependencies);

  virtual ~BackupRunner() = default;

  // Takes one backup. Blocks until it has ended, which is soon after `cancellation` is cancelled.
  // Peak memory does not depend on the size of the store.
  virtual BackupRunOutcome Run(const BackupRunInput& input, RunObserver& observer,
                               const Cancellation& cancellation) = 0;

  struct Drilled {
    std::string backup_id;
    absl::Time time;
  };
  struct Listing {
    std::vector<v1::Backup> backups;
    std::map<std::string, absl::Status> errors;  // by destination name
    // What is known against places that could be read, by destination name.
    std::map<std::string, PlaceWarning> warnings = {};
    // What a drill restored last, by destination name.
    std::map<std::string, Drilled> drilled = {};
  };
  // Lists the backups at the destinations of `settings`, newest first by lineage; each names the
  // destinations that hold it. A destination that can't be read is left out and named in `errors`.
  virtual absl::StatusOr<Listing> ListBackups(const v1::Settings& settings,
                                              const agent::v1::StoreMemory& memory,
                                              const Cancellation& cancellation) = 0;

  // What a prune goes by.
  struct PruneRequest {
    RetentionPolicy policy;
    // Decides, and changes nothing.
    bool is_dry_run = false;
    // Why nothing may be removed for good now; empty where it may, as the clock did not jump.
    std::string removal_refusal = "";
    // How long by the wall clock what was deleted stays: more than kDeletedKeptFor where the
    // machine was off meanwhile.
    absl::Duration deleted_kept_for = kDeletedKeptFor;
    // Backups that a drill restored, as far as the caller remembers: they stay everywhere, also
    // while the destination that proved them is away.
    std::vector<std::string> proven_backup_ids = {};
  };
  // Prunes the destinations of `settings`: one result for each, in their order.
  struct PruneResult {
    std::string destination_name;
    absl::StatusOr<PruneReport> report;
  };
  virtual std::vector<PruneResult> Prune(const v1::Settings& settings,
                                         const agent::v1::StoreMemory& memory,
                                         const PruneRequest& request,
                                         const Cancellation& cancellation) = 0;

  // Marks a backup at the destinations of `settings`: one result for each, in their order, which
  // says whether it is there and was marked. FAILED_PRECONDITION for deleting what must stay (the
  // newest that is not damaged, a pinned one), and for undeleting what may be removed at any
  // moment.
  struct MarkResult {
    std::string destination_name;
    absl::StatusOr<bool> is_marked;
  };
  virtual std::vector<MarkResult> Mark(const v1::Settings& settings,
                                       const agent::v1::StoreMemory& memory,
                                       const std::string& backup_id,
                                       repository::v1::Mark::Kind kind,
                                       const Cancellation& cancellation) = 0;

  // Makes a check or drill, as `proof` says, at its destination, mends what another destination has
  // whole, marks what was found, and returns the proof as it ended. `progress` is kept up
  // meanwhile.
  virtual v1::Proof Prove(const v1::Settings& settings, const agent::v1::StoreMemory& memory,
                          const v1::Proof& proof, const std::shared_ptr<ProofProgress>& progress,
                          const Cancellation& cancellation) = 0;

  // Makes a repository at a destination, unless there is one, and returns its id.
  // FAILED_PRECONDITION says why it can't be used. Only for a destination that somebody adds just
  // now: of any other, an empty place is a share that is not mounted.
  virtual absl::StatusOr<std::string> PrepareDestination(const v1::Destination& destination) = 0;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_TRANSFER_BACKUP_RUNNER_H_
