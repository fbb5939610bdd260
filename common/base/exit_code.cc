#include "common/base/exit_code.h"

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"

namespace holdfast {

namespace {

constexpr absl::string_view kDeniedBySystemPayload = "holdfast/denied-by-system";

}  // namespace

ExitCode ExitCodeFor(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return kExitUsage;
    case absl::StatusCode::kNotFound:
      return kExitNotFound;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
      return kExitRefused;
    case absl::StatusCode::kDataLoss:
      return kExitDamaged;
    case absl::StatusCode::kPermissionDenied:
      return status.GetPayload(kDeniedBySystemPayload).has_value() ? kExitFailure : kExitWrongKey;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return kExitUnreachable;
    case absl::StatusCode::kCancelled:
      return kExitInterrupted;
    default:
      return kExitFailure;
  }
}

absl::Status MarkDeniedBySystem(absl::Status status) {
  status.SetPayload(kDeniedBySystemPayload, absl::Cord("1"));
  return status;
}

}  // namespace holdfast
