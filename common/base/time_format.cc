#include "common/base/time_format.h"

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"

namespace holdfast {
namespace {

constexpr absl::string_view kCompactFormat = "%Y%m%dT%H%M%E3SZ";
constexpr absl::string_view kCompactShape = "00000000T000000.000Z";
constexpr absl::string_view kRfc3339MillisFormat = "%Y-%m-%dT%H:%M:%E3SZ";
constexpr absl::string_view kRfc3339MicrosFormat = "%Y-%m-%dT%H:%M:%E6SZ";

std::string Format(absl::string_view format, absl::Time time) {
  return absl::FormatTime(format, time, absl::UTCTimeZone());
}

absl::Status NotATime(absl::string_view text, absl::string_view wanted) {
  constexpr size_t kShownMax = 64;
  return absl::InvalidArgumentError(absl::StrCat("\"", absl::CHexEscape(text.substr(0, kShownMax)),
                                                 "\" is not a time like ", wanted));
}

// Whether `text` begins like `shape`, where each '0' stands for any digit.
bool HasShape(absl::string_view text, absl::string_view shape) {
  if (text.size() < shape.size()) return false;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == '0' ? !absl::ascii_isdigit(text[i]) : text[i] != shape[i]) return false;
  }
  return true;
}

// The number that the digits from `begin` on are.
int NumberAt(absl::string_view text, size_t begin, size_t digits) {
  int number = 0;
  for (const char digit : text.substr(begin, digits)) number = 10 * number + (digit - '0');
  return number;
}

// Whether `text` is of the form of RFC 3339: Abseil's parser alone accepts more.
bool IsRfc3339(absl::string_view text) {
  constexpr absl::string_view kDateTime = "0000-00-00T00:00:00";
  if (!HasShape(text, kDateTime)) return false;
  text.remove_prefix(kDateTime.size());
  if (text.size() > 1 && text[0] == '.') {
    if (!absl::ascii_isdigit(text[1])) return false;
    text.remove_prefix(1);
    while (!text.empty() && absl::ascii_isdigit(text[0])) text.remove_prefix(1);
  }
  return text == "Z" ||
         (text.size() == 6 && (HasShape(text, "+00:00") || HasShape(text, "-00:00")));
}

}  // namespace

std::string FormatTimeCompact(absl::Time time) { return Format(kCompactFormat, time); }

// By hand: the name of each object has one, and a backup may have 100,000.
absl::StatusOr<absl::Time> ParseTimeCompact(absl::string_view text) {
  // Years before 1000 are none that FormatTimeCompact writes in this shape.
  if (text.size() == kCompactShape.size() && HasShape(text, kCompactShape) && text[0] != '0') {
    const int year = NumberAt(text, 0, 4);
    const int month = NumberAt(text, 4, 2);
    const int day = NumberAt(text, 6, 2);
    const int hour = NumberAt(text, 9, 2);
    const int minute = NumberAt(text, 11, 2);
    const int second = NumberAt(text, 13, 2);
    const absl::CivilSecond civil(year, month, day, hour, minute, second);
    // What is no time, as the 30th of February, becomes another one; so does a leap second.
    if (civil.year() == year && civil.month() == month && civil.day() == day &&
        civil.hour() == hour && civil.minute() == minute && civil.second() == second) {
      return absl::FromCivil(civil, absl::UTCTimeZone()) +
             absl::Milliseconds(NumberAt(text, 16, 3));
    }
  }
  return NotATime(text, "20261122T183500.123Z");
}

std::string FormatRfc3339Millis(absl::Time time) { return Format(kRfc3339MillisFormat, time); }
std::string FormatRfc3339Micros(absl::Time time) { return Format(kRfc3339MicrosFormat, time); }

absl::StatusOr<absl::Time> ParseRfc3339(absl::string_view text) {
  absl::Time time;
  std::string error;
  if (!IsRfc3339(text) || !absl::ParseTime(absl::RFC3339_full, text, &time, &error)) {
    return NotATime(text, "2026-11-22T18:35:00.123Z");
  }
  return time;
}

}  // namespace holdfast
