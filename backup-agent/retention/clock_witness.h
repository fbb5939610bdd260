#ifndef HOLDFAST_BACKUP_AGENT_RETENTION_CLOCK_WITNESS_H_
#define HOLDFAST_BACKUP_AGENT_RETENTION_CLOCK_WITNESS_H_

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/base/clock.h"

namespace holdfast {

// A ClockWitness tells how long the wall clock has gone on without a jump, so that a clock that was
// set forward makes nothing old: what is removed for good must be older than a week of the time
// that the agent has seen pass.
//
// Within a process the wall clock is held against the one that never jumps: a jump begins anew.
// From one process to the next there is none. Up to a day is believed. What is longer is a gap: the
// machine was off, or its clock was set forward, who knows. It counts as no time at all, and what
// is a week old by the wall clock may not be by what was seen: see WallTimeOf. A gap of more than a
// month, and a clock that was set back, are jumps.
//
// Not thread-safe.
class ClockWitness {
 public:
  // More than this from one look to the next is a jump, or a gap.
  static constexpr absl::Duration kJumpMin = absl::Hours(24);
  static constexpr absl::Duration kGapMax = absl::Hours(24 * 31);
  // For how long WallTimeOf can tell: gaps from before so much time that was seen are forgotten.
  static constexpr absl::Duration kSeenMax = absl::Hours(24 * 8);
  // The gaps that are remembered. One more is a jump.
  static constexpr size_t kGapsMax = 64;
  // By the wall clock.
  struct Gap {
    absl::Time end;
    absl::Duration length;
  };

  // What the last process knew: the wall clock when it looked last, how long it had been steady,
  // and the gaps, oldest first.
  void Load(absl::Time last_look, absl::Duration steady_for, std::vector<Gap> gaps) {
    wall_ = last_look;
    steady_for_ = steady_for;
    gaps_ = std::move(gaps);
  }

  // Looks at both clocks. To be called often: what happens between two looks may even out.
  void Look(Clock& clock) {
    const absl::Time wall = clock.Now();
    const MonotonicTime monotonic = clock.MonotonicNow();
    if (wall_.has_value()) {
      const absl::Duration wall_passed = wall - *wall_;
      if (monotonic_.has_value()) {
        const absl::Duration passed = monotonic - *monotonic_;
        AddTime(passed, absl::AbsDuration(wall_passed - passed) > kJumpMin);
      } else if (wall_passed > kJumpMin && wall_passed <= kGapMax && gaps_.size() < kGapsMax) {
        gaps_.push_back({wall, wall_passed});
      } else {  // of another process only the wall clock is known
        AddTime(std::max(wall_passed, absl::ZeroDuration()),
                absl::AbsDuration(wall_passed) > kJumpMin);
      }
    }
    wall_ = wall;
    monotonic_ = monotonic;
    while (!gaps_.empty() && SeenSinceOldestGap() > kSeenMax) gaps_.erase(gaps_.begin());
  }

  // Seen, without the gaps. As of the last look, as is all that follows.
  absl::Duration steady_for() const { return steady_for_; }

  // How much of the wall clock the last `seen` of the time that was seen take up: the gaps that lie
  // in it, too. REQUIRES: steady_for() is at least `seen`, and `seen` at most kSeenMax.
  absl::Duration WallTimeOf(absl::Duration seen) const {
    absl::Duration wall_time = seen;
    for (auto gap = gaps_.rbegin(); gap != gaps_.rend(); ++gap) {
      if (last_look() - gap->end >= wall_time) break;
      wall_time += gap->length;
    }
    return wall_time;
  }

  absl::Time last_look() const { return wall_.value_or(absl::UnixEpoch()); }
  const std::vector<Gap>& gaps() const { return gaps_; }

 private:
  void AddTime(absl::Duration passed, bool is_jump) {
    steady_for_ = is_jump ? absl::ZeroDuration() : steady_for_ + passed;
    if (is_jump) gaps_.clear();
  }

  absl::Duration SeenSinceOldestGap() const {
    absl::Duration seen = last_look() - gaps_.front().end;
    for (size_t i = 1; i < gaps_.size(); ++i) seen -= gaps_[i].length;
    return seen;
  }

  std::optional<absl::Time> wall_;
  std::optional<MonotonicTime> monotonic_;
  absl::Duration steady_for_;
  std::vector<Gap> gaps_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_RETENTION_CLOCK_WITNESS_H_
