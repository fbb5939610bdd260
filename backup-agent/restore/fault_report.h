#ifndef HOLDFAST_BACKUP_AGENT_RESTORE_FAULT_REPORT_H_
#define HOLDFAST_BACKUP_AGENT_RESTORE_FAULT_REPORT_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/repository/repository.h"

namespace holdfast {

// Returns `status`, an error of reading the file `path` of a repository, with what can be found out
// about it by looking round in the store's folder:
// - a missing file becomes DATA_LOSS, and says under which name the file is now, if it was renamed;
// - one that was sealed under another name says which, so that what was swapped can be swapped
// back. Other errors are returned as they are; where the destination itself is gone, that is. Reads
// no more than the headers of files.
absl::Status ExplainFault(const StoreRepository& store, absl::string_view path,
                          const absl::Status& status);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_RESTORE_FAULT_REPORT_H_
