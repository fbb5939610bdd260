#ifndef HOLDFAST_TESTS_TESTING_FAKE_CHECKPOINT_SOURCE_H_
#define HOLDFAST_TESTS_TESTING_FAKE_CHECKPOINT_SOURCE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "backup-agent/source/checkpoint_source.h"
#include "common/base/cancellation.h"
#include "common/base/mutex.h"

namespace holdfast {

// A FakeCheckpointSource is a store whose files are in memory. A new one has what a small database
// has; tests change it, and make it lie, break, block and fail.
//
// Thread-safe.
class FakeCheckpointSource : public CheckpointSource {
 public:
  FakeCheckpointSource();

  // --- What the store holds --------------------------------------------------------------------

  // Adds or replaces a file. Its kind and number are those of its name.
  void SetFile(const std::string& name, std::string content);
  // Several files of the same content, which is held once.
  void SetFiles(const std::vector<std::string>& names, std::string content);
  void RemoveFile(const std::string& name);
  std::map<std::string, std::string> files() const;

  // As if `documents` had been written: raises the revision and changes the digest.
  void Write(uint64_t documents);
  // Changes what the store says of itself.
  void EditState(const std::function<void(v1::Checkpoint&)>& edit);
  v1::Checkpoint state() const;

  // --- Lies and faults -------------------------------------------------------------------------

  // Called on every checkpoint, and on every list of files, before it is handed out.
  void set_edit_checkpoint(std::function<void(v1::Checkpoint&)> edit);
  void set_edit_listing(std::function<void(std::vector<v1::CheckpointFile>&)> edit);

  // Streams of that file break with `error` once, after that many bytes of the file.
  void BreakStream(const std::string& name, uint64_t after_bytes, absl::Status error);
  // From now on streams of that file carry this in place of what the listing promised.
  void ServeOther(const std::string& name, std::string content);
  // Streams of that file never end.
  void ServeEndlessly(const std::string& name);
  // Streams of that file stop after that many bytes, until UnblockStreams or cancelled.
  void BlockStream(const std::string& name, uint64_t after_bytes);
  void UnblockStreams();
  void AwaitBlockedStream();

  // What these calls answer; OK works.
  void set_create_status(absl::Status status);
  void set_renew_status(absl::Status status);
  void set_report_status(absl::Status status);
  void set_lease_duration(absl::Duration duration);

  // --- What was asked of it --------------------------------------------------------------------

  uint64_t bytes_served(const std::string& name) const;
  uint64_t bytes_served() const;
  int checkpoints_open() const;
  int checkpoints_made() const;
  // Who asked for checkpoints, in order.
  std::vector<std::string> holders() const;
  std::vector<v1::BackupReport> reports() const;
  void set_last_backup(v1::BackupReport report);

  // --- CheckpointSource ------------------------------------------------------------------------

  absl::StatusOr<v1::StoreStatus> GetStatus(const Cancellation& cancellation) override;
  absl::StatusOr<v1::Checkpoint> CreateCheckpoint(absl::string_view holder,
                                                  const Cancellation& cancellation) override;
  absl::StatusOr<std::vector<v1::CheckpointFile>> ListFiles(
      absl::string_view checkpoint_id, uint64_t file_count_max,
      const Cancellation& cancellation) override;
  absl::StatusOr<std::unique_ptr<ByteSource>> ReadFile(absl::string_view checkpoint_id,
                                                       absl::string_view name, uint64_t offset,
                                                       const Cancellation& cancellation) override;
  absl::StatusOr<absl::Duration> Renew(absl::string_view checkpoint_id,
                                       const Cancellation& cancellation) override;
  absl::Status Release(absl::string_view checkpoint_id) override;
  absl::Status ReportBackup(const v1::BackupReport& report,
                            const Cancellation& cancellation) override;

 private:
  class Stream;
  using Content = std::shared_ptr<const std::string>;

  mutable Mutex mutex_;
  CondVar changed_;
  v1::Checkpoint state_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Content> files_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::map<std::string, Content>> checkpoints_ ABSL_GUARDED_BY(mutex_);
  int checkpoints_made_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::string> holders_ ABSL_GUARDED_BY(mutex_);

  std::function<void(v1::Checkpoint&)> edit_checkpoint_ ABSL_GUARDED_BY(mutex_);
  std::function<void(std::vector<v1::CheckpointFile>&)> edit_listing_ ABSL_GUARDED_BY(mutex_);
  struct Break {
    uint64_t after_bytes;
    absl::Status error;
  };
  std::map<std::string, std::vector<Break>> breaks_ ABSL_GUARDED_BY(mutex_);  // the next one first
  std::map<std::string, Content> served_instead_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, bool> endless_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, uint64_t> blocked_ ABSL_GUARDED_BY(mutex_);
  int streams_blocked_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status create_status_ ABSL_GUARDED_BY(mutex_);
  absl::Status renew_status_ ABSL_GUARDED_BY(mutex_);
  absl::Status report_status_ ABSL_GUARDED_BY(mutex_);
  absl::Duration lease_duration_ ABSL_GUARDED_BY(mutex_) = absl::Minutes(10);

  std::map<std::string, uint64_t> bytes_served_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::BackupReport> reports_ ABSL_GUARDED_BY(mutex_);
  v1::BackupReport last_backup_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast

#endif  // HOLDFAST_TESTS_TESTING_FAKE_CHECKPOINT_SOURCE_H_
