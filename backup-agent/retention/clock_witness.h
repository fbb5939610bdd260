#ifndef HOLDFAST_BACKUP_AGENT_RETENTION_CLOCK_WITNESS_H_
#define HOLDFAST_BACKUP_AGENT_RETENTION_CLOCK_WITNESS_H_

#include <algorithm>
#include <optional>

#include "absl/time/time.h"
#include "common/base/clock.h"

namespace holdfast {

// A ClockWitness tells how long the wall clock has gone on without a jump, so that a clock that was
// set forward makes nothing old: what is removed for good must be older than a week by a clock that
// has been steady for a week.
//
// Within a process the wall clock is held against the one that never jumps. From one process to the
// next there is none, so at most a day is believed: a machine that was off for longer has to wait.
//
// Not thread-safe.
class ClockWitness {
 public:
  // More than this from one look to the next is a jump.
  static constexpr absl::Duration kJumpMin = absl::Hours(24);

  // What the last process knew: the wall clock when it looked last, and how long it had been
  // steady.
  void Load(absl::Time last_look, absl::Duration steady_for) {
    wall_ = last_look;
    steady_for_ = steady_for;
  }

  // Looks at both clocks. To be called often: what happens between two looks may even out.
  void Look(Clock& clock) {
    const absl::Time wall = clock.Now();
    const MonotonicTime monotonic = clock.MonotonicNow();
    if (wall_.has_value()) {
      const absl::Duration wall_passed = wall - *wall_;
      // Of another process only the wall clock is known.
      const absl::Duration passed =
          monotonic_.has_value() ? monotonic - *monotonic_ : absl::ZeroDuration();
      const bool has_jumped = absl::AbsDuration(wall_passed - passed) > kJumpMin;
      steady_for_ = has_jumped               ? absl::ZeroDuration()
                    : monotonic_.has_value() ? steady_for_ + passed
                                             : steady_for_ + std::max(wall_passed, passed);
    }
    wall_ = wall;
    monotonic_ = monotonic;
  }

  // As of the last look.
  absl::Duration steady_for() const { return steady_for_; }
  absl::Time last_look() const { return wall_.value_or(absl::UnixEpoch()); }

 private:
  std::optional<absl::Time> wall_;
  std::optional<MonotonicTime> monotonic_;
  absl::Duration steady_for_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_RETENTION_CLOCK_WITNESS_H_
