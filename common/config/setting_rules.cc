#include "common/config/setting_rules.h"

#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace holdfast {

namespace {

constexpr absl::Duration kDay = absl::Hours(24);
// Longer than any text of an interval in bounds; keeps the sums far from overflow.
constexpr size_t kIntervalTextLengthMax = 16;
// Longer than every name in the zone database.
constexpr size_t kTimeZoneLengthMax = 64;

bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }

absl::Status BadInterval(absl::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("an interval is written like \"4h\", \"30m\", \"1h30m\" or \"2d\", not \"",
                   absl::Utf8SafeCHexEscape(text.substr(0, kIntervalTextLengthMax)), "\""));
}

}  // namespace

absl::Status CheckName(absl::string_view name) {
  if (name.empty() || name.size() > kNameLengthMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("a name has 1 to ", kNameLengthMax, " characters, not ", name.size()));
  }
  for (const char c : name) {
    const bool is_allowed = (c >= 'a' && c <= 'z') || IsDigit(c) || c == '_' || c == '-';
    if (!is_allowed) {
      return absl::InvalidArgumentError(absl::StrCat("a name is made of a-z, 0-9, '_' and '-'; \"",
                                                     absl::Utf8SafeCHexEscape(name), "\" is not"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckInterval(absl::Duration interval) {
  const bool is_whole_minutes = absl::Trunc(interval, absl::Minutes(1)) == interval;
  const bool is_whole_days = absl::Trunc(interval, kDay) == interval;
  const bool is_in_bounds = interval >= kIntervalMin && interval <= kIntervalMax;
  if (is_in_bounds && (interval <= kDay ? is_whole_minutes : is_whole_days)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("an interval is 1 minute to 24 hours in whole minutes, or whole days up to 31; ",
                   absl::FormatDuration(interval), " is not"));
}

absl::StatusOr<int> ParseTimeOfDay(absl::string_view text) {
  const bool has_form = text.size() == 5 && IsDigit(text[0]) && IsDigit(text[1]) &&
                        text[2] == ':' && IsDigit(text[3]) && IsDigit(text[4]);
  if (has_form) {
    const int hour = (text[0] - '0') * 10 + (text[1] - '0');
    const int minute = (text[3] - '0') * 10 + (text[4] - '0');
    if (hour < 24 && minute < 60) return hour * 60 + minute;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("a time of day is \"HH:MM\", from \"00:00\" to \"23:59\", not \"",
                   absl::Utf8SafeCHexEscape(text.substr(0, kIntervalTextLengthMax)), "\""));
}

absl::StatusOr<absl::TimeZone> ParseTimeZone(absl::string_view name) {
  absl::TimeZone zone;
  // The zone library would also read files by path, take "localtime" and "Fixed/…" and TZ's ":"
  // prefix: names that mean something else on another machine, or to nobody.
  bool has_plain_form = !name.empty() && name.size() <= kTimeZoneLengthMax &&
                        absl::ascii_isalpha(static_cast<unsigned char>(name[0])) &&
                        name != "localtime";
  for (const char c : name) {
    has_plain_form = has_plain_form && (absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                                        c == '/' || c == '_' || c == '-' || c == '+');
  }
  if (has_plain_form && absl::LoadTimeZone(name, &zone)) return zone;
  return absl::InvalidArgumentError(
      absl::StrCat("this machine knows no time zone \"",
                   absl::Utf8SafeCHexEscape(name.substr(0, kTimeZoneLengthMax)),
                   "\"; give an IANA name like \"Europe/Berlin\" or \"UTC\" (zones come with the "
                   "package tzdata)"));
}

absl::StatusOr<absl::Duration> ParseInterval(absl::string_view text) {
  if (text.empty() || text.size() > kIntervalTextLengthMax) return BadInterval(text);
  constexpr absl::string_view kUnits = "dhm";
  absl::Duration interval;
  size_t unit_min = 0;  // units come in this order, each once
  for (absl::string_view rest = text; !rest.empty();) {
    size_t digits = 0;
    while (digits < rest.size() && IsDigit(rest[digits])) ++digits;
    uint32_t number = 0;
    if (digits == 0 || digits == rest.size() ||
        !absl::SimpleAtoi(rest.substr(0, digits), &number)) {
      return BadInterval(text);
    }
    const size_t unit = kUnits.find(rest[digits], unit_min);
    if (unit == absl::string_view::npos) return BadInterval(text);
    unit_min = unit + 1;
    const absl::Duration units[] = {kDay, absl::Hours(1), absl::Minutes(1)};
    interval += number * units[unit];
    rest.remove_prefix(digits + 1);
  }
  return interval;
}

std::string FormatInterval(absl::Duration interval) {
  const int64_t minutes = absl::ToInt64Minutes(interval);
  const int64_t minutes_of_day = absl::ToInt64Minutes(kDay);
  if (minutes % minutes_of_day == 0) return absl::StrCat(minutes / minutes_of_day, "d");
  std::string text;
  if (minutes >= 60) absl::StrAppend(&text, minutes / 60, "h");
  if (minutes % 60 != 0) absl::StrAppend(&text, minutes % 60, "m");
  return text;
}

}  // namespace holdfast
