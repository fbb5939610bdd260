#include "backup-agent/cli/config_text.h"

#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/config/setting_rules.h"
#include "common/storage/open_blob_store.h"

namespace holdfast {

namespace {

// A basic string of TOML.
std::string TomlString(absl::string_view text) {
  std::string toml = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      toml += '\\';
      toml += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      absl::StrAppendFormat(&toml, "\\u%04X", byte);
    } else {
      toml += c;
    }
  }
  toml += '"';
  return toml;
}

// A name for a destination that people call `short_name`: "share" for "/mnt/Share".
std::string NameFrom(absl::string_view short_name) {
  std::string name;
  for (const char c : short_name.substr(0, kNameLengthMax / 2)) {  // leaves room for a number
    const auto byte = static_cast<unsigned char>(c);
    name += absl::ascii_isalnum(byte) || c == '_' ? absl::ascii_tolower(byte) : '-';
  }
  return name;
}

}  // namespace

absl::StatusOr<std::vector<DestinationConfig>> NameDestinations(
    const std::vector<std::string>& texts) {
  std::vector<DestinationConfig> destinations;
  std::set<std::string> names;
  for (const std::string& text : texts) {
    DestinationConfig destination;
    absl::string_view url = text;
    const size_t equals = url.find('=');
    const size_t slash = url.find('/');
    // "name=/path" and "name=scheme:…"; but a path may hold an equals sign.
    if (equals != absl::string_view::npos && equals < slash && equals < url.find(':')) {
      destination.name = std::string(url.substr(0, equals));
      HOLDFAST_RETURN_IF_ERROR(CheckName(destination.name), "--destination");
      url.remove_prefix(equals + 1);
    }
    HOLDFAST_ASSIGN_OR_RETURN(destination.url, CanonicalBlobStoreUrl(url), "--destination");
    if (destination.name.empty()) {
      HOLDFAST_ASSIGN_OR_RETURN(const std::string short_name,
                                ShortNameOfBlobStoreUrl(destination.url));
      const std::string name = NameFrom(short_name);
      destination.name = name;
      for (int number = 2; names.count(destination.name) > 0; ++number) {
        destination.name = absl::StrCat(name, "-", number);
      }
    }
    names.insert(destination.name);
    destinations.push_back(std::move(destination));
  }
  return destinations;
}

std::string FormatConfig(const NewConfig& config) {
  std::string text = absl::StrCat(
      "# The configuration of Holdfast: of its store, its agent and the command line.\n"
      "# A key that does not exist is an error. Relative paths are taken from this file's folder.\n"
      "\n"
      "# Where the master key is read from: a file of mode 0600, or \"credential:NAME\" for a\n"
      "# systemd credential. Never the key itself.\n"
      "master_key = ",
      TomlString(config.master_key),
      "\n"
      "\n"
      "[store]\n"
      "# The encrypted database and its keys.\n"
      "data_directory = ",
      TomlString(config.data_directory),
      "\n"
      "# The unix socket that applications and the agent reach the store at.\n"
      "socket = ",
      TomlString(config.store_socket),
      "\n"
      "# Other files and directories that an instance needs: they travel with every backup.\n"
      "instance_files = [\n");
  for (const std::string& path : config.instance_files) {
    absl::StrAppend(&text, "  ", TomlString(path), ",\n");
  }
  if (!config.instance_files_to_come.empty()) {
    absl::StrAppend(&text,
                    "  # These came back below instance/ in the data directory. Put each where it "
                    "belongs, then\n"
                    "  # remove the # before it: until then backups go without it.\n");
  }
  for (const std::string& path : config.instance_files_to_come) {
    absl::StrAppend(&text, "  # ", TomlString(path), ",\n");
  }
  absl::StrAppend(
      &text,
      "]\n"
      "\n"
      "[agent]\n"
      "# What the agent remembers: settings, runs.\n"
      "state_directory = ",
      TomlString(config.state_directory),
      "\n"
      "socket = ",
      TomlString(config.agent_socket),
      "\n"
      "\n"
      "# A store that the agent backs up. What stands from here on only seeds its settings, when "
      "the\n"
      "# agent first sees it; afterwards they are changed with `holdfast settings set`. So are "
      "retention,\n"
      "# checks and drills, which have no keys here: `holdfast settings show` tells them.\n"
      "[[agent.stores]]\n"
      "name = ",
      TomlString(config.store_name),
      "\n"
      "socket = ",
      TomlString(config.store_socket),
      "\n"
      "# How many destinations must hold a backup for it to count; 0 for all.\n"
      "required_destinations = ",
      config.required_destinations,
      "\n"
      "\n"
      "[agent.stores.schedule]\n"
      "automatic = ",
      config.schedule.automatic ? "true" : "false",
      "\ninterval = ", TomlString(FormatInterval(config.schedule.interval)),
      "\nstart_time_of_day = ", TomlString(config.schedule.start_time_of_day),
      "\ntime_zone = ", TomlString(config.schedule.time_zone), "\n");
  for (const DestinationConfig& destination : config.destinations) {
    absl::StrAppend(&text, "\n[[agent.stores.destinations]]\nname = ", TomlString(destination.name),
                    "\nurl = ", TomlString(destination.url), "\n");
  }
  return text;
}

}  // namespace holdfast
