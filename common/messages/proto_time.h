#ifndef HOLDFAST_COMMON_MESSAGES_PROTO_TIME_H_
#define HOLDFAST_COMMON_MESSAGES_PROTO_TIME_H_

#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace holdfast {

// Times and durations as messages carry them, to the nanosecond. Out of the messages' bounds (the
// years 1 to 9999, 10,000 years) they are cut to them.
google::protobuf::Timestamp ToProto(absl::Time time);
google::protobuf::Duration ToProto(absl::Duration duration);

// Whether a duration keeps the rules of the message: less than a second of nanoseconds, of the sign
// of the seconds.
bool IsWellFormed(const google::protobuf::Duration& duration);

// What breaks the rules of the messages is read as well as it can be.
absl::Time FromProto(const google::protobuf::Timestamp& timestamp);
absl::Duration FromProto(const google::protobuf::Duration& duration);

// The microsecond that `time` lies in: how precise the times of a store are.
absl::Time CutToMicros(absl::Time time);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_MESSAGES_PROTO_TIME_H_
