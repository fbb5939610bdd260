#include "backup-agent/restore/restorer.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "backup-agent/restore/extent_reader.h"
#include "backup-agent/restore/fault_report.h"
#include "backup-agent/restore/restore_plan.h"
#include "backup-agent/restore/salvager.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/base/thread.h"
#include "common/database/data_directory.h"
#include "common/io/files.h"
#include "common/io/path.h"
#include "common/io/xxh3_stream.h"
#include "common/repository/layout.h"

namespace holdfast {

namespace {

using repository::v1::BackupSummary;
using repository::v1::FileEntry;
using repository::v1::FileList;

constexpr absl::string_view kInstancePrefix = "instance/";

// Enough to keep a disk and two processors busy; each has one object's buffers, whatever its size.
constexpr size_t kThreadsMax = 4;

// How many backups an error lists at most.
constexpr size_t kBackupsListedMax = 5;

// Restores the files of one backup, several at a time.
//
// Thread-safe inside; Run is called once.
class FileRestoration {
 public:
  FileRestoration(const StoreRepository& store, const FileList& files, DataDirectoryRestore& target,
                  const std::function<void(const RestoreProgress&)>& on_progress,
                  const RestoreProgress& initial_progress, const Cancellation& cancellation)
      : store_(store),
        files_(files),
        target_(target),
        on_progress_(on_progress),
        units_(PlanRestore(files)),
        stop_(cancellation),
        stopped_(stop_.token()),
        progress_(initial_progress) {}

  // The first error that any thread met; the others stop soon after it.
  absl::Status Run() {
    const size_t thread_count = std::min(kThreadsMax, units_.size());
    {
      std::vector<Thread> threads;
      threads.reserve(thread_count);
      for (size_t i = 0; i < thread_count; ++i) {
        threads.emplace_back("restore", [this] { Work(); });
      }
    }
    return stopped_.status();
  }

  RestoreProgress progress() const {
    MutexLock lock(&mutex_);
    return progress_;
  }

 private:
  void Work() {
    while (const RestoreUnit* unit = NextUnit()) {
      const absl::Status status = RestoreOneUnit(*unit);
      if (!status.ok()) {
        stop_.Cancel(status);
        return;
      }
    }
  }

  const RestoreUnit* NextUnit() {
    if (stopped_.IsCancelled()) return nullptr;
    MutexLock lock(&mutex_);
    return next_unit_ == units_.size() ? nullptr : &units_[next_unit_++];
  }

  absl::Status RestoreOneUnit(const RestoreUnit& unit) {
    ExtentReader reader(store_, files_);
    for (const FileEntry* file : unit.files) {
      HOLDFAST_RETURN_IF_ERROR(RestoreFile(*file, reader), absl::StrCat("restore ", file->name()));
    }
    if (unit.files.empty() || unit.files.back()->extents().empty()) return reader.Finish();
    return Explain(reader.Finish(), *unit.files.back()->extents().rbegin());
  }

  absl::Status RestoreFile(const FileEntry& file, ExtentReader& reader) {
    HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<DataDirectoryRestore::FileWriter> writer,
                              target_.CreateFile(file.name(), file.mode()));
    Xxh3Stream checksum;
    uint64_t size_bytes = 0;
    for (const repository::v1::Extent& extent : file.extents()) {
      // What goes wrong with the target is told apart from what goes wrong with the repository.
      absl::Status target_status;
      const absl::Status read = reader.Read(extent, [&](absl::Span<const uint8_t> piece) {
        HOLDFAST_RETURN_IF_ERROR(stopped_.status());
        checksum.Update(piece);
        size_bytes += piece.size();
        target_status = writer->Append(piece);
        if (target_status.ok()) AddProgress(0, piece.size());
        return target_status;
      });
      HOLDFAST_RETURN_IF_ERROR(target_status);
      if (!read.ok() && stopped_.IsCancelled()) return stopped_.status();
      HOLDFAST_RETURN_IF_ERROR(Explain(read, extent));
    }
    if (size_bytes != file.size_bytes()) {
      return absl::DataLossError(absl::StrCat("it has ", size_bytes, " bytes, and ",
                                              file.size_bytes(), " were backed up"));
    }
    if (checksum.Digest() != file.xxh3_128()) {
      return absl::DataLossError(
          "its checksum is not the one that was backed up, though the repository is whole: the "
          "backup was made of damaged data; restore an earlier one");
    }
    HOLDFAST_RETURN_IF_ERROR(writer->Close());
    AddProgress(1, 0);
    return absl::OkStatus();
  }

  absl::Status Explain(const absl::Status& status, const repository::v1::Extent& extent) const {
    if (status.ok()) return status;
    const std::string path = ObjectPath(
        store_.store_id(), files_.objects(static_cast<int>(extent.object_index())).name());
    return ExplainFault(store_, path, status);
  }

  void AddProgress(uint64_t files, uint64_t bytes) {
    MutexLock lock(&mutex_);
    progress_.files_done += files;
    progress_.bytes_done += bytes;
    if (on_progress_) on_progress_(progress_);
  }

  const StoreRepository& store_;
  const FileList& files_;
  DataDirectoryRestore& target_;
  const std::function<void(const RestoreProgress&)>& on_progress_;
  const std::vector<RestoreUnit> units_;
  CancellationSource stop_;
  const Cancellation stopped_;

  mutable Mutex mutex_;
  size_t next_unit_ ABSL_GUARDED_BY(mutex_) = 0;
  RestoreProgress progress_ ABSL_GUARDED_BY(mutex_);
};

// The newest backups, for messages: "A, B and 3 more".
std::string DescribeBackups(const BackupListing& listing) {
  if (listing.backups.empty()) return "there is none";
  std::vector<absl::string_view> ids;
  for (auto backup = listing.backups.rbegin();
       backup != listing.backups.rend() && ids.size() < kBackupsListedMax; ++backup) {
    ids.push_back(backup->summary.backup_id());
  }
  const size_t more = listing.backups.size() - ids.size();
  return absl::StrCat(ids.size() == 1 ? "there is " : "the newest are ", absl::StrJoin(ids, ", "),
                      more == 0 ? std::string() : absl::StrCat(" and ", more, " more"));
}

absl::Status ExplainManifestFault(const StoreRepository& store, const std::string& backup_id,
                                  const absl::Status& status) {
  const std::string path = BackupPath(store.store_id(), backup_id);
  return ExplainFault(store, path, Annotate(status, path));
}

// The latest backup by lineage. A manifest that can't be read may be that of the latest, unless a
// readable one comes after it in the chain; an older backup is never silently taken in its place.
absl::StatusOr<std::string> FindLatest(StoreRepository& store) {
  HOLDFAST_ASSIGN_OR_RETURN(const BackupListing listing, store.ListBackups(), "list the backups");
  for (const auto& [backup_id, status] : listing.damaged) {
    const bool has_successor = std::any_of(listing.backups.begin(), listing.backups.end(),
                                           [&id = backup_id](const ListedBackup& backup) {
                                             return backup.summary.previous_backup_id() == id;
                                           });
    if (has_successor) continue;
    return Annotate(ExplainManifestFault(store, backup_id, status),
                    absl::StrCat("the latest backup can't be told (", DescribeBackups(listing),
                                 "; name one to restore it)"));
  }
  if (listing.Latest() == nullptr) {
    return absl::NotFoundError(absl::StrCat("there is no backup of store ",
                                            store.store_id().ToText(), " at ",
                                            store.blobs().Describe()));
  }
  return listing.Latest()->summary.backup_id();
}

absl::StatusOr<StoreRepository::LoadedManifest> LoadNamedManifest(StoreRepository& store,
                                                                  const std::string& backup_id) {
  if (!IsBackupId(backup_id)) {
    return absl::NotFoundError(
        absl::StrCat("there is no backup '", backup_id,
                     "': the id of one looks like 20261122T183500.123Z-1f9a2b3c"));
  }
  absl::StatusOr<StoreRepository::LoadedManifest> loaded = store.LoadManifest(backup_id);
  if (loaded.ok()) return loaded;
  if (absl::IsNotFound(loaded.status())) {
    HOLDFAST_ASSIGN_OR_RETURN(const BackupListing listing, store.ListBackups(), "list the backups");
    return absl::NotFoundError(
        absl::StrCat("there is no backup ", backup_id, " of store ", store.store_id().ToText(),
                     " at ", store.blobs().Describe(), ": ", DescribeBackups(listing)));
  }
  return ExplainManifestFault(store, backup_id, loaded.status());
}

// Which backup the database must turn out to be.
absl::StatusOr<DataDirectoryRestore::Expectation> MakeExpectation(const BackupSummary& summary) {
  DataDirectoryRestore::Expectation expectation;
  expectation.backup_id = summary.backup_id();
  HOLDFAST_ASSIGN_OR_RETURN(expectation.incarnation, Id128::FromBytes(summary.incarnation()),
                            "read the incarnation in the manifest");
  expectation.revision = summary.revision();
  expectation.document_count = summary.document_count();
  if (summary.state_digest().size() != expectation.state_digest.size()) {
    return absl::DataLossError("the manifest has no state digest");
  }
  std::memcpy(expectation.state_digest.data(), summary.state_digest().data(),
              expectation.state_digest.size());
  return expectation;
}

absl::Status CheckSpace(const std::string& path, const FileList& files) {
  HOLDFAST_ASSIGN_OR_RETURN(const int64_t free_bytes, FreeSpaceBytes(path));
  const uint64_t needed_bytes = RestoreSpaceNeededBytes(files);
  if (static_cast<uint64_t>(std::max<int64_t>(free_bytes, 0)) >= needed_bytes) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(absl::StrCat(path, " has too little space: ", needed_bytes,
                                                   " bytes are needed and ", free_bytes,
                                                   " are free"));
}

}  // namespace

absl::StatusOr<StoreId> SelectStore(const Repository& repository,
                                    const std::optional<StoreId>& store_id) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<StoreId> stores, repository.ListStores(),
                            "list the stores");
  const std::string place = repository.blobs().Describe();
  if (stores.empty()) {
    return absl::NotFoundError(absl::StrCat("the repository at ", place, " holds no backup yet"));
  }
  const std::string list = absl::StrJoin(
      stores, ", ", [](std::string* out, const StoreId& id) { out->append(id.ToText()); });
  if (!store_id.has_value()) {
    if (stores.size() == 1) return stores.front();
    return absl::FailedPreconditionError(
        absl::StrCat("the repository at ", place, " has backups of ", stores.size(),
                     " stores; name one of them by its store id: ", list));
  }
  if (std::find(stores.begin(), stores.end(), *store_id) == stores.end()) {
    return absl::NotFoundError(absl::StrCat("the repository at ", place, " has no backup of store ",
                                            store_id->ToText(), "; it has those of ", list));
  }
  return *store_id;
}

Restorer::Restorer(const Id128& repository_id, std::unique_ptr<StoreRepository> store,
                   StoreRepository::LoadedManifest loaded, const MasterKey& master_key,
                   Clock& clock, RandomSource& random)
    : repository_id_(repository_id),
      store_(std::move(store)),
      manifest_(std::move(loaded.manifest)),
      manifest_hash_(loaded.sealed_hash),
      master_key_(master_key),
      clock_(clock),
      random_(random) {}

absl::StatusOr<std::unique_ptr<Restorer>> Restorer::Open(BlobStore& blobs,
                                                         const MasterKey& master_key,
                                                         const Selection& selection, Clock& clock,
                                                         RandomSource& random) {
  HOLDFAST_ASSIGN_OR_RETURN(const Repository repository, Repository::Open(blobs));
  HOLDFAST_ASSIGN_OR_RETURN(const StoreId store_id, SelectStore(repository, selection.store_id));
  HOLDFAST_ASSIGN_OR_RETURN(std::unique_ptr<StoreRepository> store,
                            repository.OpenStore(store_id, master_key));
  std::string backup_id = selection.backup_id;
  if (backup_id.empty()) {
    HOLDFAST_ASSIGN_OR_RETURN(backup_id, FindLatest(*store));
  }
  HOLDFAST_ASSIGN_OR_RETURN(StoreRepository::LoadedManifest loaded,
                            LoadNamedManifest(*store, backup_id));
  return std::unique_ptr<Restorer>(new Restorer(repository.repository_id(), std::move(store),
                                                std::move(loaded), master_key, clock, random));
}

std::vector<std::string> Restorer::InstanceFiles() const {
  std::vector<std::string> names;
  for (const FileEntry& file : manifest_.files.files()) {
    if (absl::StartsWith(file.name(), kInstancePrefix)) {
      names.emplace_back(absl::StripPrefix(file.name(), kInstancePrefix));
    }
  }
  return names;
}

absl::StatusOr<v1::Settings> Restorer::Settings() const {
  v1::Settings settings;
  const std::string& bytes = manifest_.files.agent_settings();
  if (bytes.empty() || !settings.ParseFromString(bytes)) {
    return absl::NotFoundError(absl::StrCat("backup ", summary().backup_id(),
                                            " does not tell how its store was backed up"));
  }
  return settings;
}

absl::Status Restorer::CheckTarget(const std::string& path) {
  std::error_code error;
  const std::filesystem::path canonical =
      std::filesystem::weakly_canonical(std::filesystem::absolute(path, error), error);
  if (error) return absl::InvalidArgumentError(absl::StrCat("'", path, "' is no path"));
  for (std::string folder = canonical.string();; folder = FolderOf(folder)) {
    const absl::StatusOr<bool> is_repository = FileExists(JoinPath(folder, kRepositoryFileName));
    if (is_repository.ok() && *is_repository) {
      return absl::FailedPreconditionError(absl::StrCat(path, " is inside the repository at ",
                                                        folder, ": choose a directory elsewhere"));
    }
    if (FolderOf(folder) == folder) break;
  }
  return DataDirectoryRestore::CheckTarget(path);
}

absl::StatusOr<RestoreResult> Restorer::RestoreTo(const std::string& path,
                                                  const RestoreOptions& options,
                                                  const Cancellation& cancellation) {
  const MonotonicTime start = clock_.MonotonicNow();
  HOLDFAST_RETURN_IF_ERROR(CheckTarget(path));
  HOLDFAST_ASSIGN_OR_RETURN(DataDirectoryRestore::Expectation expectation,
                            MakeExpectation(manifest_.summary));
  // Another restore of this backup may have gone on from here, and been backed up since.
  HOLDFAST_ASSIGN_OR_RETURN(expectation.known_revision, HighestListedRevision(*store_));
  RestoreResult result;
  result.store_id = options.as_new_store ? StoreId::Generate(random_) : store_->store_id();
  HOLDFAST_ASSIGN_OR_RETURN(
      const std::unique_ptr<DataDirectoryRestore> target,
      DataDirectoryRestore::Begin(path, master_key_, store_->store_id(), clock_.Now()));
  HOLDFAST_RETURN_IF_ERROR(CheckSpace(path, manifest_.files));

  RestoreProgress progress;
  progress.documents_total = manifest_.summary.document_count();
  progress.files_total = static_cast<uint64_t>(manifest_.files.files_size());
  for (const FileEntry& file : manifest_.files.files()) progress.bytes_total += file.size_bytes();
  result.instance_files = InstanceFiles();
  FileRestoration files(*store_, manifest_.files, *target, options.on_progress, progress,
                        cancellation);
  HOLDFAST_RETURN_IF_ERROR(files.Run());
  result.files_duration = clock_.MonotonicNow() - start;

  progress = files.progress();
  progress.phase = RestoreProgress::Phase::kDocuments;
  HOLDFAST_ASSIGN_OR_RETURN(
      const DataDirectoryRestore::Proof proof,
      target->Finish(expectation, options.as_new_store ? &result.store_id : nullptr,
                     [&](uint64_t documents_done) {
                       progress.documents_done = documents_done;
                       if (options.on_progress) options.on_progress(progress);
                       return cancellation.status();
                     }));
  result.new_incarnation = proof.new_incarnation;
  result.document_count = proof.document_count;
  result.state_digest = proof.state_digest;
  result.revision = proof.revision;
  result.file_count = progress.files_total;
  result.size_bytes = progress.bytes_total;
  result.duration = clock_.MonotonicNow() - start;
  return result;
}

absl::StatusOr<SalvageResult> Restorer::SalvageTo(const std::string& path,
                                                  const RestoreOptions& options,
                                                  const Cancellation& cancellation) {
  return Salvage(*store_, manifest_, master_key_, path, options, clock_, random_, cancellation);
}

}  // namespace holdfast
