#ifndef HOLDFAST_COMMON_CONFIG_CONFIG_H_
#define HOLDFAST_COMMON_CONFIG_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

// The configuration file `holdfast.toml`, one for all programs, as checked values. README.md in
// this folder is its reference.
//
// All paths are absolute: relative ones in the file are taken from the folder of the file.

namespace holdfast {

// [store]: what holdfast-store is told.
struct StoreConfig {
  std::string data_directory;
  // The socket that the store listens on.
  std::string socket;
  // As Config::master_key.
  std::string master_key;
  // Files and directories that travel with every backup.
  std::vector<std::string> instance_files;
};

// [agent.stores.schedule]: the schedule that a store's settings begin with.
struct ScheduleConfig {
  bool automatic = true;
  absl::Duration interval = absl::Hours(4);
  std::string start_time_of_day = "00:00";
  std::string time_zone = "UTC";
};

// [[agent.stores.destinations]]: a destination that a store's settings begin with.
struct DestinationConfig {
  std::string name;
  // Canonical: see CanonicalBlobStoreUrl.
  std::string url;
};

// [[agent.stores]]: a store that the agent backs up.
struct AgentStoreConfig {
  std::string name;
  // The socket that the store listens on.
  std::string socket;
  // Seeds of the settings, used once.
  uint32_t required_destinations = 0;
  ScheduleConfig schedule;
  std::vector<DestinationConfig> destinations;
};

// [agent]: what holdfast-agent is told.
struct AgentConfig {
  std::string state_directory;
  // The socket that the agent listens on.
  std::string socket;
  // As Config::master_key.
  std::string master_key;
  // 1 to 64, with different names.
  std::vector<AgentStoreConfig> stores;
};

struct Config {
  // Where the master key is read from: see common/crypto/key_source.h.
  std::string master_key;
  // Absent where the file has no such table.
  std::optional<StoreConfig> store;
  std::optional<AgentConfig> agent;
};

// Reads and checks the file. A message says where and what: "holdfast.toml:7:1: …".
//   NOT_FOUND            there is no such file
//   PERMISSION_DENIED    it may not be read
//   INVALID_ARGUMENT     it is not TOML, has a key that does not exist, or a value is out of bounds
absl::StatusOr<Config> LoadConfig(const std::string& path);

// As LoadConfig, of a text. `path` stands in messages, and relative paths are taken from its
// folder; it is made absolute by the working directory if it is not.
absl::StatusOr<Config> ParseConfig(absl::string_view text, const std::string& path);

// $HOLDFAST_CONFIG if it is set and not empty, else /etc/holdfast/holdfast.toml.
std::string DefaultConfigPath();

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_CONFIG_CONFIG_H_
