#ifndef HOLDFAST_BACKUP_AGENT_CLI_BACKUP_TEXT_H_
#define HOLDFAST_BACKUP_AGENT_CLI_BACKUP_TEXT_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "backup-agent/cli/terminal.h"
#include "holdfast/v1/backup_agent.pb.h"
#include "holdfast/v1/checkpoints.pb.h"

// Backups, runs and statuses as people read them. Pure functions.

namespace holdfast {

// A table of backups, with a row each.
std::string FormatBackupTable(const std::vector<v1::Backup>& backups);

// All about one backup, a line each.
std::string FormatBackup(const v1::Backup& backup);

// A table of runs, with a row each, and below it why those that failed did.
std::string FormatRunTable(const v1::ListRunsResponse& runs);

// "send", "commit", ...
absl::string_view PhaseName(v1::Run::Phase phase);

// How far a run in progress is.
Progress RunProgress(const v1::Run& run);

// What a run that has ended did, in a line: "run … failed after 12 s: …".
std::string FormatEndedRun(const v1::Run& run);

// "HEALTHY", "OVERDUE", ...
absl::string_view VerdictName(v1::BackupStatus::Verdict verdict);

// Some lines a store, the verdict first.
std::string FormatStatus(const v1::GetBackupStatusResponse& response, absl::Time now);

// What a store tells of itself: how it is, and of which backup it was told last.
std::string FormatStoreStatus(absl::string_view store_name, const v1::StoreStatus& status,
                              absl::Time now);

// "all of the last 2 days, 30 daily (UTC)".
std::string DescribeRetention(const v1::Retention& retention);

// How far a check or drill is, for people.
Progress ProofProgressText(const v1::Proof& proof);
// What came of it: some lines, with each file that is not whole.
std::string FormatProof(const v1::Proof& proof);
std::string FormatProofTable(const v1::ListProofsResponse& proofs);

// "a drill every 7 days, every byte read within 30 days".
std::string DescribeProving(const v1::Proving& proving);

// What a prune did at each destination, or would do, with the reasons backup by backup.
std::string FormatPrune(const v1::PruneBackupsResponse& pruned, bool is_dry_run);

// A line each.
std::string FormatSettings(const v1::Settings& settings);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_CLI_BACKUP_TEXT_H_
