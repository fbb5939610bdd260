#include "common/repository/store_repository.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/base/time_format.h"
#include "common/repository/blob_calls.h"
#include "common/repository/object_source.h"

namespace holdfast {

namespace {

using repository::v1::BackupSummary;
using repository::v1::Mark;
using repository::v1::ObjectEntry;

// Part of the repository format; do not change.
constexpr uint64_t kSealedMarkSizeMaxBytes = 65536;
constexpr size_t kMarkNoteSizeMaxBytes = 4096;

constexpr size_t kSummariesMax = 10'000;   // remembered
constexpr size_t kGoodMarksMax = 100'000;  // remembered

// The backup id that `name` is but for its case, as some shares make of it; empty where it is none.
std::string BackupIdInAnyCase(absl::string_view name) {
  constexpr size_t kRandomLength = 8;
  std::string id = absl::AsciiStrToUpper(name);
  if (id.size() < kRandomLength) return "";
  const auto random = id.end() - kRandomLength;
  std::transform(random, id.end(), random, absl::ascii_tolower);
  return IsBackupId(id) ? id : "";
}

}  // namespace

// --- BackupListing ---------------------------------------------------------------------------

const ListedBackup* BackupListing::Find(absl::string_view backup_id) const {
  for (const ListedBackup& backup : backups) {
    if (backup.summary.backup_id() == backup_id) return &backup;
  }
  return nullptr;
}

// --- Keys ------------------------------------------------------------------------------------

BackupKey StoreRepository::CloneCurrentBackupKey() const {
  return {keys_.current_id(), keys_.current().backup_key.Clone()};
}

absl::StatusOr<const SealingKey*> StoreRepository::ContentKey(const KeyId& key_id) const {
  HOLDFAST_ASSIGN_OR_RETURN(const BackupKeyRing::Keys* const keys, keys_.Find(key_id));
  return &keys->content_key;
}

absl::StatusOr<const SealingKey*> StoreRepository::ManifestKey(const KeyId& key_id) const {
  HOLDFAST_ASSIGN_OR_RETURN(const BackupKeyRing::Keys* const keys, keys_.Find(key_id));
  return &keys->manifest_key;
}

const SealingKey& StoreRepository::ManifestKeyOf(absl::Span<const uint8_t> beginning) const {
  const absl::StatusOr<SealedHeader> header = ParseSealedHeader(beginning);
  if (!header.ok()) return manifest_key();
  const absl::StatusOr<const SealingKey*> key = ManifestKey(header->key_id);
  return key.ok() ? **key : manifest_key();
}

// --- The listing -----------------------------------------------------------------------------

absl::StatusOr<BackupListing> StoreRepository::ListBackups() {
  // Marks first: prune removes a manifest before its marks, so that no deleted backup seems listed.
  std::map<std::string, DecidingMarks, std::less<>> marks;
  std::map<std::string, std::vector<std::string>> mark_names;
  HOLDFAST_RETURN_IF_ERROR(
      ListBelow(*blobs_, MarksPath(store_id_), [&](absl::string_view name, uint64_t /*size*/) {
        const absl::StatusOr<ParsedMarkName> parsed = ParseMarkName(name);
        if (!parsed.ok()) return absl::OkStatus();
        marks[parsed->backup_id].Add(name, parsed->kind);
        mark_names[parsed->backup_id].emplace_back(name);
        return absl::OkStatus();
      }));
  std::map<std::string, uint64_t> manifests;
  // What would be a manifest but for its name or its kind: it must not look as if it were not
  // there.
  std::map<std::string, absl::Status> misplaced;
  HOLDFAST_RETURN_IF_ERROR(
      ListBelow(*blobs_, BackupsPath(store_id_), [&](absl::string_view name, uint64_t size_bytes) {
        if (IsBackupId(name)) {
          manifests.emplace(name, size_bytes);
        } else if (const std::string id = BackupIdInAnyCase(name); !id.empty()) {
          misplaced[id] = absl::DataLossError(
              absl::StrCat(name, " is the manifest of backup ", id, ": give it its name back"));
        }
        return absl::OkStatus();
      }));
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<std::string> folders,
                            blobs_->ListFolders(BackupsPath(store_id_)));
  for (const std::string& folder : folders) {
    const std::string id = BackupIdInAnyCase(folder);
    if (id.empty()) continue;
    misplaced[id] = absl::DataLossError(
        absl::StrCat(folder, " is a folder in the place of a manifest: move it away"));
  }

  BackupListing listing;
  for (const auto& [backup_id, status] : misplaced) {
    if (!manifests.contains(backup_id)) listing.damaged[backup_id] = status;
  }
  for (const auto& [backup_id, names] : mark_names) {
    if (manifests.contains(backup_id) || misplaced.contains(backup_id)) continue;
    listing.orphaned_marks.insert(listing.orphaned_marks.end(), names.begin(), names.end());
  }
  for (const auto& [backup_id, sealed_size_bytes] : manifests) {
    const DecidingMarks& deciding = marks[backup_id];
    ListedBackup backup;
    backup.sealed_manifest_size_bytes = sealed_size_bytes;
    HOLDFAST_ASSIGN_OR_RETURN(backup.pinned, IsPinnedBy(deciding.pin, listing.damaged_marks));
    if (!listing.damaged_marks.contains(absl::StrCat(MarksPath(store_id_), "/", deciding.pin))) {
      backup.pin_mark = deciding.pin;
    }
    if (!deciding.deletion.empty()) {
      const absl::StatusOr<ParsedMarkName> parsed = ParseMarkName(deciding.deletion);
      backup.is_deletion_overruled = backup.pinned && parsed->kind == Mark::KIND_DELETED;
      if (!backup.pinned) {
        HOLDFAST_ASSIGN_OR_RETURN(const bool is_good,
                                  IsGoodMark(deciding.deletion, listing.damaged_marks));
        if (!is_good) {
          const std::string path = absl::StrCat(MarksPath(store_id_), "/", deciding.deletion);
          listing.damaged[backup_id] =
              Annotate(listing.damaged_marks[path], "whether it is deleted can't be told");
          continue;
        }
        if (parsed->kind == Mark::KIND_DELETED) {
          listing.deleted.emplace(backup_id, parsed->time);
          continue;
        }
      }
    }
    if (!deciding.health.empty() && ParseMarkName(deciding.health)->kind == Mark::KIND_DAMAGED) {
      backup.is_damaged = true;
      const absl::StatusOr<Mark> mark = ReadMark(deciding.health);
      if (mark.ok()) {
        backup.needs_drill = mark->needs_drill();
        backup.damaged_objects.assign(mark->damaged_objects().begin(),
                                      mark->damaged_objects().end());
        listing.damaged_objects.insert(mark->damaged_objects().begin(),
                                       mark->damaged_objects().end());
      } else {
        HOLDFAST_RETURN_IF_ERROR(CheckThatOnlyTheFileFailed(mark.status()));
      }
    }
    if (!deciding.drill.empty() && ParseMarkName(deciding.drill)->kind == Mark::KIND_DRILLED) {
      HOLDFAST_ASSIGN_OR_RETURN(const bool is_good,
                                IsGoodMark(deciding.drill, listing.damaged_marks));
      if (is_good) backup.drill_time = ParseMarkName(deciding.drill)->time;
    }
    absl::StatusOr<BackupSummary> summary = ReadSummary(backup_id, sealed_size_bytes);
    if (absl::IsNotFound(summary.status())) continue;  // removed since it was listed
    if (!summary.ok()) {
      HOLDFAST_RETURN_IF_ERROR(CheckThatOnlyTheFileFailed(summary.status()));
      listing.damaged[backup_id] = summary.status();
      continue;
    }
    backup.summary = *std::move(summary);
    listing.backups.push_back(std::move(backup));
  }
  std::sort(listing.backups.begin(), listing.backups.end(),
            [](const ListedBackup& a, const ListedBackup& b) {
              const auto order = [](const BackupSummary& summary) {
                return std::tuple(summary.ordinal(), summary.revision(),
                                  absl::string_view(summary.backup_id()));
              };
              return order(a.summary) < order(b.summary);
            });
  MutexLock lock(&mutex_);
  absl::erase_if(summaries_, [&](const auto& entry) { return !manifests.contains(entry.first); });
  return listing;
}

absl::StatusOr<BackupSummary> StoreRepository::ReadSummary(absl::string_view backup_id,
                                                           uint64_t sealed_size_bytes) {
  {
    MutexLock lock(&mutex_);
    const auto cached = summaries_.find(backup_id);
    if (cached != summaries_.end() && cached->second.sealed_size_bytes == sealed_size_bytes) {
      return cached->second.summary;
    }
  }
  const std::string path = BackupPath(store_id_, backup_id);
  constexpr uint64_t kBeginningSizeBytes = kSealedHeaderSizeBytes + kSealedSegmentSizeBytes;
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source,
                            blobs_->Get(path, 0, kBeginningSizeBytes), path);
  std::string beginning;
  for (;;) {
    HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, source->Next(), path);
    if (piece.empty()) break;
    absl::StrAppend(&beginning, AsText(piece));
  }
  HOLDFAST_ASSIGN_OR_RETURN(BackupSummary summary,
                            OpenManifestSummary(AsBytes(beginning), sealed_size_bytes, store_id_,
                                                backup_id, ManifestKeyOf(AsBytes(beginning))));
  MutexLock lock(&mutex_);
  if (summaries_.size() < kSummariesMax) {
    summaries_[backup_id] = {.sealed_size_bytes = sealed_size_bytes, .summary = summary};
  }
  return summary;
}

// --- Manifests -------------------------------------------------------------------------------

absl::StatusOr<StoreRepository::LoadedManifest> StoreRepository::LoadManifest(
    absl::string_view backup_id) const {
  HOLDFAST_ASSIGN_OR_RETURN(const std::string sealed, ReadSealedManifest(backup_id));
  return OpenSealedManifest(backup_id, sealed);
}

absl::StatusOr<std::string> StoreRepository::ReadSealedManifest(absl::string_view backup_id) const {
  if (!IsBackupId(backup_id)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", absl::CHexEscape(backup_id.substr(0, 100)),
                     "\" is not a backup id; they look like 20261122T183500.123Z-1f9a2b3c"));
  }
  absl::StatusOr<std::string> sealed =
      ReadBlob(*blobs_, BackupPath(store_id_, backup_id), kSealedManifestSizeMaxBytes);
  if (absl::IsNotFound(sealed.status())) {
    return absl::NotFoundError(
        absl::StrCat("there is no backup ", backup_id, " at ", blobs_->Describe()));
  }
  HOLDFAST_RETURN_IF_ERROR(sealed.status(), absl::StrCat("manifest of backup ", backup_id));
  return sealed;
}

absl::StatusOr<StoreRepository::LoadedManifest> StoreRepository::OpenSealedManifest(
    absl::string_view backup_id, absl::string_view sealed_manifest) const {
  const absl::Span<const uint8_t> sealed = AsBytes(sealed_manifest);
  HOLDFAST_ASSIGN_OR_RETURN(Manifest manifest,
                            OpenManifest(sealed, store_id_, backup_id, ManifestKeyOf(sealed)));
  return LoadedManifest{.manifest = std::move(manifest), .sealed_hash = Blake2b256({sealed})};
}

absl::Status StoreRepository::CommitManifest(absl::string_view backup_id,
                                             absl::string_view sealed_manifest) {
  if (!IsBackupId(backup_id) || sealed_manifest.size() > kSealedManifestSizeMaxBytes) {
    return absl::InvalidArgumentError("not a manifest that could be read back");
  }
  return Annotate(PutAndCompare(*blobs_, BackupPath(store_id_, backup_id), sealed_manifest),
                  absl::StrCat("commit backup ", backup_id));
}

absl::Status StoreRepository::TakeBackManifest(absl::string_view backup_id) {
  {
    MutexLock lock(&mutex_);
    summaries_.erase(backup_id);
  }
  return Annotate(IgnoreNotFound(blobs_->Delete(BackupPath(store_id_, backup_id))),
                  absl::StrCat("take back backup ", backup_id));
}

absl::Status StoreRepository::ReplaceManifest(absl::string_view backup_id,
                                              absl::string_view sealed_manifest) {
  {
    MutexLock lock(&mutex_);
    summaries_.erase(backup_id);
  }
  return ReplaceAndCompare(*blobs_, BackupPath(store_id_, backup_id), sealed_manifest);
}

// --- Marks -----------------------------------------------------------------------------------

absl::Status StoreRepository::ReplaceMark(absl::string_view mark_name,
                                          absl::string_view sealed_mark) {
  return ReplaceAndCompare(*blobs_, absl::StrCat(MarksPath(store_id_), "/", mark_name),
                           sealed_mark);
}

absl::StatusOr<std::vector<std::string>> StoreRepository::MarksToCopy(
    absl::string_view backup_id) const {
  HOLDFAST_ASSIGN_OR_RETURN(const DecidingMarks deciding, FindDecidingMarks(backup_id));
  std::vector<std::string> to_copy;
  if (!deciding.pin.empty()) to_copy.push_back(deciding.pin);
  if (!deciding.health.empty() && ParseMarkName(deciding.health)->kind == Mark::KIND_DAMAGED) {
    to_copy.push_back(deciding.health);
  }
  return to_copy;
}

absl::Status StoreRepository::PutSealedMark(absl::string_view mark_name,
                                            absl::string_view sealed_mark) {
  return PutAndCompare(*blobs_, absl::StrCat(MarksPath(store_id_), "/", mark_name), sealed_mark);
}

absl::StatusOr<std::vector<std::string>> StoreRepository::ListMarks(
    absl::string_view backup_id) const {
  std::vector<std::string> names;
  HOLDFAST_RETURN_IF_ERROR(ListBelow(*blobs_, absl::StrCat(MarksPath(store_id_), "/", backup_id),
                                     [&](absl::string_view name, uint64_t /*size*/) {
                                       names.push_back(absl::StrCat(backup_id, "/", name));
                                       return absl::OkStatus();
                                     }));
  return names;
}

absl::StatusOr<DecidingMarks> StoreRepository::FindDecidingMarks(
    absl::string_view backup_id) const {
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListMarks(backup_id));
  return DecidingMarksOf(names);
}

absl::StatusOr<bool> StoreRepository::IsGoodMark(
    const std::string& mark_name, std::map<std::string, absl::Status>& damaged_marks) {
  const absl::Status status = CheckMark(mark_name);
  if (status.ok()) return true;
  HOLDFAST_RETURN_IF_ERROR(CheckThatOnlyTheFileFailed(status));
  damaged_marks[absl::StrCat(MarksPath(store_id_), "/", mark_name)] = status;
  return false;
}

absl::StatusOr<bool> StoreRepository::IsPinnedBy(
    const std::string& pin, std::map<std::string, absl::Status>& damaged_marks) {
  if (pin.empty()) return false;
  HOLDFAST_ASSIGN_OR_RETURN(const bool is_good, IsGoodMark(pin, damaged_marks));
  return !is_good || ParseMarkName(pin)->kind == Mark::KIND_PINNED;
}

absl::StatusOr<bool> StoreRepository::IsPinned(absl::string_view backup_id) {
  HOLDFAST_ASSIGN_OR_RETURN(const DecidingMarks deciding, FindDecidingMarks(backup_id));
  std::map<std::string, absl::Status> damaged_marks;
  return IsPinnedBy(deciding.pin, damaged_marks);
}

absl::Status StoreRepository::AddMark(const Mark& mark, absl::Time now) {
  const std::string& backup_id = mark.backup_id();
  if (!IsBackupId(backup_id) || !Mark::Kind_IsValid(mark.kind()) ||
      mark.kind() == Mark::KIND_UNSPECIFIED || mark.note().size() > kMarkNoteSizeMaxBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a mark that can be made: its backup id or kind is none, or its note has "
                     "more than ",
                     kMarkNoteSizeMaxBytes, " bytes"));
  }
  const absl::Status found = blobs_->Stat(BackupPath(store_id_, backup_id)).status();
  if (absl::IsNotFound(found)) {
    return absl::NotFoundError(
        absl::StrCat("there is no backup ", backup_id, " at ", blobs_->Describe()));
  }
  if (!found.ok() && !absl::IsDataLoss(found)) return found;

  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<std::string> existing, ListMarks(backup_id));
  for (const std::string& name : existing) {
    const absl::StatusOr<ParsedMarkName> parsed = ParseMarkName(name);
    if (!parsed.ok() || parsed->time + absl::Milliseconds(1) <= now) continue;
    // One that somebody else put there must not push the time away.
    const absl::Status status = CheckMark(name);
    if (status.ok()) {
      now = parsed->time + absl::Milliseconds(1);
    } else {
      HOLDFAST_RETURN_IF_ERROR(CheckThatOnlyTheFileFailed(status));
    }
  }

  if (!ParseTimeCompact(FormatTimeCompact(now)).ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("backup ", backup_id, " has a mark of a time after which there can be none"));
  }

  Mark dated = mark;
  dated.set_create_time_us(absl::ToUnixMicros(now));
  const std::string path = MarkPath(store_id_, backup_id, now, mark.kind());
  return PutAndCompare(
      *blobs_, path,
      Seal(SealedKind::kMark, manifest_key(), path, AsBytes(dated.SerializeAsString())));
}

absl::StatusOr<Mark> StoreRepository::ReadMark(absl::string_view mark_name) const {
  HOLDFAST_ASSIGN_OR_RETURN(const std::string sealed, ReadMarkBytes(mark_name));
  return OpenMark(mark_name, sealed);
}

absl::StatusOr<std::string> StoreRepository::ReadSealedMark(absl::string_view mark_name) const {
  HOLDFAST_ASSIGN_OR_RETURN(std::string sealed, ReadMarkBytes(mark_name));
  HOLDFAST_RETURN_IF_ERROR(OpenMark(mark_name, sealed).status());
  return sealed;
}

absl::StatusOr<std::string> StoreRepository::ReadMarkBytes(absl::string_view mark_name) const {
  HOLDFAST_RETURN_IF_ERROR(ParseMarkName(mark_name).status());
  const std::string path = absl::StrCat(MarksPath(store_id_), "/", mark_name);
  absl::StatusOr<std::string> sealed = ReadBlob(*blobs_, path, kSealedMarkSizeMaxBytes);
  HOLDFAST_RETURN_IF_ERROR(sealed.status(), path);
  return sealed;
}

absl::StatusOr<Mark> StoreRepository::OpenMark(absl::string_view mark_name,
                                               absl::string_view sealed) const {
  HOLDFAST_ASSIGN_OR_RETURN(const ParsedMarkName name, ParseMarkName(mark_name));
  const std::string path = absl::StrCat(MarksPath(store_id_), "/", mark_name);
  HOLDFAST_ASSIGN_OR_RETURN(const std::string content,
                            Unseal({.kind = SealedKind::kMark, .path = path},
                                   ManifestKeyOf(AsBytes(sealed)), AsBytes(sealed)),
                            path);
  Mark mark;
  if (!mark.ParseFromString(content) || mark.backup_id() != name.backup_id ||
      mark.kind() != name.kind) {
    return absl::DataLossError(absl::StrCat(path, ": its content is not the mark of its name"));
  }
  return mark;
}

absl::Status StoreRepository::CheckMark(const std::string& mark_name) {
  {
    MutexLock lock(&mutex_);
    if (good_marks_.contains(mark_name)) return absl::OkStatus();
  }
  HOLDFAST_RETURN_IF_ERROR(ReadMark(mark_name).status());
  MutexLock lock(&mutex_);
  if (good_marks_.size() >= kGoodMarksMax) good_marks_.clear();
  good_marks_.insert(mark_name);
  return absl::OkStatus();
}

// --- What prune does -------------------------------------------------------------------------

absl::Status StoreRepository::RemoveBackup(absl::string_view backup_id, absl::Time deleted_before) {
  if (!IsBackupId(backup_id)) {
    return absl::InvalidArgumentError(absl::StrCat("'", backup_id, "' is not the id of a backup"));
  }
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListMarks(backup_id));
  const DecidingMarks deciding = DecidingMarksOf(names);
  const absl::StatusOr<ParsedMarkName> deletion = ParseMarkName(deciding.deletion);
  if (!deletion.ok() || deletion->kind != Mark::KIND_DELETED || deletion->time >= deleted_before) {
    return absl::FailedPreconditionError(
        absl::StrCat("backup ", backup_id, " is not deleted, or not for long enough"));
  }
  HOLDFAST_RETURN_IF_ERROR(CheckMark(deciding.deletion));
  std::map<std::string, absl::Status> damaged_marks;
  HOLDFAST_ASSIGN_OR_RETURN(const bool is_pinned, IsPinnedBy(deciding.pin, damaged_marks));
  if (is_pinned) {
    return absl::FailedPreconditionError(absl::StrCat("backup ", backup_id, " is pinned"));
  }
  // In this order: without the marks the backup would seem to be listed.
  HOLDFAST_RETURN_IF_ERROR(IgnoreNotFound(blobs_->Delete(BackupPath(store_id_, backup_id))));
  for (const std::string& name : names) HOLDFAST_RETURN_IF_ERROR(RemoveOrphanedMark(name));
  return absl::OkStatus();
}

absl::Status StoreRepository::RemoveOrphanedMark(absl::string_view mark_name) {
  return IgnoreNotFound(blobs_->Delete(absl::StrCat(MarksPath(store_id_), "/", mark_name)));
}

absl::StatusOr<bool> StoreRepository::RemoveObject(absl::string_view object_name,
                                                   absl::Time written_before) {
  const std::string path = ObjectPath(store_id_, object_name);
  const absl::StatusOr<BlobInfo> info = blobs_->Stat(path);
  if (absl::IsNotFound(info.status()) || absl::IsDataLoss(info.status())) return false;
  HOLDFAST_RETURN_IF_ERROR(info.status());
  if (info->write_time >= written_before) return false;
  const absl::Status deleted = blobs_->Delete(path);
  if (absl::IsNotFound(deleted)) return false;
  HOLDFAST_RETURN_IF_ERROR(deleted);
  return true;
}

absl::StatusOr<std::string> StoreRepository::AddPruneLease(absl::Time now) {
  std::string path = PruneLeasePath(store_id_, now);
  HOLDFAST_RETURN_IF_ERROR(PutAndCompare(*blobs_, path, ""));
  return path;
}

absl::StatusOr<std::vector<std::string>> StoreRepository::ListPruneLeases(absl::Time now) {
  std::vector<std::string> counting;
  std::vector<std::string> old;
  HOLDFAST_RETURN_IF_ERROR(
      ListBelow(*blobs_, LeasesPath(store_id_), [&](absl::string_view name, uint64_t /*size*/) {
        const absl::StatusOr<absl::Time> time = ParsePruneLeaseName(name);
        if (!time.ok()) return absl::OkStatus();
        const bool counts =
            now - *time < kPruneLeaseCountsFor && *time - now < kPruneLeaseCountsFor;
        (counts ? counting : old).push_back(absl::StrCat(LeasesPath(store_id_), "/", name));
        return absl::OkStatus();
      }));
  for (const std::string& path : old) HOLDFAST_RETURN_IF_ERROR(RemovePruneLease(path));
  return counting;
}

absl::Status StoreRepository::RemovePruneLease(const std::string& path) {
  return IgnoreNotFound(blobs_->Delete(path));
}

// --- Objects ---------------------------------------------------------------------------------

absl::Status StoreRepository::ListObjects(
    const std::function<absl::Status(absl::string_view, uint64_t)>& visit) const {
  return ListBelow(*blobs_, ObjectsPath(store_id_),
                   [&](absl::string_view name, uint64_t size_bytes) {
                     return ParseObjectName(name).ok() ? visit(name, size_bytes) : absl::OkStatus();
                   });
}

absl::StatusOr<std::unique_ptr<ByteSource>> StoreRepository::ReadObject(
    const ObjectEntry& entry) const {
  if (!ParseObjectName(entry.name()).ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", absl::CHexEscape(entry.name().substr(0, 200)), "\" is not the name of an object"));
  }
  std::string path = ObjectPath(store_id_, entry.name());
  const absl::StatusOr<Id128> key_id = Id128::FromBytes(entry.key_id());
  HOLDFAST_RETURN_IF_ERROR(key_id.status(), path);
  HOLDFAST_ASSIGN_OR_RETURN(const SealingKey* const content_key, ContentKey(key_id->bytes()), path);
  absl::StatusOr<std::unique_ptr<ByteSource>> sealed = blobs_->Get(path);
  if (absl::IsNotFound(sealed.status())) {
    return absl::NotFoundError(absl::StrCat(path, ": missing"));
  }
  HOLDFAST_RETURN_IF_ERROR(sealed.status(), path);
  return std::make_unique<ObjectSource>(*blobs_, std::move(path), entry, *content_key,
                                        *std::move(sealed));
}

// --- Errors ----------------------------------------------------------------------------------

absl::Status StoreRepository::CheckThatOnlyTheFileFailed(const absl::Status& failure) const {
  return holdfast::CheckThatOnlyTheFileFailed(*blobs_, failure);
}

}  // namespace holdfast
