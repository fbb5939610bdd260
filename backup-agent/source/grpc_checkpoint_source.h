#ifndef HOLDFAST_BACKUP_AGENT_SOURCE_GRPC_CHECKPOINT_SOURCE_H_
#define HOLDFAST_BACKUP_AGENT_SOURCE_GRPC_CHECKPOINT_SOURCE_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "backup-agent/source/checkpoint_source.h"
#include "common/base/clock.h"

namespace holdfast {

// How long a GrpcCheckpointSource waits for a store.
struct GrpcCheckpointSourceOptions {
  // A call that answers at once.
  absl::Duration call_timeout = absl::Seconds(30);
  // CreateCheckpoint, which flushes the log first where that is large.
  absl::Duration create_timeout = absl::Minutes(10);
  // The longest pause between two pieces of a file.
  absl::Duration stream_stall_max = absl::Seconds(60);
  // Release, which a run waits for at its end.
  absl::Duration release_timeout = absl::Seconds(10);
};

// Makes a CheckpointSource that speaks to the holdfast-store behind the unix socket `socket_path`.
// It connects when it is first used, and again whenever the connection was lost; the store need not
// be up.
//
// Does not take ownership of `clock`, which must outlive the source and all that it returned.
std::unique_ptr<CheckpointSource> MakeGrpcCheckpointSource(
    absl::string_view socket_path, Clock& clock, const GrpcCheckpointSourceOptions& options = {});

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SOURCE_GRPC_CHECKPOINT_SOURCE_H_
