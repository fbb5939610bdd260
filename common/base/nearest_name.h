#ifndef HOLDFAST_COMMON_BASE_NEAREST_NAME_H_
#define HOLDFAST_COMMON_BASE_NEAREST_NAME_H_

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace holdfast {

// The one of `known` that was probably meant by `name`, by how few characters differ; empty where
// none is near. What it returns is one of `known`.
absl::string_view NearestName(absl::string_view name, absl::Span<const absl::string_view> known);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_BASE_NEAREST_NAME_H_
