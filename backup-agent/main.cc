// holdfast-agent: takes backups of stores. README.md beside this file says how.

#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "backup-agent/agent_service.h"
#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/base/log.h"
#include "common/base/process.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/base/version.h"
#include "common/config/config.h"
#include "common/crypto/key_source.h"

namespace holdfast {
namespace {

// A shutdown that takes longer is ended: the disk of the agent's own state hangs.
constexpr absl::Duration kShutdownMax = absl::Milliseconds(9500);

constexpr char kUsage[] =
    "usage: holdfast-agent [--config FILE]\n"
    "\n"
    "Takes backups of the stores that the [agent] table of the configuration names.\n"
    "SIGTERM and SIGINT end it in order, within 10 seconds; a second one at once.\n"
    "\n"
    "  --config FILE   the configuration; else $HOLDFAST_CONFIG, else /etc/holdfast/holdfast.toml\n"
    "  --version       print the version and exit\n"
    "  --help          print this and exit\n"
    "\n"
    "Exit codes: 0 ended in order, 1 failure, 2 wrong usage or configuration, 3 not found,\n"
    "4 refused, 5 damaged state, 7 in use by another process\n";

// How many heaps glibc keeps. Its default is eight a core, and each holds on to what the threads of
// some run have freed: the memory of the process would grow with the number of its runs.
constexpr int kHeapsMax = 2;

struct Arguments {
  std::string config_path;
  bool wants_help = false;
  bool wants_version = false;
};

absl::StatusOr<Arguments> ParseArguments(const std::vector<absl::string_view>& words) {
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
          absl::StrCat("do not understand \"", word, "\"; see holdfast-agent --help"));
    }
  }
  if (arguments.config_path.empty()) arguments.config_path = DefaultConfigPath();
  return arguments;
}

absl::Status Serve(const std::string& config_path, TerminationSignals& signals) {
  HOLDFAST_ASSIGN_OR_RETURN(const Config config, LoadConfig(config_path));
  if (!config.agent.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(config_path, " has no [agent] table and no [[agent.stores]]"));
  }
  std::unique_ptr<AgentService> agent;
  {
    HOLDFAST_ASSIGN_OR_RETURN(const MasterKey master_key, ReadMasterKey(config.agent->master_key));
    HOLDFAST_ASSIGN_OR_RETURN(
        agent, AgentService::Start(*config.agent, master_key, SystemClock(), SystemRandom()));
  }
  signals.Wait(Cancellation());
  LogInfo("shutting down");
  Clock& clock = SystemClock();
  const std::unique_ptr<Alarm> too_late = clock.CallAt(clock.MonotonicNow() + kShutdownMax, [] {
    LogError("the shutdown hangs, the process ends");
    std::_Exit(kExitFailure);
  });
  if (!agent->Shutdown()) {
    LogWarning("something is stuck in a call that does not return, the process ends without it");
    std::_Exit(kExitOk);
  }
  agent.reset();
  LogInfo("ended in order");
  return absl::OkStatus();
}

int Main(const std::vector<absl::string_view>& words) {
  mallopt(M_ARENA_MAX, kHeapsMax);
  absl::Status status = HardenProcess();
  if (status.ok()) {
    TerminationSignals signals;
    const absl::StatusOr<Arguments> arguments = ParseArguments(words);
    status = arguments.status();
    if (status.ok() && arguments->wants_help) {
      std::fputs(kUsage, stdout);
      return kExitOk;
    }
    if (status.ok() && arguments->wants_version) {
      std::printf("holdfast-agent %s\n", std::string(Version()).c_str());
      return kExitOk;
    }
    if (status.ok()) status = Serve(arguments->config_path, signals);
  }
  if (status.ok()) return kExitOk;
  std::fprintf(stderr, "holdfast-agent: %s\n", std::string(status.message()).c_str());
  return ExitCodeFor(status);
}

}  // namespace
}  // namespace holdfast

int main(int argc, char** argv) {
  return holdfast::Main(std::vector<absl::string_view>(argv + 1, argv + argc));
}
