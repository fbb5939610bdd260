#include "backup-agent/schedule/schedule_times.h"

#include <cstdint>
#include <utility>

#include "common/base/status_macros.h"
#include "common/config/setting_rules.h"
#include "common/messages/proto_time.h"

namespace holdfast {

namespace {

constexpr absl::Duration kDay = absl::Hours(24);
constexpr absl::Duration kDefaultInterval = absl::Hours(4);
constexpr absl::string_view kDefaultStartTimeOfDay = "00:00";
constexpr absl::string_view kDefaultTimeZone = "UTC";
// How much longer than 24 hours a civil day can be: no zone has ever moved its clocks by more at
// once.
constexpr absl::Duration kDayExcessMax = absl::Hours(25);

}  // namespace

v1::Schedule WithDefaults(v1::Schedule schedule) {
  if (!schedule.has_interval()) *schedule.mutable_interval() = ToProto(kDefaultInterval);
  if (schedule.start_time_of_day().empty()) {
    schedule.set_start_time_of_day(std::string(kDefaultStartTimeOfDay));
  }
  if (schedule.time_zone().empty()) schedule.set_time_zone(std::string(kDefaultTimeZone));
  return schedule;
}

absl::StatusOr<ScheduleTimes> ScheduleTimes::Create(const v1::Schedule& given) {
  const v1::Schedule schedule = WithDefaults(given);
  const absl::Duration interval = FromProto(schedule.interval());
  HOLDFAST_RETURN_IF_ERROR(CheckInterval(interval), "schedule.interval");
  HOLDFAST_ASSIGN_OR_RETURN(const int start_minutes, ParseTimeOfDay(schedule.start_time_of_day()),
                            "schedule.start_time_of_day");
  HOLDFAST_ASSIGN_OR_RETURN(const absl::TimeZone zone, ParseTimeZone(schedule.time_zone()),
                            "schedule.time_zone");
  return ScheduleTimes(interval, start_minutes, zone);
}

absl::Time ScheduleTimes::BeginningOf(absl::CivilDay day) const {
  const absl::TimeZone::TimeInfo info = zone_.At(absl::CivilMinute(day) + start_minutes_);
  return info.kind == absl::TimeZone::TimeInfo::SKIPPED ? info.trans : info.pre;
}

absl::Time ScheduleTimes::NextAfter(absl::Time time) const {
  absl::CivilDay day = absl::ToCivilDay(time, zone_);
  if (interval_ >= kDay) {
    const int64_t days = interval_ / kDay;
    // The newest beginning that may lie before `time`; the day of 1970-01-01 is number 0.
    day -= (day - absl::CivilDay(1970, 1, 1)) % days + days;
    while (BeginningOf(day) <= time) day += days;
    return BeginningOf(day);
  }
  // The day in which `time` lies. The days of a zone that skipped one begin at the same moment.
  while (BeginningOf(day) > time) --day;
  while (BeginningOf(day + 1) <= time) ++day;
  const absl::Time beginning = BeginningOf(day);
  const int64_t number = (time - beginning) / interval_ + 1;
  return std::min(beginning + number * interval_, BeginningOf(day + 1));
}

absl::Duration ScheduleTimes::GapMax() const {
  return interval_ < kDay ? interval_ : interval_ + kDayExcessMax;
}

}  // namespace holdfast
