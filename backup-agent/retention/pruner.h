#ifndef HOLDFAST_BACKUP_AGENT_RETENTION_PRUNER_H_
#define HOLDFAST_BACKUP_AGENT_RETENTION_PRUNER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "backup-agent/retention/retention_policy.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/repository/repository.h"

namespace holdfast {

// How long a deleted backup can be taken back for certain, and how long it is at least there. The
// difference is what clocks may differ by. Part of the repository format; do not change.
inline constexpr absl::Duration kUndeleteWindow = absl::Hours(24 * 6);
inline constexpr absl::Duration kDeletedKeptFor = absl::Hours(24 * 7);

// What was said last of whether backups are pinned, by their ids: the marks, as of ParseMarkName.
using PinDecisions = std::map<std::string, std::string>;

// Adds what the marks of a listing say last.
void AddPinDecisions(const BackupListing& listing, PinDecisions& pins);

// What a prune did.
struct PruneReport {
  // What retention says of each backup, oldest first.
  std::vector<RetentionDecision> decisions;

  // Backups that were deleted: marked, and still there for kDeletedKeptFor.
  uint64_t backups_deleted = 0;

  // What was removed for good: deleted backups, and objects that no backup needs.
  uint64_t backups_removed = 0;
  uint64_t objects_removed = 0;
  uint64_t removed_bytes = 0;

  // Why nothing was removed for good, where that is not safe now; empty otherwise. Where the clock
  // seems to be set back nothing was deleted either: it could not be taken back once it is right.
  std::string removal_refusal;
};

// Pruner deletes what retention does not keep from the backups of one store at one destination, in
// two phases: a backup is first marked as deleted, and can be undeleted; a week later it is
// removed, with the objects that nothing else needs. What can be removed goes first, for where a
// place is full nothing can be marked.
//
//   Pruner pruner(store, SystemClock());
//   HOLDFAST_ASSIGN_OR_RETURN(PruneReport report, pruner.Prune(policy, {}, cancellation));
//
// It needs no lock: it is safe against a run, a copy, a check, another prune, also of another
// machine, and against being killed or suspended anywhere (FORMAT.md, "Deleting", says why).
//
// Not thread-safe. Does not take ownership; the store, opened for this job, and the clock must
// outlive it.
//
// Errors: DATA_LOSS where a manifest or a mark that decides can't be read, which is named: what it
// needs can't be told, so nothing is deleted. Otherwise those of the BlobStore.
class Pruner {
 public:
  Pruner(StoreRepository& store, Clock& clock) : store_(store), clock_(clock) {}

  struct Options {
    // Decides, and changes nothing.
    bool is_dry_run = false;
    // Backups that are kept whatever the policy says: the newest that was proven, of each other
    // destination.
    std::vector<std::string> kept_backup_ids = {};
    // What was said last of whether backups are pinned, at any destination.
    PinDecisions pins = {};
    // Why nothing may be removed for good now, where that is so; backups are still deleted.
    std::string removal_refusal = "";
    // How long by the wall clock what was deleted stays; at least kDeletedKeptFor.
    absl::Duration deleted_kept_for = kDeletedKeptFor;
    // Whether the caller has seen to it that the clock did not jump. Else it is held against the
    // newest backup, which must not be more than a week old.
    bool is_clock_trusted = false;
    // Called whenever something was done, for who watches for a stall; may be empty.
    std::function<void()> on_progress = nullptr;
  };
  absl::StatusOr<PruneReport> Prune(const RetentionPolicy& policy, const Options& options,
                                    const Cancellation& cancellation);

 private:
  // Says here, too, what was said elsewhere of pins while this destination was away.
  void TakeOverPins(const PinDecisions& pins, const BackupListing& listing);
  absl::Status DeleteBackups(const Options& options, PruneReport& report,
                             const Cancellation& cancellation);
  absl::Status RemoveForGood(const Options& options, PruneReport& report,
                             const Cancellation& cancellation);

  // What the backups there need, also deleted ones.
  struct Needed {
    absl::flat_hash_set<std::string> backup_ids;  // those that were read
    absl::flat_hash_set<std::string> objects;
  };
  // Reads the backups that were not read yet. Says in the report why nothing may be removed, where
  // that is so.
  absl::Status FindNeeded(const Options& options, Needed& needed, PruneReport& report,
                          const Cancellation& cancellation);
  absl::Status RemoveObjects(const std::vector<std::pair<std::string, uint64_t>>& objects,
                             Needed needed, absl::Time removed_before, const Options& options,
                             PruneReport& report, const Cancellation& cancellation);

  StoreRepository& store_;
  Clock& clock_;
};

// Deletes a backup as retention does, because somebody asked for it. One whose manifest can't be
// read, which stops Pruner, is deleted too, whatever it may be. NOT_FOUND where it is not listed;
// FAILED_PRECONDITION where it must stay: the newest that is not damaged, a pinned one; and where
// other backups are of the future by `now`.
absl::Status DeleteBackup(StoreRepository& store, const std::string& backup_id, absl::Time now);

// Takes the deletion of a backup back. NOT_FOUND where it is not there any more;
// FAILED_PRECONDITION where it is not deleted, or was deleted so long ago that it may be being
// removed.
absl::Status UndeleteBackup(StoreRepository& store, const std::string& backup_id, absl::Time now);

// Pins a backup, or takes that back. Once this returned OK no prune deletes what is pinned, also
// one that is under way. NOT_FOUND where it is not listed, or was removed meanwhile.
absl::Status PinBackup(StoreRepository& store, const std::string& backup_id, bool is_pinned,
                       absl::Time now);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_RETENTION_PRUNER_H_
