#ifndef HOLDFAST_BACKUP_AGENT_SCHEDULE_SCHEDULER_H_
#define HOLDFAST_BACKUP_AGENT_SCHEDULE_SCHEDULER_H_

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "backup-agent/schedule/schedule_times.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "holdfast/v1/backup_agent.pb.h"

namespace holdfast {

// A Scheduler decides when runs start by themselves. It has no thread: whoever runs the runs asks
// Decide() what to do, waits until `look_again`, and tells it what became of them.
//
//   - A run is due when the wall clock reaches the next time of the schedule.
//   - The time that is due stays due until its run has ended, also across restarts: one that was
//     missed, or whose run was cut by the agent's end, is caught up once, at start.
//   - After a run of its own failed it tries again with backoff and jitter: within a minute after
//     the first failure, within 30 minutes (or the interval, if that is less) after many.
//   - The wall clock is not trusted. Set forward, it makes one run due, but not sooner than half an
//     interval after the last one. Set back by more than a quarter of an interval, the next time is
//     found anew; set back again and again, the clock that never jumps makes a run due an interval
//     late at the latest.
//
// Not thread-safe. Does not take ownership of the clock and the random source.
class Scheduler {
 public:
  // What an earlier process left.
  struct Remembered {
    // The time that is due next; absent where there was none.
    std::optional<absl::Time> due;
    uint32_t consecutive_failures = 0;
    // Whether the last run was one of the scheduler's, and failed.
    bool must_retry = false;
  };

  // `times` is absent where automatic backups are off.
  Scheduler(Clock& clock, RandomSource& random, std::optional<ScheduleTimes> times,
            const Remembered& remembered);

  // The schedule was changed. What was due and not yet begun is no more.
  void SetTimes(std::optional<ScheduleTimes> times);

  struct Decision {
    // Start a run now, for this cause.
    std::optional<v1::Run::Cause> start = std::nullopt;
    // Else ask again then, or when something has changed.
    MonotonicTime look_again = MonotonicTime::InfiniteFuture();
  };
  // REQUIRES: no run is in progress.
  Decision Decide();

  // A run begins, for whatever cause.
  void OnRunStarted(v1::Run::Cause cause);

  enum class RunEnd {
    kSucceeded,
    kFailed,
    kCancelled,    // by somebody's wish
    kAgentStopped  // what was due remains so, for the next process
  };
  // `consecutive_failures` counts this one.
  void OnRunEnded(v1::Run::Cause cause, RunEnd end, uint32_t consecutive_failures);

  // What to hand to the next process as Remembered::due.
  std::optional<absl::Time> due() const;

  // When the next run is likely to start by itself, for people; never in the past.
  std::optional<absl::Time> NextStart();

 private:
  static bool IsOwn(v1::Run::Cause cause);

  // Makes the next time of the schedule the one that is due.
  void FindDue();
  // Makes `time` due.
  void SetDue(absl::Time time);
  MonotonicTime RetryTime(uint32_t consecutive_failures);

  Clock& clock_;
  RandomSource& random_;
  std::optional<ScheduleTimes> times_;

  // The time that is due next; meaningless while times_ is absent.
  absl::Time due_;
  // When the monotonic clock should show that time, and when at the latest it is due whatever the
  // wall clock shows.
  MonotonicTime due_expected_;
  MonotonicTime due_latest_;
  // Whether due_ had passed already when this process began.
  bool is_caught_up_ = false;

  // What is due does not start before: after a crash, as after any failure; and half an interval
  // after the last start, once the wall clock was seen to jump.
  MonotonicTime not_before_;
  std::optional<MonotonicTime> last_start_;
  std::optional<MonotonicTime> retry_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SCHEDULE_SCHEDULER_H_
