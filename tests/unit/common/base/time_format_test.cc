#include "common/base/time_format.h"

#include <string>

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

constexpr auto kInvalidArgument = absl::StatusCode::kInvalidArgument;

const absl::Time kTime = absl::FromUnixMicros(1'795'372'500'123'999);

TEST(TimeFormatTest, CompactIsUtcWithMillisecondsCutOff) {
  EXPECT_EQ(FormatTimeCompact(kTime), "20261122T183500.123Z");
  EXPECT_EQ(FormatTimeCompact(absl::UnixEpoch()), "19700101T000000.000Z");
  EXPECT_EQ(FormatTimeCompact(absl::UnixEpoch() - absl::Microseconds(1)), "19691231T235959.999Z");
}

TEST(TimeFormatTest, CompactSortsLikeTime) {
  EXPECT_LT(FormatTimeCompact(kTime), FormatTimeCompact(kTime + absl::Milliseconds(1)));
  EXPECT_LT(FormatTimeCompact(kTime), FormatTimeCompact(kTime + absl::Hours(24 * 3650)));
}

TEST(TimeFormatTest, CompactIsReadBack) {
  EXPECT_THAT(ParseTimeCompact("20261122T183500.123Z"),
              IsOkAndHolds(absl::FromUnixMillis(1'795'372'500'123)));
  EXPECT_THAT(ParseTimeCompact("20240229T235959.999Z"), IsOk());
  // The first and the last year of that form, and times of all years in between.
  for (const std::string text : {"10000101T000000.000Z", "99991231T235959.999Z"}) {
    ASSERT_OK_AND_ASSIGN(const absl::Time time, ParseTimeCompact(text));
    EXPECT_EQ(FormatTimeCompact(time), text);
  }
  const absl::Time begin = absl::FromCivil(absl::CivilSecond(1000), absl::UTCTimeZone());
  for (int i = 0; i < 9'000; ++i) {
    const absl::Time time = begin + i * (absl::Hours(24) * 365.2421 + absl::Milliseconds(7'919));
    EXPECT_THAT(ParseTimeCompact(FormatTimeCompact(time)),
                IsOkAndHolds(absl::FromUnixMillis(absl::ToUnixMillis(time))))
        << time;
  }
}

TEST(TimeFormatTest, CompactRefusesAllThatItWouldNotWrite) {
  for (const std::string text : {"",
                                 "20261122T183500.123",
                                 "20261122T183500.12Z",
                                 "20261122T183500.1234Z",
                                 " 20261122T183500.123Z",
                                 "20261122T183500.123Z ",
                                 "20261122T183500Z",
                                 "2026-11-22T18:35:00.123Z",
                                 "20260229T000000.000Z",
                                 "20261322T183500.123Z",
                                 "20261122T243500.123Z",
                                 "20261122T183560.123Z",
                                 "infinite-future",
                                 "20261122t183500.123z",
                                 "+0261122T183500.123Z",
                                 "20260029T000000.000Z",
                                 "20260100T000000.000Z",
                                 "20261122T186000.123Z",
                                 "09991122T183500.123Z",
                                 "00001122T183500.123Z"}) {
    EXPECT_THAT(ParseTimeCompact(text), StatusIs(kInvalidArgument)) << text;
  }
}

TEST(TimeFormatTest, Rfc3339HasTheDigitsOfItsName) {
  EXPECT_EQ(FormatRfc3339Millis(kTime), "2026-11-22T18:35:00.123Z");
  EXPECT_EQ(FormatRfc3339Micros(kTime), "2026-11-22T18:35:00.123999Z");
}

TEST(TimeFormatTest, Rfc3339IsReadWithAnyFractionAndOffset) {
  EXPECT_THAT(ParseRfc3339("2026-11-22T18:35:00.123999Z"), IsOkAndHolds(kTime));
  EXPECT_THAT(ParseRfc3339("2026-11-22T20:35:00.123999+02:00"), IsOkAndHolds(kTime));
  EXPECT_THAT(ParseRfc3339("2026-11-22T18:35:00Z"),
              IsOkAndHolds(absl::FromUnixSeconds(1'795'372'500)));
  EXPECT_THAT(ParseRfc3339("1969-12-31T23:59:59.5-00:30"),
              IsOkAndHolds(absl::FromUnixMillis(1'800'000 - 500)));
}

TEST(TimeFormatTest, Rfc3339RefusesAllElse) {
  for (const std::string text :
       {"", "2026-11-22", "2026-11-22T18:35:00", "2026-11-22 18:35:00Z", "2026-11-22T18:35:00.Z",
        " 2026-11-22T18:35:00Z", "2026-11-22T18:35:00Z ", "2026-02-30T18:35:00Z",
        "2026-11-22T25:35:00Z", "infinite-future", "infinite-past", "2026-11-22T18:35:00+0200",
        "2026-11-22T18:35:00+99:99", "-2026-11-22T18:35:00Z"}) {
    EXPECT_THAT(ParseRfc3339(text), StatusIs(kInvalidArgument)) << text;
  }
}

}  // namespace
}  // namespace holdfast
