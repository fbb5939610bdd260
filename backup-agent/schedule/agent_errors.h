#ifndef HOLDFAST_BACKUP_AGENT_SCHEDULE_AGENT_ERRORS_H_
#define HOLDFAST_BACKUP_AGENT_SCHEDULE_AGENT_ERRORS_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

// What several parts of the agent say in the same words, and how its errors are kept.

namespace holdfast {

// Longer texts of errors are cut: what is remembered must stay bounded.
inline constexpr size_t kErrorSizeMaxBytes = 1000;

// Cuts between characters, not in the middle of one.
inline std::string CutError(absl::string_view error) {
  if (error.size() <= kErrorSizeMaxBytes) return std::string(error);
  size_t size = kErrorSizeMaxBytes;
  while (size > 0 && (static_cast<unsigned char>(error[size]) & 0xc0) == 0x80) --size;
  return absl::StrCat(error.substr(0, size), "…");
}

// What a run ended with that the agent did not outlive, or had to end.
inline constexpr absl::string_view kAgentStoppedError = "the agent was stopped while it ran";

// The answer to every call once the shutdown has begun.
inline absl::Status ShuttingDown() {
  return absl::UnavailableError("the agent is shutting down; try again later");
}

// The answer to a trigger whose min_revision the store, which is at `revision`, has not given.
inline absl::Status AboveRevision(uint64_t min_revision, uint64_t revision) {
  return absl::FailedPreconditionError(absl::StrCat("min_revision ", min_revision,
                                                    " is above the store's revision ", revision,
                                                    ": the store has not given it"));
}

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SCHEDULE_AGENT_ERRORS_H_
