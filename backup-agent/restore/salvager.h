#ifndef HOLDFAST_BACKUP_AGENT_RESTORE_SALVAGER_H_
#define HOLDFAST_BACKUP_AGENT_RESTORE_SALVAGER_H_

#include <string>

#include "absl/status/statusor.h"
#include "backup-agent/restore/restorer.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/crypto/master_key.h"
#include "common/repository/manifest.h"
#include "common/repository/repository.h"

namespace holdfast {

// Does what Restorer::SalvageTo promises.
//
// How it knows what is proven. A document that was found is what the store had if
//   - all that was found has the state digest that is in the manifest; then everything is proven;
//   or
//   - all that was found of its collection is, in number and in the sum of the keyed hashes, what
//     the store counted at that revision, where the counts are proven, by the state digest or as
//     below. Then the whole collection is proven, whatever is lost; or
//   - no file that is lost can hold anything newer about it (see DatabaseRemains), and its hash is
//     that of its content; as long as what the store counted does not contradict that.
// All else that was found is unproven, and named. What was not found has no name; how many
// documents it is follows from the counts.
absl::StatusOr<SalvageResult> Salvage(StoreRepository& store, const Manifest& manifest,
                                      const MasterKey& master_key, const std::string& path,
                                      const RestoreOptions& options, Clock& clock,
                                      RandomSource& random, const Cancellation& cancellation);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_RESTORE_SALVAGER_H_
