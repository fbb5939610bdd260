#ifndef HOLDFAST_COMMON_DATABASE_DATA_DIRECTORY_H_
#define HOLDFAST_COMMON_DATABASE_DATA_DIRECTORY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/id128.h"
#include "common/crypto/at_rest_cipher.h"
#include "common/crypto/hash.h"
#include "common/crypto/master_key.h"
#include "common/io/file_lock.h"
#include "holdfast/store/v1/data_directory.pb.h"

namespace rocksdb {
class Env;
}

namespace holdfast {

class OpenedDatabase;
struct DatabaseMetadata;

// What a salvage found, in a salvaged directory: JSON lines.
inline constexpr char kSalvageReportName[] = "salvage-report.jsonl";

// A data directory is what one store owns on its disk:
//
//   <data directory>/
//     state         DataDirectoryState; written last: without it the directory is not finished
//     lock          held by the process that has the directory open
//     keys/         <data key id>.1 and .2: sealed data keys, two copies, bound to the store id
//     db/           the database, encrypted at rest
//     checkpoints/  hard links of checkpoints that are held; emptied at start
//     instance/     instance files that a restore brought back; the store only reads them
//     last-backup   what the agent reported last
//     state.salvaged  in place of `state`: salvaged from a damaged backup, and not accepted yet
//     salvage-report.jsonl  what of it is proven, and what is not
//     unfinished    only while the directory is being made or restored, or since that was cut off
//     db-log-damaged  only while OpenDatabase recovers from a damaged log (database.h)
//
// README.md has the bytes.
//
// DataDirectory is one that this process has locked and whose keys it has opened.
//
//   HOLDFAST_ASSIGN_OR_RETURN(auto directory, DataDirectory::Open(path, master_key));
//   rocksdb::DB::Open(... with env = directory->env(), directory->database_path() ...);
//
// Thread-safe after construction. The lock is released when the object goes; it must outlive every
// database that uses its env().
class DataDirectory {
 public:
  // Makes the data directory of a new, empty store: folders, data key, database with its identity,
  // and last the state file. `path` may exist if it is empty (lost+found does not count).
  // ALREADY_EXISTS where it holds anything; nothing is ever overwritten. A creation that was cut is
  // recognised (it has the file `unfinished` and no state file) and begun afresh. ABORTED where
  // another process works on the directory.
  static absl::Status Create(const std::string& path, const MasterKey& master_key, absl::Time now);

  // What Create would refuse `path` for, told before anything is made.
  static absl::Status CheckTarget(const std::string& path);

  // Errors, each with its own words:
  //   NOT_FOUND            there is no such directory, or nothing in it
  //   FAILED_PRECONDITION  not finished: the state file is missing (an interrupted init or
  //   restore);
  //                        or salvaged from a damaged backup, and not accepted
  //   ABORTED              another process has it open; names its process id
  //   PERMISSION_DENIED    the master key is not the one that the data keys are sealed for; names
  //   both
  //                        fingerprints
  //   DATA_LOSS            both copies of a data key are damaged, or the state file is. One damaged
  //                        copy is replaced from the other, with a warning in the log
  //   UNIMPLEMENTED        made by a newer version
  static absl::StatusOr<std::unique_ptr<DataDirectory>> Open(const std::string& path,
                                                             const MasterKey& master_key);

  // Accepts a directory that was salvaged from a damaged backup, as it is: from then on it is one
  // like any other, that a store opens. Returns its state, also where it was accepted before.
  // NOT_FOUND where there is no directory; FAILED_PRECONDITION where it was not salvaged.
  static absl::StatusOr<store::v1::DataDirectoryState> AcceptSalvaged(const std::string& path);

  ~DataDirectory();

  const Id128& store_id() const { return store_id_; }
  const store::v1::DataDirectoryState& state() const { return state_; }
  const std::string& path() const { return path_; }
  std::string database_path() const;
  std::string checkpoints_path() const;
  std::string instance_path() const;

  // The encrypting environment for the database's files (and links to them in checkpoints/).
  rocksdb::Env* env() const { return env_.get(); }

  // The newest report, or NOT_FOUND.
  absl::StatusOr<store::v1::LastBackup> ReadLastBackup() const;
  absl::Status WriteLastBackup(const store::v1::LastBackup& last_backup) const;

 private:
  DataDirectory() = default;

  std::string path_;
  Id128 store_id_;
  store::v1::DataDirectoryState state_;
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<rocksdb::Env> env_;
};

// DataDirectoryRestore fills a data directory from a backup. Until Finish() returns OK a store
// refuses the directory.
//
//   Begin → CreateFile for each file (several threads may) → Finish.
//
// Thread-safe. When it goes without Finish, what was written is removed, and so are the directories
// that were made for it.
class DataDirectoryRestore {
 public:
  // Takes the lock, removes what an interrupted restore left (known by the file `unfinished`;
  // without it nothing is removed), makes a fresh data key for `master_key`, and makes
  // db.restoring-<random>. `path` is made if it is not there; it may be a mount point.
  // ALREADY_EXISTS where it holds anything else (lost+found does not count). ABORTED where another
  // process works on the directory.
  static absl::StatusOr<std::unique_ptr<DataDirectoryRestore>> Begin(const std::string& path,
                                                                     const MasterKey& master_key,
                                                                     const Id128& store_id,
                                                                     absl::Time now);
  virtual ~DataDirectoryRestore() = default;

  // What Begin would refuse `path` for, told before anything is made.
  static absl::Status CheckTarget(const std::string& path);

  // Writes one file: Append in order, then Close, which syncs. `name` is a database file's plain
  // name, or "instance/…" with `mode` (of which only the owner's bits are kept). INVALID_ARGUMENT
  // for other names, ALREADY_EXISTS for one that was given before. The writer must not outlive the
  // restore; Finish refuses (FAILED_PRECONDITION) while a file has not been closed.
  class FileWriter {
   public:
    virtual ~FileWriter() = default;
    virtual absl::Status Append(absl::Span<const uint8_t> bytes) = 0;
    virtual absl::Status Close() = 0;
  };
  virtual absl::StatusOr<std::unique_ptr<FileWriter>> CreateFile(const std::string& name,
                                                                 uint32_t mode) = 0;

  // What the database must turn out to hold.
  struct Expectation {
    std::string backup_id;
    Id128 incarnation;
    uint64_t revision = 0;
    uint64_t document_count = 0;
    Hash256 state_digest{};
    // The highest revision that any backup of the store is known to hold; see BeginIncarnation.
    uint64_t known_revision = 0;
  };
  struct Proof {
    uint64_t document_count = 0;
    Hash256 state_digest{};
    uint64_t revision = 0;  // the restored one, before the counter was raised
    Id128 new_incarnation;
  };
  // Opens the database, reads every document, compares count and state digest, begins a new
  // incarnation, raises the revision counter, and puts everything into its place; the state
  // file last. DATA_LOSS where anything differs: nothing is left that a store would open. An error
  // of `on_progress` ends it and is returned. Called once; after an error there is no second try.
  // `new_store_id`: for copies that live beside the original; nullptr keeps the store id.
  virtual absl::StatusOr<Proof> Finish(
      const Expectation& expectation, const Id128* new_store_id,
      const std::function<absl::Status(uint64_t documents_done)>& on_progress) = 0;

  // --- Where the backup is damaged: a salvage (README.md)
  //
  //   Begin → CreateFile for what is left → CreateDatabase, and writing to it → FinishSalvage.
  //
  // The files that are left are only read, and removed in the end; one that was created may stay
  // without Close. What is written to the new database is what a store will find.

  // Where CreateFile puts database files, and the environment to read them through.
  virtual rocksdb::Env* env() const = 0;
  virtual const std::string& files_path() const = 0;

  // Makes an empty database. Called once, then the database is the restore's until the end.
  virtual absl::StatusOr<OpenedDatabase*> CreateDatabase() = 0;

  // As Finish, for the database that was created: `metadata` is what the backup's was, but that its
  // digest is that of the documents that were written; `known_revision` as in Expectation. With
  // `salvage` the directory is marked as salvaged: nothing opens it until
  // DataDirectory::AcceptSalvaged; with nullptr it is finished.
  virtual absl::StatusOr<Proof> FinishSalvage(
      DatabaseMetadata metadata, uint64_t known_revision, const std::string& backup_id,
      const store::v1::Salvage* salvage, const Id128* new_store_id,
      const std::function<absl::Status(uint64_t documents_done)>& on_progress) = 0;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_DATABASE_DATA_DIRECTORY_H_
