#include "common/repository/checker.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/io/xxh3_stream.h"
#include "common/repository/blob_calls.h"
#include "common/repository/deciding_marks.h"
#include "common/repository/sealed_object.h"

namespace holdfast {

namespace {

using repository::v1::BackupSummary;
using repository::v1::Extent;
using repository::v1::FileEntry;
using repository::v1::FileList;
using repository::v1::ObjectEntry;

constexpr uint64_t kProgressStepBytes = uint64_t{8} << 20;

// Backups by their place in StoreCheck::backup_ids_.
using BackupIndexes = std::vector<uint32_t>;

void AddOnce(BackupIndexes& indexes, uint32_t index) {
  if (indexes.empty() || indexes.back() != index) indexes.push_back(index);
}

// A part of an object that must have a certain checksum, for it is a file.
struct FileInObject {
  uint64_t offset = 0;
  uint64_t length = 0;
  std::string xxh3;
  std::string name;  // as one of the backups calls it
  BackupIndexes backups;
};

// What the manifests say of an object. Where they contradict each other, each gets its own.
struct ClaimedObject {
  ObjectEntry entry;
  BackupIndexes backups;
  std::vector<FileInObject> files;
};

// A file that does not lie in one piece.
struct ScatteredFile {
  std::string name;
  std::string xxh3;
  std::vector<std::pair<ObjectEntry, Extent>> extents;
  BackupIndexes backups;
};

// Compares the checksums of files while the object that they lie in goes by.
class FileVerifier {
 public:
  // Does not take ownership of `files`, which must be sorted by their offsets and outlive this.
  explicit FileVerifier(const std::vector<FileInObject>& files)
      : next_(files.begin()), end_(files.end()) {}

  // Calls `on_wrong` for each file that ended in `piece` and is not what it should be.
  template <typename OnWrong>
  void Update(absl::Span<const uint8_t> piece, const OnWrong& on_wrong) {
    const uint64_t piece_end = position_ + piece.size();
    for (; next_ != end_ && next_->offset < piece_end; ++next_) begun_.push_back({&*next_, {}});
    for (Begun& begun : begun_) {
      const FileInObject& file = *begun.file;
      const uint64_t begin = std::max(file.offset, position_);
      const uint64_t end = std::min(file.offset + file.length, piece_end);
      begun.checksum.Update(piece.subspan(begin - position_, end - begin));
      if (end == file.offset + file.length && begun.checksum.Digest() != file.xxh3) on_wrong(file);
    }
    begun_.erase(std::remove_if(begun_.begin(), begun_.end(),
                                [&](const Begun& begun) {
                                  return begun.file->offset + begun.file->length <= piece_end;
                                }),
                 begun_.end());
    position_ = piece_end;
  }

 private:
  struct Begun {
    const FileInObject* file;
    Xxh3Stream checksum;
  };

  std::vector<FileInObject>::const_iterator next_;
  const std::vector<FileInObject>::const_iterator end_;
  std::vector<Begun> begun_;
  uint64_t position_ = 0;
};

absl::Status ChecksumError(absl::string_view file_name) {
  return absl::DataLossError(absl::StrCat(
      "the file ", file_name, " in it does not have the checksum that it was stored with"));
}

// One check of one store.
class StoreCheck {
 public:
  StoreCheck(StoreRepository& store, const CheckOptions& options, const Cancellation& cancellation)
      : store_(store), options_(options), cancellation_(cancellation) {}

  absl::StatusOr<CheckReport> Run() {
    HOLDFAST_RETURN_IF_ERROR(CheckTheRepositoryFiles());
    HOLDFAST_RETURN_IF_ERROR(ListNames());
    HOLDFAST_RETURN_IF_ERROR(CheckKeyFiles());
    HOLDFAST_RETURN_IF_ERROR(CheckManifests());
    HOLDFAST_RETURN_IF_ERROR(CheckMarks());
    HOLDFAST_RETURN_IF_ERROR(CheckObjects());
    if (options_.read_data) HOLDFAST_RETURN_IF_ERROR(CheckScatteredFiles());
    std::sort(report_.findings.begin(), report_.findings.end(),
              [](const CheckFinding& a, const CheckFinding& b) { return a.path < b.path; });
    std::sort(report_.foreign_names.begin(), report_.foreign_names.end());
    return std::move(report_);
  }

 private:
  // --- What is there -------------------------------------------------------------------------

  absl::Status ListNames() {
    const StoreId& store_id = store_.store_id();
    const std::string prefix = absl::StrCat(StorePath(store_id), "/");
    HOLDFAST_RETURN_IF_ERROR(
        store_.blobs().List(StorePath(store_id), [&](const BlobInfo& info) -> absl::Status {
          HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
          sizes_[info.name] = info.size_bytes;
          if (!Classify(info.name, prefix)) report_.foreign_names.push_back(info.name);
          TellProgress();
          return absl::OkStatus();
        }));
    std::sort(backup_ids_.begin(), backup_ids_.end());

    HOLDFAST_ASSIGN_OR_RETURN(const std::vector<std::string> top, store_.blobs().ListFolders(""));
    for (const std::string& folder : top) {
      if (folder != kStoresPath) report_.foreign_names.push_back(absl::StrCat(folder, "/"));
    }
    HOLDFAST_ASSIGN_OR_RETURN(const std::vector<std::string> stores,
                              store_.blobs().ListFolders(kStoresPath));
    for (const std::string& folder : stores) {
      if (!StoreId::FromText(folder).ok()) {
        report_.foreign_names.push_back(absl::StrCat(kStoresPath, "/", folder, "/"));
      }
    }
    return absl::OkStatus();
  }

  // Whether the name of a file is one that belongs here.
  bool Classify(const std::string& path, absl::string_view prefix) {
    absl::string_view name = path;
    if (!absl::ConsumePrefix(&name, prefix)) return false;
    const size_t slash = name.find('/');
    if (slash == absl::string_view::npos) return false;
    const absl::string_view folder = name.substr(0, slash);
    name.remove_prefix(slash + 1);
    if (folder == "keys" && ParseKeyFileName(name).ok()) {
      key_files_.push_back(path);
    } else if (folder == "backups" && IsBackupId(name)) {
      backup_ids_.push_back(std::string(name));
    } else if (folder == "marks" && ParseMarkName(name).ok()) {
      mark_names_.push_back(std::string(name));
    } else if (folder == "objects" && ParseObjectName(name).ok()) {
      object_names_.push_back(std::string(name));
    } else {
      return folder == "log" || folder == "leases";  // reserved
    }
    return true;
  }

  // --- Findings ------------------------------------------------------------------------------

  std::vector<std::string> IdsOf(const BackupIndexes& indexes) const {
    std::vector<std::string> ids;
    for (const uint32_t index : indexes) ids.push_back(backup_ids_[index]);
    return ids;
  }

  // Notes a finding about a file. An error where the failure is not the file's.
  absl::Status Report(const std::string& path, const absl::Status& failure,
                      std::vector<std::string> backup_ids, bool is_sealed_so = false) {
    HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
    HOLDFAST_RETURN_IF_ERROR(store_.CheckThatOnlyTheFileFailed(failure));
    absl::Status status = failure;
    if (GetSealedFault(failure) == SealedFault::kOtherName) {
      const std::string explanation = ExplainOtherName(path);
      if (!explanation.empty()) status = Annotate(failure, explanation);
    }
    report_.findings.push_back({.path = path,
                                .status = std::move(status),
                                .backup_ids = std::move(backup_ids),
                                .is_sealed_so = is_sealed_so});
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> ReadHeader(const std::string& path) {
    HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source,
                              store_.blobs().Get(path, 0, kSealedHeaderSizeBytes));
    std::string header;
    for (;;) {
      HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, source->Next());
      if (piece.empty()) return header;
      absl::StrAppend(&header, AsText(piece));
      report_.bytes_read += piece.size();
    }
  }

  std::optional<Hash256> PathHashIn(const std::string& path) {
    const absl::StatusOr<std::string> bytes = ReadHeader(path);
    if (!bytes.ok()) return std::nullopt;
    const absl::StatusOr<SealedHeader> header = ParseSealedHeader(AsBytes(*bytes));
    if (!header.ok()) return std::nullopt;
    return header->path_hash;
  }

  // Which file it is that stands under the name of another.
  std::string ExplainOtherName(const std::string& path) {
    const std::optional<Hash256> hash = PathHashIn(path);
    if (!hash.has_value()) return "";
    if (paths_by_hash_.empty()) {
      for (const auto& [name, size_bytes] : sizes_) paths_by_hash_[HashKey(name)] = name;
      for (const auto& [key, object] : objects_) {
        const std::string name = ObjectPath(store_.store_id(), object.entry.name());
        paths_by_hash_[HashKey(name)] = name;
      }
    }
    const auto other = paths_by_hash_.find(AsText(*hash));
    if (other == paths_by_hash_.end()) {
      return "it was sealed under a name that is not here: it comes from another store, or from an "
             "earlier state of this one";
    }
    if (other->second == path) return "";
    if (!sizes_.contains(other->second)) {
      return absl::StrCat("it is ", other->second, ", which was renamed");
    }
    if (PathHashIn(other->second) == SealedPathHash(path)) {
      return absl::StrCat("it holds the bytes of ", other->second, ": the two were swapped");
    }
    return absl::StrCat("it holds the bytes of ", other->second, ", which were copied over it");
  }

  static std::string HashKey(absl::string_view path) {
    return std::string(AsText(SealedPathHash(path)));
  }

  // --- Keys, manifests, marks ----------------------------------------------------------------

  absl::Status CheckTheRepositoryFiles() {
    HOLDFAST_ASSIGN_OR_RETURN(const std::vector<RepositoryFileFault> faults,
                              CheckRepositoryFiles(store_.blobs()));
    // Nothing is lost by them, as long as one of the two is whole.
    for (const RepositoryFileFault& fault : faults) {
      report_.findings.push_back({.path = fault.path, .status = fault.status, .backup_ids = {}});
    }
    return cancellation_.status();
  }

  absl::Status CheckKeyFiles() {
    for (const std::string& path : key_files_) {
      HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
      const auto own = store_.key_files().find(path);
      absl::Status status = own != store_.key_files().end() ? own->second : absl::OkStatus();
      // Those of other master keys, and what was written since, show their header only.
      if (status.ok()) status = CheckKeyFileHeader(path);
      if (!status.ok()) HOLDFAST_RETURN_IF_ERROR(Report(path, status, {}));
    }
    for (const auto& [path, status] : store_.key_files()) {
      if (!sizes_.contains(path)) {
        HOLDFAST_RETURN_IF_ERROR(Report(path, absl::NotFoundError("missing"), backup_ids_));
      }
    }
    return absl::OkStatus();
  }

  absl::Status CheckKeyFileHeader(const std::string& path) {
    HOLDFAST_ASSIGN_OR_RETURN(const std::string bytes, ReadHeader(path));
    HOLDFAST_ASSIGN_OR_RETURN(const SealedHeader header, ParseSealedHeader(AsBytes(bytes)));
    if (header.kind != SealedKind::kBackupKey || header.path_hash != SealedPathHash(path)) {
      return absl::DataLossError("sealed under another name");
    }
    return CheckSealedSize(sizes_[path], SealedSizeBytes(header.content_size_bytes));
  }

  absl::Status CheckManifests() {
    HOLDFAST_ASSIGN_OR_RETURN(const BackupListing listing, store_.ListBackups());
    for (const ListedBackup& backup : listing.backups) {
      if (backup.is_damaged) ++report_.backups_marked;
    }
    if (options_.also_read_marked) marked_objects_ = listing.damaged_objects;
    struct Link {
      Hash256 sealed_hash;
      uint64_t ordinal = 0;
      std::string previous_backup_id;
      std::string previous_manifest_hash;
    };
    std::map<std::string, Link> chain;
    for (uint32_t index = 0; index < backup_ids_.size(); ++index) {
      HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
      const std::string& backup_id = backup_ids_[index];
      const bool is_deleted = listing.deleted.contains(backup_id);
      absl::StatusOr<StoreRepository::LoadedManifest> loaded = store_.LoadManifest(backup_id);
      if (IsUnread(loaded.status())) loaded = store_.LoadManifest(backup_id);
      if (absl::IsNotFound(loaded.status())) continue;  // pruned since it was listed
      if (!is_deleted) ++report_.backups_checked;
      if (!loaded.ok()) {
        std::vector<std::string> lost;
        if (!is_deleted) lost.push_back(backup_id);
        HOLDFAST_RETURN_IF_ERROR(Report(BackupPath(store_.store_id(), backup_id),
                                        ExplainWrongKey(backup_id, loaded.status()),
                                        std::move(lost)));
        continue;
      }
      report_.bytes_read += sizes_[BackupPath(store_.store_id(), backup_id)];
      const BackupSummary& summary = loaded->manifest.summary;
      chain[backup_id] = {.sealed_hash = loaded->sealed_hash,
                          .ordinal = summary.ordinal(),
                          .previous_backup_id = summary.previous_backup_id(),
                          .previous_manifest_hash = summary.previous_manifest_hash()};
      for (const ObjectEntry& object : loaded->manifest.files.objects()) {
        named_objects_.insert(object.name());
      }
      if (is_deleted) continue;
      report_.checked_backup_ids.insert(backup_id);
      AddClaims(loaded->manifest.files, index);
    }
    // Where the backup before is gone, retention may have removed it.
    for (const auto& [backup_id, link] : chain) {
      const auto previous = chain.find(link.previous_backup_id);
      if (previous == chain.end()) continue;
      if (AsText(previous->second.sealed_hash) != link.previous_manifest_hash) {
        HOLDFAST_RETURN_IF_ERROR(
            Report(BackupPath(store_.store_id(), previous->first),
                   absl::DataLossError(absl::StrCat("not the manifest that backup ", backup_id,
                                                    " was made after: it was exchanged")),
                   {}));
      } else if (previous->second.ordinal + 1 != link.ordinal) {
        HOLDFAST_RETURN_IF_ERROR(
            Report(BackupPath(store_.store_id(), backup_id),
                   absl::DataLossError(absl::StrCat("its ordinal ", link.ordinal,
                                                    " does not follow that of the backup before, ",
                                                    previous->second.ordinal)),
                   {}));
      }
    }
    return absl::OkStatus();
  }

  // Where the key that it was sealed with is not to be had, why.
  absl::Status ExplainWrongKey(const std::string& backup_id, const absl::Status& failure) {
    if (GetSealedFault(failure) != SealedFault::kWrongKey) return failure;
    const absl::StatusOr<std::string> bytes = ReadHeader(BackupPath(store_.store_id(), backup_id));
    if (!bytes.ok()) return failure;
    const absl::StatusOr<SealedHeader> header = ParseSealedHeader(AsBytes(*bytes));
    if (!header.ok()) return failure;
    const absl::Status key_status = store_.ManifestKey(header->key_id).status();
    return key_status.ok() ? failure : Annotate(failure, key_status.message());
  }

  void AddClaims(const FileList& list, uint32_t backup) {
    std::vector<ClaimedObject*> claimed;
    for (const ObjectEntry& entry : list.objects()) {
      ClaimedObject& object = objects_[entry.SerializeAsString()];
      if (object.backups.empty()) object.entry = entry;
      AddOnce(object.backups, backup);
      claimed.push_back(&object);
    }
    if (!options_.read_data) return;
    for (const FileEntry& file : list.files()) {
      if (file.extents_size() == 1) {
        const Extent& extent = file.extents(0);
        AddFile(*claimed[extent.object_index()], extent, file, backup);
      } else if (file.extents_size() > 1) {
        std::string key = file.xxh3_128();
        for (const Extent& extent : file.extents()) {
          absl::StrAppend(&key, " ", list.objects(static_cast<int>(extent.object_index())).name(),
                          " ", extent.offset(), " ", extent.length());
        }
        ScatteredFile& scattered = scattered_files_[key];
        if (scattered.backups.empty()) {
          scattered.name = file.name();
          scattered.xxh3 = file.xxh3_128();
          for (const Extent& extent : file.extents()) {
            scattered.extents.emplace_back(list.objects(static_cast<int>(extent.object_index())),
                                           extent);
          }
        }
        AddOnce(scattered.backups, backup);
      } else if (file.xxh3_128() != Xxh3Of("")) {
        report_.findings.push_back({.path = BackupPath(store_.store_id(), backup_ids_[backup]),
                                    .status = ChecksumError(file.name()),
                                    .backup_ids = {backup_ids_[backup]},
                                    .is_sealed_so = true});
      }
    }
  }

  static void AddFile(ClaimedObject& object, const Extent& extent, const FileEntry& file,
                      uint32_t backup) {
    const auto order = [](const FileInObject& a) { return std::tie(a.offset, a.length, a.xxh3); };
    FileInObject added = {.offset = extent.offset(),
                          .length = extent.length(),
                          .xxh3 = file.xxh3_128(),
                          .name = file.name(),
                          .backups = {}};
    const auto place = std::lower_bound(
        object.files.begin(), object.files.end(), added,
        [&](const FileInObject& a, const FileInObject& b) { return order(a) < order(b); });
    if (place != object.files.end() && order(*place) == order(added)) {
      AddOnce(place->backups, backup);
      return;
    }
    AddOnce(added.backups, backup);
    object.files.insert(place, std::move(added));
  }

  // Those that decide something: what a newer mark has answered since matters to nobody.
  absl::Status CheckMarks() {
    std::map<std::string, DecidingMarks> marks;
    for (const std::string& name : mark_names_) {
      const absl::StatusOr<ParsedMarkName> parsed = ParseMarkName(name);
      if (parsed.ok()) marks[parsed->backup_id].Add(name, parsed->kind);
    }
    std::set<std::string> deciding;
    for (const auto& [backup_id, of_backup] : marks) {
      deciding.insert({of_backup.deletion, of_backup.pin, of_backup.health, of_backup.drill});
    }
    deciding.erase("");
    for (const std::string& name : deciding) {
      HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
      absl::Status status = store_.ReadMark(name).status();
      if (IsUnread(status)) status = store_.ReadMark(name).status();
      if (status.ok() || absl::IsNotFound(status)) continue;
      HOLDFAST_RETURN_IF_ERROR(
          Report(absl::StrCat(MarksPath(store_.store_id()), "/", name), status, {}));
    }
    return absl::OkStatus();
  }

  // --- Objects -------------------------------------------------------------------------------

  absl::Status CheckObjects() {
    for (const std::string& name : object_names_) {
      if (named_objects_.contains(name)) continue;
      ++report_.unnamed_objects;
      report_.unnamed_object_names.push_back(name);
      report_.unnamed_bytes += sizes_[ObjectPath(store_.store_id(), name)];
    }
    progress_.objects_total = objects_.size();
    for (const auto& [key, object] : objects_) {
      progress_.bytes_total += BytesToDo(object);
    }
    TellProgress();
    std::vector<const ClaimedObject*> unread;
    for (const auto& [key, object] : objects_) {
      HOLDFAST_ASSIGN_OR_RETURN(const bool is_told, CheckObject(object, /*may_be_unread=*/true));
      if (!is_told) unread.push_back(&object);
    }
    for (const ClaimedObject* const object : unread) {
      HOLDFAST_RETURN_IF_ERROR(CheckObject(*object, /*may_be_unread=*/false).status());
    }
    return absl::OkStatus();
  }

  // Checks one object, and reports what is wrong. False, and nothing is reported, where it could
  // not be read and that may be.
  absl::StatusOr<bool> CheckObject(const ClaimedObject& object, bool may_be_unread) {
    HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
    const uint64_t bytes_before = progress_.bytes_done;
    const std::string path = ObjectPath(store_.store_id(), object.entry.name());
    absl::Status status = CheckObjectBeginning(store_, object.entry);
    if (!absl::IsNotFound(status)) report_.bytes_read += kSealedHeaderSizeBytes;
    if (status.ok() && IsRead(object)) status = ReadObject(path, object);
    if (may_be_unread && IsUnread(status)) {
      HOLDFAST_RETURN_IF_ERROR(store_.CheckThatOnlyTheFileFailed(status));
      progress_.bytes_done = bytes_before;
      return false;
    }
    if (!status.ok()) {
      HOLDFAST_RETURN_IF_ERROR(Report(path, status, IdsOf(object.backups)));
      unreadable_objects_.insert(object.entry.name());
    }
    ++report_.objects_checked;
    ++progress_.objects_done;
    progress_.bytes_done = bytes_before + BytesToDo(object);
    TellProgress();
    return true;
  }

  static bool IsUnread(const absl::Status& status) {
    return !status.ok() && !IsProofOfDamage(status);
  }

  // What it counts for in the progress.
  uint64_t BytesToDo(const ClaimedObject& object) const {
    return !options_.read_data || IsRead(object) ? object.entry.sealed_size_bytes() : 0;
  }

  // Whether its content is to be read and proven.
  bool IsRead(const ClaimedObject& object) const {
    if (!options_.read_data) return false;
    if (!options_.only_backup_id.empty()) {
      const bool is_needed = std::any_of(
          object.backups.begin(), object.backups.end(),
          [&](uint32_t index) { return backup_ids_[index] == options_.only_backup_id; });
      if (!is_needed) return false;
    }
    if (marked_objects_.contains(object.entry.name())) return true;
    // The identity is a keyed hash or random: any part of it spreads evenly.
    const absl::StatusOr<ParsedObjectName> name = ParseObjectName(object.entry.name());
    if (options_.shares <= 1 || !name.ok()) return true;
    uint32_t number = 0;
    std::memcpy(&number, name->identity.data(), sizeof(number));
    return number % options_.shares == options_.share;
  }

  absl::Status ReadObject(const std::string& path, const ClaimedObject& object) {
    HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source,
                              store_.ReadObject(object.entry));
    FileVerifier verifier(object.files);
    std::vector<const FileInObject*> wrong;
    uint64_t content_bytes = 0;
    uint64_t told_bytes = 0;
    const uint64_t bytes_before = progress_.bytes_done;
    for (;;) {
      HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
      HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, source->Next());
      if (piece.empty()) break;
      verifier.Update(piece, [&](const FileInObject& file) { wrong.push_back(&file); });
      content_bytes += piece.size();
      if (content_bytes - told_bytes >= kProgressStepBytes) {
        told_bytes = content_bytes;
        progress_.bytes_done =
            bytes_before + std::min(content_bytes, object.entry.sealed_size_bytes());
        TellProgress();
      }
    }
    report_.bytes_read += object.entry.sealed_size_bytes();
    for (const FileInObject* const file : wrong) {
      HOLDFAST_RETURN_IF_ERROR(
          Report(path, ChecksumError(file->name), IdsOf(file->backups), /*is_sealed_so=*/true));
    }
    return absl::OkStatus();
  }

  absl::Status CheckScatteredFiles() {
    if (options_.shares > 1 || !options_.only_backup_id.empty()) return absl::OkStatus();
    for (const auto& [key, file] : scattered_files_) {
      const bool is_told_already = std::any_of(
          file.extents.begin(), file.extents.end(),
          [&](const auto& extent) { return unreadable_objects_.contains(extent.first.name()); });
      if (is_told_already) continue;
      Xxh3Stream checksum;
      absl::Status status;
      for (const auto& [entry, extent] : file.extents) {
        if (status.ok()) status = ReadExtent(entry, extent, checksum);
      }
      const bool is_sealed_so = status.ok();
      if (status.ok() && checksum.Digest() != file.xxh3) status = ChecksumError(file.name);
      if (!status.ok()) {
        HOLDFAST_RETURN_IF_ERROR(
            Report(ObjectPath(store_.store_id(), file.extents.front().first.name()), status,
                   IdsOf(file.backups), is_sealed_so));
      }
    }
    return absl::OkStatus();
  }

  absl::Status ReadExtent(const ObjectEntry& entry, const Extent& extent, Xxh3Stream& checksum) {
    HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, store_.ReadObject(entry));
    const uint64_t extent_end = extent.offset() + extent.length();
    uint64_t position = 0;
    while (position < extent_end) {
      HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
      HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, source->Next());
      if (piece.empty()) return absl::DataLossError("its content ends too early");
      const uint64_t begin = std::max(extent.offset(), position);
      const uint64_t end = std::min(extent_end, position + piece.size());
      if (begin < end) checksum.Update(piece.subspan(begin - position, end - begin));
      position += piece.size();
    }
    return absl::OkStatus();
  }

  void TellProgress() const {
    if (options_.on_progress) options_.on_progress(progress_);
  }

  StoreRepository& store_;
  const CheckOptions& options_;
  const Cancellation& cancellation_;

  CheckReport report_;
  CheckProgress progress_;

  // What the listing showed.
  absl::flat_hash_map<std::string, uint64_t> sizes_;  // by path
  std::vector<std::string> key_files_;
  std::vector<std::string> backup_ids_;
  std::vector<std::string> mark_names_;
  std::vector<std::string> object_names_;
  absl::flat_hash_map<std::string, std::string> paths_by_hash_;  // filled when first needed

  // What the manifests say.
  absl::flat_hash_set<std::string> named_objects_;
  std::map<std::string, ClaimedObject> objects_;  // by the bytes of their entries
  std::map<std::string, ScatteredFile> scattered_files_;

  absl::flat_hash_set<std::string> unreadable_objects_;
  absl::flat_hash_set<std::string> marked_objects_;  // to be read, with also_read_marked
};

}  // namespace

absl::StatusOr<CheckReport> CheckStore(StoreRepository& store, const CheckOptions& options,
                                       const Cancellation& cancellation) {
  return StoreCheck(store, options, cancellation).Run();
}

}  // namespace holdfast
