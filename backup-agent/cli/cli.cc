#include "backup-agent/cli/cli.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "backup-agent/cli/arguments.h"
#include "backup-agent/cli/command.h"

namespace holdfast {

namespace {

ExitCode Complain(const absl::Status& status, Console& console) {
  console.Complain(absl::StrCat("holdfast: ", status.message().empty()
                                                  ? absl::StatusCodeToString(status.code())
                                                  : status.message()));
  return ExitCodeFor(status);
}

}  // namespace

ExitCode RunCli(const std::vector<std::string>& arguments, const CliEnvironment& environment) {
  absl::StatusOr<ParsedArguments> parsed = ParseArguments(arguments);
  Console console(environment.streams, parsed.ok() && parsed->global.quiet);
  if (!parsed.ok()) return Complain(parsed.status(), console);

  absl::Status status;
  if (parsed->command.has_value()) {
    CommandContext context{std::move(parsed->global), console,
                           environment.clock,         environment.random,
                           environment.cancellation,  environment.places};
    status = std::visit([&context](const auto& command) { return RunCommand(command, context); },
                        *parsed->command);
  } else {
    status = console.Write(parsed->text);
  }
  status.Update(console.Flush());
  if (status.ok()) return kExitOk;
  if (console.output_was_closed()) return kExitOutputClosed;
  if (environment.cancellation.IsCancelled()) {
    Complain(status, console);
    return kExitInterrupted;
  }
  return Complain(status, console);
}

}  // namespace holdfast
