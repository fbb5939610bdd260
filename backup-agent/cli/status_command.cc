#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "backup-agent/cli/agent_client.h"
#include "backup-agent/cli/backup_text.h"
#include "backup-agent/cli/command.h"
#include "backup-agent/cli/json_text.h"
#include "common/base/status_macros.h"

namespace holdfast {

absl::Status RunCommand(const StatusArguments& arguments, CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(std::string socket, FindAgentSocket(context));
  AgentClient agent(std::move(socket), context.cancellation);
  v1::GetBackupStatusRequest request;
  request.set_store_name(context.global.store_name);
  HOLDFAST_ASSIGN_OR_RETURN(const v1::GetBackupStatusResponse response,
                            agent.GetBackupStatus(request));
  HOLDFAST_RETURN_IF_ERROR(
      context.global.json ? context.console.WriteLine(MessageToJson(response))
                          : context.console.Write(FormatStatus(response, context.clock.Now())));
  if (!arguments.check) return absl::OkStatus();
  std::vector<std::string> unhealthy;
  for (const v1::BackupStatus& status : response.stores()) {
    if (status.verdict() == v1::BackupStatus::VERDICT_HEALTHY) continue;
    unhealthy.push_back(absl::StrCat(status.store_name(), " is ", VerdictName(status.verdict())));
  }
  return unhealthy.empty() ? absl::OkStatus()
                           : absl::FailedPreconditionError(absl::StrJoin(unhealthy, ", "));
}

}  // namespace holdfast
