#ifndef HOLDFAST_BACKUP_AGENT_RETENTION_RETENTION_POLICY_H_
#define HOLDFAST_BACKUP_AGENT_RETENTION_RETENTION_POLICY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "holdfast/v1/backup_agent.pb.h"

namespace holdfast {

// A backup as retention sees it.
struct RetentionCandidate {
  std::string backup_id;
  absl::Time time;  // of its checkpoint
  bool is_pinned = false;
  bool is_damaged = false;           // a check, a drill or a restore found it so
  bool is_proven = false;            // a drill restored it
  bool is_proven_elsewhere = false;  // it is the newest that one restored at any destination
};

// Whether a backup is kept, and why.
struct RetentionDecision {
  std::string backup_id;
  absl::Time time;
  bool is_kept = false;
  // For people, in the order of the rules: "within 48h", "daily 2026-11-22", "pinned"; and at the
  // end "damaged" where it is, whether or not it is kept.
  std::vector<std::string> reasons;
};

// A RetentionPolicy decides which backups of a store are kept; holdfast.v1.Retention states the
// rule. It knows no clock: only the order of the backups and the times that they carry.
//
// A value type.
class RetentionPolicy {
 public:
  // INVALID_ARGUMENT names the field and the rule that it breaks. Fields that are not set have
  // their defaults; see WithDefaults.
  static absl::StatusOr<RetentionPolicy> Create(const v1::Retention& retention);

  // One decision for each backup, in the order given: oldest first by lineage.
  std::vector<RetentionDecision> Decide(absl::Span<const RetentionCandidate> backups) const;

 private:
  RetentionPolicy(const v1::Retention& retention, absl::TimeZone zone)
      : retention_(retention), zone_(zone) {}

  bool HasRules() const;

  v1::Retention retention_;
  absl::TimeZone zone_;
};

// The retention of a store whose settings do not have any: all of the last 48 hours, then 30 daily,
// 12 weekly, 12 monthly and 3 yearly.
v1::Retention DefaultRetention();

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_RETENTION_RETENTION_POLICY_H_
