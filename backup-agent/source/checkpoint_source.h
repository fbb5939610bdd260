#ifndef HOLDFAST_BACKUP_AGENT_SOURCE_CHECKPOINT_SOURCE_H_
#define HOLDFAST_BACKUP_AGENT_SOURCE_CHECKPOINT_SOURCE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/storage/blob_store.h"
#include "holdfast/v1/checkpoints.pb.h"

namespace holdfast {

// CheckpointSource is a store as the agent sees it: something that makes consistent checkpoints and
// hands out their files (holdfast.v1.Checkpoints). The agent reaches stores through it alone.
//
// It passes on what the store said; whoever uses it trusts nothing of that (see
// transfer/listing.h).
//
// Thread-safe. Methods block; each ends with CANCELLED soon after `cancellation` is cancelled.
//
// Errors: those of checkpoints.proto. UNAVAILABLE also where the store can't be reached;
// DEADLINE_EXCEEDED where it stopped answering.
class CheckpointSource {
 public:
  virtual ~CheckpointSource() = default;

  virtual absl::StatusOr<v1::StoreStatus> GetStatus(const Cancellation& cancellation) = 0;

  // Of whatever store is there. What `holder` still holds is released first, unless it is empty.
  virtual absl::StatusOr<v1::Checkpoint> CreateCheckpoint(absl::string_view holder,
                                                          const Cancellation& cancellation) = 0;

  // All pages. RESOURCE_EXHAUSTED where there are more than `file_count_max`.
  virtual absl::StatusOr<std::vector<v1::CheckpointFile>> ListFiles(
      absl::string_view checkpoint_id, uint64_t file_count_max,
      const Cancellation& cancellation) = 0;

  // Streams a file from `offset`. The source must not outlive this object or `cancellation`.
  virtual absl::StatusOr<std::unique_ptr<ByteSource>> ReadFile(
      absl::string_view checkpoint_id, absl::string_view name, uint64_t offset,
      const Cancellation& cancellation) = 0;

  // Returns how long the lease lasts from now.
  virtual absl::StatusOr<absl::Duration> Renew(absl::string_view checkpoint_id,
                                               const Cancellation& cancellation) = 0;

  // Best effort: a lease that is not released ends by itself.
  virtual absl::Status Release(absl::string_view checkpoint_id) = 0;

  virtual absl::Status ReportBackup(const v1::BackupReport& report,
                                    const Cancellation& cancellation) = 0;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SOURCE_CHECKPOINT_SOURCE_H_
