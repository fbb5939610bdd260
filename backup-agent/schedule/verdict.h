#ifndef HOLDFAST_BACKUP_AGENT_SCHEDULE_VERDICT_H_
#define HOLDFAST_BACKUP_AGENT_SCHEDULE_VERDICT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "holdfast/v1/backup_agent.pb.h"

namespace holdfast {

// What a verdict is reached by.
struct VerdictInput {
  // How long the newest backup that enough destinations hold is old; absent where there is none.
  std::optional<absl::Duration> last_backup_age;
  // Whether there is one that fewer destinations hold.
  bool has_backup_at_too_few = false;
  // How long the agent has known the store: what is overdue where there is no backup.
  absl::Duration known_for;
  absl::Duration interval;
  bool is_automatic = true;

  // How many runs failed since one succeeded, and why the last did.
  uint32_t consecutive_failures = 0;
  std::string last_error;

  // A destination that does not hold the newest backup, or is not as it should be otherwise.
  struct Behind {
    std::string destination_name;
    // Why; empty where it is not known.
    std::string error;
  };
  std::vector<Behind> destinations_behind;
  // Where old backups can't be deleted.
  std::vector<Behind> prune_errors;
  // Destinations that say they have stored what they may lose, with what to do.
  std::vector<Behind> unsafe_destinations;
  // Which hold the newest backup as far as is known, but could not be read when last looked at.
  std::vector<Behind> unreadable_destinations;
  // What the run that ended last found that somebody should look at.
  std::vector<Behind> run_warnings;
  // Where a check or drill found damage, or could not be made; and where no drill succeeded lately.
  std::vector<Behind> proof_errors;
  std::vector<Behind> unproven;

  bool is_key_confirmed = false;
  // What is wrong with the store; empty where all is well.
  std::string store_error;
  // Why the agent can't save its own state; empty where it can.
  std::string state_error;
};

struct VerdictOutput {
  v1::BackupStatus::Verdict verdict = v1::BackupStatus::VERDICT_HEALTHY;
  // All that is not well, the worst first, with what to do; empty for VERDICT_HEALTHY.
  std::string reason;
};

// The age beyond which the newest backup is overdue: the interval, and a grace of half of it, but
// of 15 minutes at least.
absl::Duration OverdueAge(absl::Duration interval);

// One word for how safe a store is (backup_agent.proto, Verdict), and why.
VerdictOutput ReachVerdict(const VerdictInput& input);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SCHEDULE_VERDICT_H_
