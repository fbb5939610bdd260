#include "common/messages/proto_time.h"

#include <algorithm>
#include <cstdint>

namespace holdfast {

google::protobuf::Timestamp ToProto(absl::Time time) {
  // 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999999Z.
  const absl::Time min = absl::FromUnixSeconds(-62'135'596'800);
  const absl::Time max = absl::FromUnixSeconds(253'402'300'800) - absl::Nanoseconds(1);
  time = std::clamp(time, min, max);
  const int64_t seconds = absl::ToUnixSeconds(time);  // rounded down
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(seconds);
  timestamp.set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  return timestamp;
}

google::protobuf::Duration ToProto(absl::Duration duration) {
  const absl::Duration max = absl::Seconds(315'576'000'000);
  duration = std::clamp(duration, -max, max);
  google::protobuf::Duration message;
  absl::Duration rest;
  message.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &rest));
  message.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
  return message;
}

bool IsWellFormed(const google::protobuf::Duration& duration) {
  constexpr int32_t kNanosMax = 999'999'999;
  return duration.nanos() >= -kNanosMax && duration.nanos() <= kNanosMax &&
         (duration.seconds() <= 0 || duration.nanos() >= 0) &&
         (duration.seconds() >= 0 || duration.nanos() <= 0);
}

absl::Time FromProto(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

absl::Time CutToMicros(absl::Time time) { return absl::FromUnixMicros(absl::ToUnixMicros(time)); }

}  // namespace holdfast
