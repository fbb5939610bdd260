#ifndef HOLDFAST_BACKUP_AGENT_TRANSFER_LISTING_H_
#define HOLDFAST_BACKUP_AGENT_TRANSFER_LISTING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/crypto/hash.h"
#include "common/repository/layout.h"
#include "holdfast/agent/v1/state.pb.h"
#include "holdfast/v1/checkpoints.pb.h"

namespace holdfast {

// What a store says about a checkpoint is not trusted: these functions hold it against the rules of
// checkpoints.proto, against bounds, and against what the agent remembers of the store.

// Checks what a store says of a new checkpoint.
//   DATA_LOSS            it breaks a rule
//   FAILED_PRECONDITION  it may not be the store that it was: another one, or an earlier state or a
//                        copy of it; see CheckAgainstMemory
absl::Status CheckCheckpoint(const v1::Checkpoint& checkpoint,
                             const agent::v1::StoreMemory& memory);

// Holds a checkpoint against what is remembered of the store. FAILED_PRECONDITION, saying what to
// do, where
//   - it is of another store than the pinned one;
//   - within the incarnation that is remembered the revision went back, or the same revision has
//     another digest: the data directory was set back or copied behind Holdfast's back, and one
//     revision now means two things;
//   - within it, at least half of the documents are gone, of at least kDocumentLossMin.
// A new incarnation is the operator's own word (a restore begins one): nothing is compared then.
absl::Status CheckAgainstMemory(const v1::Checkpoint& checkpoint,
                                const agent::v1::StoreMemory& memory);

// The same by what a store says of itself.
absl::Status CheckAgainstMemory(const v1::StoreStatus& status,
                                const agent::v1::StoreMemory& memory);

// Makes `memory` that of a store that somebody accepted as it is now, by what the store says of
// itself: the next checkpoint is held against that. DATA_LOSS where `status` breaks a rule.
absl::Status AcceptStore(const v1::StoreStatus& status, agent::v1::StoreMemory& memory);

// Below this many documents the loss of half of them is nothing to stop for.
inline constexpr uint64_t kDocumentLossMin = 100;

// Checks the files that a store lists for a checkpoint, and puts them in the order of their names.
// DATA_LOSS where a rule is broken; the message names the file.
absl::Status CheckFiles(const v1::Checkpoint& checkpoint, std::vector<v1::CheckpointFile>& files);

// Whether `content`, that of an instance file, holds a master key in its text form: no backup may
// carry the key that opens it, and any other master key belongs into none either.
bool HoldsMasterKey(absl::string_view content);

// A time as of a protobuf timestamp that was checked, in microseconds since 1970.
int64_t ToUnixMicros(const google::protobuf::Timestamp& timestamp);

// `state_digest` of a checkpoint that was checked, as bytes.
std::string DigestBytes(const v1::Checkpoint& checkpoint);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_TRANSFER_LISTING_H_
