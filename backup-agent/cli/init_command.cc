#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backup-agent/cli/command.h"
#include "backup-agent/cli/config_text.h"
#include "backup-agent/cli/installation.h"
#include "backup-agent/cli/json_text.h"
#include "backup-agent/cli/repository_reader.h"
#include "backup-agent/cli/terminal.h"
#include "common/base/status_macros.h"
#include "common/crypto/key_source.h"
#include "common/database/data_directory.h"
#include "common/io/files.h"
#include "common/io/path.h"
#include "common/repository/repository.h"
#include "common/storage/open_blob_store.h"

namespace holdfast {

namespace {

absl::Status RefuseFilledStateDirectory(const std::string& path) {
  const absl::StatusOr<std::vector<DirectoryEntry>> entries = ListDirectory(path);
  if (absl::IsNotFound(entries.status())) return absl::OkStatus();
  HOLDFAST_RETURN_IF_ERROR(entries.status());
  if (entries->empty()) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat(
      "the agent's state directory ", path, " is not empty (there is ", entries->front().name,
      " in it): move it away, for it belongs to another installation"));
}

// Nothing that is there already is touched.
absl::Status CheckNothingIsThere(const Installation& plan) {
  HOLDFAST_RETURN_IF_ERROR(RefuseExistingConfig(plan));
  if (!plan.key_path.empty()) {
    HOLDFAST_RETURN_IF_ERROR(
        RefuseExisting(plan.key_path, "a master key",
                       absl::StrCat("to use it, give --key-from ", ShellQuote(plan.key_path),
                                    "; remove it only if no backup was ever made with it")));
  }
  HOLDFAST_RETURN_IF_ERROR(DataDirectory::CheckTarget(plan.config.data_directory));
  return RefuseFilledStateDirectory(plan.config.state_directory);
}

// How a destination was found or made.
struct PreparedDestination {
  DestinationConfig destination;
  std::string repository_id;
  bool made_directory = false;
  bool made_repository = false;
  // Of stores that have backups there already.
  size_t stores_there = 0;
  // What is known against the place; empty where nothing is.
  std::string warning;
};

absl::StatusOr<PreparedDestination> PrepareDestination(const DestinationConfig& destination,
                                                       CommandContext& context) {
  PreparedDestination prepared;
  prepared.destination = destination;
  HOLDFAST_ASSIGN_OR_RETURN(prepared.made_directory,
                            context.places.make_folder(destination.url, context.cancellation));
  HOLDFAST_ASSIGN_OR_RETURN(const OpenedPlace place, OpenPlace(destination.url, context));
  absl::StatusOr<Repository> repository = Repository::Open(*place.blobs);
  if (absl::IsNotFound(repository.status())) {
    repository = Repository::Create(*place.blobs, context.clock.Now());
    prepared.made_repository = repository.ok();
  }
  if (!repository.ok()) return repository.status();
  prepared.repository_id = repository->repository_id().ToText();
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<StoreId> stores, repository->ListStores());
  prepared.stores_there = stores.size();
  prepared.warning = place.blobs->Warning().text;
  return prepared;
}

std::string ToJson(const Installation& plan, const MasterKey& key,
                   const std::vector<PreparedDestination>& destinations) {
  JsonObject object;
  object.AddString("config", plan.config_path);
  object.AddString("master_key", plan.config.master_key);
  object.AddString("fingerprint", key.fingerprint().ToText());
  object.AddString("data_directory", plan.config.data_directory);
  object.AddString("store_socket", plan.config.store_socket);
  object.AddString("agent_socket", plan.config.agent_socket);
  JsonArray array;
  for (const PreparedDestination& prepared : destinations) {
    JsonObject entry;
    entry.AddString("name", prepared.destination.name);
    entry.AddString("url", prepared.destination.url);
    entry.AddString("repository_id", prepared.repository_id);
    entry.AddBool("made_directory", prepared.made_directory);
    entry.AddBool("made_repository", prepared.made_repository);
    entry.AddCount("stores_there", prepared.stores_there);
    if (!prepared.warning.empty()) entry.AddString("warning", prepared.warning);
    array.Add(entry.ToText());
  }
  object.AddJson("destinations", array.ToText());
  return object.ToText();
}

std::string DescribeMade(const Installation& plan, const MasterKey& key,
                         const std::vector<PreparedDestination>& destinations) {
  std::string text = absl::StrCat("made the store ", plan.config.store_name, "\n  configuration  ",
                                  plan.config_path, "\n  master key     ", plan.config.master_key,
                                  " (fingerprint ", key.fingerprint().ToText(),
                                  ")\n  data           ", plan.config.data_directory, "\n");
  for (const PreparedDestination& prepared : destinations) {
    absl::StrAppend(&text, "  destination    ", prepared.destination.name, ": ",
                    prepared.destination.url,
                    prepared.made_directory    ? " (made the directory, and a repository in it)"
                    : prepared.made_repository ? " (made a repository in it)"
                                               : " (uses the repository that is there)",
                    "\n");
    if (prepared.stores_there > 0) {
      absl::StrAppend(&text, "                 it has backups of ",
                      FormatCount(prepared.stores_there, "other store"),
                      ", which stay as they are; to go on with one of them instead of a new\n"
                      "                 store: holdfast init --adopt ",
                      ShellQuote(prepared.destination.url), "\n");
    }
  }
  return text;
}

absl::Status PrintKey(const MasterKey& key, Console& console) {
  HOLDFAST_RETURN_IF_ERROR(
      console.Write("\nThis is the master key. It is shown this once:\n\n    "));
  const SecretBytes text = key.ToText();
  HOLDFAST_RETURN_IF_ERROR(console.WriteSecret(text.text()));
  return console.Write(
      "\n\nWithout it nobody can restore a backup, and with it anybody can. Write it down, or put "
      "it "
      "into\na password manager: the copy on this machine is lost when the machine is.\n");
}

}  // namespace

absl::Status RunCommand(const InitArguments& arguments, CommandContext& context) {
  if (!arguments.adopt.empty()) return AdoptStore(arguments, context);
  HOLDFAST_ASSIGN_OR_RETURN(Installation plan, PlanInstallation(arguments, context));
  plan.config.store_name = arguments.store_name;
  HOLDFAST_ASSIGN_OR_RETURN(plan.config.destinations, NameDestinations(arguments.destinations));
  // What the services would refuse is refused here, before anything is made.
  HOLDFAST_RETURN_IF_ERROR(CheckInstallation(plan));
  HOLDFAST_RETURN_IF_ERROR(CheckNothingIsThere(plan));
  std::optional<MasterKey> key;
  if (arguments.key_from.empty()) {
    key = MasterKey::Generate();
  } else {
    HOLDFAST_ASSIGN_OR_RETURN(key, ReadKeyFrom(arguments.key_from, context));
  }

  std::vector<PreparedDestination> destinations;
  for (const DestinationConfig& destination : plan.config.destinations) {
    HOLDFAST_ASSIGN_OR_RETURN(PreparedDestination prepared,
                              PrepareDestination(destination, context),
                              absl::StrCat("destination ", destination.name));
    if (!prepared.warning.empty()) {
      context.console.Complain(
          absl::StrCat("warning: destination ", destination.name, ": ", prepared.warning));
    }
    for (const PreparedDestination& other : destinations) {
      if (other.repository_id != prepared.repository_id) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("destinations ", other.destination.name, " and ", destination.name,
                       " lead to the same repository: it would be lost with one place"));
    }
    destinations.push_back(std::move(prepared));
  }

  // Repositories stay where it fails: an empty one is used by the next.
  UndoList undo;
  constexpr mode_t kFolderMode = kInstallationFolderMode;
  HOLDFAST_RETURN_IF_ERROR(MakeDirectories(FolderOf(plan.config_path), kFolderMode));
  HOLDFAST_RETURN_IF_ERROR(MakeDirectories(plan.config.state_directory, kFolderMode));
  HOLDFAST_RETURN_IF_ERROR(MakeDirectories(FolderOf(plan.config.data_directory), kFolderMode));
  if (!plan.key_path.empty()) {
    HOLDFAST_RETURN_IF_ERROR(WriteMasterKeyFile(plan.key_path, *key));
    undo.Add(plan.key_path);
  }
  HOLDFAST_RETURN_IF_ERROR(
      DataDirectory::Create(plan.config.data_directory, *key, context.clock.Now()),
      "make the data directory");
  undo.Add(plan.config.data_directory);
  HOLDFAST_RETURN_IF_ERROR(context.cancellation.status());
  HOLDFAST_RETURN_IF_ERROR(WriteConfig(plan));
  undo.Keep();

  Console& console = context.console;
  for (const DestinationConfig& destination : plan.config.destinations) {
    WarnWhereOnOneDisk(destination.name, destination.url, plan.config.data_directory, console);
  }
  if (context.global.json) return console.WriteLine(ToJson(plan, *key, destinations));
  HOLDFAST_RETURN_IF_ERROR(console.Write(DescribeMade(plan, *key, destinations)));
  if (arguments.key_from.empty()) HOLDFAST_RETURN_IF_ERROR(PrintKey(*key, console));
  const std::string config_option = absl::StrCat(" --config ", ShellQuote(plan.config_path));
  return console.Write(absl::StrCat("\nnext:\n  holdfast-store", config_option,
                                    "\n  holdfast-agent", config_option, "\n  holdfast",
                                    config_option,
                                    " key verify --confirm    # type the key from your copy: "
                                    "proves it, and ends the reminder\n"));
}

}  // namespace holdfast
