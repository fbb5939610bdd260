#ifndef HOLDFAST_COMMON_CRYPTO_KEY_COPY_H_
#define HOLDFAST_COMMON_CRYPTO_KEY_COPY_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/crypto/master_key.h"

namespace holdfast {

// Reads the text form of a copy of `original`, as MasterKey::FromText does. Where the copy is
// mistyped, the error tells in which groups of the text it differs from the original; it repeats
// nothing of either. A copy that is another key is no error.
absl::StatusOr<MasterKey> ReadKeyCopy(absl::string_view text, const MasterKey& original);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_CRYPTO_KEY_COPY_H_
