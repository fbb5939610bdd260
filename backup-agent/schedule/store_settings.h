#ifndef HOLDFAST_BACKUP_AGENT_SCHEDULE_STORE_SETTINGS_H_
#define HOLDFAST_BACKUP_AGENT_SCHEDULE_STORE_SETTINGS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "holdfast/agent/v1/state.pb.h"
#include "holdfast/v1/backup_agent.pb.h"

namespace holdfast {

// The settings that a store begins with: revision 1, from the configuration.
v1::Settings SeedSettings(const AgentStoreConfig& config);

// Checks all rules that the comments of holdfast.v1.Settings state, and returns the settings as
// they are kept: defaults filled in, URLs canonical, output-only fields empty. INVALID_ARGUMENT
// names the field and the rule. `key_fingerprint` is that of the master key in use.
absl::StatusOr<v1::Settings> CheckSettings(v1::Settings settings,
                                           const std::string& key_fingerprint);

// INVALID_ARGUMENT where a destination lies inside of another, by their URLs, and one of the two is
// new or elsewhere than in `old`: those that are so already must not keep people from other
// changes.
absl::Status CheckThatNoneIsInside(const v1::Settings& old, const v1::Settings& changed);

// How many destinations must hold a backup: zero is resolved.
uint32_t RequiredDestinations(const v1::Settings& settings);

// The destinations of `changed` that `old` does not have, or has elsewhere.
std::vector<v1::Destination> NewDestinations(const v1::Settings& old, const v1::Settings& changed);

// Forgets of `memory`, which was gained under the settings `old`, the destinations that `changed`
// does not have, or has elsewhere.
void ForgetDestinations(const v1::Settings& old, const v1::Settings& changed,
                        agent::v1::StoreMemory& memory);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SCHEDULE_STORE_SETTINGS_H_
