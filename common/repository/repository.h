#ifndef HOLDFAST_COMMON_REPOSITORY_REPOSITORY_H_
#define HOLDFAST_COMMON_REPOSITORY_REPOSITORY_H_

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/crypto/hash.h"
#include "common/crypto/master_key.h"
#include "common/repository/backup_key_ring.h"
#include "common/repository/layout.h"
#include "common/repository/repository_file.h"
#include "common/repository/store_repository.h"
#include "common/storage/blob_store.h"

namespace holdfast {

// Repository is the format that backups have at one destination: it finds and makes holdfast.json
// and leads to the stores in it.
//
//   HOLDFAST_ASSIGN_OR_RETURN(Repository repository, Repository::Open(blobs));
//   HOLDFAST_ASSIGN_OR_RETURN(auto store, repository.OpenStore(store_id, master_key));
//   HOLDFAST_ASSIGN_OR_RETURN(BackupListing listing, store->ListBackups());
//
// Thread-safe. Does not take ownership of the BlobStore, which must outlive it and every
// StoreRepository that it made.
class Repository {
 public:
  // NOT_FOUND where there is neither holdfast.json nor its copy (a share that is not mounted, or no
  // repository yet); UNIMPLEMENTED for a version that is not known; DATA_LOSS where both are
  // damaged, or no such files.
  static absl::StatusOr<Repository> Open(BlobStore& blobs);

  // Makes a new one. ALREADY_EXISTS where there is one; FAILED_PRECONDITION where the place holds
  // other blobs.
  static absl::StatusOr<Repository> Create(BlobStore& blobs, absl::Time now);

  const Id128& repository_id() const { return repository_id_; }
  BlobStore& blobs() const { return *blobs_; }

  // The stores that have a folder here, sorted.
  absl::StatusOr<std::vector<StoreId>> ListStores() const;

  // Opens the backups of one store for reading. Reads its key files.
  // NOT_FOUND where the store has no folder here. PERMISSION_DENIED where no key file opens with
  // this master key; the message names the fingerprints that would. The errors of sealed files
  // otherwise.
  absl::StatusOr<std::unique_ptr<StoreRepository>> OpenStore(const StoreId& store_id,
                                                             const MasterKey& master_key) const;

  // The same for writing: makes the store's folder and its first backup key where there is none
  // yet. Where `backup_key` is given (that of another destination, so that sealed bytes are the
  // same at all of them), it is put here too unless it is here already, and becomes the current
  // one. FAILED_PRECONDITION where there are backups but no key file for this master key, or
  // another key of that id.
  absl::StatusOr<std::unique_ptr<StoreRepository>> OpenOrCreateStore(const StoreId& store_id,
                                                                     const MasterKey& master_key,
                                                                     const BackupKey* backup_key,
                                                                     absl::Time now) const;

  // Opens the store for who copies backups to here: makes the store's folder, and adds those of
  // `backup_keys` that are not here yet. The current key stays the current one, for they are dated
  // before it; where there is none yet they keep their dates. PERMISSION_DENIED where there are
  // backups, but no key file for this master key; otherwise as OpenOrCreateStore.
  absl::StatusOr<std::unique_ptr<StoreRepository>> OpenStoreWithKeys(
      const StoreId& store_id, const MasterKey& master_key,
      const std::vector<DatedBackupKey>& backup_keys) const;

  // Writes key files anew, for who repairs: those of `backup_keys` whose file here is damaged, and,
  // where `needed` says that something here was sealed with the key, those whose file is missing.
  // One that opens is never touched, and neither is one that was written for another holdfast.json:
  // that is no damage of the key file. DATA_LOSS where holdfast.json and its copy are whole and
  // differ.
  struct RepairedKeyFile {
    std::string path;
    absl::Status damage;  // what was wrong; NOT_FOUND where it was missing
  };
  absl::StatusOr<std::vector<RepairedKeyFile>> RepairKeyFiles(
      const StoreId& store_id, const MasterKey& master_key,
      const std::vector<DatedBackupKey>& backup_keys, const std::set<KeyId>& needed) const;

 private:
  Repository(BlobStore& blobs, const RepositoryFile& file)
      : blobs_(&blobs),
        repository_id_(file.repository_id),
        repository_hash_(Blake2b256({AsBytes(file.bytes)})) {}

  absl::StatusOr<BackupKeyRing> ReadKeys(const StoreId& store_id,
                                         const MasterKey& master_key) const;
  // REQUIRES: the current key was chosen.
  std::unique_ptr<StoreRepository> MakeStore(const StoreId& store_id, BackupKeyRing keys) const;

  BlobStore* blobs_;
  Id128 repository_id_;
  Hash256 repository_hash_;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_REPOSITORY_REPOSITORY_H_
