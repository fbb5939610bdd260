#include "common/base/time_format.h"

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

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

absl::StatusOr<absl::Time> ParseTimeCompact(absl::string_view text) {
  if (text.size() == kCompactShape.size() && HasShape(text, kCompactShape)) {
    const std::string spread =
        absl::StrCat(text.substr(0, 4), "-", text.substr(4, 2), "-", text.substr(6, 5), ":",
                     text.substr(11, 2), ":", text.substr(13));
    absl::StatusOr<absl::Time> time = ParseRfc3339(spread);
    // Another text for the same time, as a leap second, is none that FormatTimeCompact writes.
    if (time.ok() && FormatTimeCompact(*time) == text) return time;
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
