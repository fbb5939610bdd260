// holdfast-agent: takes backups of stores. README.md beside this file says how.

#include <malloc.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "backup-agent/agent_service.h"
#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/base/log.h"
#include "common/base/process.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/base/thread.h"
#include "common/config/config.h"
#include "common/config/program_inputs.h"
#include "common/config/service_program.h"
#include "common/crypto/key_source.h"
#include "common/storage/host_process.h"

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
    "4 refused (others may read the key file), 5 damaged state, 7 in use by another process\n";

// How glibc keeps memory. With a heap for several threads each, as it comes, each heap holds on to
// what the threads of some run have freed, and the memory of the process grows with the number of
// its runs; threads that wait for one heap cost nothing that could be measured. The few texts that
// are larger than a chunk of a file, as a manifest of many files, go back to the system at once.
constexpr int kHeapsMax = 1;
constexpr int kOwnMappingMinBytes = 4 << 20;
constexpr int kFreeHeapMaxBytes = 16 << 20;

absl::Status Serve(const std::string& config_path, TerminationSignals& signals) {
  HOLDFAST_ASSIGN_OR_RETURN(const Config config, LoadProgramConfig(config_path));
  if (!config.agent.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(config_path, " has no [agent] table and no [[agent.stores]]"));
  }
  HOLDFAST_RETURN_IF_ERROR(FindHostProgram());
  std::unique_ptr<AgentService> agent;
  {
    HOLDFAST_ASSIGN_OR_RETURN(const MasterKey master_key,
                              ForProgram(ReadMasterKey(config.agent->master_key)));
    // Who waits for a place gives up by himself (transfer_limits.h).
    HOLDFAST_ASSIGN_OR_RETURN(
        agent, AgentService::Start(*config.agent, master_key, SystemClock(), SystemRandom(),
                                   [](absl::string_view url) { return OpenBlobStoreInHost(url); }));
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

}  // namespace
}  // namespace holdfast

int main(int argc, char** argv) {
  mallopt(M_ARENA_MAX, holdfast::kHeapsMax);
  mallopt(M_MMAP_THRESHOLD, holdfast::kOwnMappingMinBytes);
  mallopt(M_TRIM_THRESHOLD, holdfast::kFreeHeapMaxBytes);
  // A backup must not slow down what it protects. Hosts inherit it.
  holdfast::StepBack();
  return holdfast::RunServiceProgram(
      {.name = "holdfast-agent", .usage = holdfast::kUsage, .serve = holdfast::Serve}, argc, argv);
}
