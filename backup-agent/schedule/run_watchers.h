#ifndef HOLDFAST_BACKUP_AGENT_SCHEDULE_RUN_WATCHERS_H_
#define HOLDFAST_BACKUP_AGENT_SCHEDULE_RUN_WATCHERS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "holdfast/v1/backup_agent.pb.h"

namespace holdfast {

// A run as it was at one moment.
struct RunSnapshot {
  v1::Run run;
  // Grows whenever the run changes.
  uint64_t version = 0;
  // Whether the run has ended, so that no other snapshot comes.
  bool is_last = false;
};

// RunWatchers are those who wait for a change of the run in progress. Each waits for one change and
// comes back for the next, at most 5 times a second.
//
// Not thread-safe.
class RunWatchers {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<RunSnapshot>)>;
  using Due = std::vector<std::pair<Callback, RunSnapshot>>;

  static constexpr size_t kWatchersMax = 1000;
  static constexpr absl::Duration kPause = absl::Milliseconds(200);

  bool HasRoom() const { return watchers_.size() < kWatchersMax; }

  // Waits for a version above `version`; with 0 there is one at once.
  // REQUIRES: HasRoom().
  void Add(uint64_t ticket, uint64_t version, MonotonicTime now, Callback callback);
  void Forget(uint64_t ticket);

  // Takes those whose time has come. Of a run that has ended it is that of all.
  Due TakeDue(const RunSnapshot& current, MonotonicTime now);

  // When TakeDue is worth the next call, if the run does not change again.
  MonotonicTime NextDue(uint64_t version) const;

 private:
  struct Watcher {
    uint64_t ticket;
    uint64_t version;
    MonotonicTime not_before;
    Callback callback;
  };
  std::vector<Watcher> watchers_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SCHEDULE_RUN_WATCHERS_H_
