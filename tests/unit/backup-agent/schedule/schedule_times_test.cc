#include "backup-agent/schedule/schedule_times.h"

#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/messages/proto_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::Schedule MakeSchedule(absl::Duration interval, const std::string& start,
                          const std::string& zone) {
  v1::Schedule schedule;
  schedule.set_automatic(true);
  *schedule.mutable_interval() = ToProto(interval);
  schedule.set_start_time_of_day(start);
  schedule.set_time_zone(zone);
  return schedule;
}

ScheduleTimes Times(absl::Duration interval, const std::string& start, const std::string& zone) {
  const absl::StatusOr<ScheduleTimes> times =
      ScheduleTimes::Create(MakeSchedule(interval, start, zone));
  EXPECT_OK(times);
  return *times;
}

absl::Time At(const std::string& text) {
  absl::Time time;
  std::string error;
  EXPECT_TRUE(absl::ParseTime("%Y-%m-%d %H:%M %z", text, &time, &error)) << error;
  return time;
}

// The next `count` times after `after`, as the zone's clocks show them.
std::vector<std::string> Next(const ScheduleTimes& times, absl::Time after, int count,
                              const std::string& zone_name) {
  absl::TimeZone zone;
  EXPECT_TRUE(absl::LoadTimeZone(zone_name, &zone));
  std::vector<std::string> shown;
  for (int i = 0; i < count; ++i) {
    after = times.NextAfter(after);
    shown.push_back(absl::FormatTime("%a %H:%M %Ez", after, zone));
  }
  return shown;
}

TEST(ScheduleTimesTest, TimesOfADayBeginAtItsStart) {
  EXPECT_THAT(
      Next(Times(absl::Hours(4), "02:00", "UTC"), At("2026-11-22 18:35 +0000"), 7, "UTC"),
      ElementsAre("Sun 22:00 +00:00", "Mon 02:00 +00:00", "Mon 06:00 +00:00", "Mon 10:00 +00:00",
                  "Mon 14:00 +00:00", "Mon 18:00 +00:00", "Mon 22:00 +00:00"));
}

TEST(ScheduleTimesTest, TimeItselfIsNotAfterIt) {
  const ScheduleTimes times = Times(absl::Hours(4), "00:00", "UTC");
  EXPECT_EQ(times.NextAfter(At("2026-11-22 04:00 +0000")), At("2026-11-22 08:00 +0000"));
  EXPECT_EQ(times.NextAfter(At("2026-11-22 04:00 +0000") - absl::Nanoseconds(1)),
            At("2026-11-22 04:00 +0000"));
}

TEST(ScheduleTimesTest, IntervalThatDoesNotDivideTheDayBeginsAnewEachDay) {
  EXPECT_THAT(Next(Times(absl::Hours(7), "02:00", "UTC"), At("2026-11-22 02:00 +0000"), 5, "UTC"),
              ElementsAre("Sun 09:00 +00:00", "Sun 16:00 +00:00", "Sun 23:00 +00:00",
                          "Mon 02:00 +00:00", "Mon 09:00 +00:00"));
}

TEST(ScheduleTimesTest, StartIsInTheZone) {
  EXPECT_EQ(
      Times(absl::Hours(24), "02:00", "Asia/Kathmandu").NextAfter(At("2026-11-22 00:00 +0000")),
      At("2026-11-22 20:15 +0000"));
}

TEST(ScheduleTimesTest, DayOf23HoursLosesNothingAndEndsShort) {
  // At 02:00 the clocks were set to 03:00.
  EXPECT_THAT(Next(Times(absl::Hours(4), "00:00", "Europe/Berlin"), At("2026-03-29 00:00 +0100"), 6,
                   "Europe/Berlin"),
              ElementsAre("Sun 05:00 +02:00", "Sun 09:00 +02:00", "Sun 13:00 +02:00",
                          "Sun 17:00 +02:00", "Sun 21:00 +02:00", "Mon 00:00 +02:00"));
}

TEST(ScheduleTimesTest, DayOf25HoursTakesNothingTwiceAndLeavesNoGap) {
  // At 03:00 the clocks were set to 02:00.
  EXPECT_THAT(Next(Times(absl::Minutes(30), "01:30", "Europe/Berlin"), At("2026-10-25 01:00 +0200"),
                   6, "Europe/Berlin"),
              ElementsAre("Sun 01:30 +02:00", "Sun 02:00 +02:00", "Sun 02:30 +02:00",
                          "Sun 02:00 +01:00", "Sun 02:30 +01:00", "Sun 03:00 +01:00"));
}

TEST(ScheduleTimesTest, DailyTimeThatIsSkippedIsTakenAtTheMomentOfTheSkip) {
  EXPECT_THAT(Next(Times(absl::Hours(24), "02:30", "Europe/Berlin"), At("2026-03-28 00:00 +0100"),
                   3, "Europe/Berlin"),
              ElementsAre("Sat 02:30 +01:00", "Sun 03:00 +02:00", "Mon 02:30 +02:00"));
}

TEST(ScheduleTimesTest, DailyTimeThatComesTwiceIsTakenTheFirstTime) {
  EXPECT_THAT(Next(Times(absl::Hours(24), "02:30", "Europe/Berlin"), At("2026-10-24 00:00 +0200"),
                   3, "Europe/Berlin"),
              ElementsAre("Sat 02:30 +02:00", "Sun 02:30 +02:00", "Mon 02:30 +01:00"));
}

TEST(ScheduleTimesTest, DayThatAZoneSkippedHasNoTimes) {
  // Samoa went from Thursday 29 to Saturday 31 December 2011.
  EXPECT_THAT(
      Next(Times(absl::Hours(12), "00:00", "Pacific/Apia"), At("2011-12-29 06:00 -1000"), 4,
           "Pacific/Apia"),
      ElementsAre("Thu 12:00 -10:00", "Sat 00:00 +14:00", "Sat 12:00 +14:00", "Sun 00:00 +14:00"));
}

TEST(ScheduleTimesTest, WholeDaysAreCountedFrom1970) {
  const ScheduleTimes weekly = Times(absl::Hours(24 * 7), "03:00", "UTC");
  EXPECT_THAT(Next(weekly, At("2026-11-22 18:35 +0000"), 2, "UTC"),
              ElementsAre("Thu 03:00 +00:00", "Thu 03:00 +00:00"));
  EXPECT_EQ(weekly.NextAfter(At("1970-01-01 00:00 +0000")), At("1970-01-01 03:00 +0000"));
  EXPECT_EQ(weekly.NextAfter(At("1970-01-01 03:00 +0000")), At("1970-01-08 03:00 +0000"));
}

TEST(ScheduleTimesTest, EmptyFieldsHaveTheirDefaults) {
  ASSERT_OK_AND_ASSIGN(const ScheduleTimes times, ScheduleTimes::Create(v1::Schedule()));
  EXPECT_EQ(times.interval(), absl::Hours(4));
  EXPECT_EQ(times.NextAfter(At("2026-11-22 18:35 +0000")), At("2026-11-22 20:00 +0000"));
}

TEST(ScheduleTimesTest, BrokenRuleIsNamedWithItsField) {
  const auto status = [](absl::Duration interval, const std::string& start,
                         const std::string& zone) {
    return ScheduleTimes::Create(MakeSchedule(interval, start, zone)).status();
  };
  EXPECT_THAT(status(absl::Seconds(30), "00:00", "UTC"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("schedule.interval: ")));
  EXPECT_THAT(
      status(absl::Hours(4), "25:00", "UTC"),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("schedule.start_time_of_day: ")));
  EXPECT_THAT(status(absl::Hours(4), "00:00", "Mars"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("schedule.time_zone: ")));
}

// Whatever the zone, the start and the interval: times come after what they are asked for, never
// twice, and never further apart than promised.
TEST(ScheduleTimesTest, GapsAreBoundedInEveryZone) {
  SeededRandom random;
  const std::vector<std::string> zones = {
      "UTC",          "Europe/Berlin",  "America/New_York", "Asia/Tehran", "Australia/Lord_Howe",
      "Pacific/Apia", "America/Havana", "Africa/Casablanca"};
  for (int round = 0; round < 400; ++round) {
    const std::string& zone = zones[random.Uniform(zones.size())];
    const absl::Duration interval =
        random.Uniform(4) == 0 ? absl::Hours(24) * static_cast<int64_t>(1 + random.Uniform(31))
                               : absl::Minutes(static_cast<int64_t>(1 + random.Uniform(1440)));
    const int start = static_cast<int>(random.Uniform(1440));
    const std::string start_text = absl::StrFormat("%02d:%02d", start / 60, start % 60);
    const ScheduleTimes times = Times(interval, start_text, zone);
    // 1990 to 2040.
    absl::Time time = absl::FromUnixSeconds(631'152'000) +
                      absl::Seconds(static_cast<int64_t>(random.Uniform(1'577'880'000)));
    absl::Time previous = times.NextAfter(time);
    EXPECT_GT(previous, time);
    EXPECT_LE(previous - time, times.GapMax());
    for (int i = 0; i < 200; ++i) {
      const absl::Time next = times.NextAfter(previous);
      ASSERT_GT(next, previous) << zone << " " << interval << " " << start_text;
      ASSERT_LE(next - previous, times.GapMax()) << zone << " " << interval << " " << start_text;
      // Asked from anywhere in between, the answer is the same.
      const absl::Time between = previous + random.UniformDuration(next - previous);
      ASSERT_EQ(times.NextAfter(between), next) << zone << " " << interval << " " << start_text;
      previous = next;
    }
  }
}

}  // namespace
}  // namespace holdfast
