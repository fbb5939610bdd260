#ifndef HOLDFAST_BACKUP_AGENT_TRANSFER_PIPE_H_
#define HOLDFAST_BACKUP_AGENT_TRANSFER_PIPE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/bounded_queue.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/storage/blob_store.h"

namespace holdfast {

// A piece of a sealed object, on its way to several destinations at once.
using Chunk = std::shared_ptr<const std::string>;

// A Pipe carries the bytes of one object from the thread that makes them to one that stores them,
// and holds at most a few chunks. Both ends share it, so that either may be gone for good.
//
// Thread-safe, for one writer and one reader.
class Pipe {
 public:
  // REQUIRES: chunks_max > 0.
  explicit Pipe(size_t chunks_max) : chunks_max_(chunks_max) {}
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  // The writer's end. Waits for room, at most until the deadline.
  [[nodiscard]] PushResult Push(Clock& clock, MonotonicTime deadline, Chunk chunk);
  // Returns false if nobody wants the chunk any more.
  [[nodiscard]] bool Push(Chunk chunk);

  // The object has ended, with OK, or must not be: then the reader gets that error instead of what
  // is in the pipe. Later calls do nothing.
  void Close(absl::Status status);

  // The reader's end. Waits for the next chunk, at most until the deadline (DEADLINE_EXCEEDED).
  // nullptr at the end of the object; the error of Close.
  absl::StatusOr<Chunk> Pop();
  absl::StatusOr<Chunk> Pop(Clock& clock, MonotonicTime deadline);

  // The reader wants nothing more: the writer's Push returns kClosed.
  void Abandon();

 private:
  bool IsFull() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !is_abandoned_ && !closed_.has_value() && chunks_.size() >= chunks_max_;
  }
  PushResult AddLocked(Chunk chunk) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<absl::StatusOr<Chunk>> TakeLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t chunks_max_;

  Mutex mutex_;
  CondVar has_room_;
  CondVar has_chunk_;
  std::deque<Chunk> chunks_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> closed_ ABSL_GUARDED_BY(mutex_);
  bool is_abandoned_ ABSL_GUARDED_BY(mutex_) = false;
};

// The reader's end of a pipe as a ByteSource. Counts every chunk that is taken in `progress`. When
// it goes, the pipe is abandoned.
class PipeSource : public ByteSource {
 public:
  PipeSource(std::shared_ptr<Pipe> pipe, std::shared_ptr<std::atomic<uint64_t>> progress);
  ~PipeSource() override;

  absl::StatusOr<absl::Span<const uint8_t>> Next() override;

 private:
  const std::shared_ptr<Pipe> pipe_;
  const std::shared_ptr<std::atomic<uint64_t>> progress_;
  Chunk chunk_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_TRANSFER_PIPE_H_
