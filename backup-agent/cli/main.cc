#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "backup-agent/cli/cli.h"
#include "backup-agent/cli/places.h"
#include "common/base/cancellation.h"
#include "common/base/log.h"
#include "common/base/process.h"
#include "common/base/thread.h"
#include "common/rpc/channel.h"

int main(int argc, char** argv) {
  if (const absl::Status status = holdfast::HardenProcess(); !status.ok()) {
    std::cerr << "holdfast: " << status.message() << "\n";
    return holdfast::kExitFailure;
  }
  holdfast::TerminationSignals signals;
  holdfast::KeepRpcUntilExit();
  holdfast::SetMinLogLevel(holdfast::LogLevel::kWarning);

  holdfast::CancellationSource interrupt;
  holdfast::CancellationSource done;
  holdfast::ExitCode exit_code = holdfast::kExitFailure;
  {
    const holdfast::Thread command("holdfast", [&] {
      exit_code = holdfast::RunCli(
          std::vector<std::string>(argv + 1, argv + argc),
          {.streams = {}, .cancellation = interrupt.token(), .places = holdfast::PlacesInHosts()});
      done.Cancel(absl::CancelledError("the command has ended"));
    });
    if (signals.Wait(done.token()).has_value()) {
      interrupt.Cancel(absl::CancelledError("interrupted"));
    }
  }
  // All is written, and nothing is left that a destructor would have to put in order.
  std::cout.flush();
  std::_Exit(exit_code);
}
