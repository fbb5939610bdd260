#ifndef HOLDFAST_BACKUP_AGENT_CLI_SALVAGE_TEXT_H_
#define HOLDFAST_BACKUP_AGENT_CLI_SALVAGE_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "backup-agent/restore/restorer.h"
#include "holdfast/repository/v1/repository.pb.h"

// How a salvage is shown.

namespace holdfast {

// For people: what is proven, what is not, what is lost, what to do next.
std::string FormatSalvage(const repository::v1::BackupSummary& backup, const SalvageResult& result,
                          absl::string_view target);

// One JSON object.
std::string SalvageToJson(const repository::v1::BackupSummary& backup, const SalvageResult& result,
                          absl::string_view target, absl::string_view source);

// "19,000 of 20,000 documents are proven": in one line.
std::string SummarizeSalvage(const SalvageResult& result);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_CLI_SALVAGE_TEXT_H_
