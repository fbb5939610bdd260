#ifndef HOLDFAST_BACKUP_AGENT_RESTORE_RESTORER_H_
#define HOLDFAST_BACKUP_AGENT_RESTORE_RESTORER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/crypto/hash.h"
#include "common/crypto/master_key.h"
#include "common/repository/repository.h"
#include "common/storage/blob_store.h"
#include "holdfast/agent/v1/salvage.pb.h"
#include "holdfast/v1/backup_agent.pb.h"

namespace holdfast {

// How far a restore is.
struct RestoreProgress {
  enum class Phase {
    kFiles,      // writing the files, each verified as it is written
    kDocuments,  // proving every document
  };
  Phase phase = Phase::kFiles;
  uint64_t files_done = 0;
  uint64_t files_total = 0;
  uint64_t bytes_done = 0;
  uint64_t bytes_total = 0;
  uint64_t documents_done = 0;
  uint64_t documents_total = 0;
};

// What a restore has proven.
struct RestoreResult {
  StoreId store_id;  // a new one for a copy (RestoreOptions::as_new_store)
  Id128 new_incarnation;
  uint64_t document_count = 0;
  Hash256 state_digest{};
  uint64_t revision = 0;  // of the backup; the next write's is above that of every backup by 2^40
  uint64_t file_count = 0;
  uint64_t size_bytes = 0;
  // Names below instance/ that were put there, in order.
  std::vector<std::string> instance_files;
  absl::Duration files_duration;  // until all files were there and verified
  absl::Duration duration;        // until all documents were proven, too
};

// What a salvage brought back.
struct SalvageResult {
  StoreId store_id;  // a new one for a copy (RestoreOptions::as_new_store)
  Id128 new_incarnation;
  uint64_t revision = 0;  // of the backup
  // How much is proven and how much is lost; whether all is proven, so that nobody need accept it.
  agent::v1::SalvageSummary summary;
  // Proven ones, and others that were found.
  uint64_t documents_brought_back = 0;
  // Of those collections that are not proven whole.
  std::vector<agent::v1::SalvagedCollection> collections;
  // Each with what is wrong with it.
  std::vector<std::string> damaged_files;
  // Names below instance/ that were put there, in order.
  std::vector<std::string> instance_files;
  absl::Duration duration;
};

struct RestoreOptions {
  // Whether to make a copy with a store id of its own, to live beside the original.
  bool as_new_store = false;
  // Called by one thread at a time, often; may be empty. It must be quick.
  std::function<void(const RestoreProgress&)> on_progress = nullptr;
};

// Restorer brings a store back: one backup at a destination and the master key become a data
// directory. It needs no service, and only reads at the destination.
//
//   HOLDFAST_ASSIGN_OR_RETURN(auto restorer, Restorer::Open(blobs, master_key, {}));
//   … show restorer->summary() …
//   HOLDFAST_ASSIGN_OR_RETURN(RestoreResult result, restorer->RestoreTo(path, {}, cancellation));
//
// Not thread-safe. Does not take ownership; `blobs`, `master_key`, `clock` and `random` must
// outlive it.
//
// Errors: each names the file of the repository that it is about. Faults are told apart:
//   NOT_FOUND            no repository, store or backup of that name
//   PERMISSION_DENIED    the master key is another one
//   DATA_LOSS            a file of the repository is missing, cut short, damaged, renamed or
//   swapped,
//                        or what it holds is not what was backed up
//   UNIMPLEMENTED        a newer version of Holdfast is needed
//   FAILED_PRECONDITION  the repository has several stores and none was named; or the latest backup
//                        can't be told; the message lists what there is
//   ALREADY_EXISTS       the target holds something
//   RESOURCE_EXHAUSTED   the target has too little space
// After any of them, and when cancelled, there is nothing that a store would open.
class Restorer {
 public:
  // What to restore.
  struct Selection {
    // Needed where the repository has several stores.
    std::optional<StoreId> store_id = std::nullopt;
    // The latest by lineage where empty.
    std::string backup_id = "";
  };

  // Finds the backup and opens its manifest, which proves the key. Touches nothing.
  static absl::StatusOr<std::unique_ptr<Restorer>> Open(BlobStore& blobs,
                                                        const MasterKey& master_key,
                                                        const Selection& selection,
                                                        Clock& clock = SystemClock(),
                                                        RandomSource& random = SystemRandom());

  // What the backup says about itself.
  const repository::v1::BackupSummary& summary() const { return manifest_.summary; }

  // The BLAKE2b-256 of the sealed manifest, and the repository that it lies in.
  const Hash256& manifest_hash() const { return manifest_hash_; }
  const Id128& repository_id() const { return repository_id_; }

  // The names below instance/ of the instance files in it, in order.
  std::vector<std::string> InstanceFiles() const;

  // How the store was backed up then. NOT_FOUND where the backup does not tell.
  absl::StatusOr<v1::Settings> Settings() const;

  // What RestoreTo would refuse `path` for, told before anything is made: ALREADY_EXISTS where it
  // holds something, FAILED_PRECONDITION where it lies inside a repository.
  static absl::Status CheckTarget(const std::string& path);

  // Restores into `path`, which is made if it is not there, and is refused unless it is empty.
  absl::StatusOr<RestoreResult> RestoreTo(const std::string& path, const RestoreOptions& options,
                                          const Cancellation& cancellation);

  // Of a backup that is damaged: brings what is whole into `path`, says of each document that is
  // found whether it is proven to be what the store had at the backup's revision, and how many are
  // lost, and lists in salvage-report.jsonl there what is not proven. No store opens `path` until
  // somebody has accepted that (DataDirectory::AcceptSalvaged), unless all turns out to be proven.
  // Errors are as above, but that damage is none.
  absl::StatusOr<SalvageResult> SalvageTo(const std::string& path, const RestoreOptions& options,
                                          const Cancellation& cancellation);

 private:
  Restorer(const Id128& repository_id, std::unique_ptr<StoreRepository> store,
           StoreRepository::LoadedManifest loaded, const MasterKey& master_key, Clock& clock,
           RandomSource& random);

  const Id128 repository_id_;
  const std::unique_ptr<StoreRepository> store_;
  const Manifest manifest_;
  const Hash256 manifest_hash_;
  const MasterKey& master_key_;
  Clock& clock_;
  RandomSource& random_;
};

// The store to work on in a repository: the one named, or the only one. NOT_FOUND where it is not
// there or there is none; FAILED_PRECONDITION where there are several and none was named. Both list
// the stores that there are.
absl::StatusOr<StoreId> SelectStore(const Repository& repository,
                                    const std::optional<StoreId>& store_id);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_RESTORE_RESTORER_H_
