#ifndef HOLDFAST_BACKUP_AGENT_SCHEDULE_SCHEDULE_TIMES_H_
#define HOLDFAST_BACKUP_AGENT_SCHEDULE_SCHEDULE_TIMES_H_

#include "absl/status/statusor.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "holdfast/v1/backup_agent.pb.h"

namespace holdfast {

// ScheduleTimes are the times of a schedule: an endless, strictly increasing row of points in time.
//
// A day of the schedule begins at the start time of day, in the schedule's zone.
//   - With an interval of less than a day the times are that one and every interval of passed time
//     after it, until the next day begins. So no two of them are ever further apart than the
//     interval, none comes twice, and none is lost, also on a day of 23 or 25 hours; after a change
//     of the clocks they stand shifted by it until the next day begins.
//   - With an interval of n days the times are the beginnings of every nth day since 1970-01-01.
// A beginning that the clocks skip is the moment at which they skip it; one that they show twice is
// the first.
//
// A value type.
class ScheduleTimes {
 public:
  // INVALID_ARGUMENT where the schedule breaks a rule of backup_agent.proto. Its empty fields have
  // their defaults; `automatic` does not matter.
  static absl::StatusOr<ScheduleTimes> Create(const v1::Schedule& schedule);

  // The first time after `time`.
  // REQUIRES: `time` is within the years 1970 to 9999.
  absl::Time NextAfter(absl::Time time) const;

  absl::Duration interval() const { return interval_; }

  // No two neighbours are further apart than this.
  absl::Duration GapMax() const;

 private:
  ScheduleTimes(absl::Duration interval, int start_minutes, absl::TimeZone zone)
      : interval_(interval), start_minutes_(start_minutes), zone_(zone) {}

  // When the schedule's day begins that this civil day names.
  absl::Time BeginningOf(absl::CivilDay day) const;

  absl::Duration interval_;
  int start_minutes_;  // after midnight
  absl::TimeZone zone_;
};

// The schedule with its empty fields filled in.
v1::Schedule WithDefaults(v1::Schedule schedule);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SCHEDULE_SCHEDULE_TIMES_H_
