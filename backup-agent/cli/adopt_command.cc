#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "backup-agent/adoption/adoption.h"
#include "backup-agent/cli/command.h"
#include "backup-agent/cli/config_text.h"
#include "backup-agent/cli/installation.h"
#include "backup-agent/cli/json_text.h"
#include "backup-agent/cli/repository_reader.h"
#include "backup-agent/cli/restore_progress.h"
#include "backup-agent/cli/terminal.h"
#include "backup-agent/restore/restorer.h"
#include "backup-agent/state/state_store.h"
#include "common/base/status_macros.h"
#include "common/config/setting_rules.h"
#include "common/crypto/key_source.h"
#include "common/database/data_directory.h"
#include "common/io/files.h"
#include "common/io/path.h"
#include "common/messages/proto_time.h"
#include "common/storage/open_blob_store.h"

namespace holdfast {

namespace {

constexpr absl::string_view kStandardInput = "-";
constexpr absl::string_view kStatesFolder = "stores";  // of the state directory
constexpr absl::string_view kStateLock = "lock";

// More instance files are not listed one by one in a new configuration.
constexpr size_t kInstanceFilesListedMax = 20;

// What becomes of the data directory.
enum class Data {
  kRestore,  // it is empty, or holds what an interrupted restore left
  kKeep,     // it holds the store
  kLater,    // it is empty, and stays so
};

// What `init --adopt` makes; filled in step by step.
struct Takeover {
  Installation installation;
  OpenedPlace place;
  std::unique_ptr<Restorer> restorer;
  Adoption adoption;
  bool has_key_file = false;  // the master key is there already
  Data data = Data::kRestore;
  std::vector<std::string> other_files;  // instance files of the backup that are not here
  std::string former_config;  // among its instance files: the configuration that this one replaces
};

// The key file of an earlier try may be used: it must hold this very key.
absl::StatusOr<bool> FindKeyFile(const std::string& path, const MasterKey& key) {
  if (path.empty()) return true;
  HOLDFAST_ASSIGN_OR_RETURN(const bool exists, FileExists(path));
  if (!exists) return false;
  const absl::StatusOr<MasterKey> there = ReadMasterKey(path);
  if (there.ok() && there->ToText().text() == key.ToText().text()) return true;
  return RefuseExisting(path, "another master key", "choose another --directory, or move it away");
}

// Nothing but what an adoption that was cut off left may be there: it is made anew.
absl::Status CheckStateDirectory(const std::string& path, const std::string& store_name,
                                 const StoreId& store_id) {
  const absl::StatusOr<std::vector<DirectoryEntry>> entries = ListDirectory(path);
  if (absl::IsNotFound(entries.status())) return absl::OkStatus();
  HOLDFAST_RETURN_IF_ERROR(entries.status());
  if (entries->empty()) return absl::OkStatus();
  const auto refusal = [&path](absl::string_view name) {
    return absl::AlreadyExistsError(
        absl::StrCat("the agent's state directory ", path, " is not empty (there is ", name,
                     " in it): move it away, for it belongs to another installation"));
  };
  for (const DirectoryEntry& entry : *entries) {
    if (entry.name != kStatesFolder && entry.name != kStateLock) return refusal(entry.name);
  }
  const absl::StatusOr<std::vector<DirectoryEntry>> stores =
      ListDirectory(JoinPath(path, kStatesFolder));
  if (absl::IsNotFound(stores.status())) return absl::OkStatus();
  HOLDFAST_RETURN_IF_ERROR(stores.status());
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<StateStore> states, StateStore::Open(path));
  for (const DirectoryEntry& entry : *stores) {
    const std::string shown = absl::StrCat(kStatesFolder, "/", entry.name);
    if (entry.name != store_name) return refusal(shown);
    HOLDFAST_ASSIGN_OR_RETURN(const std::optional<agent::v1::StoreState> state,
                              states->Load(store_name));
    if (state.has_value() && !IsUnusedAdoption(*state, store_id)) return refusal(shown);
  }
  return absl::OkStatus();
}

absl::StatusOr<Data> InspectData(const std::string& path, const MasterKey& key,
                                 const repository::v1::BackupSummary& summary, bool no_restore) {
  const Data empty = no_restore ? Data::kLater : Data::kRestore;
  const absl::StatusOr<std::unique_ptr<DataDirectory>> there = DataDirectory::Open(path, key);
  // One that is not finished is begun afresh by the restore, which refuses what it does not know.
  if (absl::IsNotFound(there.status()) || absl::IsFailedPrecondition(there.status())) return empty;
  HOLDFAST_RETURN_IF_ERROR(there.status(), "look at the data directory that is there");
  if ((*there)->store_id().ToByteString() != summary.store_id()) {
    return absl::AlreadyExistsError(absl::StrCat(path, " holds the data of another store, ",
                                                 (*there)->store_id().ToText(),
                                                 ": choose another --directory, or move it away"));
  }
  const std::string& restored_from = (*there)->state().restored_from_backup_id();
  if (no_restore || restored_from == summary.backup_id()) return Data::kKeep;
  return absl::AlreadyExistsError(absl::StrCat(
      path, " holds data of this store already, ",
      restored_from.empty() ? "made here" : absl::StrCat("restored from backup ", restored_from),
      ", and nothing is overwritten: to go on with it as it is, give --no-restore; to bring "
      "backup ",
      summary.backup_id(), " back, move it away"));
}

// The configuration says what the settings say: where the state is lost one day, they are begun
// with.
void FillConfig(const v1::Settings& settings, const std::vector<std::string>& other_files,
                NewConfig& config) {
  config.store_name = settings.store_name();
  config.required_destinations = settings.required_destinations();
  config.schedule.automatic = settings.schedule().automatic();
  config.schedule.interval = FromProto(settings.schedule().interval());
  config.schedule.start_time_of_day = settings.schedule().start_time_of_day();
  config.schedule.time_zone = settings.schedule().time_zone();
  for (const v1::Destination& destination : settings.destinations()) {
    // A kind that this version does not know stays in the settings, and is left out here.
    if (!CanonicalBlobStoreUrl(destination.url()).ok()) continue;
    config.destinations.push_back({.name = destination.name(), .url = destination.url()});
  }
  config.required_destinations =
      std::min(config.required_destinations, static_cast<uint32_t>(config.destinations.size()));
  if (other_files.size() > kInstanceFilesListedMax) return;
  config.instance_files_to_come = other_files;
}

// Finds out all that is to be made, and that nothing is in its way. Writes nothing.
absl::StatusOr<Takeover> Prepare(const InitArguments& arguments, const MasterKey& key,
                                 const DestinationConfig& destination, Installation installation,
                                 CommandContext& context) {
  Takeover takeover;
  takeover.installation = std::move(installation);
  NewConfig& config = takeover.installation.config;
  Restorer::Selection selection;
  HOLDFAST_ASSIGN_OR_RETURN(selection.store_id, ParseStoreId(arguments.store_id));
  if (arguments.backup_id != "latest") selection.backup_id = arguments.backup_id;
  HOLDFAST_ASSIGN_OR_RETURN(takeover.place, OpenPlace(destination.url, context));
  HOLDFAST_ASSIGN_OR_RETURN(takeover.restorer, Restorer::Open(*takeover.place.blobs, key, selection,
                                                              context.clock, context.random));
  const Restorer& restorer = *takeover.restorer;

  AdoptedBackup backup;
  backup.summary = restorer.summary();
  backup.manifest_hash = restorer.manifest_hash();
  if (absl::StatusOr<v1::Settings> settings = restorer.Settings(); settings.ok()) {
    backup.settings = *std::move(settings);
  }
  backup.repository_id = restorer.repository_id();
  backup.url = destination.url;
  backup.new_name = destination.name;
  HOLDFAST_ASSIGN_OR_RETURN(
      takeover.adoption, Adopt(backup,
                               {.store_name = arguments.store_name,
                                .key_fingerprint = key.fingerprint(),
                                .is_key_from_elsewhere = !takeover.installation.key_path.empty()},
                               context.clock.Now()));

  for (const std::string& name : restorer.InstanceFiles()) {
    std::string path = absl::StrCat("/", name);
    const std::vector<std::string>& listed = config.instance_files;
    if (std::find(listed.begin(), listed.end(), path) != listed.end()) continue;
    if (NameOf(path) == NameOf(takeover.installation.config_path)) {
      takeover.former_config = std::move(path);
    } else {
      takeover.other_files.push_back(std::move(path));
    }
  }
  FillConfig(takeover.adoption.state.settings(), takeover.other_files, config);
  HOLDFAST_RETURN_IF_ERROR(CheckInstallation(takeover.installation));
  HOLDFAST_ASSIGN_OR_RETURN(takeover.has_key_file,
                            FindKeyFile(takeover.installation.key_path, key));
  HOLDFAST_ASSIGN_OR_RETURN(const StoreId store_id, StoreId::FromBytes(backup.summary.store_id()));
  HOLDFAST_RETURN_IF_ERROR(
      CheckStateDirectory(config.state_directory, config.store_name, store_id));
  HOLDFAST_ASSIGN_OR_RETURN(
      takeover.data, InspectData(config.data_directory, key, backup.summary, arguments.no_restore));
  return takeover;
}

// Makes it all: key, data, state, and the configuration last.
absl::Status Make(Takeover& takeover, const MasterKey& key, CommandContext& context) {
  const Installation& installation = takeover.installation;
  const NewConfig& config = installation.config;
  constexpr mode_t kMode = kInstallationFolderMode;
  UndoList undo;
  HOLDFAST_RETURN_IF_ERROR(MakeDirectories(FolderOf(installation.config_path), kMode));
  HOLDFAST_RETURN_IF_ERROR(MakeDirectories(config.state_directory, kMode));
  HOLDFAST_RETURN_IF_ERROR(MakeDirectories(FolderOf(config.data_directory), kMode));
  const std::string lock_path = JoinPath(config.state_directory, kStateLock);
  HOLDFAST_ASSIGN_OR_RETURN(const bool had_lock, FileExists(lock_path));
  // Held to the end: no agent begins on a state that is half made.
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<StateStore> states,
                            StateStore::Open(config.state_directory));
  if (!had_lock) undo.Add(lock_path);
  if (!takeover.has_key_file) {
    HOLDFAST_RETURN_IF_ERROR(WriteMasterKeyFile(installation.key_path, key));
    undo.Add(installation.key_path);
  }
  if (takeover.data == Data::kRestore) {
    context.console.Note(absl::StrCat("restoring ", BackupInWords(takeover.restorer->summary()),
                                      " to ", config.data_directory));
    const absl::StatusOr<RestoreResult> restored =
        RestoreShowingProgress(*takeover.restorer, config.data_directory, {}, context);
    if (absl::IsDataLoss(restored.status())) {
      return absl::Status(
          absl::StatusCode::kDataLoss,
          absl::StrCat(restored.status().message(),
                       "\nnothing was made. Adopt another backup (--backup ID; `holdfast backup "
                       "list --from` lists them), or adopt with --no-restore and restore later"));
    }
    HOLDFAST_RETURN_IF_ERROR(restored.status());
    // What was restored stays, whatever comes next: another try finds it and goes on from there.
  }
  undo.Add(JoinPath(config.state_directory, kStatesFolder));
  HOLDFAST_RETURN_IF_ERROR(states->Save(config.store_name, takeover.adoption.state));
  HOLDFAST_RETURN_IF_ERROR(context.cancellation.status());
  HOLDFAST_RETURN_IF_ERROR(WriteConfig(installation));
  undo.Keep();
  return absl::OkStatus();
}

absl::string_view Word(Data data) {
  switch (data) {
    case Data::kRestore:
      return "restored";
    case Data::kKeep:
      return "kept";
    default:
      return "not_restored";
  }
}

std::string ToJson(const Takeover& takeover, const MasterKey& key) {
  const NewConfig& config = takeover.installation.config;
  const repository::v1::BackupSummary& summary = takeover.restorer->summary();
  const v1::Settings& settings = takeover.adoption.state.settings();
  JsonObject object;
  object.AddString("config", takeover.installation.config_path);
  object.AddString("master_key", config.master_key);
  object.AddString("fingerprint", key.fingerprint().ToText());
  object.AddBool("key_confirmed", !settings.key_confirmed_fingerprint().empty());
  object.AddString("store_name", settings.store_name());
  object.AddString("store_id", takeover.adoption.state.memory().store_id());
  object.AddString("backup_id", summary.backup_id());
  object.AddCount("ordinal", summary.ordinal());
  object.AddCount("document_count", summary.document_count());
  object.AddString("data_directory", config.data_directory);
  object.AddString("data", Word(takeover.data));
  object.AddString("store_socket", config.store_socket);
  object.AddString("agent_socket", config.agent_socket);
  object.AddBool("has_settings", takeover.adoption.has_settings);
  JsonArray destinations;
  for (const v1::Destination& destination : settings.destinations()) {
    const bool is_adopted = destination.name() == takeover.adoption.destination_name;
    JsonObject entry;
    entry.AddString("name", destination.name());
    entry.AddString("url", destination.url());
    entry.AddBool("adopted", is_adopted);
    entry.AddString("former_url", is_adopted ? takeover.adoption.former_url : "");
    destinations.Add(entry.ToText());
  }
  object.AddJson("destinations", destinations.ToText());
  JsonArray files;
  for (const std::string& path : takeover.other_files) files.Add(JsonString(path));
  object.AddJson("instance_files_to_come", files.ToText());
  return object.ToText();
}

std::string DescribeData(const Takeover& takeover) {
  const std::string& path = takeover.installation.config.data_directory;
  switch (takeover.data) {
    case Data::kRestore:
      return absl::StrCat(path, " (restored; all ",
                          FormatCount(takeover.restorer->summary().document_count(), "document"),
                          " proven)");
    case Data::kKeep:
      return absl::StrCat(path, " (was there, and stays as it is)");
    default:
      return absl::StrCat(path, " (still empty)");
  }
}

std::string DescribeSchedule(const Adoption& adoption, absl::Time now) {
  const v1::Settings& settings = adoption.state.settings();
  std::string text =
      absl::StrCat("every ", FormatInterval(FromProto(settings.schedule().interval())), " from ",
                   settings.schedule().start_time_of_day(), " ", settings.schedule().time_zone());
  if (!settings.schedule().automatic())
    return absl::StrCat(text, ", but automatic backups are off");
  const absl::Time due = absl::FromUnixMicros(adoption.state.next_due_time_us());
  absl::StrAppend(
      &text, "; next ",
      due <= now ? "as soon as the agent runs, for a time was missed" : DescribeTime(due));
  if (!adoption.has_settings) absl::StrAppend(&text, " (defaults: the backup does not tell)");
  return text;
}

std::string Describe(const Takeover& takeover, const MasterKey& key, absl::Time now) {
  const Adoption& adoption = takeover.adoption;
  const v1::Settings& settings = adoption.state.settings();
  const NewConfig& config = takeover.installation.config;
  std::string text = absl::StrCat(
      "adopted the store ", settings.store_name(), " from ",
      BackupInWords(takeover.restorer->summary()), "\n  store          ",
      adoption.state.memory().store_id(), "; this is its backup number ",
      FormatCount(adoption.state.memory().last_ordinal()),
      ", and the next one comes after the newest that is there\n  configuration  ",
      takeover.installation.config_path, "\n  master key     ", config.master_key, " (fingerprint ",
      key.fingerprint().ToText(), ")\n  data           ", DescribeData(takeover),
      "\n  schedule       ", DescribeSchedule(adoption, now), "\n");
  for (const v1::Destination& destination : settings.destinations()) {
    const bool is_adopted = destination.name() == adoption.destination_name;
    absl::StrAppend(&text, "  destination    ", destination.name(), ": ", destination.url(),
                    !is_adopted ? " (as it was; not looked at)"
                    : adoption.former_url.empty()
                        ? " (adopted)"
                        : absl::StrCat(" (adopted; it was at ", adoption.former_url, ")"),
                    "\n");
  }
  const absl::string_view copy_is =
      takeover.data == Data::kRestore ? "a copy is below " : "a copy will be below ";
  if (!takeover.former_config.empty()) {
    absl::StrAppend(&text, "  in place of    ", takeover.former_config,
                    ", the lost machine's configuration: ", copy_is, config.data_directory,
                    "/instance\n");
  }
  if (!takeover.other_files.empty()) {
    const size_t shown = std::min(takeover.other_files.size(), kInstanceFilesListedMax);
    absl::StrAppend(
        &text, "  other files    ",
        absl::StrJoin(takeover.other_files.begin(),
                      takeover.other_files.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
        shown < takeover.other_files.size()
            ? absl::StrCat(" and ", takeover.other_files.size() - shown, " more")
            : "",
        takeover.data == Data::kRestore ? ": a copy of each is below " : ": will be below ",
        config.data_directory,
        "/instance.\n                 Put them where they belong and list them in the "
        "configuration, instance_files:\n                 until then backups go without them\n");
  }
  return text;
}

std::string DescribeNext(const Takeover& takeover, const InitArguments& arguments) {
  const NewConfig& config = takeover.installation.config;
  const v1::Settings& settings = takeover.adoption.state.settings();
  const std::string option =
      absl::StrCat(" --config ", ShellQuote(takeover.installation.config_path));
  std::string text =
      "\nMake sure that the lost machine stays off: never two stores on copies of the same data.\n"
      "\nnext:\n";
  if (takeover.data == Data::kLater) {
    absl::StrAppend(&text, "  holdfast", option, " restore --from ",
                    takeover.adoption.destination_name);
    if (!arguments.store_id.empty()) absl::StrAppend(&text, " --store-id ", arguments.store_id);
    if (!arguments.backup_id.empty()) absl::StrAppend(&text, " --backup ", arguments.backup_id);
    absl::StrAppend(&text, " --to ", ShellQuote(config.data_directory), "\n");
  }
  absl::StrAppend(&text, "  holdfast-store", option, "\n  holdfast-agent", option, "\n  holdfast",
                  option, " status");
  if (settings.destinations_size() > 1) {
    absl::StrAppend(&text,
                    "    # a destination that is gone: settings set --remove-destination NAME");
  }
  absl::StrAppend(&text, "\n");
  if (settings.key_confirmed_fingerprint().empty()) {
    absl::StrAppend(&text, "  holdfast", option,
                    " key verify --confirm    # type the key from your copy: proves it, and ends "
                    "the reminder\n");
  }
  return text;
}

}  // namespace

absl::Status AdoptStore(const InitArguments& arguments, CommandContext& context) {
  InitArguments given = arguments;
  if (given.key_from.empty()) given.key_from = std::string(kStandardInput);
  HOLDFAST_ASSIGN_OR_RETURN(Installation installation, PlanInstallation(given, context));
  HOLDFAST_RETURN_IF_ERROR(RefuseExistingConfig(installation));
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<DestinationConfig> destinations,
                            NameDestinations({given.adopt}), "--adopt");
  HOLDFAST_ASSIGN_OR_RETURN(const MasterKey key, ReadKeyFrom(given.key_from, context));
  HOLDFAST_ASSIGN_OR_RETURN(Takeover takeover, Prepare(given, key, destinations.front(),
                                                       std::move(installation), context));
  HOLDFAST_RETURN_IF_ERROR(Make(takeover, key, context));
  if (context.global.json) return context.console.WriteLine(ToJson(takeover, key));
  HOLDFAST_RETURN_IF_ERROR(context.console.Write(Describe(takeover, key, context.clock.Now())));
  return context.console.Write(DescribeNext(takeover, given));
}

}  // namespace holdfast
