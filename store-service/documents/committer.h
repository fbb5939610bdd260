#ifndef HOLDFAST_STORE_SERVICE_DOCUMENTS_COMMITTER_H_
#define HOLDFAST_STORE_SERVICE_DOCUMENTS_COMMITTER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/mutex.h"
#include "common/base/thread.h"
#include "common/crypto/hash.h"
#include "common/crypto/secret.h"
#include "common/database/database.h"
#include "common/database/database_metadata.h"
#include "common/database/state_digest.h"
#include "store-service/documents/document.h"
#include "store-service/documents/sickness.h"

namespace holdfast {

// What a store holds at one revision, in a few numbers.
struct StoreState {
  uint64_t revision = 0;
  absl::Time commit_time;
  uint64_t document_count = 0;
  uint64_t collection_count = 0;
  Hash256 state_digest{};
};

// A Committer writes documents. One thread of its own takes all writes that wait, checks their
// preconditions against the database and against those before them, gives each the next revision,
// and writes them as one batch with one sync; then it answers. What it answered OK is durable.
//
//   committer->Submit(std::move(writes), [](absl::StatusOr<CommitResult> result) { … });
//
// Writes that are submitted together are written together or not at all. The time of a commit never
// goes back, whatever the clock does.
//
// After a write or sync that failed nothing is written any more, until the store is opened anew:
// what the disk holds cannot be known.
//
// Thread-safe. Does not take ownership; *database, *sickness and *clock must outlive this.
class Committer {
 public:
  // What waits, at most; then callers are refused.
  static constexpr size_t kQueueSubmissionsMax = 4'096;
  static constexpr size_t kQueueSizeMaxBytes = 64 * 1024 * 1024;
  // What is written with one sync, at most (but one submission always is).
  static constexpr size_t kGroupWritesMax = 4'096;
  static constexpr size_t kGroupSizeMaxBytes = 16 * 1024 * 1024;
  // Writes are refused when less is free on the disk: RocksDB must be able to flush what it has.
  static constexpr int64_t kFreeSpaceMinBytes = 64 * 1024 * 1024;
  // Writes that only delete go on down to this: they are small, and they are how room is made.
  static constexpr int64_t kFreeSpaceToDeleteMinBytes = 32 * 1024 * 1024;

  // Called once, on a thread that all callbacks share (or by Submit itself, where nothing is
  // queued): it must be quick and not block.
  using Callback = absl::AnyInvocable<void(absl::StatusOr<CommitResult>)>;

  // Tells what is free on the database's disk.
  using FreeSpace = std::function<absl::StatusOr<int64_t>()>;

  // `metadata` is what the database says about itself now.
  Committer(const DatabaseMetadata& metadata, OpenedDatabase* database, SicknessRecord* sickness,
            Clock* clock, FreeSpace free_space);

  // As Shutdown.
  ~Committer();
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  // Queues writes, which must be within the limits of limits.h, and answers by the callback:
  //   NOT_FOUND            a deletion without precondition found no document
  //   ABORTED              a precondition does not hold
  //   RESOURCE_EXHAUSTED   too much waits, there are too many collections, or the disk is full
  //                        (what only deletes is refused later than the rest)
  //   FAILED_PRECONDITION  writing has stopped
  //   UNAVAILABLE          shutting down, or the write itself failed: it may be found when the
  //   store is
  //                        opened again, or not
  // Where there are several writes the message of the first three begins with "write <index>: ".
  void Submit(std::vector<DocumentWrite> writes, Callback callback);

  // Runs `function` on the committer's thread between two groups, and returns when it has returned.
  // Meanwhile nothing is written; all that was answered before is in the database, and `state` is
  // what it holds. Writers cannot hold it up for longer than a group takes. UNAVAILABLE when
  // shutting down.
  absl::Status RunBetweenGroups(const std::function<void(const StoreState& state)>& function);

  // What is committed now.
  StoreState state() const;

  // The collections after `name` with their counts of documents, in the order of names, at most
  // `max`.
  std::vector<std::pair<std::string, uint64_t>> CollectionsAfter(absl::string_view name,
                                                                 size_t max) const;

  // Writes what waits, answers, and ends the thread. Submit refuses from now on.
  void Shutdown();

 private:
  struct Submission {
    std::vector<DocumentWrite> writes{};
    std::vector<Hash256> content_hashes{};  // of each write
    size_t size_bytes = 0;
    Callback callback;
    absl::StatusOr<CommitResult> result = CommitResult{};
  };
  struct Pause {
    const std::function<void(const StoreState&)>* function;
    bool is_done = false;
  };
  // The state digest changes by taking one document's hash out and putting another one's in.
  struct DigestChange {
    std::string collection;
    std::optional<Hash256> removed{};
    std::optional<Hash256> added{};
  };
  class Group;

  void Run();
  void RunPause(Pause& pause);
  void CommitGroup(std::vector<Submission> submissions);
  absl::Status CheckDisk(int64_t reserve_bytes, size_t group_size_bytes) const;
  absl::Status WriteGroup(Group& group);
  absl::Status StoppedError() const;
  CollectionDigest DigestOf(const std::string& collection) const;
  StoreState StateLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  OpenedDatabase& database_;
  SicknessRecord& sickness_;
  Clock& clock_;
  const FreeSpace free_space_;
  const Key digest_key_;

  BoundedExecutor answers_;  // one thread that makes the callbacks, in order

  mutable Mutex mutex_;
  CondVar has_work_or_shut_down_;
  CondVar pause_done_;
  std::deque<Submission> queue_ ABSL_GUARDED_BY(mutex_);
  size_t queue_size_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<Pause*> pauses_ ABSL_GUARDED_BY(mutex_);
  bool is_shut_down_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_stopped_ ABSL_GUARDED_BY(mutex_) = false;
  // What is committed; changed by the committer's thread alone.
  uint64_t revision_ ABSL_GUARDED_BY(mutex_);
  int64_t commit_time_us_ ABSL_GUARDED_BY(mutex_);
  StateDigest digest_ ABSL_GUARDED_BY(mutex_);

  Thread thread_;  // last: it uses all of the above
};

}  // namespace holdfast

#endif  // HOLDFAST_STORE_SERVICE_DOCUMENTS_COMMITTER_H_
