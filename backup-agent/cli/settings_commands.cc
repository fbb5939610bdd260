#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backup-agent/cli/agent_client.h"
#include "backup-agent/cli/backup_text.h"
#include "backup-agent/cli/command.h"
#include "backup-agent/cli/json_text.h"
#include "common/base/status_macros.h"
#include "common/messages/proto_time.h"
#include "common/storage/open_blob_store.h"

namespace holdfast {

namespace {

absl::Status PrintSettings(const v1::Settings& settings, CommandContext& context) {
  return context.global.json ? context.console.WriteLine(MessageToJson(settings))
                             : context.console.Write(FormatSettings(settings));
}

absl::StatusOr<v1::Settings> ReadSettings(AgentClient& agent, const CommandContext& context) {
  v1::GetSettingsRequest request;
  request.set_store_name(context.global.store_name);
  return agent.GetSettings(request);
}

bool IsEmpty(const SettingsSetArguments& arguments) {
  return !arguments.automatic.has_value() && !arguments.interval.has_value() &&
         arguments.start_time_of_day.empty() && arguments.time_zone.empty() &&
         arguments.add_destinations.empty() && arguments.remove_destinations.empty() &&
         !arguments.required_destinations.has_value() &&
         !arguments.key_confirmed_fingerprint.has_value();
}

// Changes what was given. What it comes to is checked by the agent.
absl::Status Apply(const SettingsSetArguments& arguments, v1::Settings* settings) {
  v1::Schedule& schedule = *settings->mutable_schedule();
  if (arguments.automatic.has_value()) schedule.set_automatic(*arguments.automatic);
  if (arguments.interval.has_value()) {
    *schedule.mutable_interval() = ToProto(*arguments.interval);
  }
  if (!arguments.start_time_of_day.empty()) {
    schedule.set_start_time_of_day(arguments.start_time_of_day);
  }
  if (!arguments.time_zone.empty()) schedule.set_time_zone(arguments.time_zone);
  for (const std::string& name : arguments.remove_destinations) {
    auto& destinations = *settings->mutable_destinations();
    const auto found = std::find_if(
        destinations.begin(), destinations.end(),
        [&name](const v1::Destination& destination) { return destination.name() == name; });
    if (found == destinations.end()) {
      return absl::NotFoundError(absl::StrCat("there is no destination '", name, "'"));
    }
    destinations.erase(found);
  }
  for (const SettingsSetArguments::NamedUrl& added : arguments.add_destinations) {
    HOLDFAST_ASSIGN_OR_RETURN(std::string url, CanonicalBlobStoreUrl(added.url));
    v1::Destination& destination = *settings->add_destinations();
    destination.set_name(added.name);
    destination.set_url(std::move(url));
  }
  if (arguments.required_destinations.has_value()) {
    settings->set_required_destinations(*arguments.required_destinations);
  }
  if (arguments.key_confirmed_fingerprint.has_value()) {
    settings->set_key_confirmed_fingerprint(*arguments.key_confirmed_fingerprint);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunCommand(const SettingsShowArguments& /*arguments*/, CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(std::string socket, FindAgentSocket(context));
  AgentClient agent(std::move(socket), context.cancellation);
  HOLDFAST_ASSIGN_OR_RETURN(const v1::Settings settings, ReadSettings(agent, context));
  return PrintSettings(settings, context);
}

absl::Status RunCommand(const SettingsSetArguments& arguments, CommandContext& context) {
  if (IsEmpty(arguments)) {
    return absl::InvalidArgumentError(
        "nothing to change: see `holdfast settings set --help` for what can be set");
  }
  HOLDFAST_ASSIGN_OR_RETURN(std::string socket, FindAgentSocket(context));
  AgentClient agent(std::move(socket), context.cancellation);
  v1::UpdateSettingsRequest request;
  HOLDFAST_ASSIGN_OR_RETURN(*request.mutable_settings(), ReadSettings(agent, context));
  HOLDFAST_RETURN_IF_ERROR(Apply(arguments, request.mutable_settings()));
  HOLDFAST_ASSIGN_OR_RETURN(const v1::Settings after, agent.UpdateSettings(request));
  return PrintSettings(after, context);
}

}  // namespace holdfast
