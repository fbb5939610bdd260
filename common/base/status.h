#ifndef HOLDFAST_COMMON_BASE_STATUS_H_
#define HOLDFAST_COMMON_BASE_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace holdfast {

// Returns `status` with "<context>: " before its message; the code and the payloads stay. OK stays
// OK. Called while unwinding, so that the outermost context comes first:
//   back up store 1f9a: read 000042.sst: checksum mismatch
absl::Status Annotate(const absl::Status& status, absl::string_view context);

// The message of `status` without the "<context>: " that it may begin with: for whoever shows the
// context by itself.
absl::string_view MessageWithout(const absl::Status& status, absl::string_view context);

// Returns `status` with another code; the message and the payloads stay.
// REQUIRES: neither `status` nor `code` is OK.
absl::Status WithCode(const absl::Status& status, absl::StatusCode code);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_BASE_STATUS_H_
