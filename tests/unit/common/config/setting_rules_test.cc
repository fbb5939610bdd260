#include "common/config/setting_rules.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

auto IsInvalid() { return StatusIs(absl::StatusCode::kInvalidArgument); }

TEST(SettingRulesTest, NameIsOneTo64PlainCharacters) {
  EXPECT_OK(CheckName("a"));
  EXPECT_OK(CheckName("main-2_b"));
  EXPECT_OK(CheckName(std::string(64, 'x')));
  for (const char* name : {"", "Main", "a b", "a/b", ".", "a.b", "\xc3\xa4"}) {
    EXPECT_THAT(CheckName(name), IsInvalid()) << name;
  }
  EXPECT_THAT(CheckName(std::string(65, 'x')), IsInvalid());
}

TEST(SettingRulesTest, IntervalIsWholeMinutesOrWholeDays) {
  for (const absl::Duration good : {absl::Minutes(1), absl::Minutes(7), absl::Hours(24),
                                    absl::Hours(48), absl::Hours(24 * 31)}) {
    EXPECT_OK(CheckInterval(good)) << good;
  }
  for (const absl::Duration bad :
       {absl::ZeroDuration(), -absl::Hours(1), absl::Seconds(59), absl::Seconds(90),
        absl::Hours(24) + absl::Minutes(1), absl::Hours(36), absl::Hours(24 * 32),
        absl::InfiniteDuration()}) {
    EXPECT_THAT(CheckInterval(bad), IsInvalid()) << bad;
  }
}

TEST(SettingRulesTest, TimeOfDayIsHoursAndMinutes) {
  EXPECT_THAT(ParseTimeOfDay("00:00"), IsOkAndHolds(0));
  EXPECT_THAT(ParseTimeOfDay("23:59"), IsOkAndHolds(1439));
  for (const char* bad : {"", "24:00", "12:60", "1:00", "12.00", "12:0a", "12:000", "-1:00"}) {
    EXPECT_THAT(ParseTimeOfDay(bad), IsInvalid()) << bad;
  }
}

TEST(SettingRulesTest, TimeZoneIsAnIanaName) {
  EXPECT_OK(ParseTimeZone("UTC"));
  EXPECT_OK(ParseTimeZone("Europe/Berlin"));
  EXPECT_OK(ParseTimeZone("America/Port-au-Prince"));
  EXPECT_OK(ParseTimeZone("Etc/GMT+5"));
  for (const char* bad : {"", "Mars/Olympus", "localtime", "/usr/share/zoneinfo/UTC", ":UTC",
                          "../zoneinfo/UTC", "Fixed/UTC+05:00:00"}) {
    EXPECT_THAT(ParseTimeZone(bad), IsInvalid()) << bad;
  }
}

TEST(SettingRulesTest, IntervalTextIsNumbersWithUnits) {
  EXPECT_THAT(ParseInterval("4h"), IsOkAndHolds(absl::Hours(4)));
  EXPECT_THAT(ParseInterval("90m"), IsOkAndHolds(absl::Minutes(90)));
  EXPECT_THAT(ParseInterval("1h30m"), IsOkAndHolds(absl::Minutes(90)));
  EXPECT_THAT(ParseInterval("2d"), IsOkAndHolds(absl::Hours(48)));
  for (const char* bad : {"", "4", "h", "4s", "30m1h", "1h1h", "-4h", "1.5h", "4 h", "4hours",
                          "99999999999999h", "11111111111111111h"}) {
    EXPECT_THAT(ParseInterval(bad), IsInvalid()) << bad;
  }
}

TEST(SettingRulesTest, IntervalIsWrittenAsItIsRead) {
  EXPECT_EQ(FormatInterval(absl::Minutes(1)), "1m");
  EXPECT_EQ(FormatInterval(absl::Minutes(90)), "1h30m");
  EXPECT_EQ(FormatInterval(absl::Hours(4)), "4h");
  EXPECT_EQ(FormatInterval(absl::Hours(48)), "2d");
  for (absl::Duration interval = kIntervalMin; interval <= absl::Hours(24);
       interval += absl::Minutes(1)) {
    EXPECT_THAT(ParseInterval(FormatInterval(interval)), IsOkAndHolds(interval));
  }
}

}  // namespace
}  // namespace holdfast
