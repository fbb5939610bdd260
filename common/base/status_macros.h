#ifndef HOLDFAST_COMMON_BASE_STATUS_MACROS_H_
#define HOLDFAST_COMMON_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/base/optimization.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/status.h"

// HOLDFAST_RETURN_IF_ERROR(expression)
// HOLDFAST_RETURN_IF_ERROR(expression, context)
//
// Evaluates an expression that is an absl::Status; returns it from the function if it is an error,
// annotated with the context if there is one. The context is evaluated only on an error.
//   HOLDFAST_RETURN_IF_ERROR(file->Commit(), absl::StrCat("write ", name));
#define HOLDFAST_RETURN_IF_ERROR(expression, ...)                                         \
  HOLDFAST_INTERNAL_RETURN_IF_ERROR(HOLDFAST_INTERNAL_CONCAT(holdfast_status_, __LINE__), \
                                    expression __VA_OPT__(, ) __VA_ARGS__)

// HOLDFAST_ASSIGN_OR_RETURN(declaration, expression)
// HOLDFAST_ASSIGN_OR_RETURN(declaration, expression, context)
//
// Evaluates an expression that is an absl::StatusOr<T>; returns its status from the function if it
// is an error, else assigns the value. The declaration contains no comma; this is more than one
// statement, so an `if` around it needs braces.
//   HOLDFAST_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 4096), "read the state");
#define HOLDFAST_ASSIGN_OR_RETURN(declaration, expression, ...)                               \
  HOLDFAST_INTERNAL_ASSIGN_OR_RETURN(HOLDFAST_INTERNAL_CONCAT(holdfast_status_or_, __LINE__), \
                                     declaration, expression __VA_OPT__(, ) __VA_ARGS__)

#define HOLDFAST_INTERNAL_CONCAT(a, b) HOLDFAST_INTERNAL_CONCAT_AGAIN(a, b)
#define HOLDFAST_INTERNAL_CONCAT_AGAIN(a, b) a##b

#define HOLDFAST_INTERNAL_RETURN_IF_ERROR(name, expression, ...)                   \
  do {                                                                             \
    if (const absl::Status name = (expression); ABSL_PREDICT_FALSE(!name.ok())) {  \
      return ::holdfast::internal::MaybeAnnotate(name __VA_OPT__(, ) __VA_ARGS__); \
    }                                                                              \
  } while (false)

#define HOLDFAST_INTERNAL_ASSIGN_OR_RETURN(name, declaration, expression, ...)            \
  auto name = (expression);                                                               \
  if (ABSL_PREDICT_FALSE(!name.ok())) {                                                   \
    return ::holdfast::internal::MaybeAnnotate(name.status() __VA_OPT__(, ) __VA_ARGS__); \
  }                                                                                       \
  declaration = *std::move(name)

namespace holdfast::internal {

inline absl::Status MaybeAnnotate(absl::Status status) { return status; }
inline absl::Status MaybeAnnotate(const absl::Status& status, absl::string_view context) {
  return Annotate(status, context);
}

}  // namespace holdfast::internal

#endif  // HOLDFAST_COMMON_BASE_STATUS_MACROS_H_
