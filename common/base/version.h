#ifndef HOLDFAST_COMMON_BASE_VERSION_H_
#define HOLDFAST_COMMON_BASE_VERSION_H_

#include "absl/strings/string_view.h"

namespace holdfast {

// The version of this build, of all programs: "0.1.0".
absl::string_view Version();

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_BASE_VERSION_H_
