#ifndef HOLDFAST_BACKUP_AGENT_TRANSFER_LEASE_KEEPER_H_
#define HOLDFAST_BACKUP_AGENT_TRANSFER_LEASE_KEEPER_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "backup-agent/source/checkpoint_source.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/base/thread.h"

namespace holdfast {

// LeaseKeeper renews the lease of a checkpoint at a third of its duration, for as long as it lives,
// and releases the checkpoint when it goes.
//
// Does not take ownership; the source and the clock must outlive it.
class LeaseKeeper {
 public:
  // `on_lost` is called, once, when the store no longer has the checkpoint, or could not be reached
  // for as long as the lease lasts.
  LeaseKeeper(CheckpointSource& source, Clock& clock, std::string checkpoint_id,
              absl::Duration lease_duration, std::function<void(const absl::Status&)> on_lost);
  ~LeaseKeeper();
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

 private:
  void Run(absl::Duration lease_duration);

  CheckpointSource& source_;
  Clock& clock_;
  const std::string checkpoint_id_;
  const std::function<void(const absl::Status&)> on_lost_;
  CancellationSource stop_;
  Thread thread_;  // last: uses all of the above
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_TRANSFER_LEASE_KEEPER_H_
