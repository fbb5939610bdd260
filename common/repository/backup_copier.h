#ifndef HOLDFAST_COMMON_REPOSITORY_BACKUP_COPIER_H_
#define HOLDFAST_COMMON_REPOSITORY_BACKUP_COPIER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/crypto/master_key.h"
#include "common/repository/repository.h"

namespace holdfast {

// What became of a backup that was to be copied.
struct CopiedBackup {
  enum class Result {
    kFailed,        // `status` says why; the target has nothing of it that counts
    kCopied,        // durable at the target, read back
    kThereAlready,  // the target lists it
    kDeletedThere,  // the target had it and deleted it: it stays deleted
  };
  std::string backup_id;
  Result result = Result::kFailed;
  absl::Status status;
  // Marks that could not be copied, and why; empty where all is well.
  std::string warning;
  uint64_t objects_copied = 0;
  uint64_t objects_there = 0;  // that the target held already
  uint64_t copied_bytes = 0;
};

struct CopyReport {
  // Those that were asked for, oldest first; what can't be ordered stands at the end.
  std::vector<CopiedBackup> backups;
  // Why the job ended before all were looked at: a place can't be reached or is full, the key is
  // another one, it was cancelled. OK otherwise, also where backups failed.
  absl::Status status;
};

struct CopyProgress {
  uint64_t backups_done = 0;
  uint64_t backups_total = 0;
  uint64_t objects_done = 0;
  uint64_t objects_total = 0;
  uint64_t bytes_done = 0;  // of those that have to be copied
  uint64_t bytes_total = 0;
};

struct CopyOptions {
  // Which; all that the source lists where empty.
  std::vector<std::string> backup_ids = {};
  // How many objects are copied at once; each needs less than 1 MiB, whatever its size. At least 1.
  int objects_at_once = 4;
  // Called by one thread at a time, often; may be empty. It must be quick.
  std::function<void(const CopyProgress&)> on_progress = nullptr;
};

// Copies backups of one store from one destination to another, byte for byte, the oldest first,
// with neither store nor agent (FORMAT.md, "Copying and repairing"). What the target holds already
// is not copied again. Every object is authenticated on its way: one that is missing or damaged at
// the source is named, and its backup is not copied; the others are. A backup that the source has
// deleted is not copied.
//
//   const CopyReport report = CopyBackups(*source, target, master_key, {}, clock, cancellation);
//
// Safe against runs, prunes and other copies at both places meanwhile, and against being killed: a
// copy that was cut goes on when it is run again.
//
// Does not take ownership. Needs about 200 bytes of memory for each object.
CopyReport CopyBackups(StoreRepository& source, const Repository& target,
                       const MasterKey& master_key, const CopyOptions& options, Clock& clock,
                       const Cancellation& cancellation);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_REPOSITORY_BACKUP_COPIER_H_
