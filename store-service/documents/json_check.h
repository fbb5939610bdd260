#ifndef HOLDFAST_STORE_SERVICE_DOCUMENTS_JSON_CHECK_H_
#define HOLDFAST_STORE_SERVICE_DOCUMENTS_JSON_CHECK_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace holdfast {

// Whether `text` is exactly one JSON value as RFC 8259 has it, in UTF-8, with
// at most `depth_max` arrays and objects around any value. INVALID_ARGUMENT
// says what is wrong and at which byte.
//
// It only looks: numbers may be of any size and precision, names may repeat,
// and escapes of single surrogates are let through, for a store keeps what it
// was given. (A parser such as simdjson's must represent values, and refuses
// valid ones that it cannot.)
//
// Thread-safe. Takes time in proportion to the text and a bit of memory for
// each level.
absl::Status CheckJson(absl::string_view text, size_t depth_max);

}  // namespace holdfast

#endif  // HOLDFAST_STORE_SERVICE_DOCUMENTS_JSON_CHECK_H_
