#ifndef HOLDFAST_BACKUP_AGENT_CLI_CLI_H_
#define HOLDFAST_BACKUP_AGENT_CLI_CLI_H_

#include <string>
#include <vector>

#include "backup-agent/cli/console.h"
#include "backup-agent/cli/places.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/base/random.h"

namespace holdfast {

// What the command line runs with.
struct CliEnvironment {
  Console::Streams streams;
  Clock& clock = SystemClock();
  RandomSource& random = SystemRandom();
  // Cancelled by Ctrl-C.
  Cancellation cancellation = {};
  Places places = {};
};

// The program `holdfast`, but for what belongs to a process: parses what stands after the program's
// name, runs the command, prints what went wrong as "holdfast: …" on the error stream.
ExitCode RunCli(const std::vector<std::string>& arguments, const CliEnvironment& environment);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_CLI_CLI_H_
