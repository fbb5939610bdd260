#ifndef HOLDFAST_COMMON_BASE_TIME_FORMAT_H_
#define HOLDFAST_COMMON_BASE_TIME_FORMAT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

// Points in time as text, always UTC. What is finer than the last digit is cut off, never rounded.
// All are of fixed length for the years 0 to 9999, so that they sort as text.

namespace holdfast {

// `20261122T183500.123Z`, fit for names of files. Part of the repository format; do not change.
std::string FormatTimeCompact(absl::Time time);

// The inverse. INVALID_ARGUMENT for all else than exactly what FormatTimeCompact writes.
absl::StatusOr<absl::Time> ParseTimeCompact(absl::string_view text);

// RFC 3339: `2026-11-22T18:35:00.123Z` and `2026-11-22T18:35:00.123456Z`.
std::string FormatRfc3339Millis(absl::Time time);
std::string FormatRfc3339Micros(absl::Time time);

// RFC 3339 with any fraction of a second and any offset. INVALID_ARGUMENT for all else.
absl::StatusOr<absl::Time> ParseRfc3339(absl::string_view text);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_BASE_TIME_FORMAT_H_
