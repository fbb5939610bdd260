#include "common/config/service_program.h"

#include <cstdio>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/exit_code.h"
#include "common/base/status_macros.h"
#include "common/base/version.h"
#include "common/config/config.h"

namespace holdfast {

namespace {

struct Arguments {
  std::string config_path;
  bool wants_help = false;
  bool wants_version = false;
};

absl::StatusOr<Arguments> ParseArguments(absl::string_view program_name,
                                         const std::vector<absl::string_view>& words) {
  Arguments arguments;
  for (size_t i = 0; i < words.size(); ++i) {
    absl::string_view word = words[i];
    if (word == "--help" || word == "-h") {
      arguments.wants_help = true;
    } else if (word == "--version") {
      arguments.wants_version = true;
    } else if (word == "--config" && i + 1 < words.size()) {
      arguments.config_path = std::string(words[++i]);
    } else if (absl::ConsumePrefix(&word, "--config=")) {
      arguments.config_path = std::string(word);
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("do not understand \"", word, "\"; see ", program_name, " --help"));
    }
  }
  if (arguments.config_path.empty()) arguments.config_path = DefaultConfigPath();
  return arguments;
}

absl::Status Run(const ServiceProgram& program, const std::vector<absl::string_view>& words) {
  HOLDFAST_RETURN_IF_ERROR(HardenProcess());
  TerminationSignals signals;
  const absl::StatusOr<Arguments> arguments = ParseArguments(program.name, words);
  if (!arguments.ok()) return arguments.status();
  if (arguments->wants_help) {
    std::fputs(std::string(program.usage).c_str(), stdout);
    return absl::OkStatus();
  }
  if (arguments->wants_version) {
    std::puts(absl::StrCat(program.name, " ", Version()).c_str());
    return absl::OkStatus();
  }
  return program.serve(arguments->config_path, signals);
}

}  // namespace

int RunServiceProgram(const ServiceProgram& program, int argc, const char* const* argv) {
  const absl::Status status = Run(program, std::vector<absl::string_view>(argv + 1, argv + argc));
  if (status.ok()) return kExitOk;
  std::fputs(absl::StrCat(program.name, ": ", status.message(), "\n").c_str(), stderr);
  return ExitCodeFor(status);
}

}  // namespace holdfast
