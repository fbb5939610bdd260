#ifndef HOLDFAST_COMMON_REPOSITORY_BACKUP_KEY_RING_H_
#define HOLDFAST_COMMON_REPOSITORY_BACKUP_KEY_RING_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/crypto/hash.h"
#include "common/crypto/master_key.h"
#include "common/crypto/sealed_file.h"
#include "common/repository/layout.h"
#include "common/storage/blob_store.h"

namespace holdfast {

// Part of the repository format; do not change.
inline constexpr uint64_t kSealedKeyFileSizeMaxBytes = 4096;

// A key that backups of one store are sealed with.
struct BackupKey {
  KeyId key_id;
  Key key;
};

// A backup key with when it was made, as its key file says.
struct DatedBackupKey {
  BackupKey backup_key;
  int64_t create_time_us = 0;
};

// A BackupKeyRing is the backup keys of one store at one destination that one master key opens,
// with all that derives from them; and what is wrong with the key files that it should open. It
// reads and writes the key files (FORMAT.md, "Key files").
//
//   HOLDFAST_ASSIGN_OR_RETURN(BackupKeyRing keys, BackupKeyRing::Read(blobs, store_id, …));
//   if (keys.IsEmpty()) HOLDFAST_RETURN_IF_ERROR(keys.Add(master_key, first_key));
//   keys.ChooseCurrent();
//
// Const methods are thread-safe once nobody calls another one. Does not take ownership of the
// BlobStore, which must outlive it.
//
// Errors are those of sealed files, unless a method says otherwise; each names the file.
class BackupKeyRing {
 public:
  struct Keys {
    Key backup_key;
    Key id_key;
    SealingKey content_key;
    SealingKey manifest_key;
    int64_t create_time_us;
  };
  using KeyMap = std::map<KeyId, Keys>;

  // Reads the key files; `repository_hash` is of the holdfast.json that they must have been written
  // for. An error only where the destination can't be reached.
  static absl::StatusOr<BackupKeyRing> Read(BlobStore& blobs, const StoreId& store_id,
                                            const MasterKey& master_key,
                                            const Hash256& repository_hash);

  // Writes the key file of a key that is not here yet, reads it back, and adds the key.
  absl::Status Add(const MasterKey& master_key, const DatedBackupKey& key);
  // Writes the key file anew, whatever is there, and reads it back. Adds nothing.
  absl::Status ReplaceFile(const MasterKey& master_key, const DatedBackupKey& key) const;

  bool IsEmpty() const { return keys_.empty(); }
  const KeyMap& all() const { return keys_; }
  // NOT_FOUND (named) where this master key opens none of that id; where its key file can't be
  // opened, why.
  absl::StatusOr<const Keys*> Find(const KeyId& key_id) const;
  // All keys, the oldest first.
  std::vector<DatedBackupKey> Clone() const;

  // Makes the newest key the current one: that which new backups are sealed with.
  // REQUIRES: there is one.
  void ChooseCurrent();
  // REQUIRES: one was chosen.
  const KeyId& current_id() const { return current_->first; }
  const Keys& current() const { return current_->second; }

  // The key files for this master key, by path, each with what came of opening it.
  const std::map<std::string, absl::Status>& files() const { return files_; }
  // The keys whose files can't be opened, with why.
  const std::map<KeyId, absl::Status>& unopened() const { return unopened_; }
  // The fingerprints of the master keys that other key files are for, sorted.
  const std::vector<std::string>& other_fingerprints() const { return other_fingerprints_; }

 private:
  BackupKeyRing(BlobStore& blobs, const StoreId& store_id, const Hash256& repository_hash)
      : blobs_(&blobs), store_id_(store_id), repository_hash_(repository_hash) {}

  // Seals the key for this repository and this master key.
  std::string SealKey(const MasterKey& master_key, const DatedBackupKey& key) const;
  // Adds the key of a key file; `path` was read as `sealed`.
  absl::Status AddFile(const std::string& path, const ParsedKeyFileName& name,
                       const SealingKey& wrap_key, absl::string_view sealed);

  BlobStore* blobs_;
  StoreId store_id_;
  Hash256 repository_hash_;
  KeyMap keys_;
  KeyMap::const_iterator current_;
  std::map<std::string, absl::Status> files_;
  std::map<KeyId, absl::Status> unopened_;
  std::vector<std::string> other_fingerprints_;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_REPOSITORY_BACKUP_KEY_RING_H_
