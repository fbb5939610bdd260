// holdfast-store: serves the documents of one data directory. README.md beside this file says how.

#include <malloc.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/process.h"
#include "common/base/status_macros.h"
#include "common/config/config.h"
#include "common/config/program_inputs.h"
#include "common/config/service_program.h"
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
    "4 refused (the directory is not finished, others may read the key file), 5 damaged data, 6 "
    "wrong master key,\n"
    "7 in use by another process\n";

// How many heaps glibc keeps. Its default is eight a core, and each holds on to what a rush of
// calls has freed: the memory of the process would stay at what its worst minute needed.
constexpr int kHeapsMax = 2;

absl::Status Serve(const std::string& config_path, TerminationSignals& signals) {
  HOLDFAST_ASSIGN_OR_RETURN(const Config config, LoadProgramConfig(config_path));
  if (!config.store.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(config_path, " has no [store] table"));
  }
  std::unique_ptr<StoreService> store;
  {
    HOLDFAST_ASSIGN_OR_RETURN(const MasterKey master_key,
                              ForProgram(ReadMasterKey(config.store->master_key)),
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
  // What is left goes with the process. gRPC would wait here for what a client still holds of its
  // connection, up to 10 s, with the data directory locked all the while.
  [[maybe_unused]] static StoreService* const kClosed = store.release();
  return absl::OkStatus();
}

}  // namespace
}  // namespace holdfast

int main(int argc, char** argv) {
  mallopt(M_ARENA_MAX, holdfast::kHeapsMax);
  return holdfast::RunServiceProgram(
      {.name = "holdfast-store", .usage = holdfast::kUsage, .serve = holdfast::Serve}, argc, argv);
}
