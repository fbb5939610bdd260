#ifndef HOLDFAST_BACKUP_AGENT_TRANSFER_CHECKPOINT_READER_H_
#define HOLDFAST_BACKUP_AGENT_TRANSFER_CHECKPOINT_READER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "backup-agent/source/checkpoint_source.h"
#include "common/base/backoff.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/io/xxh3_stream.h"
#include "common/storage/blob_store.h"
#include "holdfast/v1/checkpoints.pb.h"

namespace holdfast {

// What is needed to read the files of a checkpoint. Does not take ownership; all must outlive the
// readers.
struct CheckpointReadContext {
  CheckpointSource* source = nullptr;
  std::string checkpoint_id;
  Clock* clock = nullptr;
  RandomSource* random = nullptr;
  Cancellation cancellation;
};

// CheckpointFileReader yields one file of a checkpoint: exactly the bytes that the listing
// promised, or an error. A stream that breaks is taken up again where it broke, so nothing is ever
// read twice.
//
// Not thread-safe.
//
// Errors: those of CheckpointSource; DATA_LOSS where the store sends more or fewer bytes than it
// listed, or others. The messages name the file.
class CheckpointFileReader : public ByteSource {
 public:
  // Does not take ownership; both must outlive this.
  CheckpointFileReader(const CheckpointReadContext& context, const v1::CheckpointFile& file);
  ~CheckpointFileReader() override;

  absl::StatusOr<absl::Span<const uint8_t>> Next() override;

 private:
  absl::StatusOr<absl::Span<const uint8_t>> NextPiece();
  absl::StatusOr<absl::Span<const uint8_t>> End();
  // Returns OK when the stream may be taken up again after `error`.
  absl::Status WaitToResume(const absl::Status& error);

  const CheckpointReadContext& context_;
  const v1::CheckpointFile& file_;
  Backoff backoff_;
  Xxh3Stream checksum_;
  std::unique_ptr<ByteSource> stream_;
  uint64_t offset_ = 0;
  int resumed_ = 0;
  bool has_ended_ = false;
};

// Yields several files one after the other, as they lie in a bundle. An instance file that holds a
// master key is refused with FAILED_PRECONDITION.
//
// Not thread-safe.
class BundleReader : public ByteSource {
 public:
  // Does not take ownership; all must outlive this.
  BundleReader(const CheckpointReadContext& context, std::vector<const v1::CheckpointFile*> files);
  ~BundleReader() override;

  absl::StatusOr<absl::Span<const uint8_t>> Next() override;

 private:
  const CheckpointReadContext& context_;
  const std::vector<const v1::CheckpointFile*> files_;
  size_t next_file_ = 0;
  std::unique_ptr<CheckpointFileReader> reader_;
  // What is being read, where it is small enough to be looked into.
  std::string inspected_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_TRANSFER_CHECKPOINT_READER_H_
