#include "common/rpc/grpc_log.h"

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/log.h"
#include "grpc/support/log.h"

namespace holdfast {
namespace {

// gRPC calls errors what its user is told of anyway, as a status.
void LogForGrpc(gpr_log_func_args* args) {
  const LogLevel level =
      args->severity == GPR_LOG_SEVERITY_ERROR ? LogLevel::kWarning : LogLevel::kDebug;
  Log(level, "gRPC says something",
      {{"words", args->message}, {"place", absl::StrCat(args->file, ":", args->line)}});
}

}  // namespace

void RouteGrpcLog() {
  static const bool kOnce = [] {
    gpr_set_log_function(LogForGrpc);
    // Debian's Abseil looks for lock cycles whenever gRPC takes a lock, which costs more than the
    // lock. Our own locks it does not see (common/base/mutex.h).
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    return true;
  }();
  static_cast<void>(kOnce);
}

}  // namespace holdfast
