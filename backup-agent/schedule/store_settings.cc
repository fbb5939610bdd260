#include "backup-agent/schedule/store_settings.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "backup-agent/proving/proof_schedule.h"
#include "backup-agent/retention/retention_policy.h"
#include "backup-agent/schedule/schedule_times.h"
#include "common/base/status_macros.h"
#include "common/config/setting_rules.h"
#include "common/messages/proto_time.h"
#include "common/storage/open_blob_store.h"

namespace holdfast {

v1::Settings SeedSettings(const AgentStoreConfig& config) {
  v1::Settings settings;
  settings.set_store_name(config.name);
  settings.set_settings_revision(1);
  v1::Schedule& schedule = *settings.mutable_schedule();
  schedule.set_automatic(config.schedule.automatic);
  *schedule.mutable_interval() = ToProto(config.schedule.interval);
  schedule.set_start_time_of_day(config.schedule.start_time_of_day);
  schedule.set_time_zone(config.schedule.time_zone);
  for (const DestinationConfig& destination : config.destinations) {
    v1::Destination& added = *settings.add_destinations();
    added.set_name(destination.name);
    added.set_url(destination.url);
  }
  settings.set_required_destinations(config.required_destinations);
  *settings.mutable_retention() = DefaultRetention();
  *settings.mutable_proving() = DefaultProving();
  return settings;
}

absl::StatusOr<v1::Settings> CheckSettings(v1::Settings settings,
                                           const std::string& key_fingerprint) {
  if (!settings.has_schedule()) {
    return absl::InvalidArgumentError(
        "schedule: is missing; read the settings, change them, and send them back whole");
  }
  HOLDFAST_RETURN_IF_ERROR(ScheduleTimes::Create(settings.schedule()).status());
  *settings.mutable_schedule() = WithDefaults(settings.schedule());

  const int count = settings.destinations_size();
  if (count < 1 || count > static_cast<int>(kDestinationsMax)) {
    return absl::InvalidArgumentError(absl::StrCat("destinations: there must be 1 to ",
                                                   kDestinationsMax, " of them, not ", count));
  }
  std::set<std::string> names;
  std::set<std::string> urls;
  for (v1::Destination& destination : *settings.mutable_destinations()) {
    HOLDFAST_RETURN_IF_ERROR(CheckName(destination.name()), "destinations.name");
    if (!names.insert(destination.name()).second) {
      return absl::InvalidArgumentError(absl::StrCat("destinations.name: there are two \"",
                                                     destination.name(),
                                                     "\"; give them different names"));
    }
    HOLDFAST_ASSIGN_OR_RETURN(std::string url, CanonicalBlobStoreUrl(destination.url()),
                              absl::StrCat("destinations.url of ", destination.name()));
    if (!urls.insert(url).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("destinations.url: there are two destinations at ", url));
    }
    destination.set_url(std::move(url));
    destination.clear_repository_id();
  }
  if (!settings.has_retention()) *settings.mutable_retention() = DefaultRetention();
  HOLDFAST_RETURN_IF_ERROR(RetentionPolicy::Create(settings.retention()).status());
  if (!settings.has_proving()) *settings.mutable_proving() = DefaultProving();
  HOLDFAST_RETURN_IF_ERROR(CheckProving(settings.proving()));
  if (settings.retention().time_zone().empty()) settings.mutable_retention()->set_time_zone("UTC");
  if (settings.required_destinations() > static_cast<uint32_t>(count)) {
    return absl::InvalidArgumentError(
        absl::StrCat("required_destinations: ", settings.required_destinations(),
                     " are required, but there are ", count));
  }
  if (!settings.key_confirmed_fingerprint().empty() &&
      settings.key_confirmed_fingerprint() != key_fingerprint) {
    return absl::InvalidArgumentError(absl::StrCat(
        "key_confirmed_fingerprint: that is not the master key in use, whose fingerprint is ",
        key_fingerprint, ": the key that was kept elsewhere would open nothing"));
  }
  settings.clear_next_due_time();
  settings.clear_key_fingerprint();
  return settings;
}

uint32_t RequiredDestinations(const v1::Settings& settings) {
  return settings.required_destinations() > 0 ? settings.required_destinations()
                                              : static_cast<uint32_t>(settings.destinations_size());
}

namespace {

bool Has(const v1::Settings& settings, absl::string_view name, absl::string_view url) {
  return std::any_of(settings.destinations().begin(), settings.destinations().end(),
                     [&](const v1::Destination& destination) {
                       return destination.name() == name && destination.url() == url;
                     });
}

}  // namespace

// A repository is a folder that holds nothing else, and what is inside of one place is lost with
// it.
absl::Status CheckThatNoneIsInside(const v1::Settings& old, const v1::Settings& changed) {
  for (const v1::Destination& outer : changed.destinations()) {
    // The root is "file:///", and all of a remote "rclone:REMOTE:".
    const bool is_top = absl::EndsWith(outer.url(), "/") || absl::EndsWith(outer.url(), ":");
    const std::string folder = absl::StrCat(outer.url(), is_top ? "" : "/");
    for (const v1::Destination& inner : changed.destinations()) {
      if (&inner == &outer || !absl::StartsWith(inner.url(), folder)) continue;
      if (Has(old, outer.name(), outer.url()) && Has(old, inner.name(), inner.url())) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          "destinations.url of ", inner.name(), ": ", inner.url(), " is inside of destination ",
          outer.name(), " (", outer.url(), "); each needs a place of its own"));
    }
  }
  return absl::OkStatus();
}

std::vector<v1::Destination> NewDestinations(const v1::Settings& old, const v1::Settings& changed) {
  std::vector<v1::Destination> added;
  for (const v1::Destination& destination : changed.destinations()) {
    if (!Has(old, destination.name(), destination.url())) added.push_back(destination);
  }
  return added;
}

void ForgetDestinations(const v1::Settings& old, const v1::Settings& changed,
                        agent::v1::StoreMemory& memory) {
  std::set<std::string> kept;
  for (const v1::Destination& destination : changed.destinations()) {
    if (Has(old, destination.name(), destination.url())) kept.insert(destination.name());
  }
  std::vector<std::string> gone;
  for (const auto& [name, destination] : memory.destinations()) {
    if (kept.count(name) == 0) gone.push_back(name);
  }
  for (const std::string& name : gone) memory.mutable_destinations()->erase(name);
}

}  // namespace holdfast
