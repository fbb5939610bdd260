#ifndef HOLDFAST_COMMON_REPOSITORY_STORE_REPOSITORY_H_
#define HOLDFAST_COMMON_REPOSITORY_STORE_REPOSITORY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/crypto/sealed_file.h"
#include "common/repository/backup_key_ring.h"
#include "common/repository/deciding_marks.h"
#include "common/repository/layout.h"
#include "common/repository/manifest.h"
#include "common/storage/blob_store.h"

namespace holdfast {

// How long a prune may hold its lease by its monotonic clock, and how long others take it for held
// by the time in its name. Part of the repository format; do not change.
inline constexpr absl::Duration kPruneLeaseHeldMax = absl::Hours(12);
inline constexpr absl::Duration kPruneLeaseCountsFor = absl::Hours(48);

// A backup as a listing shows it.
struct ListedBackup {
  repository::v1::BackupSummary summary;
  uint64_t sealed_manifest_size_bytes = 0;
  bool pinned = false;
  // The mark that says whether it is, as of ParseMarkName; empty where none does, or can't be read.
  std::string pin_mark;
  // Pinned, and marked as deleted, too: that counts for nothing as long as it is pinned.
  bool is_deletion_overruled = false;
  // By the newest of its damaged, checked and drilled marks. A mark of damage that can't be read
  // counts; one that proves does not.
  bool is_damaged = false;
  // What that mark says, as far as it can be read: the objects that are not whole, and whether only
  // a drill can tell that the backup is good after all.
  std::vector<std::string> damaged_objects;
  bool needs_drill = false;
  // When it was last proven restorable by a drill; InfinitePast where it never was, or was found
  // damaged since.
  absl::Time drill_time = absl::InfinitePast();
};

// What is at a destination for one store.
struct BackupListing {
  // Undeleted ones, oldest first by lineage: (ordinal, revision, id).
  std::vector<ListedBackup> backups;
  // Backups of which it can't be told what they are, by id, with why: the manifest, or the mark
  // that says whether the backup is deleted, can't be read. They are never silently left out.
  // Nothing of them is used or removed; one that is asked for by name may still be restored.
  std::map<std::string, absl::Status> damaged;
  // Marks that would have decided something but can't be read, by path. A backup is taken for
  // pinned where that can't be told.
  std::map<std::string, absl::Status> damaged_marks;
  // Deleted backups whose manifests are still there, by id, with when they were deleted.
  std::map<std::string, absl::Time> deleted;
  // Marks of backups whose manifests are gone, as of ParseMarkName: a prune was cut.
  std::vector<std::string> orphaned_marks;
  // The objects that are not whole, as far as the marks of damaged backups name them. Nothing that
  // is written uses them again.
  absl::flat_hash_set<std::string> damaged_objects;

  const ListedBackup* Latest() const { return backups.empty() ? nullptr : &backups.back(); }
  // nullptr where there is none.
  const ListedBackup* Find(absl::string_view backup_id) const;
};

// StoreRepository reads and writes the backups of one store at one destination.
//
// Repository opens it. Open it for a job: keys that others add later are not seen. Each error names
// the file.
//
// Thread-safe.
class StoreRepository {
 public:
  const StoreId& store_id() const { return store_id_; }
  BlobStore& blobs() const { return *blobs_; }

  // The backup key that new backups are sealed with, and what derives from it.
  const KeyId& current_key_id() const { return keys_.current_id(); }
  BackupKey CloneCurrentBackupKey() const;
  // All that this master key opens, the oldest first.
  std::vector<DatedBackupKey> CloneBackupKeys() const { return keys_.Clone(); }
  const Key& id_key() const { return keys_.current().id_key; }
  const SealingKey& content_key() const { return keys_.current().content_key; }
  const SealingKey& manifest_key() const { return keys_.current().manifest_key; }
  // Those of any backup key of this store. NOT_FOUND (named) where this master key opens none of
  // that id; where its key file can't be opened, why.
  absl::StatusOr<const SealingKey*> ContentKey(const KeyId& key_id) const;
  absl::StatusOr<const SealingKey*> ManifestKey(const KeyId& key_id) const;

  // The key files for this master key, by path, each with what came of opening it.
  const std::map<std::string, absl::Status>& key_files() const { return keys_.files(); }

  // Lists the backups by their summaries. Summaries and marks that were read once are remembered:
  // they are never modified. An error only where the destination can't be reached.
  absl::StatusOr<BackupListing> ListBackups();

  // Reads one manifest, with the hash of its sealed bytes. NOT_FOUND where there is none;
  // INVALID_ARGUMENT where that is no backup id. Otherwise the errors of OpenManifest.
  struct LoadedManifest {
    Manifest manifest;
    Hash256 sealed_hash;
  };
  absl::StatusOr<LoadedManifest> LoadManifest(absl::string_view backup_id) const;

  // The two halves of LoadManifest: the bytes as they are, and what they say.
  absl::StatusOr<std::string> ReadSealedManifest(absl::string_view backup_id) const;
  absl::StatusOr<LoadedManifest> OpenSealedManifest(absl::string_view backup_id,
                                                    absl::string_view sealed_manifest) const;

  // Writes a manifest that was sealed with a backup key of this store, reads it back and compares;
  // DATA_LOSS where that was not the same. The last step of a backup: every object that it names
  // must be durable here. OK where that very manifest is here already; ALREADY_EXISTS where another
  // one is.
  absl::Status CommitManifest(absl::string_view backup_id, absl::string_view sealed_manifest);

  // Takes back a manifest that the caller has just committed: what it names turned out not to be
  // safe here.
  absl::Status TakeBackManifest(absl::string_view backup_id);

  // Puts the good bytes of a manifest or mark in the place of damaged ones, reads them back and
  // compares. For who repairs: the caller knows that these are the bytes that were written.
  absl::Status ReplaceManifest(absl::string_view backup_id, absl::string_view sealed_manifest);
  absl::Status ReplaceMark(absl::string_view mark_name, absl::string_view sealed_mark);

  // Adds a mark for mark.backup_id(), made at `now`, or just after the newest mark that the backup
  // has: what is added last counts, whatever the clocks say. NOT_FOUND where there is no such
  // backup.
  absl::Status AddMark(const repository::v1::Mark& mark, absl::Time now);

  // Whether a backup is pinned, by its marks as they are now; it is where that can't be told. False
  // where there is no such backup.
  absl::StatusOr<bool> IsPinned(absl::string_view backup_id);

  // Removes what is left of a deleted backup, for prune alone (FORMAT.md, "Deleting"): the
  // manifest, then the marks. FAILED_PRECONDITION, and nothing is removed, unless the backup still
  // is deleted, since before `deleted_before`, and not pinned.
  absl::Status RemoveBackup(absl::string_view backup_id, absl::Time deleted_before);
  absl::Status RemoveOrphanedMark(absl::string_view mark_name);
  // Returns whether it was there and was removed: one that was written here at `written_before` or
  // later, as far as the place tells, stays, for somebody is copying a backup to here.
  absl::StatusOr<bool> RemoveObject(absl::string_view object_name, absl::Time written_before);

  // A prune holds a lease while it removes objects, so that a copy that finds one of them here
  // knows whom to look out for. Both return paths.
  absl::StatusOr<std::string> AddPruneLease(absl::Time now);
  // Those that count at `now`; removes those that no longer do, for their prune was killed.
  absl::StatusOr<std::vector<std::string>> ListPruneLeases(absl::Time now);
  absl::Status RemovePruneLease(const std::string& path);

  // The marks that go where a copy of the backup goes, as of ParseMarkName: that which says whether
  // it is pinned, and that which says that it is damaged, unless it was checked since.
  absl::StatusOr<std::vector<std::string>> MarksToCopy(absl::string_view backup_id) const;
  // Reads the bytes of a mark as they are; the errors of ReadMark.
  absl::StatusOr<std::string> ReadSealedMark(absl::string_view mark_name) const;
  // Writes a mark that was read elsewhere, reads it back and compares. OK where it is here already.
  absl::Status PutSealedMark(absl::string_view mark_name, absl::string_view sealed_mark);

  // Reads one mark; `mark_name` as of ParseMarkName. The errors of sealed files, and DATA_LOSS
  // where it is not for that backup and of that kind.
  absl::StatusOr<repository::v1::Mark> ReadMark(absl::string_view mark_name) const;

  // Calls `visit` with the name (as in manifests) and size of every object.
  absl::Status ListObjects(const std::function<absl::Status(absl::string_view object_name,
                                                            uint64_t size_bytes)>& visit) const;

  // Yields the decoded content of an object: authenticated, decompressed, and as long as `entry`
  // says. The errors of sealed files, each naming the object; NOT_FOUND where it is missing.
  // The source must not outlive this.
  absl::StatusOr<std::unique_ptr<ByteSource>> ReadObject(
      const repository::v1::ObjectEntry& entry) const;

  // For who goes on past files that can't be read: OK where `failure` was of one file alone; else
  // the error to end with, as the job was cancelled or the destination can't be reached.
  absl::Status CheckThatOnlyTheFileFailed(const absl::Status& failure) const;

 private:
  friend class Repository;

  struct CachedSummary {
    uint64_t sealed_size_bytes = 0;
    repository::v1::BackupSummary summary;
  };

  StoreRepository(const StoreId& store_id, BlobStore& blobs, BackupKeyRing keys)
      : store_id_(store_id), blobs_(&blobs), keys_(std::move(keys)) {}

  // The key that seals the manifest or mark that begins like this; the current one where that can't
  // be told, so that opening it tells what is wrong.
  const SealingKey& ManifestKeyOf(absl::Span<const uint8_t> beginning) const;

  absl::StatusOr<repository::v1::BackupSummary> ReadSummary(absl::string_view backup_id,
                                                            uint64_t sealed_size_bytes);
  absl::StatusOr<std::string> ReadMarkBytes(absl::string_view mark_name) const;
  absl::StatusOr<repository::v1::Mark> OpenMark(absl::string_view mark_name,
                                                absl::string_view sealed) const;
  absl::Status CheckMark(const std::string& mark_name);
  // Whether a mark opens; adds one that does not to `damaged_marks`, by its path.
  absl::StatusOr<bool> IsGoodMark(const std::string& mark_name,
                                  std::map<std::string, absl::Status>& damaged_marks);
  // Whether a backup is pinned whose mark of that is `pin`, as one that can't be read says, too.
  absl::StatusOr<bool> IsPinnedBy(const std::string& pin,
                                  std::map<std::string, absl::Status>& damaged_marks);
  absl::StatusOr<DecidingMarks> FindDecidingMarks(absl::string_view backup_id) const;
  // The names of the marks of a backup, as of ParseMarkName.
  absl::StatusOr<std::vector<std::string>> ListMarks(absl::string_view backup_id) const;

  const StoreId store_id_;
  BlobStore* const blobs_;
  const BackupKeyRing keys_;

  Mutex mutex_;
  absl::flat_hash_map<std::string, CachedSummary> summaries_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<std::string> good_marks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_REPOSITORY_STORE_REPOSITORY_H_
