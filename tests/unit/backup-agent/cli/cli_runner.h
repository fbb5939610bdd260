#ifndef HOLDFAST_TESTS_UNIT_BACKUP_AGENT_CLI_CLI_RUNNER_H_
#define HOLDFAST_TESTS_UNIT_BACKUP_AGENT_CLI_CLI_RUNNER_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "backup-agent/cli/places.h"
#include "common/base/cancellation.h"
#include "common/base/exit_code.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {

// What a command line left.
struct CliResult {
  ExitCode exit_code = kExitOk;
  std::string output;
  std::string error;
};

// Runs command lines in this process, with files for their streams.
//
// Not thread-safe.
class CliRunner {
 public:
  CliResult Run(const std::vector<std::string>& arguments, absl::string_view input = "");
  // The same with --config before them.
  CliResult RunConfigured(std::vector<std::string> arguments, absl::string_view input = "");

  // A path in a folder of the test's.
  std::string Path(absl::string_view name) const { return directory_.Path(name); }

  // A configuration of a store, an agent and the destination Path("backups"), with a new master
  // key; nothing serves.
  void WriteConfig();
  std::string config_path() const { return Path("holdfast.toml"); }
  std::string key_path() const { return Path("master.key"); }
  std::string store_socket() const { return Path("run/store.sock"); }
  std::string agent_socket() const { return Path("run/agent.sock"); }

  CancellationSource& cancellation() { return cancellation_; }
  // How commands open places.
  Places& places() { return places_; }

 private:
  TempDir directory_;
  CancellationSource cancellation_;
  Places places_;
};

}  // namespace holdfast

#endif  // HOLDFAST_TESTS_UNIT_BACKUP_AGENT_CLI_CLI_RUNNER_H_
