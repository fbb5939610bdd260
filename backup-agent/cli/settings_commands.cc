#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backup-agent/cli/agent_client.h"
#include "backup-agent/cli/backup_text.h"
#include "backup-agent/cli/command.h"
#include "backup-agent/cli/json_text.h"
#include "backup-agent/cli/repository_reader.h"
#include "backup-agent/restore/restorer.h"
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

// The settings that a backup was taken with.
absl::StatusOr<v1::Settings> ReadSettings(const SettingsSourceArguments& from,
                                          CommandContext& context) {
  Restorer::Selection selection;
  HOLDFAST_ASSIGN_OR_RETURN(selection.store_id, ParseStoreId(from.store_id));
  selection.backup_id = from.backup_id;
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<DestinationConfig> destinations,
                            FindDestinations(from.source, context));
  HOLDFAST_ASSIGN_OR_RETURN(const MasterKey key, ReadCommandKey(context));
  HOLDFAST_ASSIGN_OR_RETURN(const OpenedPlace place, OpenPlace(destinations.front().url, context));
  HOLDFAST_ASSIGN_OR_RETURN(
      const std::unique_ptr<Restorer> restorer,
      Restorer::Open(*place.blobs, key, selection, context.clock, context.random));
  return restorer->Settings();
}

bool IsEmpty(const SettingsSetArguments& arguments) {
  return arguments.from.source.empty() && !arguments.automatic.has_value() &&
         !arguments.interval.has_value() && arguments.start_time_of_day.empty() &&
         arguments.time_zone.empty() && arguments.add_destinations.empty() &&
         arguments.remove_destinations.empty() && !arguments.required_destinations.has_value() &&
         !arguments.key_confirmed_fingerprint.has_value() && !arguments.keep_within.has_value() &&
         arguments.keep_counts.empty() && arguments.retention_zone.empty() &&
         !arguments.drill_interval.has_value() && !arguments.drill_age_max.has_value() &&
         !arguments.read_data_days.has_value();
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
  std::vector<v1::Destination> removed;
  for (const std::string& name : arguments.remove_destinations) {
    auto& destinations = *settings->mutable_destinations();
    const auto found = std::find_if(
        destinations.begin(), destinations.end(),
        [&name](const v1::Destination& destination) { return destination.name() == name; });
    if (found == destinations.end()) {
      return absl::NotFoundError(absl::StrCat("there is no destination '", name, "'"));
    }
    removed.push_back(*found);
    destinations.erase(found);
  }
  for (const SettingsSetArguments::NamedUrl& added : arguments.add_destinations) {
    HOLDFAST_ASSIGN_OR_RETURN(std::string url, CanonicalBlobStoreUrl(added.url));
    // To the agent it would be the one that it knows.
    const bool is_the_same = std::any_of(
        removed.begin(), removed.end(), [&added, &url](const v1::Destination& destination) {
          return destination.name() == added.name && destination.url() == url;
        });
    if (is_the_same) {
      return absl::InvalidArgumentError(
          absl::StrCat("destination ", added.name,
                       " is removed and added as it was, which changes nothing: to "
                       "begin with it anew, remove it with one command and add it with a second"));
    }
    v1::Destination& destination = *settings->add_destinations();
    destination.set_name(added.name);
    destination.set_url(std::move(url));
  }
  if (arguments.required_destinations.has_value()) {
    settings->set_required_destinations(*arguments.required_destinations);
  }
  v1::Retention& retention = *settings->mutable_retention();
  if (arguments.keep_within.has_value()) {
    *retention.mutable_keep_within() = ToProto(*arguments.keep_within);
  }
  for (const auto& [field, count] : arguments.keep_counts) {
    retention.GetReflection()->SetUInt32(&retention,
                                         retention.GetDescriptor()->FindFieldByName(field), count);
  }
  if (!arguments.retention_zone.empty()) retention.set_time_zone(arguments.retention_zone);
  v1::Proving& proving = *settings->mutable_proving();
  if (arguments.drill_interval.has_value()) {
    *proving.mutable_drill_interval() = ToProto(*arguments.drill_interval);
  }
  if (arguments.drill_age_max.has_value()) {
    *proving.mutable_drill_age_max() = ToProto(*arguments.drill_age_max);
  }
  if (arguments.read_data_days.has_value()) {
    proving.set_read_data_days(*arguments.read_data_days);
  }
  if (arguments.key_confirmed_fingerprint.has_value()) {
    settings->set_key_confirmed_fingerprint(*arguments.key_confirmed_fingerprint);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunCommand(const SettingsShowArguments& arguments, CommandContext& context) {
  if (!arguments.from.source.empty()) {
    HOLDFAST_ASSIGN_OR_RETURN(const v1::Settings settings, ReadSettings(arguments.from, context));
    return PrintSettings(settings, context);
  }
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
  HOLDFAST_ASSIGN_OR_RETURN(const v1::Settings before, ReadSettings(agent, context));
  *request.mutable_settings() = before;
  if (!arguments.from.source.empty()) {
    HOLDFAST_ASSIGN_OR_RETURN(v1::Settings settings, ReadSettings(arguments.from, context));
    settings.set_store_name(request.settings().store_name());
    settings.set_settings_revision(request.settings().settings_revision());
    *request.mutable_settings() = std::move(settings);
  }
  HOLDFAST_RETURN_IF_ERROR(Apply(arguments, request.mutable_settings()));
  std::set<std::string> urls_before;
  for (const v1::Destination& destination : before.destinations()) {
    urls_before.insert(destination.url());
  }
  HOLDFAST_ASSIGN_OR_RETURN(const v1::Settings after, agent.UpdateSettings(request));
  const absl::StatusOr<Config> config = LoadCommandConfig(context);
  for (const v1::Destination& destination : after.destinations()) {
    if (urls_before.count(destination.url()) > 0) continue;
    // The agent has just used it, so it is there, and answers.
    if (config.ok() && config->store.has_value()) {
      WarnWhereOnOneDisk(destination.name(), destination.url(), config->store->data_directory,
                         context.console);
    }
    const absl::StatusOr<OpenedPlace> place = OpenPlace(destination.url(), context);
    if (!place.ok() || place->blobs->Warning().text.empty()) continue;
    context.console.Complain(absl::StrCat("warning: destination ", destination.name(), ": ",
                                          place->blobs->Warning().text));
  }
  return PrintSettings(after, context);
}

}  // namespace holdfast
