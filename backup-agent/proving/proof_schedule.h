#ifndef HOLDFAST_BACKUP_AGENT_PROVING_PROOF_SCHEDULE_H_
#define HOLDFAST_BACKUP_AGENT_PROVING_PROOF_SCHEDULE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "holdfast/agent/v1/state.pb.h"
#include "holdfast/v1/backup_agent.pb.h"

namespace holdfast {

// When checks and drills start by themselves. Plain functions of what is remembered and the time.

// A destination as the schedule sees it.
struct ProvableDestination {
  std::string name;
  bool has_backups = false;
  agent::v1::ProofMemory memory;
};

// A check or drill that is due at a destination.
struct DueProof {
  std::string destination_name;
  v1::Proof::Kind kind = v1::Proof::KIND_UNSPECIFIED;
};

// When a destination is checked or drilled next by itself; past where it is due. nullopt where it
// is never, as it has no backups or the settings say so.
std::optional<absl::Time> NextProofTime(const v1::Proving& proving,
                                        const ProvableDestination& destination,
                                        v1::Proof::Kind kind, absl::Time now);

// What is due now, the longest overdue first. A time that lies more than a day ahead is none: the
// clock was set back, and what should have come by now has. Nothing is due within an hour of the
// first backup.
std::vector<DueProof> FindDueProofs(const v1::Proving& proving,
                                    const std::vector<ProvableDestination>& destinations,
                                    absl::Time now);

// Why a destination's backups do not count as proven, for the verdict: "no drill has succeeded for
// 15 days". Empty where they do.
std::string WhyNotProven(const v1::Proving& proving, const ProvableDestination& destination,
                         absl::Time now);

// The proving of a store whose settings do not have any.
v1::Proving DefaultProving();

// INVALID_ARGUMENT names the field and the rule that it breaks.
absl::Status CheckProving(const v1::Proving& proving);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_PROVING_PROOF_SCHEDULE_H_
