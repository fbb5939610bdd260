#ifndef HOLDFAST_COMMON_DATABASE_DATABASE_H_
#define HOLDFAST_COMMON_DATABASE_DATABASE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/database/database_options.h"
#include "rocksdb/db.h"
#include "rocksdb/listener.h"

namespace holdfast {

enum class OpenMode {
  kCreate,   // a new database; INVALID_ARGUMENT where there is one
  kServe,    // one that exists, to be read and written
  kRestore,  // one that was just restored: any fault of its log is an error, no log is archived
};

// What opening found in the write-ahead log.
struct RecoveryReport {
  // Acknowledged writes are gone: those from this revision on. The database began a new
  // incarnation, so that their revisions are not given again.
  bool is_log_damaged = false;
  uint64_t lost_from_revision = 0;
  // What was found where, in words; empty where all was well.
  std::string message;
};

// An OpenedDatabase is a RocksDB database that is open, with its two column families.
//
//   HOLDFAST_ASSIGN_OR_RETURN(auto database,
//                             OpenDatabase(directory.env(), directory.database_path(), mode));
//   database->db().Get(options, database->documents(), key, &value);
//
// Thread-safe, as RocksDB is. REQUIRES: no iterator or snapshot is left when it is destroyed.
class OpenedDatabase {
 public:
  // As Close; what it says goes to the log.
  ~OpenedDatabase();
  OpenedDatabase(const OpenedDatabase&) = delete;
  OpenedDatabase& operator=(const OpenedDatabase&) = delete;

  rocksdb::DB& db() const { return *db_; }
  // RocksDB's default column family: identity, head, collections (database_metadata.h).
  rocksdb::ColumnFamilyHandle* metadata() const { return metadata_; }
  // The documents (document_record.h).
  rocksdb::ColumnFamilyHandle* documents() const { return documents_; }

  const RecoveryReport& recovery() const { return recovery_; }

  // Writes all that is only in memory and in the log to tables, of both column families at once.
  absl::Status Flush();

  // Waits for background work and closes. Only once; then no other method may be
  // called.
  absl::Status Close();

 private:
  friend absl::StatusOr<std::unique_ptr<OpenedDatabase>> OpenDatabase(
      rocksdb::Env* env, const std::string& path, OpenMode mode, const DatabaseLimits& limits,
      std::shared_ptr<rocksdb::EventListener> listener);
  OpenedDatabase() = default;

  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::ColumnFamilyHandle* metadata_ = nullptr;
  rocksdb::ColumnFamilyHandle* documents_ = nullptr;
  RecoveryReport recovery_;
};

// Opens a database. A log that was torn by a crash is no error: the write in it was never
// acknowledged. A damaged log (see log_scan.h) loses what lies behind the damage; kServe opens all
// the same, logs an error, tells what is gone in recovery(), and begins a new incarnation. Until
// that is durable `<path>-log-damaged` exists, so that a crash in between does not make it
// forgotten.
//
// Does not take ownership; *env must outlive the result. `listener`, if any, hears of RocksDB's
// background errors.
//
// Errors: those of StatusFromRocksDb; with kServe DATA_LOSS where the database is damaged or lacks
// a file (the message says what to do), and PERMISSION_DENIED, marked as the system's, where a file
// may not be read.
absl::StatusOr<std::unique_ptr<OpenedDatabase>> OpenDatabase(
    rocksdb::Env* env, const std::string& path, OpenMode mode, const DatabaseLimits& limits = {},
    std::shared_ptr<rocksdb::EventListener> listener = nullptr);

// The name beside the database that says that a damaged log is being recovered from.
inline constexpr char kLogDamagedSuffix[] = "-log-damaged";

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_DATABASE_DATABASE_H_
