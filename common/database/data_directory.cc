#include "common/database/data_directory.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/database/at_rest_file_system.h"
#include "common/database/data_keys.h"
#include "common/database/database.h"
#include "common/database/database_metadata.h"
#include "common/database/database_verifier.h"
#include "common/database/rocksdb_status.h"
#include "common/io/durable_file.h"
#include "common/io/files.h"
#include "common/io/path.h"

namespace holdfast {

namespace {

// Part of the data directory's format; do not change.
constexpr uint32_t kFormatVersion = 1;
constexpr absl::string_view kStateName = "state";
constexpr absl::string_view kSalvagedStateName = "state.salvaged";
constexpr absl::string_view kLockName = "lock";
constexpr absl::string_view kKeysName = "keys";
constexpr absl::string_view kDatabaseName = "db";
constexpr absl::string_view kCheckpointsName = "checkpoints";
constexpr absl::string_view kInstanceName = "instance";
constexpr absl::string_view kLastBackupName = "last-backup";
constexpr absl::string_view kUnfinishedName = "unfinished";
constexpr absl::string_view kRestoringInfix = ".restoring-";
constexpr absl::string_view kSalvageSuffix = "-salvaged";
constexpr absl::string_view kStateMagic = "HFSTATE\n";
constexpr absl::string_view kLastBackupMagic = "HFBACKUP\n";

constexpr absl::string_view kLostAndFound = "lost+found";  // of the file system, in mount points
constexpr size_t kSmallFileSizeMaxBytes = 1 << 20;
constexpr size_t kInstanceNameSizeMaxBytes = 1024;
constexpr mode_t kOwnerPermissions = 0700;
constexpr uint64_t kRestoreSyncStepBytes = uint64_t{1} << 20;

// A small file of ours: magic, content, and BLAKE2b-128 of both.
absl::Status WriteFramedFile(const std::string& path, absl::string_view magic,
                             absl::string_view content, DurableFile::Existing existing) {
  const Hash128 hash = Blake2b128({AsBytes(magic), AsBytes(content)});
  return WriteFileDurably(path, absl::StrCat(magic, content, AsText(hash)),
                          {.mode = 0600, .existing = existing});
}

absl::StatusOr<std::string> ReadFramedFile(const std::string& path, absl::string_view magic) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kSmallFileSizeMaxBytes));
  const auto damaged = [&path](absl::string_view how) {
    return absl::DataLossError(absl::StrCat(path, " is damaged: ", how));
  };
  if (bytes.size() < magic.size() + sizeof(Hash128)) return damaged("it is cut short");
  if (!absl::StartsWith(bytes, magic)) return damaged("it begins with something else");
  const absl::string_view content =
      absl::string_view(bytes).substr(magic.size(), bytes.size() - magic.size() - sizeof(Hash128));
  const Hash128 hash = Blake2b128({AsBytes(magic), AsBytes(content)});
  if (!absl::EndsWith(bytes, AsText(hash))) return damaged("its checksum is wrong");
  return std::string(content);
}

absl::Status WriteState(const std::string& path, const store::v1::DataDirectoryState& state,
                        absl::string_view name = kStateName) {
  return WriteFramedFile(JoinPath(path, name), kStateMagic, state.SerializeAsString(),
                         DurableFile::Existing::kKeep);
}

absl::StatusOr<store::v1::DataDirectoryState> ReadState(const std::string& path,
                                                        absl::string_view name = kStateName) {
  const std::string file = JoinPath(path, name);
  HOLDFAST_ASSIGN_OR_RETURN(const std::string content, ReadFramedFile(file, kStateMagic));
  store::v1::DataDirectoryState state;
  if (!state.ParseFromString(content)) {
    return absl::DataLossError(absl::StrCat(file, " is damaged: its content makes no sense"));
  }
  if (state.format_version() > kFormatVersion) {
    return absl::UnimplementedError(
        absl::StrCat(path, " has format version ", state.format_version(),
                     ", made by a newer Holdfast, which is needed to open it"));
  }
  if (state.format_version() != kFormatVersion || !Id128::FromBytes(state.store_id()).ok() ||
      state.current_data_key_id().size() != sizeof(KeyId)) {
    return absl::DataLossError(absl::StrCat(file, " is damaged: its content makes no sense"));
  }
  return state;
}

absl::StatusOr<std::unique_ptr<FileLock>> LockDirectory(const std::string& path) {
  absl::StatusOr<std::unique_ptr<FileLock>> lock = FileLock::Acquire(JoinPath(path, kLockName));
  if (absl::IsFailedPrecondition(lock.status())) {
    return WithCode(Annotate(lock.status(), "the data directory is in use"),
                    absl::StatusCode::kAborted);
  }
  return lock;
}

// Names that may be in a directory that counts as empty.
bool IsHarmless(const DirectoryEntry& entry) {
  return (entry.name == kLostAndFound && entry.type == FileType::kDirectory) ||
         (entry.name == kLockName && entry.type == FileType::kRegular) ||
         (absl::StartsWith(entry.name, kTemporaryPrefix) && entry.type == FileType::kRegular);
}

// Names that a creation or a restore that was cut off may have left.
bool IsOfUnfinished(absl::string_view name) {
  return name == kUnfinishedName || name == kKeysName || name == kDatabaseName ||
         name == kCheckpointsName || name == kInstanceName || name == kSalvageReportName ||
         name == absl::StrCat(kDatabaseName, kLogDamagedSuffix) ||
         absl::StartsWith(name, absl::StrCat(kDatabaseName, kRestoringInfix)) ||
         absl::StartsWith(name, absl::StrCat(kInstanceName, kRestoringInfix));
}

// Removes all that an unfinished creation or restore wrote; what says that it is unfinished, last.
// REQUIRES: `path` has no state file, and has the file that says so, or had nothing before.
absl::Status RemoveUnfinished(const std::string& path) {
  HOLDFAST_ASSIGN_OR_RETURN(const auto entries, ListDirectory(path));
  for (const DirectoryEntry& entry : entries) {
    if (entry.name == kUnfinishedName || !IsOfUnfinished(entry.name)) continue;
    HOLDFAST_RETURN_IF_ERROR(RemoveTree(JoinPath(path, entry.name)));
  }
  HOLDFAST_RETURN_IF_ERROR(SyncDirectory(path));
  HOLDFAST_RETURN_IF_ERROR(RemoveTree(JoinPath(path, kUnfinishedName)));
  return SyncDirectory(path);
}

enum class Work { kCreation, kRestore };

constexpr absl::string_view WorkName(Work work) {
  return work == Work::kCreation ? "creation\n" : "restore\n";
}

// Makes sure that `path` holds nothing that matters. True where earlier work of this kind (or a
// creation) was left unfinished there. Changes nothing.
absl::StatusOr<bool> CheckClaimable(const std::string& path, Work work) {
  HOLDFAST_ASSIGN_OR_RETURN(const auto entries, ListDirectory(path));
  const auto has = [&entries](absl::string_view name) {
    return std::any_of(entries.begin(), entries.end(),
                       [name](const DirectoryEntry& entry) { return entry.name == name; });
  };
  if (has(kStateName)) {
    return absl::AlreadyExistsError(
        absl::StrCat(path, " holds the data of a store already; choose an empty directory"));
  }
  const bool is_unfinished = has(kUnfinishedName);
  for (const DirectoryEntry& entry : entries) {
    if (IsHarmless(entry) || (is_unfinished && IsOfUnfinished(entry.name))) continue;
    return absl::AlreadyExistsError(
        absl::StrCat(path, " is not empty: it holds ", entry.name, "; choose an empty directory"));
  }
  if (is_unfinished) {
    HOLDFAST_ASSIGN_OR_RETURN(const std::string left,
                              ReadFile(JoinPath(path, kUnfinishedName), kSmallFileSizeMaxBytes));
    if (work == Work::kCreation && left != WorkName(Work::kCreation)) {
      return absl::AlreadyExistsError(absl::StrCat(
          path, " holds an interrupted restore; restore again, or choose an empty directory"));
    }
  }
  return is_unfinished;
}

// The same before there is a lock, which would be a file in a directory of somebody else's.
absl::Status CheckTarget(const std::string& path, Work work) {
  const absl::Status status = CheckClaimable(path, work).status();
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

// Removes what earlier work left unfinished in `path`, and marks it as unfinished.
// REQUIRES: the directory is locked.
absl::Status ClaimDirectory(const std::string& path, Work work) {
  HOLDFAST_ASSIGN_OR_RETURN(const bool is_unfinished, CheckClaimable(path, work));
  if (is_unfinished) {
    LogInfo("removing what was left unfinished", {{"path", path}});
    HOLDFAST_RETURN_IF_ERROR(RemoveUnfinished(path));
  }
  return WriteFileDurably(JoinPath(path, kUnfinishedName), WorkName(work),
                          {.existing = DurableFile::Existing::kKeep});
}

// The directories that MakeDirectories(path) would make, the uppermost first.
absl::StatusOr<std::vector<std::string>> MissingDirectories(std::string path) {
  std::vector<std::string> missing;
  while (true) {
    HOLDFAST_ASSIGN_OR_RETURN(const bool exists, FileExists(path));
    if (exists) break;
    missing.push_back(path);
    const std::string folder = FolderOf(path);
    if (folder == path) break;
    path = folder;
  }
  std::reverse(missing.begin(), missing.end());
  return missing;
}

// Removes the lock of work that failed, and the directories that were made for it, unless something
// is in them. REQUIRES: the directory is locked.
void RemoveTraces(const std::string& path, const std::vector<std::string>& made_directories) {
  (void)RemoveFile(JoinPath(path, kLockName));
  for (auto made = made_directories.rbegin(); made != made_directories.rend(); ++made) {
    if (rmdir(made->c_str()) != 0) return;
  }
}

// The directory is finished: its state file is durable.
void RemoveUnfinishedMark(const std::string& path) {
  absl::Status status = RemoveTree(JoinPath(path, kUnfinishedName));
  if (status.ok()) status = SyncDirectory(path);
  if (!status.ok()) LogWarning("removing a file failed", {{"path", path}, {"error", status}});
}

std::unique_ptr<rocksdb::Env> MakeEnv(const std::map<KeyId, Key>& keys, const KeyId& current) {
  return NewAtRestEnv(std::make_shared<const AtRestKeyring>(keys, current));
}

std::unique_ptr<rocksdb::Env> MakeEnv(const DataKey& data_key) {
  std::map<KeyId, Key> keys;
  keys.emplace(data_key.id, data_key.key.Clone());
  return MakeEnv(keys, data_key.id);
}

store::v1::DataDirectoryState MakeState(const Id128& store_id, absl::Time now,
                                        const DataKey& data_key) {
  store::v1::DataDirectoryState state;
  state.set_format_version(kFormatVersion);
  state.set_store_id(store_id.ToByteString());
  state.set_create_time_us(absl::ToUnixMicros(now));
  state.set_current_data_key_id(data_key.id.data(), data_key.id.size());
  return state;
}

// Why nothing opens a salvaged directory that nobody has accepted.
absl::Status RefuseSalvaged(const std::string& path) {
  HOLDFAST_ASSIGN_OR_RETURN(const store::v1::DataDirectoryState state,
                            ReadState(path, kSalvagedStateName));
  const store::v1::Salvage& salvage = state.salvage();
  return absl::FailedPreconditionError(absl::StrCat(
      path, " was salvaged from the damaged backup ", state.restored_from_backup_id(), ": of ",
      salvage.document_count(), " documents ", salvage.proven_count(), " are proven, and ",
      salvage.unproven_count(), " more are here that are not; ", JoinPath(path, kSalvageReportName),
      " tells which. Nothing opens it before somebody accepts that: holdfast restore "
      "--accept-salvaged --to ",
      path));
}

// In a table too, so that no damage of a log takes the identity along.
absl::Status WriteMetadata(OpenedDatabase& database, const DatabaseMetadata& metadata) {
  rocksdb::WriteBatch batch;
  HOLDFAST_RETURN_IF_ERROR(PutIdentity(metadata.identity, batch));
  HOLDFAST_RETURN_IF_ERROR(PutHead(metadata.head, batch));
  rocksdb::WriteOptions synced;
  synced.sync = true;
  HOLDFAST_RETURN_IF_ERROR(
      StatusFromRocksDb(database.db().Write(synced, &batch), "write the identity"));
  return database.Flush();
}

}  // namespace

// --- DataDirectory ---------------------------------------------------------------------------

absl::Status DataDirectory::CheckTarget(const std::string& path) {
  return holdfast::CheckTarget(path, Work::kCreation);
}

absl::Status DataDirectory::Create(const std::string& path, const MasterKey& master_key,
                                   absl::Time now) {
  HOLDFAST_RETURN_IF_ERROR(CheckTarget(path));
  HOLDFAST_RETURN_IF_ERROR(MakeDirectories(path));
  HOLDFAST_ASSIGN_OR_RETURN(const auto lock, LockDirectory(path));
  HOLDFAST_RETURN_IF_ERROR(ClaimDirectory(path, Work::kCreation));

  const Id128 store_id = Id128::Generate();
  const DataKey data_key = GenerateDataKey();
  HOLDFAST_RETURN_IF_ERROR(
      WriteDataKey(JoinPath(path, kKeysName), master_key, store_id, data_key, now));
  for (const absl::string_view name : {kDatabaseName, kCheckpointsName, kInstanceName}) {
    HOLDFAST_RETURN_IF_ERROR(MakeDirectories(JoinPath(path, name)));
  }
  const std::unique_ptr<rocksdb::Env> env = MakeEnv(data_key);
  HOLDFAST_ASSIGN_OR_RETURN(
      const auto database,
      OpenDatabase(env.get(), JoinPath(path, kDatabaseName), OpenMode::kCreate));
  HOLDFAST_RETURN_IF_ERROR(WriteMetadata(*database, MakeMetadata(store_id, now)));
  HOLDFAST_RETURN_IF_ERROR(database->Close());

  HOLDFAST_RETURN_IF_ERROR(WriteState(path, MakeState(store_id, now, data_key)));
  RemoveUnfinishedMark(path);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<DataDirectory>> DataDirectory::Open(const std::string& path,
                                                                   const MasterKey& master_key) {
  const auto nothing_there = [&path] {
    return absl::NotFoundError(absl::StrCat("there is no data of a store in ", path,
                                            "; make it with 'holdfast init' or restore it"));
  };
  const absl::StatusOr<std::vector<DirectoryEntry>> entries = ListDirectory(path);
  if (absl::IsNotFound(entries.status())) return nothing_there();
  HOLDFAST_RETURN_IF_ERROR(entries.status());
  if (std::all_of(entries->begin(), entries->end(), IsHarmless)) return nothing_there();
  HOLDFAST_ASSIGN_OR_RETURN(const bool has_state, FileExists(JoinPath(path, kStateName)));
  if (!has_state) {
    HOLDFAST_ASSIGN_OR_RETURN(const bool is_salvaged,
                              FileExists(JoinPath(path, kSalvagedStateName)));
    if (is_salvaged) return RefuseSalvaged(path);
    HOLDFAST_ASSIGN_OR_RETURN(const bool is_known, FileExists(JoinPath(path, kUnfinishedName)));
    return absl::FailedPreconditionError(
        is_known
            ? absl::StrCat(path,
                           " is not finished: an init or a restore of it was interrupted,"
                           " or is under way; run it again")
            : absl::StrCat(path, " is not a finished data directory: its state file is missing"));
  }

  auto directory = std::unique_ptr<DataDirectory>(new DataDirectory());
  directory->path_ = path;
  HOLDFAST_ASSIGN_OR_RETURN(directory->lock_, LockDirectory(path));
  HOLDFAST_ASSIGN_OR_RETURN(directory->state_, ReadState(path));
  HOLDFAST_ASSIGN_OR_RETURN(directory->store_id_, Id128::FromBytes(directory->state_.store_id()));
  if (directory->state_.has_salvage()) {
    const store::v1::Salvage& salvage = directory->state_.salvage();
    LogWarning("these data were salvaged from a damaged backup, and accepted",
               {{"path", path},
                {"backup_id", directory->state_.restored_from_backup_id()},
                {"document_count", salvage.document_count()},
                {"proven_count", salvage.proven_count()},
                {"unproven_count", salvage.unproven_count()}});
  }
  RemoveUnfinishedMark(path);

  KeyId current;
  std::copy_n(directory->state_.current_data_key_id().begin(), current.size(), current.begin());
  absl::StatusOr<std::map<KeyId, Key>> keys =
      ReadDataKeys(JoinPath(path, kKeysName), master_key, directory->store_id_);
  if (absl::IsNotFound(keys.status())) {
    return absl::DataLossError(absl::StrCat(keys.status().message(), ": the keys are gone"));
  }
  HOLDFAST_RETURN_IF_ERROR(keys.status(), absl::StrCat("open the data keys of ", path));
  if (!keys->contains(current)) {
    return absl::DataLossError(absl::StrCat(
        "open the data keys of ", path, ": both copies of the data key ", Id128(current).ToText(),
        " are missing: without it the database cannot be read; restore the "
        "newest backup"));
  }
  directory->env_ = MakeEnv(*keys, current);

  HOLDFAST_ASSIGN_OR_RETURN(const bool has_database, FileExists(directory->database_path()));
  if (!has_database) {
    return absl::DataLossError(absl::StrCat(directory->database_path(), " is missing"));
  }
  // Checkpoints do not outlive the process that held them.
  HOLDFAST_RETURN_IF_ERROR(RemoveTree(directory->checkpoints_path()));
  HOLDFAST_RETURN_IF_ERROR(MakeDirectories(directory->checkpoints_path()));
  HOLDFAST_RETURN_IF_ERROR(MakeDirectories(directory->instance_path()));
  return directory;
}

absl::StatusOr<store::v1::DataDirectoryState> DataDirectory::AcceptSalvaged(
    const std::string& path) {
  HOLDFAST_ASSIGN_OR_RETURN(const bool exists, FileExists(path));
  if (!exists) return absl::NotFoundError(absl::StrCat("there is no ", path));
  const std::string marked = JoinPath(path, kSalvagedStateName);
  HOLDFAST_ASSIGN_OR_RETURN(const bool is_marked, FileExists(marked));
  const absl::Status refusal = absl::FailedPreconditionError(
      absl::StrCat(path, " was not salvaged from a damaged backup: there is nothing to accept"));
  if (!is_marked) {
    HOLDFAST_ASSIGN_OR_RETURN(const bool has_state, FileExists(JoinPath(path, kStateName)));
    if (!has_state) return refusal;
    HOLDFAST_ASSIGN_OR_RETURN(store::v1::DataDirectoryState state, ReadState(path));
    if (!state.has_salvage()) return refusal;
    return state;
  }
  HOLDFAST_ASSIGN_OR_RETURN(const auto lock, LockDirectory(path));
  HOLDFAST_ASSIGN_OR_RETURN(store::v1::DataDirectoryState state,
                            ReadState(path, kSalvagedStateName));
  HOLDFAST_RETURN_IF_ERROR(RenameDurably(marked, JoinPath(path, kStateName)));
  return state;
}

DataDirectory::~DataDirectory() = default;

std::string DataDirectory::database_path() const { return JoinPath(path_, kDatabaseName); }
std::string DataDirectory::checkpoints_path() const { return JoinPath(path_, kCheckpointsName); }
std::string DataDirectory::instance_path() const { return JoinPath(path_, kInstanceName); }

absl::StatusOr<store::v1::LastBackup> DataDirectory::ReadLastBackup() const {
  const std::string file = JoinPath(path_, kLastBackupName);
  HOLDFAST_ASSIGN_OR_RETURN(const std::string content, ReadFramedFile(file, kLastBackupMagic));
  store::v1::LastBackup last_backup;
  if (!last_backup.ParseFromString(content)) {
    return absl::DataLossError(absl::StrCat(file, " is damaged: its content makes no sense"));
  }
  return last_backup;
}

absl::Status DataDirectory::WriteLastBackup(const store::v1::LastBackup& last_backup) const {
  return WriteFramedFile(JoinPath(path_, kLastBackupName), kLastBackupMagic,
                         last_backup.SerializeAsString(), DurableFile::Existing::kReplace);
}

// --- DataDirectoryRestore --------------------------------------------------------------------

namespace {

constexpr size_t kFileNumberDigitsMin = 6;
constexpr size_t kFileNumberDigitsMax = 20;

bool IsFileNumber(absl::string_view text) {
  return text.size() >= kFileNumberDigitsMin && text.size() <= kFileNumberDigitsMax &&
         std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

bool IsDatabaseFileName(absl::string_view name) {
  if (name == "CURRENT") return true;
  for (const absl::string_view prefix : {"MANIFEST-", "OPTIONS-"}) {
    if (absl::ConsumePrefix(&name, prefix)) return IsFileNumber(name);
  }
  for (const absl::string_view suffix : {".sst", ".ldb", ".blob", ".log"}) {
    if (absl::ConsumeSuffix(&name, suffix)) return IsFileNumber(name);
  }
  return false;
}

// `path` is the name without "instance/".
bool IsInstancePath(absl::string_view path) {
  if (path.size() > kInstanceNameSizeMaxBytes) return false;
  const auto is_bad = [](char c) { return absl::ascii_iscntrl(c) || c == '\\'; };
  if (std::any_of(path.begin(), path.end(), is_bad)) return false;
  const std::vector<absl::string_view> parts = absl::StrSplit(path, '/');
  return std::all_of(parts.begin(), parts.end(), IsPlainName);
}

class RestoreImpl : public DataDirectoryRestore {
 public:
  RestoreImpl(std::string path, std::vector<std::string> made_directories,
              std::unique_ptr<FileLock> lock, MasterKey master_key, const Id128& store_id,
              absl::Time now)
      : path_(std::move(path)),
        made_directories_(std::move(made_directories)),
        store_id_(store_id),
        now_(now),
        master_key_(std::move(master_key)),
        data_key_(GenerateDataKey()),
        env_(MakeEnv(data_key_)),
        database_path_(JoinPath(path_, absl::StrCat(kDatabaseName, suffix_))),
        instance_path_(JoinPath(path_, absl::StrCat(kInstanceName, suffix_))),
        salvage_path_(JoinPath(path_, absl::StrCat(kDatabaseName, suffix_, kSalvageSuffix))),
        lock_(std::move(lock)) {}

  ~RestoreImpl() override {
    if (is_finished_) return;
    salvage_.reset();
    const absl::Status removed = RemoveUnfinished(path_);
    if (!removed.ok()) {
      LogWarning("removing an unfinished restore failed; the next one will",
                 {{"path", path_}, {"error", removed}});
      return;
    }
    RemoveTraces(path_, made_directories_);
  }

  absl::Status Prepare() {
    HOLDFAST_RETURN_IF_ERROR(
        WriteDataKey(JoinPath(path_, kKeysName), master_key_, store_id_, data_key_, now_));
    HOLDFAST_RETURN_IF_ERROR(MakeDirectories(database_path_));
    return MakeDirectories(instance_path_);
  }

  absl::StatusOr<std::unique_ptr<FileWriter>> CreateFile(const std::string& name,
                                                         uint32_t mode) override {
    absl::string_view instance_path = name;
    const bool is_instance = absl::ConsumePrefix(&instance_path, absl::StrCat(kInstanceName, "/"));
    if (is_instance ? !IsInstancePath(instance_path) : !IsDatabaseFileName(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", absl::CHexEscape(name.substr(0, kInstanceNameSizeMaxBytes)),
                       "\" is no name of a file of a backup"));
    }
    {
      MutexLock lock(&mutex_);
      if (is_finishing_) return absl::FailedPreconditionError("the restore has ended");
      if (!names_.insert(name).second) {
        return absl::AlreadyExistsError(absl::StrCat(name, " is there twice"));
      }
      open_names_.insert(name);
    }
    return is_instance ? CreateInstanceFile(name, std::string(instance_path), mode)
                       : CreateDatabaseFile(name);
  }

  absl::StatusOr<Proof> Finish(
      const Expectation& expectation, const Id128* new_store_id,
      const std::function<absl::Status(uint64_t documents_done)>& on_progress) override {
    {
      MutexLock lock(&mutex_);
      if (is_finishing_) return absl::FailedPreconditionError("the restore has ended");
      is_finishing_ = true;
      if (!open_names_.empty()) {
        return absl::FailedPreconditionError(
            absl::StrCat("the file ", *open_names_.begin(), " was not written to its end"));
      }
    }
    HOLDFAST_RETURN_IF_ERROR(SyncDirectory(database_path_));
    const Id128 store_id = new_store_id == nullptr ? store_id_ : *new_store_id;
    HOLDFAST_ASSIGN_OR_RETURN(const Proof proof, ProveDatabase(expectation, store_id, on_progress));
    HOLDFAST_RETURN_IF_ERROR(
        PutIntoPlace(database_path_, store_id, expectation.backup_id, /*salvage=*/nullptr));
    return proof;
  }

  // --- Salvage

  rocksdb::Env* env() const override { return env_.get(); }
  const std::string& files_path() const override { return database_path_; }

  absl::StatusOr<OpenedDatabase*> CreateDatabase() override {
    HOLDFAST_RETURN_IF_ERROR(MakeDirectories(salvage_path_));
    HOLDFAST_ASSIGN_OR_RETURN(salvage_, OpenDatabase(env_.get(), salvage_path_, OpenMode::kCreate));
    return salvage_.get();
  }

  absl::StatusOr<Proof> FinishSalvage(
      DatabaseMetadata metadata, uint64_t known_revision, const std::string& backup_id,
      const store::v1::Salvage* salvage, const Id128* new_store_id,
      const std::function<absl::Status(uint64_t documents_done)>& on_progress) override {
    {
      MutexLock lock(&mutex_);
      if (is_finishing_) return absl::FailedPreconditionError("the restore has ended");
      is_finishing_ = true;
    }
    HOLDFAST_RETURN_IF_ERROR(salvage_->Flush());
    HOLDFAST_RETURN_IF_ERROR(VerifyDocuments(*salvage_, metadata, on_progress));
    const Id128 store_id = new_store_id == nullptr ? store_id_ : *new_store_id;
    HOLDFAST_ASSIGN_OR_RETURN(const Proof proof,
                              BeginHistory(*salvage_, metadata, store_id, known_revision));
    HOLDFAST_RETURN_IF_ERROR(salvage_->Close());
    salvage_.reset();
    HOLDFAST_RETURN_IF_ERROR(SyncDirectory(salvage_path_));
    HOLDFAST_RETURN_IF_ERROR(RemoveTree(database_path_));
    HOLDFAST_RETURN_IF_ERROR(PutIntoPlace(salvage_path_, store_id, backup_id, salvage));
    return proof;
  }

 private:
  class DatabaseFileWriter : public FileWriter {
   public:
    DatabaseFileWriter(RestoreImpl& restore, std::string name,
                       std::unique_ptr<rocksdb::WritableFile> file)
        : restore_(restore), name_(std::move(name)), file_(std::move(file)) {}

    absl::Status Append(absl::Span<const uint8_t> bytes) override {
      return StatusFromRocksDb(
          file_->Append({reinterpret_cast<const char*>(bytes.data()), bytes.size()}),
          absl::StrCat("write ", name_));
    }
    absl::Status Close() override {
      const std::string context = absl::StrCat("write ", name_);
      HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(file_->Sync(), context));
      HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(file_->Close(), context));
      restore_.Closed(name_);
      return absl::OkStatus();
    }

   private:
    RestoreImpl& restore_;
    const std::string name_;
    const std::unique_ptr<rocksdb::WritableFile> file_;
  };

  class InstanceFileWriter : public FileWriter {
   public:
    InstanceFileWriter(RestoreImpl& restore, std::string name, std::unique_ptr<DurableFile> file)
        : restore_(restore), name_(std::move(name)), file_(std::move(file)) {}

    absl::Status Append(absl::Span<const uint8_t> bytes) override { return file_->Append(bytes); }
    absl::Status Close() override {
      HOLDFAST_RETURN_IF_ERROR(file_->Commit());
      restore_.Closed(name_);
      return absl::OkStatus();
    }

   private:
    RestoreImpl& restore_;
    const std::string name_;
    const std::unique_ptr<DurableFile> file_;
  };

  absl::StatusOr<std::unique_ptr<FileWriter>> CreateDatabaseFile(const std::string& name) {
    rocksdb::EnvOptions options;
    options.bytes_per_sync = kRestoreSyncStepBytes;
    std::unique_ptr<rocksdb::WritableFile> file;
    HOLDFAST_RETURN_IF_ERROR(
        StatusFromRocksDb(env_->NewWritableFile(JoinPath(database_path_, name), &file, options),
                          absl::StrCat("create ", name)));
    return std::make_unique<DatabaseFileWriter>(*this, name, std::move(file));
  }

  absl::StatusOr<std::unique_ptr<FileWriter>> CreateInstanceFile(const std::string& name,
                                                                 const std::string& relative_path,
                                                                 uint32_t mode) {
    const std::string path = JoinPath(instance_path_, relative_path);
    HOLDFAST_RETURN_IF_ERROR(MakeDirectories(FolderOf(path)));
    HOLDFAST_ASSIGN_OR_RETURN(auto file,
                              DurableFile::Create(path, {.mode = mode & kOwnerPermissions}));
    return std::make_unique<InstanceFileWriter>(*this, name, std::move(file));
  }

  void Closed(const std::string& name) {
    MutexLock lock(&mutex_);
    open_names_.erase(name);
  }

  // Opens the database, proves it, makes it one of a new incarnation, and closes it.
  absl::StatusOr<Proof> ProveDatabase(
      const Expectation& expectation, const Id128& store_id,
      const std::function<absl::Status(uint64_t documents_done)>& on_progress) {
    auto opened = OpenDatabase(env_.get(), database_path_, OpenMode::kRestore);
    if (absl::IsInvalidArgument(opened.status()) || absl::IsNotFound(opened.status())) {
      // What RocksDB calls so is a file that is missing or is not what it should be.
      return WithCode(opened.status(), absl::StatusCode::kDataLoss);
    }
    HOLDFAST_RETURN_IF_ERROR(opened.status());
    OpenedDatabase& database = **opened;
    HOLDFAST_ASSIGN_OR_RETURN(DatabaseMetadata metadata, ReadMetadata(database.db()));
    HOLDFAST_RETURN_IF_ERROR(CompareIdentity(metadata, expectation));
    HOLDFAST_RETURN_IF_ERROR(VerifyDocuments(database, metadata, on_progress));

    HOLDFAST_ASSIGN_OR_RETURN(
        Proof proof, BeginHistory(database, metadata, store_id, expectation.known_revision));
    HOLDFAST_RETURN_IF_ERROR(database.Close());
    return proof;
  }

  // Makes a database that was proven one of a new incarnation.
  static absl::StatusOr<Proof> BeginHistory(OpenedDatabase& database, DatabaseMetadata& metadata,
                                            const Id128& store_id, uint64_t known_revision) {
    Proof proof;
    proof.document_count = metadata.digest.document_count();
    proof.state_digest = metadata.digest.Digest(metadata.DigestKey());
    proof.revision = metadata.head.revision();
    HOLDFAST_RETURN_IF_ERROR(BeginIncarnation(metadata, known_revision));
    metadata.identity.set_store_id(store_id.ToByteString());
    HOLDFAST_RETURN_IF_ERROR(WriteMetadata(database, metadata));
    proof.new_incarnation = metadata.incarnation();
    return proof;
  }

  // The last steps: everything gets its name, and the state file comes last.
  absl::Status PutIntoPlace(const std::string& database_path, const Id128& store_id,
                            const std::string& backup_id, const store::v1::Salvage* salvage) {
    if (store_id != store_id_) {
      HOLDFAST_RETURN_IF_ERROR(
          WriteDataKey(JoinPath(path_, kKeysName), master_key_, store_id, data_key_, now_));
    }
    HOLDFAST_RETURN_IF_ERROR(RenameDurably(database_path, JoinPath(path_, kDatabaseName)));
    HOLDFAST_RETURN_IF_ERROR(RenameDurably(instance_path_, JoinPath(path_, kInstanceName)));
    HOLDFAST_RETURN_IF_ERROR(MakeDirectories(JoinPath(path_, kCheckpointsName)));
    store::v1::DataDirectoryState state = MakeState(store_id, now_, data_key_);
    state.set_restored_from_backup_id(backup_id);
    if (salvage != nullptr) *state.mutable_salvage() = *salvage;
    HOLDFAST_RETURN_IF_ERROR(
        WriteState(path_, state, salvage == nullptr ? kStateName : kSalvagedStateName));
    is_finished_ = true;
    RemoveUnfinishedMark(path_);
    lock_.reset();
    return absl::OkStatus();
  }

  absl::Status CompareIdentity(const DatabaseMetadata& metadata,
                               const Expectation& expectation) const {
    const auto differs = [](absl::string_view what, auto is, auto should) {
      return absl::DataLossError(absl::StrCat("the restored database is not what was backed up: ",
                                              what, " is ", is, ", and should be ", should));
    };
    if (metadata.store_id() != store_id_) {
      return differs("its store id", metadata.store_id().ToText(), store_id_.ToText());
    }
    if (metadata.incarnation() != expectation.incarnation) {
      return differs("its incarnation", metadata.incarnation().ToText(),
                     expectation.incarnation.ToText());
    }
    if (metadata.head.revision() != expectation.revision) {
      return differs("its revision", metadata.head.revision(), expectation.revision);
    }
    if (metadata.digest.document_count() != expectation.document_count) {
      return differs("its count of documents", metadata.digest.document_count(),
                     expectation.document_count);
    }
    const Hash256 digest = metadata.digest.Digest(metadata.DigestKey());
    if (digest != expectation.state_digest) {
      return differs("its state digest", absl::BytesToHexString(AsText(digest)),
                     absl::BytesToHexString(AsText(expectation.state_digest)));
    }
    return absl::OkStatus();
  }

  const std::string suffix_ = absl::StrCat(kRestoringInfix, SystemRandom().Hex(4));
  const std::string path_;
  const std::vector<std::string> made_directories_;
  const Id128 store_id_;  // of the backup
  const absl::Time now_;
  const MasterKey master_key_;
  const DataKey data_key_;
  const std::unique_ptr<rocksdb::Env> env_;
  const std::string database_path_;
  const std::string instance_path_;
  const std::string salvage_path_;
  bool is_finished_ = false;

  Mutex mutex_;
  bool is_finishing_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<std::string> names_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> open_names_ ABSL_GUARDED_BY(mutex_);

  std::unique_ptr<OpenedDatabase> salvage_;  // the database that a salvage makes

  std::unique_ptr<FileLock> lock_;
};

}  // namespace

absl::Status DataDirectoryRestore::CheckTarget(const std::string& path) {
  return holdfast::CheckTarget(path, Work::kRestore);
}

absl::StatusOr<std::unique_ptr<DataDirectoryRestore>> DataDirectoryRestore::Begin(
    const std::string& path, const MasterKey& master_key, const Id128& store_id, absl::Time now) {
  HOLDFAST_RETURN_IF_ERROR(CheckTarget(path));
  HOLDFAST_ASSIGN_OR_RETURN(std::vector<std::string> made_directories, MissingDirectories(path));
  HOLDFAST_RETURN_IF_ERROR(MakeDirectories(path));
  HOLDFAST_ASSIGN_OR_RETURN(auto lock, LockDirectory(path));
  HOLDFAST_RETURN_IF_ERROR(ClaimDirectory(path, Work::kRestore));
  auto restore = std::make_unique<RestoreImpl>(path, std::move(made_directories), std::move(lock),
                                               master_key.Clone(), store_id, now);
  HOLDFAST_RETURN_IF_ERROR(restore->Prepare());
  return restore;
}

}  // namespace holdfast
