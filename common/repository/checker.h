#ifndef HOLDFAST_COMMON_REPOSITORY_CHECKER_H_
#define HOLDFAST_COMMON_REPOSITORY_CHECKER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "common/repository/repository.h"

namespace holdfast {

// Something wrong that a check found.
struct CheckFinding {
  // The path of the file in the repository.
  std::string path;
  // What is wrong, with the fault's code; NOT_FOUND for a missing file.
  absl::Status status;
  // The backups that can't be restored because of it.
  std::vector<std::string> backup_ids;
  // Whether its seals hold, and it is what was sealed that is wrong: a copy elsewhere is no better.
  bool is_sealed_so = false;
};

struct CheckProgress {
  uint64_t objects_done = 0;
  uint64_t objects_total = 0;
  uint64_t bytes_done = 0;
  uint64_t bytes_total = 0;
};

struct CheckOptions {
  // Whether every byte of every object is read and proven, or only that each is there with the
  // right length and header.
  bool read_data = false;
  // With read_data: only the objects of this share are read, of so many shares, counted from 0.
  // Every object belongs to one, the same at every check.
  uint32_t share = 0;
  uint32_t shares = 1;
  // With read_data: only what this backup needs is read; all where empty.
  std::string only_backup_id = {};
  // With read_data: whether what marks say is damaged is read, too, whatever share it belongs to.
  bool also_read_marked = false;
  // Also called for every file that is listed, before anything is known of what there is to do. May
  // be empty.
  std::function<void(const CheckProgress&)> on_progress;
};

struct CheckReport {
  uint64_t backups_checked = 0;
  // The backups whose objects were looked at: not those that were deleted, or came, or whose
  // manifest can't be read.
  absl::flat_hash_set<std::string> checked_backup_ids;
  uint64_t objects_checked = 0;
  uint64_t bytes_read = 0;
  // How many backups a mark says are damaged, though this check may have found nothing.
  uint64_t backups_marked = 0;
  // Objects that no manifest names, and their bytes: no fault (a run was cut), prune removes them.
  uint64_t unnamed_objects = 0;
  uint64_t unnamed_bytes = 0;
  std::vector<std::string> unnamed_object_names;  // as in manifests
  // Names that do not belong into a repository.
  std::vector<std::string> foreign_names;
  // Empty when all is well. Told apart: missing, cut short, damaged, renamed, swapped with which.
  std::vector<CheckFinding> findings;
};

// Proves the backups of one store at one destination whole: every manifest opens, the chain of
// manifests holds, every object that one names is there with the right length and header, and, with
// read_data, every byte of it authenticates and every file has its checksum. (A file that does not
// lie in one piece of one object is only compared where all data is read; Holdfast writes none.)
//
// A file that can't be read, without being cut or missing, is read once more before that counts, an
// object after all others: an error that passes says nothing of what is stored.
//
// An error is returned only where the check itself could not be made (unreachable, cancelled).
absl::StatusOr<CheckReport> CheckStore(StoreRepository& store, const CheckOptions& options,
                                       const Cancellation& cancellation);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_REPOSITORY_CHECKER_H_
