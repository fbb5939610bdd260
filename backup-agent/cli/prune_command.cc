#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backup-agent/cli/agent_client.h"
#include "backup-agent/cli/backup_text.h"
#include "backup-agent/cli/command.h"
#include "backup-agent/cli/json_text.h"
#include "common/base/status_macros.h"

namespace holdfast {

absl::Status RunCommand(const PruneArguments& arguments, CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(std::string socket, FindAgentSocket(context));
  AgentClient agent(std::move(socket), context.cancellation);
  v1::PruneBackupsRequest request;
  request.set_store_name(context.global.store_name);
  request.set_dry_run(arguments.dry_run);
  HOLDFAST_ASSIGN_OR_RETURN(const v1::PruneBackupsResponse pruned, agent.PruneBackups(request));
  HOLDFAST_RETURN_IF_ERROR(context.global.json
                               ? context.console.WriteLine(MessageToJson(pruned))
                               : context.console.Write(FormatPrune(pruned, arguments.dry_run)));
  for (const v1::DestinationPrune& destination : pruned.destinations()) {
    if (destination.error().empty()) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("destination ", destination.destination_name(), " can't be pruned"));
  }
  return absl::OkStatus();
}

}  // namespace holdfast
