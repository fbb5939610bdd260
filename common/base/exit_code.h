#ifndef HOLDFAST_COMMON_BASE_EXIT_CODE_H_
#define HOLDFAST_COMMON_BASE_EXIT_CODE_H_

#include "absl/status/status.h"

namespace holdfast {

// What the programs end with; scripts tell errors apart by it. Documented in
// backup-agent/cli/README.md; do not change.
enum ExitCode : int {
  kExitOk = 0,
  kExitFailure = 1,         // anything that is not below
  kExitUsage = 2,           // the command line or the configuration is wrong
  kExitNotFound = 3,        // what was named is not there
  kExitRefused = 4,         // it would have overwritten something, or a precondition does not hold
  kExitDamaged = 5,         // data is damaged or missing
  kExitWrongKey = 6,        // the master key is another one
  kExitUnreachable = 7,     // a service does not answer, or a resource is busy: try again
  kExitInterrupted = 130,   // by SIGINT or SIGTERM
  kExitOutputClosed = 141,  // the reader of the output has gone: as SIGPIPE would end it
};

// The exit code of a program that ends with `status`. PERMISSION_DENIED is a wrong key, unless it
// is marked as below.
ExitCode ExitCodeFor(const absl::Status& status);

// Returns `status` marked as denied by the operating system, not by a key. Whoever turns errno into
// a status does so.
absl::Status MarkDeniedBySystem(absl::Status status);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_BASE_EXIT_CODE_H_
