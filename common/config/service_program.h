#ifndef HOLDFAST_COMMON_CONFIG_SERVICE_PROGRAM_H_
#define HOLDFAST_COMMON_CONFIG_SERVICE_PROGRAM_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/base/process.h"

namespace holdfast {

// What a service's main does besides serving: hardens the process, catches the signals that end it,
// reads the command line (--config FILE, --version, --help), tells an error on standard error, and
// makes the exit code of exit_code.h of it.
struct ServiceProgram {
  absl::string_view name;   // "holdfast-store"
  absl::string_view usage;  // printed by --help

  // Serves with the configuration at that path until a signal asks it to end.
  std::function<absl::Status(const std::string& config_path, TerminationSignals& signals)> serve;
};

// Returns the exit code. REQUIRES: called once, from main, before any other thread is started.
int RunServiceProgram(const ServiceProgram& program, int argc, const char* const* argv);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_CONFIG_SERVICE_PROGRAM_H_
