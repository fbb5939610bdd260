#ifndef HOLDFAST_COMMON_DATABASE_DATA_KEYS_H_
#define HOLDFAST_COMMON_DATABASE_DATA_KEYS_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/id128.h"
#include "common/crypto/master_key.h"
#include "common/crypto/sealed_file.h"
#include "common/crypto/secret.h"

namespace holdfast {

// The key files of a data directory: `<folder>/<key id>.1` and `.2`, two byte-identical copies of a
// DataKeyFile, sealed for the master key as "store/<store id>/keys/<key id>".
//
// Part of the data directory's format; do not change.

struct DataKey {
  KeyId id{};
  Key key;
};

// A new, random one.
DataKey GenerateDataKey(RandomSource& random = SystemRandom());

// Writes both copies durably, in the place of those that are there. `folder` is made if needed.
absl::Status WriteDataKey(const std::string& folder, const MasterKey& master_key,
                          const Id128& store_id, const DataKey& data_key, absl::Time now);

// Opens all keys in `folder`. A copy that is damaged or missing while the other is good is replaced
// by it, with a warning in the log; where that fails (a full disk) it stays, with another warning.
//
// Errors: PERMISSION_DENIED where `master_key` is not the one that they are sealed for; names both
// fingerprints. DATA_LOSS where both copies of a key are damaged. UNIMPLEMENTED where a newer
// version sealed them.
absl::StatusOr<std::map<KeyId, Key>> ReadDataKeys(const std::string& folder,
                                                  const MasterKey& master_key,
                                                  const Id128& store_id);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_DATABASE_DATA_KEYS_H_
