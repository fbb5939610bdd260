#include "common/database/database.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/exit_code.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/database/database_metadata.h"
#include "common/database/document_record.h"
#include "common/database/log_scan.h"
#include "common/database/rocksdb_status.h"
#include "common/io/durable_file.h"
#include "common/io/files.h"
#include "common/io/path.h"
#include "rocksdb/convenience.h"
#include "rocksdb/env.h"

namespace holdfast {

namespace {

constexpr char kRocksDbIdentity[] = "IDENTITY";
constexpr char kLogArchive[] = "archive";  // RocksDB's, in the database's folder

// Makes the loss of a damaged log final: revisions that were given and lost are never given again.
// Flushes, so that RocksDB lets go of the log; it would be found damaged again.
absl::Status BeginIncarnationAfterDamage(OpenedDatabase& database, RecoveryReport& report) {
  rocksdb::DB& db = database.db();
  HOLDFAST_ASSIGN_OR_RETURN(DatabaseMetadata metadata, ReadMetadata(db));
  report.is_log_damaged = true;
  report.lost_from_revision = metadata.head.revision() + 1;
  HOLDFAST_RETURN_IF_ERROR(BeginIncarnation(metadata, /*known_revision=*/0));
  rocksdb::WriteBatch batch;
  HOLDFAST_RETURN_IF_ERROR(PutIdentity(metadata.identity, batch));
  HOLDFAST_RETURN_IF_ERROR(PutHead(metadata.head, batch));
  rocksdb::WriteOptions synced;
  synced.sync = true;
  HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(db.Write(synced, &batch), "begin a new incarnation"));
  // The log is put away when deletions are allowed again, and not some time later by a thread of
  // RocksDB's.
  HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(db.DisableFileDeletions(), "keep files"));
  const absl::Status flushed = database.Flush();
  HOLDFAST_RETURN_IF_ERROR(
      StatusFromRocksDb(db.EnableFileDeletions(/*force=*/false), "put the damaged log away"));
  return flushed;
}

// RocksDB keeps old logs for a while, and reads the first batch of each whenever it lists its
// files: one that cannot be read would be in the way of every checkpoint.
void RemoveUnreadableLogs(const std::string& path, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const absl::Status removed = RemoveFile(JoinPath(JoinPath(path, kLogArchive), name));
    if (removed.ok())
      LogInfo("removed a log that nobody can read", {{"path", path}, {"log", name}});
  }
}

// RocksDB makes this file anew where there is none, has no use for it here, and ends the process
// (an assert) where it cannot be opened.
absl::Status RemoveDamagedIdentity(rocksdb::Env& env, const std::string& path) {
  const std::string file = JoinPath(path, kRocksDbIdentity);
  std::string content;
  const rocksdb::Status read = rocksdb::ReadFileToString(&env, file, &content);
  if (read.IsNotFound() || read.IsPathNotFound()) return absl::OkStatus();
  if (!read.IsCorruption()) return StatusFromRocksDb(read, absl::StrCat("read ", file));
  LogWarning("a damaged file of no importance is made anew",
             {{"path", file}, {"found", read.ToString()}});
  return RemoveFile(file);
}

// What it means that a database which was made before does not open. RocksDB tells a file that is
// gone and one that may not be read as it tells a mistake of the caller and a busy disk.
absl::Status ExplainServing(const absl::Status& status) {
  const absl::string_view message = status.message();
  if (absl::IsUnavailable(status) && (absl::StrContains(message, "Permission denied") ||
                                      absl::StrContains(message, "Operation not permitted"))) {
    return MarkDeniedBySystem(WithCode(status, absl::StatusCode::kPermissionDenied));
  }
  if (!absl::IsDataLoss(status) && !absl::IsNotFound(status) && !absl::IsInvalidArgument(status)) {
    return status;
  }
  return absl::DataLossError(
      absl::StrCat(message,
                   "; the database is damaged: bring the newest backup back by `holdfast restore`, "
                   "into an empty directory"));
}

// What is known of the logs before RocksDB touches them.
struct LogFindings {
  bool is_damaged = false;
  // As in LogScan; zero where it is not known, and where it is known that writes are lost.
  uint64_t sequence_behind = 0;
  // As in LogScan.
  std::string lost_log;
  std::vector<std::string> unreadable_logs;
  std::string message;
};

// The note that a damaged log is being recovered from: what was found, then what decides, when the
// log itself is no longer there, whether anything was lost.
constexpr absl::string_view kSequenceBehindLabel = "\nsequence behind: ";
constexpr size_t kNoteSizeMaxBytes = 64 << 10;

std::string NotePath(const std::string& path) { return absl::StrCat(path, kLogDamagedSuffix); }

absl::Status WriteNote(const std::string& path, const LogFindings& findings) {
  return WriteFileDurably(
      NotePath(path),
      absl::StrCat(findings.message, kSequenceBehindLabel, findings.sequence_behind, "\n"),
      {.existing = DurableFile::Existing::kReplace});
}

absl::Status RemoveNote(const std::string& path) {
  HOLDFAST_RETURN_IF_ERROR(RemoveFile(NotePath(path)));
  return SyncDirectory(FolderOf(path));
}

// Adds what an earlier opening, which was cut off, had noted. Where it did not note a sequence
// number it knew that writes were lost.
absl::Status AddNote(const std::string& path, LogFindings& findings) {
  const absl::StatusOr<std::string> note = ReadFile(NotePath(path), kNoteSizeMaxBytes);
  if (absl::IsNotFound(note.status())) return absl::OkStatus();
  HOLDFAST_RETURN_IF_ERROR(note.status());
  uint64_t noted_sequence = 0;
  const size_t label = note->rfind(std::string(kSequenceBehindLabel));
  if (label == std::string::npos ||
      !absl::SimpleAtoi(note->substr(label + kSequenceBehindLabel.size()), &noted_sequence)) {
    noted_sequence = 0;
  }
  const bool is_known =
      noted_sequence > 0 && (!findings.is_damaged || findings.sequence_behind > 0);
  findings.sequence_behind = is_known ? std::max(noted_sequence, findings.sequence_behind) : 0;
  findings.is_damaged = true;
  findings.message = "the write-ahead log was found damaged when the database was last opened";
  return absl::OkStatus();
}

absl::StatusOr<LogFindings> InspectLogs(rocksdb::Env& env, const std::string& path, OpenMode mode) {
  HOLDFAST_ASSIGN_OR_RETURN(const LogScan scan, ScanLogs(env, path));
  LogFindings findings;
  findings.lost_log = scan.lost_log;
  findings.unreadable_logs = scan.unreadable_logs;
  if (scan.is_damaged) {
    findings.is_damaged = true;
    findings.sequence_behind = scan.lost_log.empty() ? scan.sequence_behind : 0;
    findings.message = absl::StrCat("the write-ahead log ", scan.damaged_log,
                                    " is damaged from byte ", scan.damage_offset, " on");
  } else if (!scan.lost_log.empty()) {
    findings.message =
        absl::StrCat("the write-ahead log ", scan.lost_log,
                     " is damaged from its first byte on: nothing in it can be read");
  } else if (scan.log_count == 0 && mode == OpenMode::kServe) {
    // A backup may hold none; a database that was ever opened has one.
    findings.is_damaged = true;
    findings.message = absl::StrCat("the write-ahead log is gone: there is no *.log in ", path);
  } else if (scan.torn_size_bytes > 0) {
    findings.message = absl::StrCat(
        "dropped the last ", scan.torn_size_bytes, " bytes of ", scan.torn_log,
        ", which cannot be read: after a crash a write that was cut short and never acknowledged; "
        "without one, the disk lost the last write");
  }
  HOLDFAST_RETURN_IF_ERROR(AddNote(path, findings));
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
  rocksdb::ColumnFamilyOptions family_options = MakeColumnFamilyOptions(limits);
  // What was restored is proven as it is; whoever serves it may compact it.
  family_options.disable_auto_compactions = mode == OpenMode::kRestore;
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
  const auto explain = [&](const absl::Status& status) {
    return mode == OpenMode::kServe ? ExplainServing(status) : status;
  };

  LogFindings findings;
  if (mode != OpenMode::kCreate) {
    HOLDFAST_RETURN_IF_ERROR(explain(RemoveDamagedIdentity(*env, path)), context);
    absl::StatusOr<LogFindings> inspected = InspectLogs(*env, path, mode);
    HOLDFAST_RETURN_IF_ERROR(explain(inspected.status()), context);
    findings = *std::move(inspected);
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
  if (findings.is_damaged) {
    HOLDFAST_RETURN_IF_ERROR(WriteNote(path, findings), context);
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
      // then the second try says the same. A log that is lost it only says so of if it needs it.
      if (findings.message.empty() || !findings.lost_log.empty()) {
        if (findings.message.empty()) {
          findings.message = absl::StrCat("the write-ahead log is damaged: ", status.ToString());
        }
        findings.is_damaged = true;
        HOLDFAST_RETURN_IF_ERROR(WriteNote(path, findings), context);
      }
      open(rocksdb::WALRecoveryMode::kPointInTimeRecovery);
      if (status.IsCorruption() && findings.is_damaged) RemoveNote(path).IgnoreError();
    }
  }
  HOLDFAST_RETURN_IF_ERROR(explain(StatusFromRocksDb(status, context)));
  opened->metadata_ = handles[0];
  opened->documents_ = handles[1];
  const bool is_behind = findings.sequence_behind > 0 &&
                         opened->db().GetLatestSequenceNumber() >= findings.sequence_behind;
  if (is_behind || (!findings.is_damaged && !findings.lost_log.empty())) {
    LogWarning("a damaged log was no longer needed; nothing is lost",
               {{"path", path}, {"found", findings.message}});
    if (findings.is_damaged) HOLDFAST_RETURN_IF_ERROR(RemoveNote(path), context);
    RemoveUnreadableLogs(path, findings.unreadable_logs);
    return opened;
  }
  opened->recovery_.message = findings.message;
  if (findings.is_damaged) {
    HOLDFAST_RETURN_IF_ERROR(BeginIncarnationAfterDamage(*opened, opened->recovery_), context);
    HOLDFAST_RETURN_IF_ERROR(RemoveNote(path), context);
    LogError("acknowledged writes are lost: the write-ahead log was damaged",
             {{"path", path},
              {"found", findings.message},
              {"lost_from_revision", opened->recovery_.lost_from_revision}});
  } else if (!findings.message.empty()) {
    LogWarning("the write-ahead log ended in bytes that cannot be read",
               {{"path", path}, {"found", findings.message}});
  }
  RemoveUnreadableLogs(path, findings.unreadable_logs);
  return opened;
}

}  // namespace holdfast
