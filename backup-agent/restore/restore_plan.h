#ifndef HOLDFAST_BACKUP_AGENT_RESTORE_RESTORE_PLAN_H_
#define HOLDFAST_BACKUP_AGENT_RESTORE_RESTORE_PLAN_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "common/repository/repository.h"
#include "holdfast/repository/v1/repository.pb.h"

namespace holdfast {

// Files that one thread restores one after the other, in the order in which they lie in their
// object, so that each object is read once from its beginning to its end.
struct RestoreUnit {
  std::vector<const repository::v1::FileEntry*> files;  // point into the FileList
  uint64_t size_bytes = 0;
};

// Divides the work, the largest units first, so that no thread is left with a large one at the end.
// Each file is in exactly one unit. `files` must outlive what is returned.
std::vector<RestoreUnit> PlanRestore(const repository::v1::FileList& files);

// What the target needs free: the files, what encryption at rest adds to each, and what the
// database writes when it takes over the logs.
uint64_t RestoreSpaceNeededBytes(const repository::v1::FileList& files);

// The highest revision of the backups that are listed: what is restored gives none below.
absl::StatusOr<uint64_t> HighestListedRevision(StoreRepository& store);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_RESTORE_RESTORE_PLAN_H_
