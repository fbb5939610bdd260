#ifndef HOLDFAST_BACKUP_AGENT_PROVING_PROVER_H_
#define HOLDFAST_BACKUP_AGENT_PROVING_PROVER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/crypto/master_key.h"
#include "common/repository/checker.h"
#include "common/repository/repository.h"

namespace holdfast {

// How far a check or drill is. Shared by who works and who looks: self-synchronised.
struct ProofProgress {
  std::atomic<uint64_t> bytes_done = 0;
  std::atomic<uint64_t> bytes_total = 0;
  std::atomic<uint64_t> documents_done = 0;
  std::atomic<uint64_t> documents_total = 0;
};

// A file that was not whole, and is now.
struct MendedFile {
  CheckFinding finding;
  // The destination that had it whole, or the file of the same one (holdfast.json and its copy).
  std::string source_name;
};

// What a check or drill found out.
struct ProofFindings {
  // What is wrong, file by file. Empty where all that was looked at is whole.
  std::vector<CheckFinding> findings;
  // Of those that were found, what was mended from another destination, by path, with its name.
  // They no longer stand in `findings`.
  std::vector<MendedFile> mended;
  // Why something was not, for people; empty where that was not tried, or all was.
  std::string not_mended;
  // Whether every byte that any backup needs was read; and whether, at least, all the objects were
  // that are marked as damaged.
  bool has_read_all = false;
  bool has_read_damaged = false;

  // The report of the check, for who mends.
  CheckReport report;

  // Of a drill: which backup was restored, how long that took, and why it could not be restored.
  std::string backup_id;
  absl::Duration restore_duration;
  absl::Status restore_status;
};

// A Prover proves the backups of one store at one destination, and remembers what it found with
// them, as marks:
//
//   Prover prover(*store, master_key, clock, random);
//   HOLDFAST_ASSIGN_OR_RETURN(ProofFindings found, prover.Drill("", scratch, progress, …));
//   … mend what another destination still has whole, and take it out of found.findings …
//   HOLDFAST_RETURN_IF_ERROR(prover.Remember(found, …));
//
// A mark of damage is not the last word, for what could not be read may be readable again: whatever
// is marked is looked at again by every check that reads data, and a backup is trusted again as
// soon as all of it was read and is whole.
//
// Not thread-safe. Does not take ownership; all must outlive it. Methods block on the destination.
//
// An error is returned only where nothing could be found out: the destination can't be reached, the
// scratch place is full, the caller cancelled.
class Prover {
 public:
  Prover(StoreRepository& store, const MasterKey& master_key, Clock& clock, RandomSource& random)
      : store_(store), master_key_(master_key), clock_(clock), random_(random) {}

  // Called whenever something was done, for who watches for a stall; may be empty.
  using OnStep = std::function<void()>;

  // Looks at the structure of all backups; reads and proves the objects of a share, of so many,
  // counted from 0, and those that are marked as damaged; none where `shares` is 0.
  absl::StatusOr<ProofFindings> Check(uint32_t share, uint32_t shares, ProofProgress& progress,
                                      const OnStep& on_step, const Cancellation& cancellation);

  // Restores a backup (the newest where `backup_id` is empty) into `scratch_directory`, which is
  // removed before and afterwards, with all that is in it: every file is compared by its checksum,
  // the database is opened, every document is read, count and state digest are compared. Where that
  // fails because of what is at the destination, all that the backup needs is read to find out what
  // is wrong. NOT_FOUND where there is no such backup.
  absl::StatusOr<ProofFindings> Drill(const std::string& backup_id,
                                      const std::string& scratch_directory, ProofProgress& progress,
                                      const OnStep& on_step, const Cancellation& cancellation);

  // Marks the backups that can't be restored as damaged, with the objects that are; the one that
  // was drilled as drilled; and those that had been found damaged, and now are not, as checked. For
  // that, backups whose damaged objects were all found whole, or mended, are read whole; what is
  // wrong with them otherwise is added to `found`.
  absl::Status Remember(ProofFindings& found, const OnStep& on_step,
                        const Cancellation& cancellation);

 private:
  // Checks the store and puts what is wrong into `found`; sets on_progress of the options.
  absl::Status FindDamage(CheckOptions options, ProofProgress& progress, const OnStep& on_step,
                          const Cancellation& cancellation, ProofFindings& found);
  absl::StatusOr<ProofFindings> Restore(const std::string& backup_id,
                                        const std::string& scratch_directory,
                                        ProofProgress& progress, const OnStep& on_step,
                                        const Cancellation& cancellation);
  absl::Status MarkDamaged(const BackupListing& listing, const std::vector<CheckFinding>& findings);
  // Marks a backup as checked if all that it needs is whole; else adds what is not to `found`.
  absl::Status ReadWhole(const std::string& backup_id, const OnStep& on_step,
                         const Cancellation& cancellation, ProofFindings& found);
  absl::Status MarkChecked(const std::string& backup_id, absl::string_view note);

  StoreRepository& store_;
  const MasterKey& master_key_;
  Clock& clock_;
  RandomSource& random_;
};

// The name of the object (as of ObjectEntry.name) that `path` leads to; empty where that is no path
// of an object of this store.
std::string ObjectNameOf(const StoreId& store_id, absl::string_view path);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_PROVING_PROVER_H_
