#ifndef HOLDFAST_COMMON_REPOSITORY_STORE_REPAIRER_H_
#define HOLDFAST_COMMON_REPOSITORY_STORE_REPAIRER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/crypto/master_key.h"
#include "common/repository/checker.h"
#include "common/repository/repository.h"

namespace holdfast {

// A file that was damaged or missing, and what became of it.
struct RepairedFile {
  std::string path;
  // What was wrong, as in CheckFinding.
  absl::Status damage;
  std::vector<std::string> backup_ids;
  // OK where the file is whole now; else why it could not be repaired.
  absl::Status status;
  // Where the good bytes came from; empty where it is not repaired.
  std::string repaired_from;
};

// StoreRepairer mends the backups of one store at one destination with what other destinations hold
// whole (FORMAT.md, "Copying and repairing"):
//
//   StoreRepairer repairer(repository, store_id, master_key, others, clock);
//   HOLDFAST_RETURN_IF_ERROR(repairer.Open());            // mends key files, and opens the store
//   do {
//     HOLDFAST_ASSIGN_OR_RETURN(CheckReport report, CheckStore(repairer.store(), …));
//     HOLDFAST_RETURN_IF_ERROR(repairer.Repair(report, on_progress, cancellation));
//   } while (repairer.has_to_check_again());
//   … repairer.files() …
//
// A copy elsewhere is proven whole before anything is touched, and what was written is read back. A
// file that is whole is never touched. Killed anywhere, run it again.
//
// Not thread-safe. Does not take ownership; all that it is given must outlive it.
//
// Errors: only where the place that is to be mended can't be read or written. Another place that
// fails is passed over.
class StoreRepairer {
 public:
  // `others` are stores of the same id at other places, in the order in which they are asked.
  StoreRepairer(const Repository& repository, const StoreId& store_id, const MasterKey& master_key,
                std::vector<StoreRepository*> others, Clock& clock);

  // Writes key files anew that are damaged, and those that are missing though manifests here were
  // sealed with their keys; then opens the store. The errors of Repository::OpenStore.
  absl::Status Open();

  // REQUIRES: Open has returned OK.
  StoreRepository& store() { return *store_; }

  // Mends what `report` found. A manifest that is missing is found by another place that lists its
  // backup, if objects that only this backup needs are here and no mark says that it was deleted
  // here; the backup is then copied from there. `on_progress`, which may be empty, is told how many
  // files were looked at, and of how many.
  // REQUIRES: Open has returned OK.
  absl::Status Repair(const CheckReport& report,
                      const std::function<void(uint64_t done, uint64_t total)>& on_progress,
                      const Cancellation& cancellation);

  // Whether what was mended last names files that the last check could not know of.
  bool has_to_check_again() const { return has_to_check_again_; }

  // All that was damaged, of all calls: each that is whole now, and those that the last one left.
  const std::vector<RepairedFile>& files() const { return files_; }

 private:
  using ObjectEntry = repository::v1::ObjectEntry;
  // Backups that are lost here, by the place that lists them.
  using LostBackups = std::vector<std::pair<StoreRepository*, std::vector<std::string>>>;

  // Returns whether any was written.
  absl::StatusOr<bool> RepairKeyFiles(const std::set<KeyId>& needed);
  absl::StatusOr<std::set<KeyId>> KeysOfManifests() const;
  absl::Status OpenStore();

  absl::Status RepairManifest(const CheckFinding& finding, const std::string& backup_id);
  // Why these can't be the bytes of that manifest, though they open; OK where they may be.
  absl::Status CheckSuccessors(const std::string& backup_id, const Hash256& sealed_hash);
  absl::Status RepairMark(const CheckFinding& finding, const std::string& mark_name);
  absl::Status RepairObject(const CheckFinding& finding, const ObjectEntry& entry,
                            const Cancellation& cancellation);
  // The entries of the objects of these findings, by path.
  absl::StatusOr<absl::flat_hash_map<std::string, ObjectEntry>> FindEntries(
      const std::vector<const CheckFinding*>& findings);

  absl::StatusOr<LostBackups> FindLostBackups(const CheckReport& report,
                                              const Cancellation& cancellation);
  absl::Status RestoreLostBackups(const CheckReport& report, const Cancellation& cancellation);

  void Note(const CheckFinding& finding, absl::Status status, std::string repaired_from = "");

  const Repository& repository_;
  const StoreId store_id_;
  const MasterKey& master_key_;
  const std::vector<StoreRepository*> others_;
  Clock& clock_;

  std::unique_ptr<StoreRepository> store_;
  std::vector<RepairedFile> files_;
  bool has_to_check_again_ = false;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_REPOSITORY_STORE_REPAIRER_H_
