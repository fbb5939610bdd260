#ifndef HOLDFAST_COMMON_BASE_HEX_H_
#define HOLDFAST_COMMON_BASE_HEX_H_

#include "absl/strings/string_view.h"

namespace holdfast {

// Whether all of `text` are hexadecimal digits, the letters in lower case. True of no text.
bool IsLowerHex(absl::string_view text);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_BASE_HEX_H_
