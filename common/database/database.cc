#include "common/database/database.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/database/database_metadata.h"
#include "common/database/document_record.h"
#include "common/database/log_scan.h"
#include "common/database/rocksdb_status.h"
#include "common/io/durable_file.h"
#include "common/io/files.h"
#include "common/io/path.h"
#include "rocksdb/convenience.h"

namespace holdfast {

namespace {

// Makes the loss of a damaged log final: revisions that were given and lost are never given again.
absl::Status BeginIncarnationAfterDamage(rocksdb::DB& db, RecoveryReport& report) {
  HOLDFAST_ASSIGN_OR_RETURN(DatabaseMetadata metadata, ReadMetadata(db));
  report.is_log_damaged = true;
  report.lost_from_revision = metadata.head.revision() + 1;
  HOLDFAST_RETURN_IF_ERROR(BeginIncarnation(metadata, /*known_revision=*/0));
  rocksdb::WriteBatch batch;
  HOLDFAST_RETURN_IF_ERROR(PutIdentity(metadata.identity, batch));
  HOLDFAST_RETURN_IF_ERROR(PutHead(metadata.head, batch));
  rocksdb::WriteOptions synced;
  synced.sync = true;
  return StatusFromRocksDb(db.Write(synced, &batch), "begin a new incarnation");
}

// What is known of the logs before RocksDB touches them.
struct LogFindings {
  bool is_damaged = false;
  uint64_t sequence_behind = 0;  // as in LogScan; zero where it is not known
  std::string message;
};

absl::StatusOr<LogFindings> InspectLogs(rocksdb::Env& env, const std::string& path) {
  HOLDFAST_ASSIGN_OR_RETURN(const LogScan scan, ScanLogs(env, path));
  LogFindings findings;
  if (scan.is_damaged) {
    findings.is_damaged = true;
    findings.sequence_behind = scan.sequence_behind;
    findings.message = absl::StrCat("the write-ahead log ", scan.damaged_log,
                                    " is damaged from byte ", scan.damage_offset, " on");
  } else if (scan.torn_size_bytes > 0) {
    findings.message =
        absl::StrCat("dropped the last ", scan.torn_size_bytes, " bytes of ", scan.torn_log,
                     ", a write that was cut short and never acknowledged");
  }
  HOLDFAST_ASSIGN_OR_RETURN(const bool was_damaged,
                            FileExists(absl::StrCat(path, kLogDamagedSuffix)));
  if (was_damaged) {
    findings.is_damaged = true;
    findings.sequence_behind = 0;
    findings.message = "the write-ahead log was found damaged when the database was last opened";
  }
  return findings;
}

}  // namespace

OpenedDatabase::~OpenedDatabase() {
  if (db_ == nullptr) return;
  const absl::Status closed = Close();
  if (!closed.ok()) LogWarning("closing the database failed", {{"error", closed}});
}

absl::Status OpenedDatabase::Flush() {
  return StatusFromRocksDb(db_->Flush(rocksdb::FlushOptions(), {metadata_, documents_}),
                           "flush the database");
}

absl::Status OpenedDatabase::Close() {
  // No sync of the log: every write of ours was synced when it was made, and after a write that
  // failed RocksDB must not be asked (it asserts that nobody does).
  rocksdb::CancelAllBackgroundWork(db_.get(), /*wait=*/true);
  for (rocksdb::ColumnFamilyHandle* family : {metadata_, documents_}) {
    if (family != nullptr) db_->DestroyColumnFamilyHandle(family).PermitUncheckedError();
  }
  absl::Status closed = StatusFromRocksDb(db_->Close(), "close the database");
  db_.reset();
  return closed;
}

absl::StatusOr<std::unique_ptr<OpenedDatabase>> OpenDatabase(
    rocksdb::Env* env, const std::string& path, OpenMode mode, const DatabaseLimits& limits,
    std::shared_ptr<rocksdb::EventListener> listener) {
  rocksdb::DBOptions options = MakeDatabaseOptions(env, limits);
  const rocksdb::ColumnFamilyOptions family_options = MakeColumnFamilyOptions(limits);
  const std::vector<rocksdb::ColumnFamilyDescriptor> families = {
      {rocksdb::kDefaultColumnFamilyName, family_options}, {kDocumentsFamily, family_options}};
  if (listener != nullptr) options.listeners.push_back(std::move(listener));
  options.create_if_missing = mode == OpenMode::kCreate;
  options.create_missing_column_families = mode == OpenMode::kCreate;
  options.error_if_exists = mode == OpenMode::kCreate;
  if (mode == OpenMode::kRestore) {
    options.WAL_ttl_seconds = 0;
    options.WAL_size_limit_MB = 0;
  }
  const std::string context = absl::StrCat("open the database ", path);
  const std::string damage_note = absl::StrCat(path, kLogDamagedSuffix);

  LogFindings findings;
  if (mode != OpenMode::kCreate) {
    HOLDFAST_ASSIGN_OR_RETURN(findings, InspectLogs(*env, path), context);
    if (mode == OpenMode::kRestore && !findings.message.empty()) {
      return absl::DataLossError(absl::StrCat(context, ": ", findings.message));
    }
  }

  auto opened = std::unique_ptr<OpenedDatabase>(new OpenedDatabase());
  rocksdb::Status status;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  const auto open = [&](rocksdb::WALRecoveryMode recovery_mode) {
    options.wal_recovery_mode = recovery_mode;
    rocksdb::DB* db = nullptr;
    status = rocksdb::DB::Open(options, path, families, &handles, &db);
    opened->db_.reset(db);
  };
  const auto note_damage = [&]() -> absl::Status {
    return WriteFileDurably(damage_note, absl::StrCat(findings.message, "\n"),
                            {.existing = DurableFile::Existing::kReplace});
  };
  if (findings.is_damaged) {
    HOLDFAST_RETURN_IF_ERROR(note_damage(), context);
    open(rocksdb::WALRecoveryMode::kPointInTimeRecovery);
  } else {
    // To RocksDB the noise of a torn tail may be Corruption, which it would log as an error.
    const rocksdb::InfoLogLevel log_level = options.info_log->GetInfoLogLevel();
    if (!findings.message.empty()) {
      options.info_log->SetInfoLogLevel(rocksdb::InfoLogLevel::FATAL_LEVEL);
    }
    open(rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords);
    options.info_log->SetInfoLogLevel(log_level);
    if (status.IsCorruption() && mode == OpenMode::kServe) {
      // What else than a torn tail it says so of is hardly the log's, which was looked at above;
      // then the second try says the same.
      if (findings.message.empty()) {
        findings.message = absl::StrCat("the write-ahead log is damaged: ", status.ToString());
        findings.is_damaged = true;
        HOLDFAST_RETURN_IF_ERROR(note_damage(), context);
      }
      open(rocksdb::WALRecoveryMode::kPointInTimeRecovery);
      if (status.IsCorruption()) RemoveFile(damage_note).IgnoreError();
    }
  }
  HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(status, context));
  opened->metadata_ = handles[0];
  opened->documents_ = handles[1];
  if (findings.sequence_behind > 0 &&
      opened->db().GetLatestSequenceNumber() >= findings.sequence_behind) {
    LogWarning("a damaged log was no longer needed; nothing is lost",
               {{"path", path}, {"found", findings.message}});
    HOLDFAST_RETURN_IF_ERROR(RemoveFile(damage_note), context);
    return opened;
  }
  opened->recovery_.message = findings.message;
  if (findings.is_damaged) {
    HOLDFAST_RETURN_IF_ERROR(BeginIncarnationAfterDamage(opened->db(), opened->recovery_), context);
    HOLDFAST_RETURN_IF_ERROR(RemoveFile(damage_note), context);
    HOLDFAST_RETURN_IF_ERROR(SyncDirectory(FolderOf(path)), context);
    LogError("acknowledged writes are lost: the write-ahead log was damaged",
             {{"path", path},
              {"found", findings.message},
              {"lost_from_revision", opened->recovery_.lost_from_revision}});
  } else if (!findings.message.empty()) {
    LogWarning("the write-ahead log ended in a torn write",
               {{"path", path}, {"found", findings.message}});
  }
  return opened;
}

}  // namespace holdfast
