#ifndef HOLDFAST_BACKUP_AGENT_SCHEDULE_STATUS_REPORT_H_
#define HOLDFAST_BACKUP_AGENT_SCHEDULE_STATUS_REPORT_H_

#include <optional>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "backup-agent/schedule/store_knowledge.h"
#include "backup-agent/schedule/verdict.h"
#include "common/base/clock.h"
#include "holdfast/v1/backup_agent.pb.h"

namespace holdfast {

// How a store's backups are, before the verdict is reached: for StoreUpkeep::AddToStatus, and then
// for ReachVerdict.
struct StatusReport {
  v1::BackupStatus status;
  VerdictInput verdict;
};

// Tells how a store's backups are by what is known of it. `key_fingerprint` is that of the master
// key in use; `next_start` is when the next run starts by itself, absent where none does.
StatusReport ReportStatus(const StoreKnowledge& known, absl::string_view key_fingerprint,
                          std::optional<absl::Time> next_start, Clock& clock);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SCHEDULE_STATUS_REPORT_H_
