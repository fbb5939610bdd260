#ifndef HOLDFAST_STORE_SERVICE_CHECKPOINTS_BACKUP_MEMORY_H_
#define HOLDFAST_STORE_SERVICE_CHECKPOINTS_BACKUP_MEMORY_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/database/data_directory.h"
#include "holdfast/v1/checkpoints.pb.h"

namespace holdfast {

// BackupMemory is what a store knows of its backups: the newest one that was reported to it. It
// lies beside the database and not in it, so that it says nothing about itself after a restore.
//
// Thread-safe; Remember blocks on the disk. Does not take ownership; *directory and *clock must
// outlive this.
class BackupMemory {
 public:
  // Reads what was remembered. What cannot be read is forgotten, with an error in the log: it must
  // not keep a store from serving.
  BackupMemory(const DataDirectory* directory, std::string incarnation, Clock* clock);

  // Remembers `report` if it is of a later revision than what is remembered, or of the same one and
  // a later checkpoint. `store_revision` is the newest one of the store. INVALID_ARGUMENT where the
  // report is not of this store and incarnation, newer than the store, or incomplete.
  absl::Status Remember(const v1::BackupReport& report, uint64_t store_revision);

  // The newest one of this incarnation.
  std::optional<v1::BackupReport> newest() const;

 private:
  const DataDirectory& directory_;
  const std::string incarnation_;
  Clock& clock_;

  mutable Mutex mutex_;
  std::optional<v1::BackupReport> newest_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast

#endif  // HOLDFAST_STORE_SERVICE_CHECKPOINTS_BACKUP_MEMORY_H_
