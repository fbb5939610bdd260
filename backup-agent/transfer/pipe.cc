#include "backup-agent/transfer/pipe.h"

#include <utility>

#include "common/crypto/hash.h"

namespace holdfast {

PushResult Pipe::Push(Clock& clock, MonotonicTime deadline, Chunk chunk) {
  MutexLock lock(&mutex_);
  while (IsFull()) {
    if (!clock.WaitUntil(&has_room_, &mutex_, deadline)) break;
  }
  return AddLocked(std::move(chunk));
}

bool Pipe::Push(Chunk chunk) {
  MutexLock lock(&mutex_);
  while (IsFull()) has_room_.Wait(&mutex_);
  return AddLocked(std::move(chunk)) == PushResult::kPushed;
}

PushResult Pipe::AddLocked(Chunk chunk) {
  if (is_abandoned_ || closed_.has_value()) return PushResult::kClosed;
  if (chunks_.size() >= chunks_max_) return PushResult::kTimedOut;
  chunks_.push_back(std::move(chunk));
  has_chunk_.Signal();
  return PushResult::kPushed;
}

void Pipe::Close(absl::Status status) {
  std::deque<Chunk> dropped;  // destroyed without the lock
  MutexLock lock(&mutex_);
  if (closed_.has_value()) return;
  if (!status.ok()) dropped.swap(chunks_);
  closed_ = std::move(status);
  has_chunk_.SignalAll();
  has_room_.SignalAll();
}

std::optional<absl::StatusOr<Chunk>> Pipe::TakeLocked() {
  if (!chunks_.empty()) {
    absl::StatusOr<Chunk> chunk(std::move(chunks_.front()));
    chunks_.pop_front();
    has_room_.Signal();
    return chunk;
  }
  if (!closed_.has_value()) return std::nullopt;
  if (closed_->ok()) return absl::StatusOr<Chunk>(Chunk());
  return absl::StatusOr<Chunk>(*closed_);
}

absl::StatusOr<Chunk> Pipe::Pop() {
  MutexLock lock(&mutex_);
  while (chunks_.empty() && !closed_.has_value()) has_chunk_.Wait(&mutex_);
  return *TakeLocked();
}

absl::StatusOr<Chunk> Pipe::Pop(Clock& clock, MonotonicTime deadline) {
  MutexLock lock(&mutex_);
  while (chunks_.empty() && !closed_.has_value()) {
    if (!clock.WaitUntil(&has_chunk_, &mutex_, deadline)) break;
  }
  std::optional<absl::StatusOr<Chunk>> taken = TakeLocked();
  if (!taken.has_value()) return absl::DeadlineExceededError("no bytes came");
  return *std::move(taken);
}

void Pipe::Abandon() {
  std::deque<Chunk> dropped;  // destroyed without the lock
  MutexLock lock(&mutex_);
  dropped.swap(chunks_);
  is_abandoned_ = true;
  has_room_.SignalAll();
}

PipeSource::PipeSource(std::shared_ptr<Pipe> pipe, std::shared_ptr<std::atomic<uint64_t>> progress)
    : pipe_(std::move(pipe)), progress_(std::move(progress)) {}

PipeSource::~PipeSource() { pipe_->Abandon(); }

absl::StatusOr<absl::Span<const uint8_t>> PipeSource::Next() {
  chunk_.reset();
  absl::StatusOr<Chunk> chunk = pipe_->Pop();
  if (!chunk.ok()) return chunk.status();
  progress_->fetch_add(1);
  chunk_ = *std::move(chunk);
  if (chunk_ == nullptr) return absl::Span<const uint8_t>();
  return AsBytes(*chunk_);
}

}  // namespace holdfast
