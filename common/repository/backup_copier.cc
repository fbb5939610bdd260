#include "common/repository/backup_copier.h"

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/base/thread.h"
#include "common/repository/copied_objects.h"
#include "common/repository/layout.h"
#include "common/repository/sealed_object.h"

namespace holdfast {

namespace {

using repository::v1::ObjectEntry;
using Result = CopiedBackup::Result;

// A number of the repository format (FORMAT.md, "Order of writing"); do not change.
constexpr absl::Duration kJobDurationMax = absl::Hours(48);

// How often a backup is begun afresh because backups whose objects it uses were deleted meanwhile.
constexpr int kAttemptsMax = 3;

// One job. Steps of its own thread alone, but for CopyObjects, whose threads are marked.
class CopyJob {
 public:
  CopyJob(StoreRepository& source, const Repository& target, const MasterKey& master_key,
          const CopyOptions& options, Clock& clock, const Cancellation& cancellation)
      : source_(source),
        target_repository_(target),
        master_key_(master_key),
        options_(options),
        clock_(clock),
        cancellation_(cancellation) {}

  CopyReport Run() {
    report_.status = Steps();
    for (CopiedBackup& backup : report_.backups) {
      // Those that the job did not come to.
      if (backup.result == Result::kFailed && backup.status.ok()) backup.status = report_.status;
    }
    return std::move(report_);
  }

 private:
  absl::Status Steps() {
    HOLDFAST_RETURN_IF_ERROR(ChooseBackups());
    HOLDFAST_RETURN_IF_ERROR(FindManifestsAtTarget());
    for (CopiedBackup& backup : report_.backups) {
      if (backup.status.ok()) HOLDFAST_RETURN_IF_ERROR(Scan(backup));
    }
    const bool is_any_left =
        std::any_of(report_.backups.begin(), report_.backups.end(),
                    [](const CopiedBackup& backup) { return backup.status.ok(); });
    if (!is_any_left) return absl::OkStatus();
    HOLDFAST_RETURN_IF_ERROR(OpenTarget());
    HOLDFAST_RETURN_IF_ERROR(CountWhatIsToDo());
    for (CopiedBackup& backup : report_.backups) {
      HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
      if (backup.status.ok()) {
        backup.status = CopyOne(backup);
        if (backup.status.ok()) {
          HOLDFAST_RETURN_IF_ERROR(CopyMarksAfterwards(backup));
        } else {
          HOLDFAST_RETURN_IF_ERROR(JobStatus());
          HOLDFAST_RETURN_IF_ERROR(ExplainFailure(backup));
        }
      }
      MutexLock lock(&mutex_);
      ++progress_.backups_done;
      TellProgress();
    }
    return absl::OkStatus();
  }

  // --- What is to be copied ------------------------------------------------------------------

  absl::Status ChooseBackups() {
    HOLDFAST_ASSIGN_OR_RETURN(const BackupListing listing, source_.ListBackups(),
                              absl::StrCat("list the backups at ", SourceName()));
    const absl::flat_hash_set<std::string> asked(options_.backup_ids.begin(),
                                                 options_.backup_ids.end());
    absl::flat_hash_set<std::string> found;
    const auto is_wanted = [&](const std::string& backup_id) {
      return (asked.empty() || asked.contains(backup_id)) && found.insert(backup_id).second;
    };
    for (const ListedBackup& backup : listing.backups) {
      const std::string& backup_id = backup.summary.backup_id();
      if (!is_wanted(backup_id)) continue;
      Add(backup_id, absl::OkStatus());
      manifest_sizes_[backup_id] = backup.sealed_manifest_size_bytes;
    }
    for (const auto& [backup_id, status] : listing.damaged) {
      if (is_wanted(backup_id)) Add(backup_id, status);
    }
    for (const std::string& backup_id : options_.backup_ids) {
      if (!is_wanted(backup_id)) continue;
      Add(backup_id, listing.deleted.contains(backup_id)
                         ? DeletedAtSourceError()
                         : absl::NotFoundError(absl::StrCat("there is none at ", SourceName())));
    }
    MutexLock lock(&mutex_);
    progress_.backups_total = report_.backups.size();
    return absl::OkStatus();
  }

  // What seems to be there by its name need not be read here. Whether it is there is found out when
  // its turn comes.
  absl::Status FindManifestsAtTarget() {
    const std::string prefix = absl::StrCat(BackupsPath(source_.store_id()), "/");
    absl::Status listed =
        target_repository_.blobs().List(BackupsPath(source_.store_id()), [&](const BlobInfo& info) {
          manifests_there_.insert(std::string(absl::StripPrefix(info.name, prefix)));
          return cancellation_.status();
        });
    return Annotate(listed, absl::StrCat("list the backups at ", TargetName()));
  }

  void Add(const std::string& backup_id, absl::Status status) {
    CopiedBackup& backup = report_.backups.emplace_back();
    backup.backup_id = backup_id;
    backup.status = std::move(status);
  }

  absl::Status DeletedAtSourceError() const {
    return absl::FailedPreconditionError(absl::StrCat("it is deleted at ", SourceName()));
  }

  // Finds out which objects and which keys the backup needs.
  absl::Status Scan(CopiedBackup& backup) {
    HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
    if (manifests_there_.contains(backup.backup_id)) return ScanKeyAlone(backup);
    const absl::StatusOr<StoreRepository::LoadedManifest> loaded = LoadFromSource(backup.backup_id);
    if (!loaded.ok()) {
      backup.status = loaded.status();
      return ExplainFailure(backup);
    }
    for (const ObjectEntry& entry : loaded->manifest.files.objects()) {
      Needed& needed = needed_[entry.name()];
      needed.sealed_size_bytes = entry.sealed_size_bytes();
      const absl::StatusOr<Id128> key_id = Id128::FromBytes(entry.key_id());
      if (key_id.ok()) key_ids_.insert(key_id->bytes());
    }
    const absl::StatusOr<std::vector<std::string>> marks = source_.MarksToCopy(backup.backup_id);
    HOLDFAST_RETURN_IF_ERROR(marks.status(), absl::StrCat("list the marks at ", SourceName()));
    for (const std::string& name : *marks) {
      const absl::StatusOr<std::string> sealed = source_.ReadSealedMark(name);
      if (sealed.ok()) NoteKeyOf(*sealed);  // one that can't be read is told later
    }
    return absl::OkStatus();
  }

  absl::Status ScanKeyAlone(const CopiedBackup& backup) {
    const absl::StatusOr<std::string> header =
        ReadSealedHeader(source_.blobs(), BackupPath(source_.store_id(), backup.backup_id));
    if (!header.ok()) return source_.CheckThatOnlyTheFileFailed(header.status());
    NoteKeyOf(*header);
    return absl::OkStatus();
  }

  absl::StatusOr<StoreRepository::LoadedManifest> LoadFromSource(const std::string& backup_id) {
    HOLDFAST_ASSIGN_OR_RETURN(sealed_manifest_, source_.ReadSealedManifest(backup_id));
    HOLDFAST_ASSIGN_OR_RETURN(StoreRepository::LoadedManifest loaded,
                              source_.OpenSealedManifest(backup_id, sealed_manifest_));
    NoteKeyOf(sealed_manifest_);
    return loaded;
  }

  void NoteKeyOf(absl::string_view sealed) {
    const absl::StatusOr<SealedHeader> header =
        ParseSealedHeader(AsBytes(sealed.substr(0, kSealedHeaderSizeBytes)));
    if (header.ok()) key_ids_.insert(header->key_id);
  }

  // --- The target ----------------------------------------------------------------------------

  absl::Status OpenTarget() {
    HOLDFAST_ASSIGN_OR_RETURN(const std::vector<StoreId> stores, target_repository_.ListStores(),
                              absl::StrCat("list the stores at ", TargetName()));
    // The first key at a place is the current one there, too.
    if (!std::binary_search(stores.begin(), stores.end(), source_.store_id())) {
      key_ids_.insert(source_.current_key_id());
    }
    std::vector<DatedBackupKey> keys;
    for (DatedBackupKey& key : source_.CloneBackupKeys()) {
      if (key_ids_.contains(key.backup_key.key_id)) keys.push_back(std::move(key));
    }
    HOLDFAST_ASSIGN_OR_RETURN(
        target_, target_repository_.OpenStoreWithKeys(source_.store_id(), master_key_, keys));
    return LookAtTarget();
  }

  // Reads what the target lists, and which of the needed objects each backup there names.
  absl::Status LookAtTarget() {
    HOLDFAST_ASSIGN_OR_RETURN(target_listing_, target_->ListBackups(),
                              absl::StrCat("list the backups at ", TargetName()));
    listed_there_.clear();
    for (const ListedBackup& backup : target_listing_.backups) {
      HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
      const std::string& backup_id = backup.summary.backup_id();
      const uint32_t number = NumberOf(backup_id);
      if (needed_.empty() || (number < were_read_there_.size() && were_read_there_[number])) {
        listed_there_.insert(number);
        continue;
      }
      const absl::StatusOr<StoreRepository::LoadedManifest> loaded =
          target_->LoadManifest(backup_id);
      if (!loaded.ok()) {
        // Nothing that it names is relied on.
        if (absl::IsNotFound(loaded.status())) continue;
        HOLDFAST_RETURN_IF_ERROR(target_->CheckThatOnlyTheFileFailed(loaded.status()),
                                 absl::StrCat("read backup ", backup_id, " at ", TargetName()));
        continue;
      }
      NoteNamedThere(number, loaded->manifest);
      listed_there_.insert(number);
    }
    return absl::OkStatus();
  }

  uint32_t NumberOf(const std::string& backup_id) {
    return numbers_.try_emplace(backup_id, static_cast<uint32_t>(numbers_.size())).first->second;
  }

  void NoteNamedThere(uint32_t number, const Manifest& manifest) {
    if (were_read_there_.size() <= number) were_read_there_.resize(number + 1, false);
    if (were_read_there_[number]) return;
    were_read_there_[number] = true;
    for (const ObjectEntry& entry : manifest.files.objects()) {
      const auto needed = needed_.find(entry.name());
      if (needed != needed_.end()) needed->second.named_there_by.push_back(number);
    }
  }

  absl::Status CountWhatIsToDo() {
    absl::flat_hash_set<std::string> there;
    HOLDFAST_RETURN_IF_ERROR(target_->ListObjects([&](absl::string_view name, uint64_t /*size*/) {
      if (needed_.contains(name)) there.insert(std::string(name));
      return cancellation_.status();
    }),
                             absl::StrCat("list the objects at ", TargetName()));
    MutexLock lock(&mutex_);
    progress_.objects_total = needed_.size();
    for (const auto& [name, needed] : needed_) {
      if (!there.contains(name)) progress_.bytes_total += needed.sealed_size_bytes;
    }
    TellProgress();
    return absl::OkStatus();
  }

  // --- One backup ----------------------------------------------------------------------------

  absl::Status CopyOne(CopiedBackup& backup) {
    for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
      const MonotonicTime start = clock_.MonotonicNow();
      HOLDFAST_RETURN_IF_ERROR(EndsJob(LookAtTarget()));
      const ListedBackup* const there = target_listing_.Find(backup.backup_id);
      if (there != nullptr) return CheckIsTheSame(backup, *there);
      if (target_listing_.deleted.contains(backup.backup_id)) {
        backup.result = Result::kDeletedThere;
        return absl::OkStatus();
      }
      const auto damaged = target_listing_.damaged.find(backup.backup_id);
      if (damaged != target_listing_.damaged.end()) {
        return absl::DataLossError(absl::StrCat(TargetName(), " has it already, but damaged (",
                                                damaged->second.message(),
                                                "): `holdfast check --repair` mends that"));
      }
      if (manifests_there_.contains(backup.backup_id)) {
        return absl::AbortedError(
            absl::StrCat("it was removed at ", TargetName(), " just now: try again"));
      }
      HOLDFAST_ASSIGN_OR_RETURN(const StoreRepository::LoadedManifest loaded,
                                LoadFromSource(backup.backup_id));
      const auto& objects = loaded.manifest.files.objects();
      HOLDFAST_RETURN_IF_ERROR(CopyObjects(
          absl::MakeConstSpan(objects.data(), static_cast<size_t>(objects.size())), backup));

      // What was looked at in the beginning must still hold.
      HOLDFAST_RETURN_IF_ERROR(CheckIsStillListed(backup.backup_id));
      if (clock_.MonotonicNow() - start >= kJobDurationMax) continue;
      HOLDFAST_RETURN_IF_ERROR(EndsJob(LookAtTarget()));
      if (!AllUsedAreStillNamed()) continue;
      HOLDFAST_RETURN_IF_ERROR(
          SecureCopied(loaded.manifest, NamesIn(loaded.manifest, {&replaced_, &undated_})));
      return Commit(backup, loaded.manifest);
    }
    return absl::AbortedError(
        "backups whose objects it shares are being deleted there while it is copied: try again");
  }

  absl::Status CheckIsTheSame(CopiedBackup& backup, const ListedBackup& there) {
    if (manifest_sizes_[backup.backup_id] != there.sealed_manifest_size_bytes) {
      return absl::DataLossError(
          absl::StrCat("the manifests at ", SourceName(), " and at ", TargetName(),
                       " are not the same: `holdfast check --read-data` says which is wrong"));
    }
    backup.result = Result::kThereAlready;
    return absl::OkStatus();
  }

  absl::Status CheckIsStillListed(const std::string& backup_id) {
    const absl::StatusOr<BackupListing> listing = source_.ListBackups();
    HOLDFAST_RETURN_IF_ERROR(
        EndsJob(Annotate(listing.status(), absl::StrCat("list the backups at ", SourceName()))));
    if (listing->Find(backup_id) != nullptr) return absl::OkStatus();
    const auto damaged = listing->damaged.find(backup_id);
    if (damaged != listing->damaged.end()) return damaged->second;
    return DeletedAtSourceError();
  }

  bool AllUsedAreStillNamed() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return std::all_of(used_as_named_.begin(), used_as_named_.end(),
                       [&](const std::string& name) { return IsNamedThere(name); });
  }

  absl::Status Commit(CopiedBackup& backup, const Manifest& manifest) {
    // Before, so that no prune there finds the backup without its pin.
    HOLDFAST_RETURN_IF_ERROR(EndsJob(CopyMarks(backup)));
    const absl::Status committed = target_->CommitManifest(backup.backup_id, sealed_manifest_);
    HOLDFAST_RETURN_IF_ERROR(
        EndsJob(Annotate(committed, absl::StrCat("write the manifest at ", TargetName()))));
    // Now that the manifest is there, no prune that begins removes what it names; but one that
    // began just before may.
    const absl::Status secured = SecureCopied(manifest, NamesIn(manifest, {&undated_}));
    if (!secured.ok()) {
      HOLDFAST_RETURN_IF_ERROR(EndsJob(target_->TakeBackManifest(backup.backup_id)));
      return secured;
    }
    const uint32_t number = NumberOf(backup.backup_id);
    NoteNamedThere(number, manifest);
    listed_there_.insert(number);
    ForgetAtRisk(manifest);
    backup.result = Result::kCopied;
    return absl::OkStatus();
  }

  // What was written in the place of what lay there for long may still be on the list of a prune
  // that had looked before, and, where the place does not tell that it is new, on that of one that
  // looks before the manifest is there. Sees to it that it is there, and that no such prune is
  // under way.
  absl::Status SecureCopied(const Manifest& manifest, const std::vector<std::string>& names) {
    if (names.empty()) return absl::OkStatus();
    const absl::StatusOr<LookedAgain> looked =
        LookAgain(*target_, names, clock_.Now(), nullptr, cancellation_);
    HOLDFAST_RETURN_IF_ERROR(EndsJob(Annotate(looked.status(), TargetName())));
    for (const ObjectEntry& entry : manifest.files.objects()) {
      if (!looked->gone.contains(entry.name())) continue;
      const ObjectTransfer copied = CopyObject(source_, *target_, entry, cancellation_);
      HOLDFAST_RETURN_IF_ERROR(copied.source,
                               "a prune there removed an object that can't be copied once more");
      HOLDFAST_RETURN_IF_ERROR(EndsJob(copied.target));
    }
    if (looked->prune_lease.empty()) return absl::OkStatus();
    return PruneIsAtWorkError(TargetName(), looked->prune_lease);
  }

  // The objects of the backup that are in any of `sets`. No threads are at work.
  static std::vector<std::string> NamesIn(
      const Manifest& manifest,
      std::initializer_list<const absl::flat_hash_set<std::string>*> sets) {
    std::vector<std::string> names;
    for (const ObjectEntry& entry : manifest.files.objects()) {
      if (std::any_of(sets.begin(), sets.end(),
                      [&](const auto* set) { return set->contains(entry.name()); })) {
        names.push_back(entry.name());
      }
    }
    return names;
  }

  // What a manifest there names is not at risk any more.
  void ForgetAtRisk(const Manifest& manifest) {
    for (const ObjectEntry& entry : manifest.files.objects()) {
      replaced_.erase(entry.name());
      undated_.erase(entry.name());
    }
  }

  // The marks of a backup that was there before, too: a copy that was killed may have left them
  // out.
  absl::Status CopyMarksAfterwards(CopiedBackup& backup) {
    if (backup.result != Result::kCopied && backup.result != Result::kThereAlready) {
      return absl::OkStatus();
    }
    return CopyMarks(backup);
  }

  absl::Status CopyMarks(CopiedBackup& backup) {
    HOLDFAST_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                              source_.MarksToCopy(backup.backup_id),
                              absl::StrCat("list the marks at ", SourceName()));
    backup.warning.clear();
    for (const std::string& name : names) {
      const absl::StatusOr<std::string> sealed = source_.ReadSealedMark(name);
      if (sealed.ok()) {
        const absl::Status put = target_->PutSealedMark(name, *sealed);
        if (put.ok()) continue;
        if (!absl::IsAlreadyExists(put)) {
          return Annotate(put, absl::StrCat("write a mark at ", TargetName()));
        }
        backup.warning = absl::StrCat("mark ", name, " at ", TargetName(),
                                      " is damaged: `holdfast check --repair` mends that");
        continue;
      }
      HOLDFAST_RETURN_IF_ERROR(source_.CheckThatOnlyTheFileFailed(sealed.status()));
      backup.warning =
          absl::StrCat("mark ", name, " at ", SourceName(),
                       " can't be read and was not copied: ", sealed.status().message());
    }
    return absl::OkStatus();
  }

  // Says in the status of a backup that failed what it is about. An error where the job can't go
  // on.
  absl::Status ExplainFailure(CopiedBackup& backup) {
    HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
    HOLDFAST_RETURN_IF_ERROR(source_.CheckThatOnlyTheFileFailed(backup.status),
                             absl::StrCat("read backup ", backup.backup_id));
    if (!absl::IsNotFound(backup.status)) return absl::OkStatus();
    // What is missing was damaged, or prune removed it because the backup was deleted meanwhile.
    const absl::StatusOr<BackupListing> listing = source_.ListBackups();
    HOLDFAST_RETURN_IF_ERROR(listing.status(), absl::StrCat("list the backups at ", SourceName()));
    backup.status = listing->Find(backup.backup_id) == nullptr
                        ? DeletedAtSourceError()
                        : WithCode(backup.status, absl::StatusCode::kDataLoss);
    return absl::OkStatus();
  }

  // --- Objects: on several threads -----------------------------------------------------------

  struct Needed {
    uint64_t sealed_size_bytes = 0;
    std::vector<uint32_t> named_there_by;  // numbers of backups at the target
  };

  // One backup's objects, while they are copied.
  struct Batch {
    absl::Span<const ObjectEntry* const> objects;
    CopiedBackup* backup;
    size_t next = 0;
    absl::Status failure;  // the first one
  };

  absl::Status CopyObjects(absl::Span<const ObjectEntry* const> objects, CopiedBackup& backup)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      MutexLock lock(&mutex_);
      used_as_named_.clear();
    }
    backup.objects_there = 0;
    Batch batch;  // guarded by mutex_
    batch.objects = objects;
    batch.backup = &backup;
    {
      std::vector<Thread> threads;
      const size_t count =
          std::min(static_cast<size_t>(std::max(options_.objects_at_once, 1)), objects.size());
      for (size_t i = 0; i < count; ++i) {
        threads.emplace_back("copy", [this, &batch] { Work(batch); });
      }
    }
    HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
    HOLDFAST_RETURN_IF_ERROR(JobStatus());
    return batch.failure;
  }

  void Work(Batch& batch) ABSL_LOCKS_EXCLUDED(mutex_) {
    for (;;) {
      const ObjectEntry* entry = nullptr;
      {
        MutexLock lock(&mutex_);
        if (batch.next == batch.objects.size() || !batch.failure.ok() || !job_status_.ok() ||
            cancellation_.IsCancelled()) {
          return;
        }
        entry = batch.objects[batch.next++];
      }
      const absl::Status provided = Provide(*entry, *batch.backup);
      if (provided.ok()) {
        CountObject(entry->name());
        continue;
      }
      MutexLock lock(&mutex_);
      if (batch.failure.ok()) batch.failure = provided;
    }
  }

  // Sees to it that the target holds the object, in such a way that it will be there when the
  // manifest is. An error of the source; one of the target ends the job.
  absl::Status Provide(const ObjectEntry& entry, CopiedBackup& backup) ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      MutexLock lock(&mutex_);
      const auto bad = unreadable_.find(entry.name());
      if (bad != unreadable_.end()) return bad->second;
    }
    if (IsNamedThere(entry.name())) return UseNamed(entry, backup);
    const absl::StatusOr<BlobInfo> info =
        target_->blobs().Stat(ObjectPath(target_->store_id(), entry.name()));
    if (absl::IsNotFound(info.status())) return Copy(entry, backup);
    HOLDFAST_RETURN_IF_ERROR(EndsJob(info.status()));
    return UseUnnamed(entry, *info, backup);
  }

  // Named by a backup that the target lists: no prune removes it as long as that is so.
  absl::Status UseNamed(const ObjectEntry& entry, CopiedBackup& backup)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    bool was_looked_at = false;
    {
      MutexLock lock(&mutex_);
      was_looked_at = looked_at_.contains(entry.name());
    }
    if (!was_looked_at) {
      const absl::Status beginning = CheckObjectBeginning(*target_, entry);
      if (!beginning.ok()) {
        HOLDFAST_RETURN_IF_ERROR(EndsJob(target_->CheckThatOnlyTheFileFailed(beginning)));
        return Replace(entry, backup, /*may_be_pruned=*/false);
      }
    }
    MutexLock lock(&mutex_);
    looked_at_.insert(entry.name());
    used_as_named_.push_back(entry.name());
    ++backup.objects_there;
    return absl::OkStatus();
  }

  // A copy or a run that was cut left it, or deleted backups alone name it.
  absl::Status UseUnnamed(const ObjectEntry& entry, const BlobInfo& info, CopiedBackup& backup)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    bool is_young = false;
    bool is_proven = false;
    {
      MutexLock lock(&mutex_);
      const auto written = written_here_.find(entry.name());
      if (written != written_here_.end()) {
        is_young = clock_.MonotonicNow() - written->second < kUnnamedObjectAgeMax;
        is_proven = is_young;
      }
    }
    if (!is_young) is_young = IsYoungAtPlace(entry.name(), info.write_time, clock_.Now());
    if (is_young && !is_proven && info.size_bytes == entry.sealed_size_bytes()) {
      const absl::Status proven = ProveObject(*target_, entry, cancellation_);
      if (!proven.ok()) {
        HOLDFAST_RETURN_IF_ERROR(EndsJob(target_->CheckThatOnlyTheFileFailed(proven)));
      }
      is_proven = proven.ok();
    }
    if (!is_young || !is_proven) return Replace(entry, backup, /*may_be_pruned=*/!is_young);
    MutexLock lock(&mutex_);
    ++backup.objects_there;
    return absl::OkStatus();
  }

  absl::Status Copy(const ObjectEntry& entry, CopiedBackup& backup) ABSL_LOCKS_EXCLUDED(mutex_) {
    const ObjectTransfer copied = CopyObject(source_, *target_, entry, cancellation_,
                                             [this](int64_t bytes) { CountBytes(bytes); });
    if (absl::IsAlreadyExists(copied.target)) {  // another copy, or a run, was quicker
      return Replace(entry, backup, /*may_be_pruned=*/false);
    }
    return Note(entry, copied, backup);
  }

  // `may_be_pruned`: whether what is there may be on the list of a prune.
  absl::Status Replace(const ObjectEntry& entry, CopiedBackup& backup, bool may_be_pruned)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      MutexLock lock(&mutex_);
      if (may_be_pruned) replaced_.insert(entry.name());
      progress_.bytes_total += entry.sealed_size_bytes();
    }
    return Note(entry,
                ReplaceObject(source_, *target_, entry, cancellation_,
                              [this](int64_t bytes) { CountBytes(bytes); }),
                backup);
  }

  absl::Status Note(const ObjectEntry& entry, const ObjectTransfer& transfer, CopiedBackup& backup)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
    HOLDFAST_RETURN_IF_ERROR(EndsJob(transfer.target));
    MutexLock lock(&mutex_);
    if (!transfer.source.ok()) {
      unreadable_.emplace(entry.name(), transfer.source);
      return transfer.source;
    }
    written_here_[entry.name()] = clock_.MonotonicNow();
    if (!TellsThatItIsNew(transfer.write_time, clock_.Now())) undated_.insert(entry.name());
    looked_at_.insert(entry.name());
    ++backup.objects_copied;
    backup.copied_bytes += entry.sealed_size_bytes();
    return absl::OkStatus();
  }

  // What it looks at is constant while threads run.
  bool IsNamedThere(const std::string& name) const {
    const auto needed = needed_.find(name);
    return needed != needed_.end() &&
           std::any_of(needed->second.named_there_by.begin(), needed->second.named_there_by.end(),
                       [&](uint32_t number) { return listed_there_.contains(number); });
  }

  void CountBytes(int64_t bytes) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    progress_.bytes_done =
        static_cast<uint64_t>(static_cast<int64_t>(progress_.bytes_done) + bytes);
    TellProgress();
  }

  void CountObject(const std::string& name) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    if (!counted_.insert(name).second) return;
    ++progress_.objects_done;
    TellProgress();
  }

  void TellProgress() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (options_.on_progress) options_.on_progress(progress_);
  }

  // Returns `status`; where it is an error, nothing more is copied.
  absl::Status EndsJob(absl::Status status) ABSL_LOCKS_EXCLUDED(mutex_) {
    if (status.ok()) return status;
    MutexLock lock(&mutex_);
    if (job_status_.ok()) job_status_ = status;
    return status;
  }

  absl::Status JobStatus() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return job_status_;
  }

  std::string SourceName() const { return source_.blobs().Describe(); }
  std::string TargetName() const { return target_repository_.blobs().Describe(); }

  StoreRepository& source_;
  const Repository& target_repository_;
  const MasterKey& master_key_;
  const CopyOptions& options_;
  Clock& clock_;
  const Cancellation cancellation_;

  CopyReport report_;
  absl::flat_hash_map<std::string, uint64_t> manifest_sizes_;  // at the source, by backup
  absl::flat_hash_set<std::string> manifests_there_;           // at the target, when the job began
  std::set<KeyId> key_ids_;                                    // that the target needs
  std::string sealed_manifest_;                                // of the backup that is copied
  absl::flat_hash_map<std::string, Needed> needed_;

  std::unique_ptr<StoreRepository> target_;
  BackupListing target_listing_;
  absl::flat_hash_map<std::string, uint32_t> numbers_;  // of backups at the target, by id
  std::vector<bool> were_read_there_;                   // by number
  absl::flat_hash_set<uint32_t> listed_there_;          // as of the last look

  mutable Mutex mutex_;
  absl::Status job_status_ ABSL_GUARDED_BY(mutex_);
  CopyProgress progress_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<std::string> counted_ ABSL_GUARDED_BY(mutex_);  // in progress_.objects_done
  // Objects that can't be read at the source.
  absl::flat_hash_map<std::string, absl::Status> unreadable_ ABSL_GUARDED_BY(mutex_);
  // Objects that this job wrote at the target, and when.
  absl::flat_hash_map<std::string, MonotonicTime> written_here_ ABSL_GUARDED_BY(mutex_);
  // Objects at the target that were found to be there with the right length and header.
  absl::flat_hash_set<std::string> looked_at_ ABSL_GUARDED_BY(mutex_);
  // Objects of the backup that is copied that are relied on because others there name them.
  std::vector<std::string> used_as_named_ ABSL_GUARDED_BY(mutex_);

  // Objects that this job wrote, in the place of what a prune at the target may have on its list;
  // and where that does not tell that they are new. Guarded by mutex_ while threads are at work.
  absl::flat_hash_set<std::string> replaced_;
  absl::flat_hash_set<std::string> undated_;
};

}  // namespace

CopyReport CopyBackups(StoreRepository& source, const Repository& target,
                       const MasterKey& master_key, const CopyOptions& options, Clock& clock,
                       const Cancellation& cancellation) {
  return CopyJob(source, target, master_key, options, clock, cancellation).Run();
}

}  // namespace holdfast
