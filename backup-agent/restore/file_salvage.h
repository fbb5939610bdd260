#ifndef HOLDFAST_BACKUP_AGENT_RESTORE_FILE_SALVAGE_H_
#define HOLDFAST_BACKUP_AGENT_RESTORE_FILE_SALVAGE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "common/database/data_directory.h"
#include "common/database/database_remains.h"
#include "common/repository/repository.h"
#include "holdfast/repository/v1/repository.pb.h"

namespace holdfast {

// A file of a backup that is not whole.
struct DamagedFile {
  std::string name;
  std::vector<std::string> objects;  // the files of the repository that it lies in
  std::string fault;
  uint64_t size_bytes = 0;
  uint64_t usable_bytes = 0;
};

// What is left of the files of a backup.
struct SalvagedFiles {
  // All database files, also those of which nothing is left.
  std::vector<RemainingFile> database_files;
  // Names below instance/ that are whole, and that were put there.
  std::vector<std::string> instance_files;
  uint64_t instance_files_lost = 0;
  std::vector<DamagedFile> damaged;
};

// Brings what is whole of a backup's files into `target`: each byte that it writes authenticated
// and lies where it lay. Of a table that is damaged in places it brings the rest, with zeros in
// between; of a log what lies before the damage; all other files are brought whole or not at all.
//
// Errors: those of the target, and of a destination that can't be read at all; damage is none.
// `on_bytes` is called often, with how many bytes were dealt with since the last call.
absl::StatusOr<SalvagedFiles> SalvageFiles(const StoreRepository& store,
                                           const repository::v1::FileList& files,
                                           DataDirectoryRestore& target,
                                           const std::function<void(uint64_t bytes)>& on_bytes,
                                           const Cancellation& cancellation);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_RESTORE_FILE_SALVAGE_H_
