#include "common/config/config.h"

#include <cstdlib>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/config/setting_rules.h"
#include "common/config/toml_table.h"
#include "common/io/files.h"
#include "common/io/path.h"
#include "common/storage/open_blob_store.h"

namespace holdfast {

namespace {

constexpr absl::string_view kDefaultConfigPath = "/etc/holdfast/holdfast.toml";
constexpr absl::string_view kDefaultDataDirectory = "/var/lib/holdfast/store";
constexpr absl::string_view kDefaultStoreSocket = "/run/holdfast/store/store.sock";
constexpr absl::string_view kDefaultStateDirectory = "/var/lib/holdfast/agent";
constexpr absl::string_view kDefaultAgentSocket = "/run/holdfast/agent/agent.sock";

constexpr size_t kConfigSizeMaxBytes = 1 << 20;
constexpr size_t kStoresMax = 64;
constexpr size_t kInstanceFilesMax = 1000;
constexpr size_t kPathLengthMax = 4095;
// What fits into a sockaddr_un with its final NUL.
constexpr size_t kSocketPathLengthMax = 107;

// The path without what changes nothing in it: "//", "/./" and a slash at the end. ".." stays, for
// what it means depends on links.
std::string Tidy(absl::string_view path) {
  std::string tidy;
  for (size_t begin = 0; begin < path.size();) {
    size_t end = path.find('/', begin);
    if (end == absl::string_view::npos) end = path.size();
    const absl::string_view part = path.substr(begin, end - begin);
    if (!part.empty() && part != ".") absl::StrAppend(&tidy, "/", part);
    begin = end + 1;
  }
  return tidy.empty() ? "/" : tidy;
}

bool IsInside(absl::string_view path, absl::string_view folder) {
  return path == folder || absl::StartsWith(path, absl::StrCat(folder == "/" ? "" : folder, "/"));
}

// Turns the tables of one file into a Config.
class Reader {
 public:
  // `folder` is what relative paths are taken from; absolute.
  explicit Reader(std::string folder) : folder_(std::move(folder)) {}

  absl::StatusOr<Config> Read(const TomlTable& root);

 private:
  absl::StatusOr<std::string> ReadMasterKeySource(const TomlTable& table);
  absl::StatusOr<StoreConfig> ReadStore(const TomlTable& table);
  absl::StatusOr<AgentConfig> ReadAgent(const TomlTable& table);
  absl::StatusOr<AgentStoreConfig> ReadAgentStore(const TomlTable& table);
  absl::StatusOr<ScheduleConfig> ReadSchedule(const TomlTable& table);
  absl::StatusOr<DestinationConfig> ReadDestination(const TomlTable& table);

  absl::StatusOr<std::string> ToAbsolute(const TomlTable& table, absl::string_view key,
                                         absl::string_view path);
  absl::StatusOr<std::string> ReadPath(const TomlTable& table, absl::string_view key,
                                       absl::string_view default_path);
  absl::StatusOr<std::string> ReadSocket(const TomlTable& table, absl::string_view key,
                                         absl::string_view default_path);

  const std::string folder_;
  std::string master_key_;
};

absl::StatusOr<std::string> Reader::ToAbsolute(const TomlTable& table, absl::string_view key,
                                               absl::string_view path) {
  if (path.empty()) return table.Error(key, "the path is empty");
  for (const char c : path) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return table.Error(key, "the path has a control character in it");
    }
  }
  std::string absolute =
      Tidy(path.front() == '/' ? std::string(path) : absl::StrCat(folder_, "/", path));
  if (absolute.size() > kPathLengthMax) {
    return table.Error(key, absl::StrCat("the path is longer than ", kPathLengthMax, " bytes"));
  }
  return absolute;
}

absl::StatusOr<std::string> Reader::ReadPath(const TomlTable& table, absl::string_view key,
                                             absl::string_view default_path) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<std::string> path, table.String(key));
  return path.has_value() ? ToAbsolute(table, key, *path) : std::string(default_path);
}

absl::StatusOr<std::string> Reader::ReadSocket(const TomlTable& table, absl::string_view key,
                                               absl::string_view default_path) {
  HOLDFAST_ASSIGN_OR_RETURN(std::string path, ReadPath(table, key, default_path));
  if (path.size() > kSocketPathLengthMax) {
    return table.Error(key, absl::StrCat("the path of a socket has at most ", kSocketPathLengthMax,
                                         " bytes; ", path, " has ", path.size()));
  }
  return path;
}

absl::StatusOr<std::string> Reader::ReadMasterKeySource(const TomlTable& table) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<std::string> source, table.String("master_key"));
  constexpr absl::string_view kForms =
      "it is the path of a key file, \"credential:NAME\" or \"-\" for standard input";
  if (!source.has_value()) return table.Error("master_key", absl::StrCat("is missing; ", kForms));
  absl::string_view text = *source;
  if (text == "-") return *source;
  if (absl::ConsumePrefix(&text, "credential:")) {
    if (!IsPlainName(text)) {
      return table.Error("master_key", "the credential's name is empty or has a slash in it");
    }
    return *source;
  }
  absl::ConsumePrefix(&text, "file:");
  return ToAbsolute(table, "master_key", text);
}

absl::StatusOr<StoreConfig> Reader::ReadStore(const TomlTable& table) {
  HOLDFAST_RETURN_IF_ERROR(table.CheckKeys({"data_directory", "socket", "instance_files"}));
  StoreConfig store;
  store.master_key = master_key_;
  HOLDFAST_ASSIGN_OR_RETURN(store.data_directory,
                            ReadPath(table, "data_directory", kDefaultDataDirectory));
  HOLDFAST_ASSIGN_OR_RETURN(store.socket, ReadSocket(table, "socket", kDefaultStoreSocket));
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<std::string> files,
                            table.Strings("instance_files", kInstanceFilesMax));
  for (const std::string& file : files) {
    HOLDFAST_ASSIGN_OR_RETURN(std::string path, ToAbsolute(table, "instance_files", file));
    if (IsInside(master_key_, path)) {
      return table.Error("instance_files",
                         absl::StrCat(path,
                                      " is or holds the master key, which must never be in a "
                                      "backup"));
    }
    if (IsInside(store.data_directory, path) || IsInside(path, store.data_directory)) {
      return table.Error("instance_files",
                         absl::StrCat(path, " overlaps the data directory ", store.data_directory));
    }
    store.instance_files.push_back(std::move(path));
  }
  return store;
}

absl::StatusOr<ScheduleConfig> Reader::ReadSchedule(const TomlTable& table) {
  HOLDFAST_RETURN_IF_ERROR(
      table.CheckKeys({"automatic", "interval", "start_time_of_day", "time_zone"}));
  ScheduleConfig schedule;
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<bool> automatic, table.Bool("automatic"));
  if (automatic.has_value()) schedule.automatic = *automatic;
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<std::string> interval, table.String("interval"));
  if (interval.has_value()) {
    const absl::StatusOr<absl::Duration> parsed = ParseInterval(*interval);
    const absl::Status status = parsed.ok() ? CheckInterval(*parsed) : parsed.status();
    if (!status.ok()) return table.Error("interval", status.message());
    schedule.interval = *parsed;
  }
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<std::string> start,
                            table.String("start_time_of_day"));
  if (start.has_value()) {
    const absl::Status status = ParseTimeOfDay(*start).status();
    if (!status.ok()) return table.Error("start_time_of_day", status.message());
    schedule.start_time_of_day = *start;
  }
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<std::string> zone, table.String("time_zone"));
  if (zone.has_value()) {
    const absl::Status status = ParseTimeZone(*zone).status();
    if (!status.ok()) return table.Error("time_zone", status.message());
    schedule.time_zone = *zone;
  }
  return schedule;
}

absl::StatusOr<DestinationConfig> Reader::ReadDestination(const TomlTable& table) {
  HOLDFAST_RETURN_IF_ERROR(table.CheckKeys({"name", "url"}));
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<std::string> name, table.String("name"));
  if (!name.has_value()) return table.Error("name", "is missing");
  if (const absl::Status status = CheckName(*name); !status.ok()) {
    return table.Error("name", status.message());
  }
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<std::string> url, table.String("url"));
  if (!url.has_value()) {
    return table.Error("url",
                       "is missing; it is like \"file:///srv/backup\" or \"rclone:REMOTE:PATH\"");
  }
  absl::StatusOr<std::string> canonical = CanonicalBlobStoreUrl(*url);
  if (!canonical.ok()) return table.Error("url", canonical.status().message());
  return DestinationConfig{.name = *name, .url = *std::move(canonical)};
}

absl::StatusOr<AgentStoreConfig> Reader::ReadAgentStore(const TomlTable& table) {
  HOLDFAST_RETURN_IF_ERROR(
      table.CheckKeys({"name", "socket", "required_destinations", "schedule", "destinations"}));
  AgentStoreConfig store;
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<std::string> name, table.String("name"));
  if (!name.has_value()) return table.Error("name", "is missing");
  if (const absl::Status status = CheckName(*name); !status.ok()) {
    return table.Error("name", status.message());
  }
  store.name = *name;
  HOLDFAST_ASSIGN_OR_RETURN(store.socket, ReadSocket(table, "socket", kDefaultStoreSocket));

  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<TomlTable> schedule, table.Table("schedule"));
  if (schedule.has_value()) {
    HOLDFAST_ASSIGN_OR_RETURN(store.schedule, ReadSchedule(*schedule));
  }

  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<TomlTable> destinations,
                            table.Tables("destinations", kDestinationsMax));
  if (destinations.empty()) {
    return table.Error("destinations",
                       "is missing; give at least one [[agent.stores.destinations]] with a name "
                       "and a url");
  }
  std::set<std::string> names;
  std::set<std::string> urls;
  for (const TomlTable& entry : destinations) {
    HOLDFAST_ASSIGN_OR_RETURN(DestinationConfig destination, ReadDestination(entry));
    if (!names.insert(destination.name).second) {
      return entry.Error("name", absl::StrCat("there are two destinations \"", destination.name,
                                              "\"; give them different names"));
    }
    if (!urls.insert(destination.url).second) {
      return entry.Error("url", absl::StrCat("there are two destinations at ", destination.url));
    }
    store.destinations.push_back(std::move(destination));
  }

  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<uint32_t> required,
                            table.Number("required_destinations", kDestinationsMax));
  store.required_destinations = required.value_or(0);
  if (store.required_destinations > store.destinations.size()) {
    return table.Error("required_destinations",
                       absl::StrCat("requires ", store.required_destinations,
                                    " destinations, but there are ", store.destinations.size()));
  }
  return store;
}

absl::StatusOr<AgentConfig> Reader::ReadAgent(const TomlTable& table) {
  HOLDFAST_RETURN_IF_ERROR(table.CheckKeys({"state_directory", "socket", "stores"}));
  AgentConfig agent;
  agent.master_key = master_key_;
  HOLDFAST_ASSIGN_OR_RETURN(agent.state_directory,
                            ReadPath(table, "state_directory", kDefaultStateDirectory));
  HOLDFAST_ASSIGN_OR_RETURN(agent.socket, ReadSocket(table, "socket", kDefaultAgentSocket));
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<TomlTable> stores,
                            table.Tables("stores", kStoresMax));
  if (stores.empty()) {
    return table.Error("stores", "is missing; give at least one [[agent.stores]] with a name");
  }
  std::set<std::string> names;
  std::set<std::string> sockets;
  for (const TomlTable& entry : stores) {
    HOLDFAST_ASSIGN_OR_RETURN(AgentStoreConfig store, ReadAgentStore(entry));
    if (!names.insert(store.name).second) {
      return entry.Error("name", absl::StrCat("there are two stores \"", store.name,
                                              "\"; give them different names"));
    }
    if (!sockets.insert(store.socket).second) {
      return entry.Error("socket", absl::StrCat("there are two stores at ", store.socket));
    }
    agent.stores.push_back(std::move(store));
  }
  return agent;
}

absl::StatusOr<Config> Reader::Read(const TomlTable& root) {
  HOLDFAST_RETURN_IF_ERROR(root.CheckKeys({"master_key", "store", "agent"}));
  Config config;
  HOLDFAST_ASSIGN_OR_RETURN(master_key_, ReadMasterKeySource(root));
  config.master_key = master_key_;

  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<TomlTable> store, root.Table("store"));
  if (store.has_value()) {
    HOLDFAST_ASSIGN_OR_RETURN(config.store, ReadStore(*store));
  }
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<TomlTable> agent, root.Table("agent"));
  if (agent.has_value()) {
    HOLDFAST_ASSIGN_OR_RETURN(config.agent, ReadAgent(*agent));
  }

  if (config.store.has_value() && config.agent.has_value()) {
    if (config.store->socket == config.agent->socket) {
      return agent->Error("socket", absl::StrCat("the store listens on ", config.store->socket,
                                                 " already; give each its own socket"));
    }
    if (IsInside(config.store->data_directory, config.agent->state_directory) ||
        IsInside(config.agent->state_directory, config.store->data_directory)) {
      return agent->Error("state_directory", absl::StrCat("overlaps the store's data directory ",
                                                          config.store->data_directory,
                                                          "; give each its own directory"));
    }
  }
  return config;
}

}  // namespace

absl::StatusOr<Config> ParseConfig(absl::string_view text, const std::string& path) {
  std::string folder = FolderOf(path);
  if (folder.front() != '/') {
    std::error_code error;
    const std::filesystem::path here = std::filesystem::current_path(error);
    if (error) {
      return absl::FailedPreconditionError(
          absl::StrCat("find the working directory: ", error.message()));
    }
    folder = absl::StrCat(here.string(), "/", folder);
  }
  HOLDFAST_ASSIGN_OR_RETURN(const TomlTable root, TomlTable::Parse(text, path));
  return Reader(std::move(folder)).Read(root);
}

absl::StatusOr<Config> LoadConfig(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path, kConfigSizeMaxBytes, Links::kFollow);
  if (!text.ok()) return Annotate(text.status(), "read the configuration");
  return ParseConfig(*text, path);
}

std::string DefaultConfigPath() {
  const char* const path = std::getenv("HOLDFAST_CONFIG");
  return path != nullptr && *path != '\0' ? path : std::string(kDefaultConfigPath);
}

}  // namespace holdfast
