#include "backup-agent/transfer/lease_keeper.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/base/status.h"

namespace holdfast {
namespace {

// However short a lease is, it is not renewed more often than this.
constexpr absl::Duration kRenewIntervalMin = absl::Seconds(1);
// How often it is tried again while the store can't be reached.
constexpr absl::Duration kRetryInterval = absl::Seconds(2);

}  // namespace

LeaseKeeper::LeaseKeeper(CheckpointSource& source, Clock& clock, std::string checkpoint_id,
                         absl::Duration lease_duration,
                         std::function<void(const absl::Status&)> on_lost)
    : source_(source),
      clock_(clock),
      checkpoint_id_(std::move(checkpoint_id)),
      on_lost_(std::move(on_lost)),
      thread_("lease", [this, lease_duration] { Run(lease_duration); }) {}

LeaseKeeper::~LeaseKeeper() {
  stop_.Cancel(absl::CancelledError("the checkpoint is no longer needed"));
  thread_.Join();
  const absl::Status released = source_.Release(checkpoint_id_);
  if (!released.ok() && !absl::IsNotFound(released)) {
    LogWarning("could not release a checkpoint; its lease ends by itself", {{"error", released}});
  }
}

void LeaseKeeper::Run(absl::Duration lease_duration) {
  MonotonicTime lease_end = clock_.MonotonicNow() + lease_duration;
  absl::Duration wait = std::max(lease_duration / 3, kRenewIntervalMin);
  while (SleepFor(clock_, wait, stop_.token()).ok()) {
    const absl::StatusOr<absl::Duration> renewed = source_.Renew(checkpoint_id_, stop_.token());
    if (stop_.token().IsCancelled()) return;
    if (renewed.ok()) {
      lease_end = clock_.MonotonicNow() + *renewed;
      wait = std::max(*renewed / 3, kRenewIntervalMin);
      continue;
    }
    const bool can_retry =
        absl::IsUnavailable(renewed.status()) || absl::IsDeadlineExceeded(renewed.status());
    if (!can_retry || clock_.MonotonicNow() >= lease_end) {
      on_lost_(WithCode(Annotate(renewed.status(), "the checkpoint was lost"),
                        absl::StatusCode::kAborted));
      return;
    }
    wait = kRetryInterval;
  }
}

}  // namespace holdfast
