#include "backup-agent/adoption/adoption.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "backup-agent/schedule/schedule_times.h"
#include "backup-agent/schedule/store_settings.h"
#include "common/base/status_macros.h"
#include "common/config/config.h"
#include "common/messages/backup_message.h"

namespace holdfast {

namespace {

constexpr absl::string_view kDefaultStoreName = "main";

v1::Destination* FindByName(v1::Settings& settings, absl::string_view name) {
  for (v1::Destination& destination : *settings.mutable_destinations()) {
    if (destination.name() == name) return &destination;
  }
  return nullptr;
}

v1::Destination* FindByUrl(v1::Settings& settings, absl::string_view url) {
  for (v1::Destination& destination : *settings.mutable_destinations()) {
    if (destination.url() == url) return &destination;
  }
  return nullptr;
}

v1::Destination* FindByRepository(v1::Settings& settings, absl::string_view repository_id) {
  for (v1::Destination& destination : *settings.mutable_destinations()) {
    if (destination.repository_id() == repository_id) return &destination;
  }
  return nullptr;
}

// Makes the settings name the adopted repository where it is, and returns that destination.
const v1::Destination& PlaceDestination(const AdoptedBackup& backup, v1::Settings& settings,
                                        Adoption& adoption) {
  const std::string repository_id = backup.repository_id.ToText();
  v1::Destination* const at_url = FindByUrl(settings, backup.url);
  v1::Destination* adopted = FindByRepository(settings, repository_id);
  if (adopted == nullptr) adopted = at_url;
  if (adopted == nullptr) {
    adopted = settings.add_destinations();
    std::string name = backup.new_name;
    for (int number = 2; FindByName(settings, name) != nullptr; ++number) {
      name = absl::StrCat(backup.new_name, "-", number);
    }
    adopted->set_name(std::move(name));
  } else if (adopted->url() != backup.url) {
    adoption.former_url = adopted->url();
    // Another destination was where this one is now: no two may have one URL. That one is not here
    // anyway; its repository is pinned, so that nothing is ever written to a wrong place.
    if (at_url != nullptr) at_url->set_url(adopted->url());
  }
  adopted->set_url(backup.url);
  adopted->set_repository_id(repository_id);
  adoption.destination_name = adopted->name();
  return *adopted;
}

agent::v1::StoreMemory MakeMemory(const AdoptedBackup& backup, const v1::Settings& settings,
                                  const v1::Destination& adopted) {
  const repository::v1::BackupSummary& summary = backup.summary;
  agent::v1::StoreMemory memory;
  memory.set_store_id(absl::BytesToHexString(summary.store_id()));
  memory.set_incarnation(absl::BytesToHexString(summary.incarnation()));
  memory.set_revision(summary.revision());
  memory.set_state_digest(absl::BytesToHexString(summary.state_digest()));
  memory.set_document_count(summary.document_count());
  memory.set_last_backup_id(summary.backup_id());
  memory.set_last_ordinal(summary.ordinal());
  memory.set_last_manifest_hash(std::string(AsText(backup.manifest_hash)));
  for (const v1::Destination& destination : settings.destinations()) {
    if (destination.repository_id().empty()) continue;
    agent::v1::DestinationMemory& known = (*memory.mutable_destinations())[destination.name()];
    known.set_repository_id(destination.repository_id());
    // The agent that is gone may have been in the middle of a run.
    known.set_has_unnamed_objects(true);
    if (&destination != &adopted) continue;
    known.set_last_backup_id(summary.backup_id());
    known.set_last_success_time_us(summary.commit_at_agent_time_us());
  }
  return memory;
}

}  // namespace

absl::StatusOr<Adoption> Adopt(const AdoptedBackup& backup, const AdoptOptions& options,
                               absl::Time now) {
  Adoption adoption;
  agent::v1::StoreState& state = adoption.state;
  v1::Settings& settings = *state.mutable_settings();
  adoption.has_settings = backup.settings.has_value();
  if (adoption.has_settings) {
    settings = *backup.settings;
  } else {
    AgentStoreConfig defaults;
    defaults.name = std::string(kDefaultStoreName);
    defaults.destinations = {{.name = backup.new_name, .url = backup.url}};
    settings = SeedSettings(defaults);
  }
  if (!options.store_name.empty()) settings.set_store_name(options.store_name);
  *settings.mutable_schedule() = WithDefaults(settings.schedule());
  settings.clear_next_due_time();
  settings.clear_key_fingerprint();

  const std::string fingerprint = options.key_fingerprint.ToText();
  if (options.is_key_from_elsewhere) {
    settings.set_key_confirmed_fingerprint(fingerprint);
  } else if (settings.key_confirmed_fingerprint() != fingerprint) {
    settings.clear_key_confirmed_fingerprint();  // that was said of another key
  }

  const v1::Destination& adopted = PlaceDestination(backup, settings, adoption);
  *state.mutable_memory() = MakeMemory(backup, settings, adopted);
  for (v1::Destination& destination : *settings.mutable_destinations()) {
    destination.clear_repository_id();  // the memory has it
  }

  v1::Backup& last_backup = *state.mutable_last_backup();
  last_backup = DescribeBackup(backup.summary);
  last_backup.set_manifest_hash(std::string(AsText(backup.manifest_hash)));
  last_backup.add_destination_names(adoption.destination_name);

  HOLDFAST_ASSIGN_OR_RETURN(const ScheduleTimes times, ScheduleTimes::Create(settings.schedule()),
                            "the schedule of the backup can't be used on this machine");
  if (settings.schedule().automatic()) {
    const absl::Time taken = absl::FromUnixMicros(backup.summary.checkpoint_time_us());
    state.set_next_due_time_us(
        absl::ToUnixMicros(times.NextAfter(std::clamp(taken, absl::UnixEpoch(), now))));
  }
  state.set_create_time_us(absl::ToUnixMicros(now));
  return adoption;
}

bool IsUnusedAdoption(const agent::v1::StoreState& state, const Id128& store_id) {
  // The first that an agent does with a state is to give it a holder of checkpoints.
  return state.memory().store_id() == store_id.ToText() &&
         state.memory().checkpoint_holder().empty() && state.runs().empty() &&
         !state.has_current_run();
}

}  // namespace holdfast
