// holdfast-store: serves the documents of one data directory. README.md beside this file says how.

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/base/log.h"
#include "common/base/process.h"
#include "common/base/status_macros.h"
#include "common/base/version.h"
#include "common/config/config.h"
#include "common/crypto/key_source.h"
#include "store-service/store_service.h"

namespace holdfast {
namespace {

constexpr char kUsage[] =
    "usage: holdfast-store [--config FILE]\n"
    "\n"
    "Serves the documents of the data directory that the [store] table of the configuration "
    "names.\n"
    "SIGTERM and SIGINT end it in order; a second one at once.\n"
    "\n"
    "  --config FILE   the configuration; else $HOLDFAST_CONFIG, else /etc/holdfast/holdfast.toml\n"
    "  --version       print the version and exit\n"
    "  --help          print this and exit\n"
    "\n"
    "Exit codes: 0 ended in order, 1 failure, 2 wrong usage or configuration, 3 not found,\n"
    "4 refused (the directory is not finished), 5 damaged data, 6 wrong master key,\n"
    "7 in use by another process\n";

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
          absl::StrCat("do not understand \"", word, "\"; see holdfast-store --help"));
    }
  }
  if (arguments.config_path.empty()) arguments.config_path = DefaultConfigPath();
  return arguments;
}

absl::Status Serve(const std::string& config_path, TerminationSignals& signals) {
  HOLDFAST_ASSIGN_OR_RETURN(const Config config, LoadConfig(config_path));
  if (!config.store.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(config_path, " has no [store] table"));
  }
  std::unique_ptr<StoreService> store;
  {
    HOLDFAST_ASSIGN_OR_RETURN(const MasterKey master_key, ReadMasterKey(config.store->master_key),
                              "read the master key");
    HOLDFAST_ASSIGN_OR_RETURN(store, StoreService::Start(*config.store, master_key, SystemClock()));
  }
  signals.Wait(Cancellation());
  LogInfo("shutting down");
  const absl::Status closed = store->Shutdown();
  if (const RecoveryReport& recovery = store->recovery(); recovery.is_log_damaged) {
    LogError("remember: the write-ahead log was damaged when the store was opened",
             {{"found", recovery.message}, {"lost_from_revision", recovery.lost_from_revision}});
  }
  HOLDFAST_RETURN_IF_ERROR(closed);
  LogInfo("closed in order");
  return absl::OkStatus();
}

int Main(const std::vector<absl::string_view>& words) {
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
      std::printf("holdfast-store %s\n", std::string(Version()).c_str());
      return kExitOk;
    }
    if (status.ok()) status = Serve(arguments->config_path, signals);
  }
  if (status.ok()) return kExitOk;
  std::fprintf(stderr, "holdfast-store: %s\n", std::string(status.message()).c_str());
  return ExitCodeFor(status);
}

}  // namespace
}  // namespace holdfast

int main(int argc, char** argv) {
  return holdfast::Main(std::vector<absl::string_view>(argv + 1, argv + argc));
}
