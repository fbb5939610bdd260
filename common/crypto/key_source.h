#ifndef HOLDFAST_COMMON_CRYPTO_KEY_SOURCE_H_
#define HOLDFAST_COMMON_CRYPTO_KEY_SOURCE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/crypto/master_key.h"

namespace holdfast {

// Where a master key is read from, as users write it:
//   "/path/to/file" or "file:/path"  a regular file with mode 0600 or 0400, owned by this user or
//   root
//   "-"                              standard input, to its end; of a terminal one line, not shown
//   "credential:NAME"                the systemd credential NAME ($CREDENTIALS_DIRECTORY/NAME)
//
// Errors: NOT_FOUND where the file, or the credentials directory, is not there. FAILED_PRECONDITION
// where it is no regular file. PERMISSION_DENIED where others than its owner may read the file; the
// message gives the chmod that mends it. INVALID_ARGUMENT where what was read is no master key, or
// `source` is one itself. CANCELLED where Ctrl-C was typed. No message repeats what was read.
absl::StatusOr<MasterKey> ReadMasterKey(absl::string_view source);

// The same of a copy of `original`: where it is mistyped the error says in which groups
// (key_copy.h).
absl::StatusOr<MasterKey> ReadMasterKeyCopy(absl::string_view source, const MasterKey& original);

// Writes the text form and a newline to a new file of mode 0600, durably.
// ALREADY_EXISTS where there is a file of that name: a key is never overwritten.
absl::Status WriteMasterKeyFile(const std::string& path, const MasterKey& key);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_CRYPTO_KEY_SOURCE_H_
