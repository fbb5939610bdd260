#include "common/repository/store_repairer.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/repository/backup_copier.h"
#include "common/repository/layout.h"
#include "common/repository/sealed_object.h"

namespace holdfast {

namespace {

using repository::v1::Mark;

// Why no other place could help.
class Refusals {
 public:
  void Add(const StoreRepository& other, const absl::Status& status) {
    texts_.push_back(absl::StrCat(other.blobs().Describe(), ": ", status.message()));
  }
  absl::Status ToStatus() const {
    return absl::DataLossError(texts_.empty()
                                   ? "there is no other destination to mend it from"
                                   : absl::StrCat("no other destination holds it whole (",
                                                  absl::StrJoin(texts_, "; "), ")"));
  }

 private:
  std::vector<std::string> texts_;
};

}  // namespace

StoreRepairer::StoreRepairer(const Repository& repository, const StoreId& store_id,
                             const MasterKey& master_key, std::vector<StoreRepository*> others,
                             Clock& clock)
    : repository_(repository),
      store_id_(store_id),
      master_key_(master_key),
      others_(std::move(others)),
      clock_(clock) {}

void StoreRepairer::Note(const CheckFinding& finding, absl::Status status,
                         std::string repaired_from) {
  files_.push_back({.path = finding.path,
                    .damage = finding.status,
                    .backup_ids = finding.backup_ids,
                    .status = std::move(status),
                    .repaired_from = std::move(repaired_from)});
}

// --- Key files -------------------------------------------------------------------------------

absl::Status StoreRepairer::Open() {
  HOLDFAST_ASSIGN_OR_RETURN(const std::set<KeyId> needed, KeysOfManifests());
  HOLDFAST_RETURN_IF_ERROR(RepairKeyFiles(needed).status());
  return OpenStore();
}

absl::Status StoreRepairer::OpenStore() {
  HOLDFAST_ASSIGN_OR_RETURN(store_, repository_.OpenStore(store_id_, master_key_));
  return absl::OkStatus();
}

absl::StatusOr<std::set<KeyId>> StoreRepairer::KeysOfManifests() const {
  std::vector<std::string> paths;
  HOLDFAST_RETURN_IF_ERROR(
      repository_.blobs().List(BackupsPath(store_id_), [&](const BlobInfo& info) {
        paths.push_back(info.name);
        return absl::OkStatus();
      }));
  std::set<KeyId> key_ids;
  for (const std::string& path : paths) {
    const absl::StatusOr<std::string> bytes = ReadSealedHeader(repository_.blobs(), path);
    if (!bytes.ok()) continue;
    const absl::StatusOr<SealedHeader> header = ParseSealedHeader(AsBytes(*bytes));
    // One that is damaged tells no key; its successors were sealed with the same, or tell theirs.
    if (header.ok() && header->kind == SealedKind::kManifest) key_ids.insert(header->key_id);
  }
  return key_ids;
}

absl::StatusOr<bool> StoreRepairer::RepairKeyFiles(const std::set<KeyId>& needed) {
  bool is_any_repaired = false;
  for (StoreRepository* const other : others_) {
    HOLDFAST_ASSIGN_OR_RETURN(
        const std::vector<Repository::RepairedKeyFile> repaired,
        repository_.RepairKeyFiles(store_id_, master_key_, other->CloneBackupKeys(), needed));
    for (const Repository::RepairedKeyFile& file : repaired) {
      Note({.path = file.path, .status = file.damage, .backup_ids = {}}, absl::OkStatus(),
           other->blobs().Describe());
      is_any_repaired = true;
    }
  }
  return is_any_repaired;
}

// --- What a check found ----------------------------------------------------------------------

absl::Status StoreRepairer::Repair(
    const CheckReport& report,
    const std::function<void(uint64_t done, uint64_t total)>& on_progress,
    const Cancellation& cancellation) {
  has_to_check_again_ = false;
  // What was left before was found again.
  files_.erase(std::remove_if(files_.begin(), files_.end(),
                              [](const RepairedFile& file) { return !file.status.ok(); }),
               files_.end());
  uint64_t done = 0;
  const auto next = [&] {
    if (on_progress) on_progress(done, report.findings.size());
    ++done;
    return cancellation.status();
  };

  const std::string backups = absl::StrCat(BackupsPath(store_id_), "/");
  const std::string marks = absl::StrCat(MarksPath(store_id_), "/");
  const std::string objects = absl::StrCat(ObjectsPath(store_id_), "/");
  std::vector<const CheckFinding*> object_findings;
  for (const CheckFinding& finding : report.findings) {
    absl::string_view name = finding.path;
    if (absl::ConsumePrefix(&name, backups)) {
      HOLDFAST_RETURN_IF_ERROR(next());
      HOLDFAST_RETURN_IF_ERROR(RepairManifest(finding, std::string(name)));
    } else if (absl::ConsumePrefix(&name, marks)) {
      HOLDFAST_RETURN_IF_ERROR(next());
      HOLDFAST_RETURN_IF_ERROR(RepairMark(finding, std::string(name)));
    } else if (absl::ConsumePrefix(&name, objects)) {
      object_findings.push_back(&finding);
    } else if (name == kRepositoryFileName || name == kRepositoryFileCopyName) {
      HOLDFAST_RETURN_IF_ERROR(next());
      const absl::Status repaired = RepairRepositoryFile(repository_.blobs(), name);
      if (!repaired.ok() && !absl::IsDataLoss(repaired)) return repaired;
      const absl::string_view source =
          name == kRepositoryFileName ? kRepositoryFileCopyName : kRepositoryFileName;
      Note(finding, repaired, repaired.ok() ? std::string(source) : "");
    } else {
      HOLDFAST_RETURN_IF_ERROR(next());
      Note(finding, Refusals().ToStatus());  // a key file, which Open could not mend
    }
  }
  HOLDFAST_ASSIGN_OR_RETURN(const auto entries, FindEntries(object_findings));
  for (const CheckFinding* const finding : object_findings) {
    HOLDFAST_RETURN_IF_ERROR(next());
    const auto entry = entries.find(finding->path);
    if (entry == entries.end()) {  // the manifest that named it is gone since
      has_to_check_again_ = true;
      continue;
    }
    HOLDFAST_RETURN_IF_ERROR(RepairObject(*finding, entry->second, cancellation));
  }
  // The objects of a manifest that was damaged seemed to be those of none.
  if (!has_to_check_again_) HOLDFAST_RETURN_IF_ERROR(RestoreLostBackups(report, cancellation));
  if (on_progress) on_progress(done, report.findings.size());
  return absl::OkStatus();
}

absl::Status StoreRepairer::RepairManifest(const CheckFinding& finding,
                                           const std::string& backup_id) {
  if (store_->LoadManifest(backup_id).ok()) {
    Note(finding, absl::DataLossError("it opens: what is wrong is what was sealed, or the order of "
                                      "the backups, and no copy is better"));
    return absl::OkStatus();
  }
  Refusals refusals;
  for (StoreRepository* const other : others_) {
    const absl::StatusOr<std::string> sealed = other->ReadSealedManifest(backup_id);
    absl::Status good = sealed.status();
    if (good.ok()) {
      const absl::StatusOr<StoreRepository::LoadedManifest> loaded =
          other->OpenSealedManifest(backup_id, *sealed);
      good = loaded.ok() ? CheckSuccessors(backup_id, loaded->sealed_hash) : loaded.status();
    }
    if (!good.ok()) {
      refusals.Add(*other, good);
      continue;
    }
    HOLDFAST_RETURN_IF_ERROR(store_->ReplaceManifest(backup_id, *sealed));
    Note(finding, absl::OkStatus(), other->blobs().Describe());
    has_to_check_again_ = true;
    return absl::OkStatus();
  }
  Note(finding, refusals.ToStatus());
  return absl::OkStatus();
}

absl::Status StoreRepairer::CheckSuccessors(const std::string& backup_id,
                                            const Hash256& sealed_hash) {
  HOLDFAST_ASSIGN_OR_RETURN(const BackupListing listing, store_->ListBackups());
  for (const ListedBackup& backup : listing.backups) {
    if (backup.summary.previous_backup_id() == backup_id &&
        backup.summary.previous_manifest_hash() != AsText(sealed_hash)) {
      return absl::DataLossError(absl::StrCat("not the manifest that backup ",
                                              backup.summary.backup_id(), " was made after"));
    }
  }
  return absl::OkStatus();
}

absl::Status StoreRepairer::RepairMark(const CheckFinding& finding, const std::string& mark_name) {
  Refusals refusals;
  for (StoreRepository* const other : others_) {
    const absl::StatusOr<std::string> sealed = other->ReadSealedMark(mark_name);
    if (!sealed.ok()) {
      refusals.Add(*other, sealed.status());
      continue;
    }
    HOLDFAST_RETURN_IF_ERROR(store_->ReplaceMark(mark_name, *sealed));
    Note(finding, absl::OkStatus(), other->blobs().Describe());
    return absl::OkStatus();
  }
  Note(finding, refusals.ToStatus());
  return absl::OkStatus();
}

absl::StatusOr<absl::flat_hash_map<std::string, StoreRepairer::ObjectEntry>>
StoreRepairer::FindEntries(const std::vector<const CheckFinding*>& findings) {
  absl::flat_hash_set<std::string> wanted;
  std::set<std::string> backup_ids;
  for (const CheckFinding* const finding : findings) {
    wanted.insert(finding->path);
    backup_ids.insert(finding->backup_ids.begin(), finding->backup_ids.end());
  }
  absl::flat_hash_map<std::string, ObjectEntry> entries;
  std::set<KeyId> missing_keys;
  for (const std::string& backup_id : backup_ids) {
    const absl::StatusOr<StoreRepository::LoadedManifest> loaded = store_->LoadManifest(backup_id);
    if (!loaded.ok()) {
      HOLDFAST_RETURN_IF_ERROR(store_->CheckThatOnlyTheFileFailed(loaded.status()));
      continue;
    }
    for (const ObjectEntry& entry : loaded->manifest.files.objects()) {
      const std::string path = ObjectPath(store_id_, entry.name());
      if (!wanted.contains(path) || !entries.emplace(path, entry).second) continue;
      const absl::StatusOr<Id128> key_id = Id128::FromBytes(entry.key_id());
      if (key_id.ok() && !store_->ContentKey(key_id->bytes()).ok()) {
        missing_keys.insert(key_id->bytes());
      }
    }
  }
  if (!missing_keys.empty()) {
    HOLDFAST_ASSIGN_OR_RETURN(const bool is_any_repaired, RepairKeyFiles(missing_keys));
    if (is_any_repaired) HOLDFAST_RETURN_IF_ERROR(OpenStore());
  }
  return entries;
}

absl::Status StoreRepairer::RepairObject(const CheckFinding& finding, const ObjectEntry& entry,
                                         const Cancellation& cancellation) {
  // It may have come back meanwhile: its key did, or somebody else mended it.
  const absl::Status here = ProveObject(*store_, entry, cancellation);
  if (here.ok()) {
    Note(finding, finding.is_sealed_so
                      ? absl::DataLossError("its seals hold: it was stored like this, and no copy "
                                            "is better")
                      : absl::OkStatus());
    return absl::OkStatus();
  }
  HOLDFAST_RETURN_IF_ERROR(cancellation.status());
  HOLDFAST_RETURN_IF_ERROR(store_->CheckThatOnlyTheFileFailed(here));
  Refusals refusals;
  for (StoreRepository* const other : others_) {
    const ObjectTransfer replaced = ReplaceObject(*other, *store_, entry, cancellation);
    HOLDFAST_RETURN_IF_ERROR(cancellation.status());
    if (replaced.ok()) {
      Note(finding, absl::OkStatus(), other->blobs().Describe());
      return absl::OkStatus();
    }
    if (!replaced.source.ok()) {
      refusals.Add(*other, replaced.source);
      continue;
    }
    // Written, and not read back as it was: another try with the same medium helps nobody.
    if (!absl::IsDataLoss(replaced.target)) return replaced.target;
    Note(finding, replaced.target);
    return absl::OkStatus();
  }
  Note(finding, refusals.ToStatus());
  return absl::OkStatus();
}

// --- Manifests that are missing --------------------------------------------------------------

absl::StatusOr<StoreRepairer::LostBackups> StoreRepairer::FindLostBackups(
    const CheckReport& report, const Cancellation& cancellation) {
  LostBackups lost;
  if (report.unnamed_object_names.empty()) return lost;
  const absl::flat_hash_set<std::string> unnamed(report.unnamed_object_names.begin(),
                                                 report.unnamed_object_names.end());
  HOLDFAST_ASSIGN_OR_RETURN(const BackupListing listing, store_->ListBackups());
  absl::flat_hash_set<std::string> known;
  for (const ListedBackup& backup : listing.backups) known.insert(backup.summary.backup_id());
  for (const auto& [backup_id, status] : listing.damaged) known.insert(backup_id);
  for (const auto& [backup_id, time] : listing.deleted) known.insert(backup_id);
  for (const std::string& mark : listing.orphaned_marks) {
    const absl::StatusOr<ParsedMarkName> parsed = ParseMarkName(mark);
    if (parsed.ok() && parsed->kind == Mark::KIND_DELETED) known.insert(parsed->backup_id);
  }
  for (StoreRepository* const other : others_) {
    const absl::StatusOr<BackupListing> listed = other->ListBackups();
    if (!listed.ok()) continue;
    std::vector<std::string> backup_ids;
    for (const ListedBackup& backup : listed->backups) {
      HOLDFAST_RETURN_IF_ERROR(cancellation.status());
      const std::string& backup_id = backup.summary.backup_id();
      if (known.contains(backup_id)) continue;
      const absl::StatusOr<StoreRepository::LoadedManifest> loaded = other->LoadManifest(backup_id);
      if (!loaded.ok()) continue;
      const auto& objects = loaded->manifest.files.objects();
      if (std::none_of(objects.begin(), objects.end(),
                       [&](const ObjectEntry& entry) { return unnamed.contains(entry.name()); })) {
        continue;
      }
      known.insert(backup_id);
      backup_ids.push_back(backup_id);
    }
    if (!backup_ids.empty()) lost.emplace_back(other, std::move(backup_ids));
  }
  return lost;
}

absl::Status StoreRepairer::RestoreLostBackups(const CheckReport& report,
                                               const Cancellation& cancellation) {
  HOLDFAST_ASSIGN_OR_RETURN(const LostBackups lost, FindLostBackups(report, cancellation));
  for (const auto& [other, backup_ids] : lost) {
    CopyOptions options;
    options.backup_ids = backup_ids;
    const CopyReport copied =
        CopyBackups(*other, repository_, master_key_, options, clock_, cancellation);
    HOLDFAST_RETURN_IF_ERROR(cancellation.status());
    HOLDFAST_RETURN_IF_ERROR(
        copied.status.ok() ? absl::OkStatus() : store_->CheckThatOnlyTheFileFailed(copied.status));
    for (const CopiedBackup& backup : copied.backups) {
      const bool is_whole = backup.status.ok();
      Note({.path = BackupPath(store_id_, backup.backup_id),
            .status = absl::NotFoundError("missing, though objects of it are here"),
            .backup_ids = {backup.backup_id}},
           backup.status, is_whole ? other->blobs().Describe() : "");
      has_to_check_again_ |= is_whole;
    }
  }
  return absl::OkStatus();
}

}  // namespace holdfast
