#ifndef HOLDFAST_BACKUP_AGENT_CLI_RESTORE_PROGRESS_H_
#define HOLDFAST_BACKUP_AGENT_CLI_RESTORE_PROGRESS_H_

#include <string>

#include "absl/status/statusor.h"
#include "backup-agent/cli/command.h"
#include "backup-agent/restore/restorer.h"

namespace holdfast {

// "backup 20261122T… (taken …, 104,000 documents, 312 MiB)".
std::string BackupInWords(const repository::v1::BackupSummary& summary);

// Restores as Restorer::RestoreTo does, and shows how far it is. `options.on_progress` is set here.
absl::StatusOr<RestoreResult> RestoreShowingProgress(Restorer& restorer, const std::string& target,
                                                     RestoreOptions options,
                                                     CommandContext& context);

// The same of Restorer::SalvageTo.
absl::StatusOr<SalvageResult> SalvageShowingProgress(Restorer& restorer, const std::string& target,
                                                     RestoreOptions options,
                                                     CommandContext& context);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_CLI_RESTORE_PROGRESS_H_
