#ifndef HOLDFAST_COMMON_BASE_CHECK_H_
#define HOLDFAST_COMMON_BASE_CHECK_H_

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/strings/string_view.h"

// HOLDFAST_CHECK(condition) and HOLDFAST_CHECK(condition, message) end the process, in every build,
// with the place and the message on stderr, if the condition is false.
//
// For broken invariants of our own only. What comes from a disk, a network, a configuration or a
// user is never checked like this: it is a Status.
#define HOLDFAST_CHECK(condition, ...)                               \
  (ABSL_PREDICT_TRUE(condition) ? static_cast<void>(0)               \
                                : ::holdfast::internal::CheckFailed( \
                                      __FILE__, __LINE__, #condition __VA_OPT__(, ) __VA_ARGS__))

namespace holdfast::internal {

[[noreturn]] ABSL_ATTRIBUTE_COLD void CheckFailed(const char* file, int line, const char* condition,
                                                  absl::string_view message = {});

}  // namespace holdfast::internal

#endif  // HOLDFAST_COMMON_BASE_CHECK_H_
