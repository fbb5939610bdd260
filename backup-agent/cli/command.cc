#include "backup-agent/cli/command.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/crypto/key_source.h"
#include "common/io/files.h"
#include "common/storage/open_blob_store.h"

namespace holdfast {

namespace {

constexpr absl::string_view kStandardInput = "-";

// A text form has 73 bytes; this leaves room for blanks.
constexpr size_t kKeyInputSizeMaxBytes = 4096;

std::string JoinStoreNames(const AgentConfig& agent) {
  return absl::StrJoin(agent.stores, ", ", [](std::string* out, const AgentStoreConfig& store) {
    out->append(store.name);
  });
}

// All of standard input, into locked memory; ends early with the reason of a cancellation.
absl::StatusOr<MasterKey> ReadKeyFromInput(const CommandContext& context) {
  SecretBytes text(kKeyInputSizeMaxBytes);
  size_t size = 0;
  for (;;) {
    HOLDFAST_ASSIGN_OR_RETURN(
        std::string piece,
        context.console.ReadSome(kKeyInputSizeMaxBytes + 1 - size, context.cancellation));
    if (piece.empty()) return MasterKey::FromText(text.text().substr(0, size));
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
  return absl::InvalidArgumentError(
      absl::StrCat("there is no configuration ", ConfigPath(context),
                   ": make one with `holdfast init`, or name another with --config"));
}

absl::StatusOr<MasterKey> ReadKeyFrom(absl::string_view source, const CommandContext& context) {
  if (source == kStandardInput && !context.console.input_is_terminal()) {
    absl::StatusOr<MasterKey> key = ReadKeyFromInput(context);
    HOLDFAST_RETURN_IF_ERROR(key.status(), "read the master key from standard input");
    return key;
  }
  if (source == kStandardInput) {
    context.console.Complain("Type or paste the master key (it is not shown), then press Enter:");
  }
  absl::StatusOr<MasterKey> key = ReadMasterKey(source);
  // That others may read it is not that it is the wrong one.
  if (absl::IsPermissionDenied(key.status())) {
    return WithCode(key.status(), absl::StatusCode::kFailedPrecondition);
  }
  return key;
}

absl::StatusOr<MasterKey> ReadCommandKey(const CommandContext& context) {
  if (!context.global.key_source.empty()) return ReadKeyFrom(context.global.key_source, context);
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<Config> config, LoadCommandConfigIfAny(context));
  if (!config.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("where is the master key? There is no configuration ", ConfigPath(context),
                     ": give --key a file, - to type it, or credential:NAME"));
  }
  return ReadKeyFrom(config->master_key, context);
}

absl::StatusOr<std::string> FindStoreSocket(const CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(const Config config, LoadCommandConfig(context));
  if (context.global.store_name.empty() && config.store.has_value()) return config.store->socket;
  HOLDFAST_ASSIGN_OR_RETURN(const AgentStoreConfig* store, FindAgentStore(config, context));
  return store->socket;
}

absl::StatusOr<std::string> FindAgentSocket(const CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(const Config config, LoadCommandConfig(context));
  if (!config.agent.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(ConfigPath(context), " has no [agent], so there is none to ask"));
  }
  return config.agent->socket;
}

absl::StatusOr<std::vector<DestinationConfig>> FindDestinations(absl::string_view url_or_name,
                                                                const CommandContext& context) {
  if (absl::StrContains(url_or_name, '/')) {
    HOLDFAST_ASSIGN_OR_RETURN(std::string url, CanonicalBlobStoreUrl(url_or_name));
    return std::vector<DestinationConfig>{{.name = std::string(url_or_name), .url = url}};
  }
  HOLDFAST_ASSIGN_OR_RETURN(const Config config, LoadCommandConfig(context));
  HOLDFAST_ASSIGN_OR_RETURN(const AgentStoreConfig* store, FindAgentStore(config, context));
  if (url_or_name.empty()) return store->destinations;
  for (const DestinationConfig& destination : store->destinations) {
    if (destination.name == url_or_name) return std::vector<DestinationConfig>{destination};
  }
  return absl::NotFoundError(
      absl::StrCat("store ", store->name, " has no destination '", url_or_name, "' in ",
                   ConfigPath(context), "; there is ",
                   absl::StrJoin(store->destinations, ", ",
                                 [](std::string* out, const DestinationConfig& destination) {
                                   out->append(destination.name);
                                 })));
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

}  // namespace holdfast
