#ifndef HOLDFAST_BACKUP_AGENT_STATE_STATE_STORE_H_
#define HOLDFAST_BACKUP_AGENT_STATE_STATE_STORE_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/io/file_lock.h"
#include "holdfast/agent/v1/state.pb.h"

namespace holdfast {

// A StateStore keeps a StoreState for each store, in files of the agent's state folder:
//   <state folder>/lock                  held by the one agent that uses the folder
//   <state folder>/stores/<name>/state   replaced durably, as a whole
//
//   HOLDFAST_ASSIGN_OR_RETURN(auto states, StateStore::Open("/var/lib/holdfast/agent"));
//   HOLDFAST_ASSIGN_OR_RETURN(std::optional<agent::v1::StoreState> state, states->Load("main"));
//
// Thread-safe, but the calls for one store must not overlap.
//
// A state file holds, part of the state folder's format, not to be changed:
//   8 bytes    "HFSTATE1"
//   32 bytes   BLAKE2b-256 of the rest
//   the rest   a serialised agent.v1.StoreState
class StateStore {
 public:
  // The largest state file that is read.
  static constexpr size_t kStateSizeMaxBytes = 64 << 20;

  // Opens the folder, which is made if it is not there. UNAVAILABLE where another agent uses it.
  static absl::StatusOr<std::unique_ptr<StateStore>> Open(const std::string& folder);

  StateStore(const StateStore&) = delete;
  StateStore& operator=(const StateStore&) = delete;

  // nullopt where there is none yet. DATA_LOSS where the file is damaged, UNIMPLEMENTED where a
  // newer version of Holdfast wrote it: the agent must not begin afresh then, but leave it to
  // somebody. REQUIRES: `store_name` obeys CheckName.
  absl::StatusOr<std::optional<agent::v1::StoreState>> Load(absl::string_view store_name) const;

  // Sets format_version, and writes.
  // REQUIRES: `store_name` obeys CheckName.
  absl::Status Save(absl::string_view store_name, agent::v1::StoreState state) const;

 private:
  StateStore(std::string folder, std::unique_ptr<FileLock> lock)
      : folder_(std::move(folder)), lock_(std::move(lock)) {}

  std::string StoreFolder(absl::string_view store_name) const;

  const std::string folder_;
  const std::unique_ptr<FileLock> lock_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_STATE_STATE_STORE_H_
