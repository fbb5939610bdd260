#ifndef HOLDFAST_BACKUP_AGENT_ADOPTION_ADOPTION_H_
#define HOLDFAST_BACKUP_AGENT_ADOPTION_ADOPTION_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/id128.h"
#include "common/crypto/hash.h"
#include "common/crypto/master_key.h"
#include "holdfast/agent/v1/state.pb.h"
#include "holdfast/repository/v1/repository.pb.h"
#include "holdfast/v1/backup_agent.pb.h"

namespace holdfast {

// The backup that a store is taken over from, and where it was found.
struct AdoptedBackup {
  repository::v1::BackupSummary summary;
  // The BLAKE2b-256 of its sealed manifest.
  Hash256 manifest_hash{};
  // How the store was backed up when it was taken; absent where the backup does not tell.
  std::optional<v1::Settings> settings;

  Id128 repository_id;
  // Where the repository is on this machine: canonical.
  std::string url;
  // What to call the destination where the settings do not know it.
  std::string new_name;
};

struct AdoptOptions {
  // Empty: as it was called.
  std::string store_name;
  KeyFingerprint key_fingerprint;
  // Whether somebody typed the key just now, or handed it in by a pipe. A key that came that way to
  // a machine that had none was kept elsewhere.
  bool is_key_from_elsewhere = false;
};

// What an agent begins with that takes a store over.
struct Adoption {
  // Settings, memory and history; nothing in it says that an agent has used it yet (see
  // IsUnusedAdoption).
  agent::v1::StoreState state;
  // The destination that was adopted, and where it was before; empty where that has not changed.
  std::string destination_name;
  std::string former_url;
  // Whether the settings are those of the backup, and not the defaults.
  bool has_settings = false;
};

// Makes the state with which an agent on another machine goes on where the backup's agent stopped:
// - the settings, but that the destination whose repository was adopted is where it is now. The
//   others stay as they are, reachable or not;
// - the memory of the store, of its newest backup and of the repositories, so that the chain of
//   backups goes on, and a store or a destination that was set back is noticed;
// - the time that was due after the backup, so that it is caught up if it was missed.
// Earlier runs and requests are not in a backup, and are forgotten.
//
// INVALID_ARGUMENT where the schedule can't be used here: the zone is not known to this machine.
absl::StatusOr<Adoption> Adopt(const AdoptedBackup& backup, const AdoptOptions& options,
                               absl::Time now);

// Whether `state` was made by Adopt for that store, and no agent has used it since: it may be made
// anew.
bool IsUnusedAdoption(const agent::v1::StoreState& state, const Id128& store_id);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_ADOPTION_ADOPTION_H_
