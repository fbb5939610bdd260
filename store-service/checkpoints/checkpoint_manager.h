#ifndef HOLDFAST_STORE_SERVICE_CHECKPOINTS_CHECKPOINT_MANAGER_H_
#define HOLDFAST_STORE_SERVICE_CHECKPOINTS_CHECKPOINT_MANAGER_H_

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/database/database.h"
#include "common/io/xxh3_stream.h"
#include "rocksdb/env.h"
#include "rocksdb/metadata.h"
#include "store-service/checkpoints/instance_files.h"
#include "store-service/documents/committer.h"
#include "store-service/documents/sickness.h"

namespace holdfast {

// A file of a checkpoint, as checkpoints.proto describes it.
struct CheckpointFile {
  enum class Kind { kTable, kBlob, kLog, kManifest, kCurrent, kOptions, kInstance };

  std::string name;
  Kind kind = Kind::kTable;
  uint64_t size_bytes = 0;
  std::string xxh3_128{};  // 16 bytes
  uint64_t file_number = 0;
  mode_t mode = 0;

  std::string name_on_disk{};  // in the checkpoint's folder; empty where `contents` has the bytes
  std::string contents{};
};

// What a checkpoint is, and how long it will be.
struct CheckpointInfo {
  std::string checkpoint_id;
  StoreState state;
  absl::Time create_time;
  uint64_t file_count = 0;
  uint64_t size_bytes = 0;
  absl::Duration lease_duration;  // from now, if it is not renewed
};

namespace internal {

// A checkpoint that is held. Constant but for the mark that it was dropped.
struct HeldCheckpoint {
  std::string checkpoint_id;
  std::string holder;  // empty: nobody in particular
  std::string folder;
  StoreState state;
  absl::Time create_time;
  MonotonicTime end_of_life;
  std::vector<CheckpointFile> files;  // in the order of names
  uint64_t size_bytes = 0;
  std::atomic<bool> is_dropped = false;
};

}  // namespace internal

// Reads one file of a checkpoint from an offset to its end.
//
// Not thread-safe; blocks on the disk. May outlive the checkpoint, and then fails; must not outlive
// the data directory's Env.
class CheckpointFileReader {
 public:
  // Reads the next bytes into `buffer`, as many as it holds or the file still has; returns how
  // many. 0 is the end of the file.
  // Errors: NOT_FOUND where the checkpoint was dropped. DATA_LOSS where the bytes are not those of
  // the listing (known at the end, and only if the reading began at offset 0).
  // REQUIRES: `buffer` is not empty.
  absl::StatusOr<size_t> Read(absl::Span<uint8_t> buffer);

  // Whether the checkpoint was dropped. Any thread may ask, also during Read.
  bool is_dropped() const { return checkpoint_->is_dropped; }

 private:
  friend class CheckpointManager;

  CheckpointFileReader() = default;
  absl::StatusOr<size_t> TryRead(absl::Span<uint8_t> buffer);
  // Fills `bytes`.
  absl::Status ReadBytes(absl::Span<uint8_t> bytes);

  SicknessRecord* sickness_ = nullptr;
  std::shared_ptr<const internal::HeldCheckpoint> checkpoint_;
  const CheckpointFile* file_ = nullptr;
  std::unique_ptr<rocksdb::RandomAccessFile> on_disk_;
  uint64_t offset_ = 0;
  bool is_whole_ = false;  // from the first byte on, so that the checksum can be compared
  Xxh3Stream checksum_;
};

// A CheckpointManager makes checkpoints: sets of files that together are the store at exactly one
// revision. It keeps each in a folder of its own, as hard links beside the database, until its
// lease ends, until it is released, or until the disk runs low.
//
//   create → file list → readers (several at a time) → renew now and then → release
//
// Making one costs by the file and not by the byte: writers are held up only while RocksDB lists
// its files. Of the files that go on growing (log, MANIFEST) only the length that was listed is
// read. Instance files are copied when the checkpoint is made, encrypted like the database.
//
// Thread-safe; methods block on the disk. Does not take ownership; all that Options points to must
// outlive this. What is still held is removed on destruction.
class CheckpointManager {
 public:
  static constexpr size_t kCheckpointsMax = 2;
  static constexpr size_t kHolderSizeMaxBytes = 128;
  static constexpr absl::Duration kLeaseDuration = absl::Minutes(10);
  static constexpr absl::Duration kLifetimeMax = absl::Hours(24);
  // A log that is longer is flushed first: tables travel once, a log with every backup.
  static constexpr uint64_t kLogSizeMaxBytes = 16 * 1024 * 1024;
  // Less free space than this makes no new checkpoint, or drops those that are held.
  static constexpr int64_t kFreeSpaceToCreateBytes = 256 * 1024 * 1024;
  static constexpr int64_t kFreeSpaceToKeepBytes = 128 * 1024 * 1024;

  struct Options {
    OpenedDatabase* database;
    Committer* committer;
    SicknessRecord* sickness;
    Clock* clock;
    rocksdb::Env* env;   // the database's
    std::string folder;  // for checkpoints; nothing else is in it
    InstanceFiles* instance_files;
    Committer::FreeSpace free_space;
  };

  // Removes what an earlier process left.
  static absl::StatusOr<std::unique_ptr<CheckpointManager>> Open(Options options);

  ~CheckpointManager();
  CheckpointManager(const CheckpointManager&) = delete;
  CheckpointManager& operator=(const CheckpointManager&) = delete;

  // Releases first what `holder` still holds, unless that is empty.
  // RESOURCE_EXHAUSTED where there are kCheckpointsMax or the disk is nearly full; DATA_LOSS where
  // the database is sick; INVALID_ARGUMENT where `holder` is longer than kHolderSizeMaxBytes; the
  // errors of InstanceFiles::ReadAll.
  absl::StatusOr<CheckpointInfo> Create(absl::string_view holder = "");

  // All of them.
  std::vector<CheckpointInfo> List();

  // The methods that name a checkpoint say NOT_FOUND where it is not held (any more).

  struct FilePage {
    std::vector<CheckpointFile> files;
    std::string next_page_token;
  };
  absl::StatusOr<FilePage> ListFiles(absl::string_view checkpoint_id, int32_t page_size,
                                     absl::string_view page_token);

  // NOT_FOUND for a name that is not in the list; OUT_OF_RANGE for an offset beyond the file's end.
  absl::StatusOr<std::unique_ptr<CheckpointFileReader>> OpenFile(absl::string_view checkpoint_id,
                                                                 absl::string_view name,
                                                                 uint64_t offset);

  // Returns how long the lease lasts from now.
  absl::StatusOr<absl::Duration> Renew(absl::string_view checkpoint_id);
  absl::Status Release(absl::string_view checkpoint_id);

  // The disk space of the database's tables and logs, also of logs that are only kept for a while.
  uint64_t DatabaseSizeBytes();

  // Drops those whose lease has ended, and all of them if the disk runs low. To be called now and
  // then.
  void DropWhatMustGo();

 private:
  using Held = internal::HeldCheckpoint;
  struct Lease {
    std::shared_ptr<Held> checkpoint;
    MonotonicTime end;
  };
  struct Listing {
    absl::Status status;
    std::vector<rocksdb::LiveFileStorageInfo> files;
    StoreState state;
  };
  struct LogChecksum {
    uint64_t size_bytes = 0;
    std::string xxh3_128;
  };
  class FileDeletionsDisabled;

  explicit CheckpointManager(Options options) : options_(std::move(options)) {}

  void ReleaseAllOf(absl::string_view holder);
  absl::Status CheckRoomFor(size_t held);
  absl::Status FlushLongLog();
  absl::StatusOr<Listing> ListDatabase();
  absl::Status Fill(Held& checkpoint) ABSL_EXCLUSIVE_LOCKS_REQUIRED(create_mutex_);
  absl::Status LinkDatabaseFiles(Held& checkpoint);
  absl::Status CopyInstanceFiles(Held& checkpoint);
  absl::Status TakeChecksums(Held& checkpoint) ABSL_EXCLUSIVE_LOCKS_REQUIRED(create_mutex_);
  absl::StatusOr<std::string> ChecksumOf(const Held& checkpoint, const CheckpointFile& file);

  absl::StatusOr<std::shared_ptr<Held>> Find(absl::string_view checkpoint_id);
  CheckpointInfo InfoOf(const Held& checkpoint, MonotonicTime lease_end);
  MonotonicTime LeaseEnd(const Held& checkpoint);
  void Drop(const std::vector<std::shared_ptr<Held>>& checkpoints, absl::string_view why);

  const Options options_;

  Mutex create_mutex_;  // one is made at a time; before mutex_
  // By log number: an unchanged log is not read again.
  std::map<uint64_t, LogChecksum> log_checksums_ ABSL_GUARDED_BY(create_mutex_);

  Mutex mutex_;
  std::map<std::string, Lease, std::less<>> leases_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast

#endif  // HOLDFAST_STORE_SERVICE_CHECKPOINTS_CHECKPOINT_MANAGER_H_
