#ifndef HOLDFAST_COMMON_BASE_BACKOFF_H_
#define HOLDFAST_COMMON_BASE_BACKOFF_H_

#include "absl/time/time.h"
#include "common/base/random.h"

namespace holdfast {

// A Backoff tells how long to wait before trying again: a random part of a bound that grows with
// every failure ("full jitter"), so that many who failed together do not come back together.
//
//   for (;;) {
//     status = Try();
//     if (status.ok() || backoff.attempts() == attempts_max) return status;
//     HOLDFAST_RETURN_IF_ERROR(SleepFor(clock, backoff.Next(), cancellation));
//   }
//
// Not thread-safe.
class Backoff {
 public:
  struct Options {
    absl::Duration initial = absl::Milliseconds(100);  // the first bound; more than zero
    absl::Duration max = absl::Seconds(30);            // the last bound; at least `initial`
    double multiplier = 2.0;                           // at least 1
    absl::Duration min = absl::ZeroDuration();         // never shorter than this; at most `initial`
  };

  // Does not take ownership; `random` must outlive this.
  // REQUIRES: the options are within the bounds that they name.
  Backoff(const Options& options, RandomSource& random);

  // The delay before the next attempt: in [min, bound], and the bound grows.
  absl::Duration Next();

  // How often Next was called since the start or the last Reset.
  int attempts() const { return attempts_; }

  // To be called after a success: the bound starts again at `initial`.
  void Reset();

 private:
  const Options options_;
  RandomSource& random_;
  absl::Duration bound_;
  int attempts_ = 0;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_BASE_BACKOFF_H_
