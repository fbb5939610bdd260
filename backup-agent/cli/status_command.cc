#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "backup-agent/cli/agent_client.h"
#include "backup-agent/cli/backup_text.h"
#include "backup-agent/cli/command.h"
#include "backup-agent/cli/json_text.h"
#include "backup-agent/cli/store_client.h"
#include "common/base/status_macros.h"

namespace holdfast {

namespace {

// What the stores themselves tell where the agent, for the reason given, does not. Returns what
// went wrong: never OK.
absl::Status AskStores(const absl::Status& agent_error, CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<NamedSocket> stores, FindStoreSockets(context));
  std::string message = absl::StrCat(agent_error.message(), "\nwithout it no backup is taken");
  JsonArray json;
  for (const NamedSocket& store : stores) {
    const absl::StatusOr<v1::StoreStatus> status =
        StoreClient(store.socket, context.cancellation).GetStatus();
    HOLDFAST_RETURN_IF_ERROR(context.cancellation.status());
    JsonObject entry;
    entry.AddString("store_name", store.name);
    entry.AddString("error", status.status().message());
    if (!status.ok()) {
      absl::StrAppend(&message, "\nstore ", store.name, ": ", status.status().message());
    } else if (context.global.json) {
      entry.AddJson("store_status", MessageToJson(*status));
    } else {
      HOLDFAST_RETURN_IF_ERROR(
          context.console.Write(FormatStoreStatus(store.name, *status, context.clock.Now())));
    }
    json.Add(entry.ToText());
  }
  if (context.global.json) {
    JsonObject object;
    object.AddString("agent_error", agent_error.message());
    object.AddJson("stores", json.ToText());
    HOLDFAST_RETURN_IF_ERROR(context.console.WriteLine(object.ToText()));
  }
  return absl::Status(agent_error.code(), message);
}

}  // namespace

absl::Status RunCommand(const StatusArguments& arguments, CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(std::string socket, FindAgentSocketForAllStores(context));
  AgentClient agent(std::move(socket), context.cancellation);
  v1::GetBackupStatusRequest request;
  request.set_store_name(context.global.store_name);
  const absl::StatusOr<v1::GetBackupStatusResponse> response = agent.GetBackupStatus(request);
  if (absl::IsUnavailable(response.status()) || absl::IsDeadlineExceeded(response.status())) {
    return AskStores(response.status(), context);
  }
  HOLDFAST_RETURN_IF_ERROR(response.status());
  HOLDFAST_RETURN_IF_ERROR(
      context.global.json ? context.console.WriteLine(MessageToJson(*response))
                          : context.console.Write(FormatStatus(*response, context.clock.Now())));
  if (!arguments.check) return absl::OkStatus();
  std::vector<std::string> unhealthy;
  for (const v1::BackupStatus& status : response->stores()) {
    if (status.verdict() == v1::BackupStatus::VERDICT_HEALTHY) continue;
    unhealthy.push_back(absl::StrCat(status.store_name(), " is ", VerdictName(status.verdict())));
  }
  return unhealthy.empty() ? absl::OkStatus()
                           : absl::FailedPreconditionError(absl::StrJoin(unhealthy, ", "));
}

}  // namespace holdfast
