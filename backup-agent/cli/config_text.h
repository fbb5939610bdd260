#ifndef HOLDFAST_BACKUP_AGENT_CLI_CONFIG_TEXT_H_
#define HOLDFAST_BACKUP_AGENT_CLI_CONFIG_TEXT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/config/config.h"

namespace holdfast {

// What a new configuration file says. Paths are absolute.
struct NewConfig {
  std::string master_key;
  std::string data_directory;
  std::string store_socket;
  std::string state_directory;
  std::string agent_socket;
  std::string store_name;
  std::vector<DestinationConfig> destinations;
  std::vector<std::string> instance_files;
  // As instance_files, but as comments: what a backup brought along that is not in its place yet.
  std::vector<std::string> instance_files_to_come = {};
  uint32_t required_destinations = 0;
  ScheduleConfig schedule = {};
};

// The text of holdfast.toml, with comments for whoever edits it.
std::string FormatConfig(const NewConfig& config);

// Destinations as users write them: a URL, or "name=URL". One without a name gets the last part of
// its path, made fit, and a number where several have the same. INVALID_ARGUMENT for what is no
// URL.
absl::StatusOr<std::vector<DestinationConfig>> NameDestinations(
    const std::vector<std::string>& texts);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_CLI_CONFIG_TEXT_H_
