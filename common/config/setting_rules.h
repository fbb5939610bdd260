#ifndef HOLDFAST_COMMON_CONFIG_SETTING_RULES_H_
#define HOLDFAST_COMMON_CONFIG_SETTING_RULES_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

// The rules that a store's settings obey, whether they come from the configuration file or by RPC.
// Each Check returns OK or INVALID_ARGUMENT with a message that says the rule and what was given.
//
// Thread-safe.

namespace holdfast {

inline constexpr size_t kDestinationsMax = 16;
inline constexpr size_t kNameLengthMax = 64;
inline constexpr absl::Duration kIntervalMin = absl::Minutes(1);
inline constexpr absl::Duration kIntervalMax = absl::Hours(24 * 31);

// A name of a store or of a destination: 1 to 64 characters of a-z, 0-9, '_' and '-'.
absl::Status CheckName(absl::string_view name);

// 1 minute to 24 hours in whole minutes, or whole days up to 31.
absl::Status CheckInterval(absl::Duration interval);

// The minutes after midnight of a "HH:MM", "00:00" to "23:59".
absl::StatusOr<int> ParseTimeOfDay(absl::string_view text);

// A zone that this machine knows by its IANA name.
absl::StatusOr<absl::TimeZone> ParseTimeZone(absl::string_view name);

// Text as "4h", "90m", "1h30m" or "2d", of whole minutes. Only the syntax is checked.
absl::StatusOr<absl::Duration> ParseInterval(absl::string_view text);

// The text that ParseInterval reads as `interval`: "4h", "1h30m", "2d".
// REQUIRES: CheckInterval(interval) is OK.
std::string FormatInterval(absl::Duration interval);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_CONFIG_SETTING_RULES_H_
