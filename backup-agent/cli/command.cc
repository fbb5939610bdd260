#include "backup-agent/cli/command.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "backup-agent/cli/agent_client.h"
#include "common/base/status_macros.h"
#include "common/config/program_inputs.h"
#include "common/crypto/key_copy.h"
#include "common/crypto/key_source.h"
#include "common/io/files.h"
#include "common/storage/open_blob_store.h"

namespace holdfast {

namespace {

constexpr absl::string_view kStandardInput = "-";

// How long the agent is waited for where the configuration will do in its place.
constexpr absl::Duration kSettingsTimeout = absl::Seconds(5);

// A text form has 73 bytes; this leaves room for blanks.
constexpr size_t kKeyInputSizeMaxBytes = 4096;

std::string JoinStoreNames(const AgentConfig& agent) {
  return absl::StrJoin(agent.stores, ", ", [](std::string* out, const AgentStoreConfig& store) {
    out->append(store.name);
  });
}

std::string JoinDestinationNames(const std::vector<DestinationConfig>& destinations) {
  return absl::StrJoin(destinations, ", ",
                       [](std::string* out, const DestinationConfig& destination) {
                         out->append(destination.name);
                       });
}

// The destinations of the store's settings. The agent's errors.
absl::StatusOr<std::vector<DestinationConfig>> ReadDestinationsOfSettings(
    const std::string& agent_socket, const std::string& store_name, const CommandContext& context) {
  AgentClient agent(agent_socket, context.cancellation);
  v1::GetSettingsRequest request;
  request.set_store_name(store_name);
  HOLDFAST_ASSIGN_OR_RETURN(const v1::Settings settings,
                            agent.GetSettings(request, kSettingsTimeout));
  if (settings.destinations().empty()) {
    return absl::InternalError("the agent's settings have no destination");
  }
  std::vector<DestinationConfig> destinations;
  for (const v1::Destination& destination : settings.destinations()) {
    destinations.push_back({.name = destination.name(), .url = destination.url()});
  }
  return destinations;
}

// The key that is read, or with an original, its copy.
absl::StatusOr<MasterKey> ParseKey(absl::string_view text, const MasterKey* original) {
  return original == nullptr ? MasterKey::FromText(text) : ReadKeyCopy(text, *original);
}

// All of standard input, into locked memory; ends early with the reason of a cancellation.
absl::StatusOr<MasterKey> ReadKeyFromInput(const MasterKey* original,
                                           const CommandContext& context) {
  SecretBytes text(kKeyInputSizeMaxBytes);
  size_t size = 0;
  for (;;) {
    HOLDFAST_ASSIGN_OR_RETURN(
        std::string piece,
        context.console.ReadSome(kKeyInputSizeMaxBytes + 1 - size, context.cancellation));
    if (piece.empty()) return ParseKey(text.text().substr(0, size), original);
    const bool fits = piece.size() <= kKeyInputSizeMaxBytes - size;
    if (fits) std::copy(piece.begin(), piece.end(), text.mutable_bytes().begin() + size);
    size += piece.size();
    WipeMemory(piece.data(), piece.size());
    if (!fits) {
      return absl::InvalidArgumentError(
          absl::StrCat("not a master key: more than ", kKeyInputSizeMaxBytes, " bytes"));
    }
  }
}

absl::StatusOr<MasterKey> ReadKeyOrCopy(absl::string_view source, const MasterKey* original,
                                        const CommandContext& context) {
  if (source == kStandardInput && !context.console.input_is_terminal()) {
    absl::StatusOr<MasterKey> key = ReadKeyFromInput(original, context);
    HOLDFAST_RETURN_IF_ERROR(key.status(), "read the master key from standard input");
    return key;
  }
  if (source == kStandardInput) {
    context.console.Complain("Type or paste the master key (it is not shown), then press Enter:");
  }
  return ForProgram(original == nullptr ? ReadMasterKey(source)
                                        : ReadMasterKeyCopy(source, *original));
}

// The store that --store names, or the only one of the agent.
absl::StatusOr<const AgentStoreConfig*> FindAgentStore(const Config& config,
                                                       const CommandContext& context) {
  const std::string& name = context.global.store_name;
  if (!config.agent.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(ConfigPath(context), " has no [agent]: it names no stores"));
  }
  if (name.empty() && config.agent->stores.size() == 1) return &config.agent->stores.front();
  for (const AgentStoreConfig& store : config.agent->stores) {
    if (store.name == name) return &store;
  }
  if (name.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "there are several stores; name one with --store: ", JoinStoreNames(*config.agent)));
  }
  return absl::NotFoundError(absl::StrCat(ConfigPath(context), " has no store '", name,
                                          "'; there is ", JoinStoreNames(*config.agent)));
}

}  // namespace

std::string ConfigPath(const CommandContext& context) {
  return context.global.config_path.empty() ? DefaultConfigPath() : context.global.config_path;
}

absl::StatusOr<std::optional<Config>> LoadCommandConfigIfAny(const CommandContext& context) {
  absl::StatusOr<Config> config = LoadConfig(ConfigPath(context));
  if (absl::IsNotFound(config.status())) return std::nullopt;
  if (!config.ok()) return config.status();
  return std::optional<Config>(*std::move(config));
}

absl::StatusOr<Config> LoadCommandConfig(const CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(std::optional<Config> config, LoadCommandConfigIfAny(context));
  if (config.has_value()) return *std::move(config);
  return NoConfigError(ConfigPath(context));
}

absl::StatusOr<MasterKey> ReadKeyFrom(absl::string_view source, const CommandContext& context) {
  return ReadKeyOrCopy(source, nullptr, context);
}

absl::StatusOr<MasterKey> ReadKeyCopyFrom(absl::string_view source, const MasterKey& original,
                                          const CommandContext& context) {
  return ReadKeyOrCopy(source, &original, context);
}

absl::StatusOr<std::string> FindKeySource(const CommandContext& context) {
  if (!context.global.key_source.empty()) return context.global.key_source;
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<Config> config, LoadCommandConfigIfAny(context));
  if (config.has_value()) return config->master_key;
  return absl::InvalidArgumentError(
      absl::StrCat("where is the master key? There is no configuration ", ConfigPath(context),
                   ": give --key a file, - to type it, or credential:NAME"));
}

absl::StatusOr<MasterKey> ReadCommandKey(const CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::string source, FindKeySource(context));
  return ReadKeyFrom(source, context);
}

absl::StatusOr<std::string> FindStoreSocket(const CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(const Config config, LoadCommandConfig(context));
  const bool has_several = config.agent.has_value() && config.agent->stores.size() > 1;
  if (context.global.store_name.empty() && config.store.has_value() && !has_several) {
    return config.store->socket;
  }
  HOLDFAST_ASSIGN_OR_RETURN(const AgentStoreConfig* store, FindAgentStore(config, context));
  return store->socket;
}

absl::StatusOr<std::string> FindAgentSocket(const CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(const Config config, LoadCommandConfig(context));
  // A name that the configuration does not have is the agent's to refuse.
  if (config.agent.has_value() && context.global.store_name.empty()) {
    HOLDFAST_RETURN_IF_ERROR(FindAgentStore(config, context).status());
  }
  return FindAgentSocketForAllStores(context);
}

absl::StatusOr<std::vector<NamedSocket>> FindStoreSockets(const CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(const Config config, LoadCommandConfig(context));
  std::vector<NamedSocket> sockets;
  if (!context.global.store_name.empty() || !config.agent.has_value()) {
    HOLDFAST_ASSIGN_OR_RETURN(const AgentStoreConfig* store, FindAgentStore(config, context));
    sockets.push_back({.name = store->name, .socket = store->socket});
    return sockets;
  }
  for (const AgentStoreConfig& store : config.agent->stores) {
    sockets.push_back({.name = store.name, .socket = store.socket});
  }
  return sockets;
}

absl::StatusOr<std::string> FindAgentSocketForAllStores(const CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(const Config config, LoadCommandConfig(context));
  if (!config.agent.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(ConfigPath(context), " has no [agent], so there is none to ask"));
  }
  return config.agent->socket;
}

absl::StatusOr<std::vector<DestinationConfig>> FindDestinations(absl::string_view url_or_name,
                                                                const CommandContext& context) {
  if (absl::StrContains(url_or_name, '/') || absl::StrContains(url_or_name, ':')) {
    HOLDFAST_ASSIGN_OR_RETURN(std::string url, CanonicalBlobStoreUrl(url_or_name));
    return std::vector<DestinationConfig>{{.name = std::string(url_or_name), .url = url}};
  }
  HOLDFAST_ASSIGN_OR_RETURN(const Config config, LoadCommandConfig(context));
  HOLDFAST_ASSIGN_OR_RETURN(const AgentStoreConfig* store, FindAgentStore(config, context));
  const absl::StatusOr<std::vector<DestinationConfig>> from_agent =
      ReadDestinationsOfSettings(config.agent->socket, store->name, context);
  HOLDFAST_RETURN_IF_ERROR(context.cancellation.status());
  const std::vector<DestinationConfig>& destinations =
      from_agent.ok() ? *from_agent : store->destinations;
  if (url_or_name.empty()) {
    if (!from_agent.ok()) {
      context.console.Note(
          absl::StrCat("the destinations are those of ", ConfigPath(context),
                       ", and others that were added later are left out, for the agent can't be "
                       "asked: ",
                       from_agent.status().message()));
    }
    return destinations;
  }
  // A name that the settings have no more still tells where older backups are.
  for (const std::vector<DestinationConfig>* known : {&destinations, &store->destinations}) {
    for (const DestinationConfig& destination : *known) {
      if (destination.name == url_or_name) return std::vector<DestinationConfig>{destination};
    }
  }
  return absl::NotFoundError(absl::StrCat(
      "store ", store->name, " has no destination '", url_or_name, "' in ",
      from_agent.ok() ? "the agent's settings" : ConfigPath(context), "; there is ",
      JoinDestinationNames(destinations),
      from_agent.ok()
          ? ""
          : absl::StrCat("\nthe agent, whose settings may have others, can't be asked: ",
                         from_agent.status().message())));
}

absl::StatusOr<std::optional<StoreId>> ParseStoreId(absl::string_view text) {
  if (text.empty()) return std::nullopt;
  absl::StatusOr<StoreId> store_id = StoreId::FromText(text);
  if (!store_id.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--store-id: '", text, "' is not 32 lower-case hexadecimal digits"));
  }
  return std::optional<StoreId>(*store_id);
}

void WarnWhereOnOneDisk(const std::string& name, const std::string& url,
                        const std::string& data_directory, Console& console) {
  const absl::StatusOr<std::string> path = DirectoryOfBlobStoreUrl(url);
  if (!path.ok()) return;  // rclone reaches it
  const absl::StatusOr<bool> is_on_one = AreOnOneFileSystem(*path, data_directory);
  if (!is_on_one.ok() || !*is_on_one) return;
  console.Complain(absl::StrCat(
      "warning: destination ", name, ": ", *path,
      " is on the same file system as the data: one broken disk takes both. Where a share or "
      "another disk belongs there it is not mounted"));
}

}  // namespace holdfast
