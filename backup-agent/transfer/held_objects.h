#ifndef HOLDFAST_BACKUP_AGENT_TRANSFER_HELD_OBJECTS_H_
#define HOLDFAST_BACKUP_AGENT_TRANSFER_HELD_OBJECTS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "backup-agent/transfer/destination.h"
#include "backup-agent/transfer/pending.h"
#include "backup-agent/transfer/pipe.h"
#include "common/base/cancellation.h"
#include "common/repository/layout.h"
#include "holdfast/repository/v1/repository.pb.h"

namespace holdfast {

// What a destination holds already of what a run is about to send, and how that is found out. All
// functions block on the place; they run on a destination's own threads and use nothing of the run.

// An object that a run needs.
struct WantedObject {
  repository::v1::ObjectEntry::Codec codec = repository::v1::ObjectEntry::CODEC_UNSPECIFIED;
  uint64_t content_size_bytes = 0;
  std::string xxh3_128;  // of the content
};
using WantedObjects = absl::flat_hash_map<ObjectIdentity, WantedObject>;

struct HeldObjects {
  // Wanted objects that the newest readable backup names, and that are there with the right length.
  absl::flat_hash_map<ObjectIdentity, repository::v1::ObjectEntry> named;
  // The backup that names them; empty where there is none.
  std::string named_by;

  // Wanted objects that a cut run may have left: complete names, but nothing says that they are
  // whole.
  absl::flat_hash_map<ObjectIdentity, std::vector<repository::v1::ObjectEntry>> unnamed;

  // Whether objects of that backup are missing or cut short; others may need them, too.
  bool has_missing_objects = false;

  // Objects that are known to be damaged there: nothing that is written uses them.
  absl::flat_hash_set<std::string> damaged_objects;

  // The backup that is latest by lineage, and the hash of its manifest; absent where there is none.
  std::optional<repository::v1::BackupSummary> latest;
  std::optional<Hash256> latest_hash;  // absent where not even its bytes can be read

  // The ids of all backups there, also deleted and damaged ones.
  absl::flat_hash_set<std::string> backup_ids;

  // What somebody should look at.
  std::vector<std::string> warnings;
};

struct FindHeldObjectsRequest {
  std::shared_ptr<const WantedObjects> wanted;
  KeyId key_id;  // of the backup key that this run seals with
  bool look_for_unnamed = false;
  absl::Time now;
};
absl::StatusOr<HeldObjects> FindHeldObjects(OpenDestination& open,
                                            const FindHeldObjectsRequest& request,
                                            const ProgressCounter& progress,
                                            const Cancellation& cancellation);

// Reads an object from its first byte to its last and proves it: that it authenticates and, where
// the codec is "none", that its content is `wanted`. `progress` counts.
absl::Status ProveObject(OpenDestination& open, const repository::v1::ObjectEntry& entry,
                         const WantedObject& wanted, const ProgressCounter& progress,
                         const Cancellation& cancellation);

// When the object was written there; InfinitePast where the place does not tell, or the object is
// gone.
absl::StatusOr<absl::Time> WriteTimeOf(OpenDestination& open, const std::string& object_name);

// Feeds the sealed bytes of an object into `pipe` and closes it: with OK only if every byte
// authenticated.
void PumpObject(OpenDestination& open, const repository::v1::ObjectEntry& entry, Pipe& pipe);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_TRANSFER_HELD_OBJECTS_H_
