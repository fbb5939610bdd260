#include "backup-agent/retention/retention_policy.h"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"
#include "common/base/status_macros.h"
#include "common/config/setting_rules.h"
#include "common/messages/proto_time.h"

namespace holdfast {
namespace {

constexpr uint32_t kCountMax = 100'000;
constexpr absl::Duration kWithinMax = absl::Hours(24 * 366 * 10);

// Of the time from one backup to the next no more is counted.
constexpr absl::Duration kGapCountedMax = absl::Hours(24);

constexpr const char* kNewestProven = "the newest that was proven";

// A rule of the calendar: what stands for the period that a time is in, and is shown for it.
struct Calendar {
  const char* name;
  std::string (*period)(const absl::CivilSecond& time);
};

std::string HourOf(const absl::CivilSecond& time) {
  return absl::FormatCivilTime(absl::CivilHour(time));
}
std::string DayOf(const absl::CivilSecond& time) {
  return absl::FormatCivilTime(absl::CivilDay(time));
}
std::string WeekOf(const absl::CivilSecond& time) {
  const absl::CivilDay monday = absl::PrevWeekday(absl::CivilDay(time) + 1, absl::Weekday::monday);
  return absl::StrCat("from ", absl::FormatCivilTime(monday));
}
std::string MonthOf(const absl::CivilSecond& time) {
  return absl::FormatCivilTime(absl::CivilMonth(time));
}
std::string YearOf(const absl::CivilSecond& time) {
  return absl::FormatCivilTime(absl::CivilYear(time));
}

// "2 d", "1 d 12 h", "1 min 30 s": as the command line shows times.
std::string DescribeWithin(absl::Duration within) {
  std::string text;
  for (const auto& [unit, name] :
       {std::pair(absl::Hours(24), "d"), std::pair(absl::Hours(1), "h"),
        std::pair(absl::Minutes(1), "min"), std::pair(absl::Seconds(1), "s")}) {
    const int64_t count = absl::IDivDuration(within, unit, &within);
    if (count > 0) absl::StrAppend(&text, count, " ", name, " ");
  }
  return absl::StrCat("within ", text, "of the newest");
}

}  // namespace

v1::Retention DefaultRetention() {
  v1::Retention retention;
  *retention.mutable_keep_within() = ToProto(absl::Hours(48));
  retention.set_keep_daily(30);
  retention.set_keep_weekly(12);
  retention.set_keep_monthly(12);
  retention.set_keep_yearly(3);
  retention.set_time_zone("UTC");
  return retention;
}

absl::StatusOr<RetentionPolicy> RetentionPolicy::Create(const v1::Retention& retention) {
  for (const auto& [field, count] : {std::pair("keep_last", retention.keep_last()),
                                     std::pair("keep_hourly", retention.keep_hourly()),
                                     std::pair("keep_daily", retention.keep_daily()),
                                     std::pair("keep_weekly", retention.keep_weekly()),
                                     std::pair("keep_monthly", retention.keep_monthly()),
                                     std::pair("keep_yearly", retention.keep_yearly())}) {
    if (count > kCountMax) {
      return absl::InvalidArgumentError(
          absl::StrCat("retention.", field, ": is at most ", kCountMax, ", not ", count));
    }
  }
  const absl::Duration within = FromProto(retention.keep_within());
  if (!IsWellFormed(retention.keep_within()) || within < absl::ZeroDuration() ||
      within > kWithinMax) {
    return absl::InvalidArgumentError("retention.keep_within: is 0 to 10 years");
  }
  absl::TimeZone zone = absl::UTCTimeZone();
  if (!retention.time_zone().empty()) {
    HOLDFAST_ASSIGN_OR_RETURN(zone, ParseTimeZone(retention.time_zone()), "retention.time_zone");
  }
  return RetentionPolicy(retention, zone);
}

bool RetentionPolicy::HasRules() const {
  return retention_.keep_last() > 0 || FromProto(retention_.keep_within()) > absl::ZeroDuration() ||
         retention_.keep_hourly() > 0 || retention_.keep_daily() > 0 ||
         retention_.keep_weekly() > 0 || retention_.keep_monthly() > 0 ||
         retention_.keep_yearly() > 0;
}

std::vector<RetentionDecision> RetentionPolicy::Decide(
    absl::Span<const RetentionCandidate> backups) const {
  std::vector<RetentionDecision> decisions(backups.size());
  for (size_t i = 0; i < backups.size(); ++i) {
    decisions[i].backup_id = backups[i].backup_id;
    decisions[i].time = backups[i].time;
  }
  // Every rule goes from the newest to the oldest.
  const auto keep = [&](size_t i, std::string reason) {
    decisions[i].is_kept = true;
    decisions[i].reasons.push_back(std::move(reason));
  };
  const auto keep_newest = [&](const char* reason, bool (*is_one)(const RetentionCandidate&)) {
    for (size_t i = backups.size(); i-- > 0;) {
      if (!is_one(backups[i])) continue;
      keep(i, reason);
      return;
    }
  };
  const auto say_what_is_damaged = [&] {
    for (size_t i = 0; i < backups.size(); ++i) {
      if (backups[i].is_damaged) decisions[i].reasons.push_back("damaged");
    }
  };

  for (size_t i = 0; i < backups.size(); ++i) {
    if (backups[i].is_pinned) keep(i, "pinned");
  }
  keep_newest("the newest", [](const RetentionCandidate& one) { return !one.is_damaged; });
  keep_newest(kNewestProven,
              [](const RetentionCandidate& one) { return one.is_proven && !one.is_damaged; });
  for (size_t i = 0; i < backups.size(); ++i) {
    // What is known of all destinations has the newest of this one, too.
    const std::vector<std::string>& reasons = decisions[i].reasons;
    const bool is_of_here = !reasons.empty() && reasons.back() == kNewestProven;
    if (backups[i].is_proven_elsewhere && !is_of_here) keep(i, "proven at another destination");
  }
  if (!HasRules()) {
    for (size_t i = 0; i < backups.size(); ++i) keep(i, "all are kept");
    say_what_is_damaged();
    return decisions;
  }

  // A damaged one takes no place of a whole one, and stays while those around it do: it may be
  // mended from another destination.
  uint32_t last = 0;
  for (size_t i = backups.size(); i-- > 0 && last < retention_.keep_last();) {
    keep(i, "one of the last");
    if (!backups[i].is_damaged) ++last;
  }
  const absl::Duration within = FromProto(retention_.keep_within());
  absl::Duration age;
  absl::Time successor = absl::InfiniteFuture();
  for (size_t i = backups.size(); i-- > 0 && within > absl::ZeroDuration();) {
    // No backup is newer than the one after it: the clock was wrong when it was taken.
    const absl::Time time = std::min(backups[i].time, successor);
    if (i + 1 < backups.size()) age += std::min(successor - time, kGapCountedMax);
    successor = time;
    if (age > within) break;
    keep(i, DescribeWithin(within));
  }

  const std::pair<Calendar, uint32_t> calendars[] = {
      {{"hourly", HourOf}, retention_.keep_hourly()},
      {{"daily", DayOf}, retention_.keep_daily()},
      {{"weekly", WeekOf}, retention_.keep_weekly()},
      {{"monthly", MonthOf}, retention_.keep_monthly()},
      {{"yearly", YearOf}, retention_.keep_yearly()},
  };
  for (const auto& [calendar, count] : calendars) {
    // Of each period the last that is whole, or the last of all where none is.
    std::map<std::string, size_t> chosen;
    for (size_t i = backups.size(); i-- > 0 && count > 0;) {
      const std::string period = calendar.period(absl::ToCivilSecond(backups[i].time, zone_));
      const auto found = chosen.find(period);
      if (found == chosen.end()) {
        if (chosen.size() < count) chosen.emplace(period, i);
      } else if (backups[found->second].is_damaged && !backups[i].is_damaged) {
        found->second = i;
      }
    }
    for (const auto& [period, i] : chosen) keep(i, absl::StrCat(calendar.name, " ", period));
  }
  say_what_is_damaged();
  return decisions;
}

}  // namespace holdfast
