#include "common/base/backoff.h"

#include <algorithm>

#include "common/base/check.h"

namespace holdfast {

Backoff::Backoff(const Options& options, RandomSource& random)
    : options_(options), random_(random), bound_(options.initial) {
  HOLDFAST_CHECK(options.initial > absl::ZeroDuration());
  HOLDFAST_CHECK(options.max >= options.initial);
  HOLDFAST_CHECK(options.multiplier >= 1.0);
  HOLDFAST_CHECK(options.min >= absl::ZeroDuration() && options.min <= options.initial);
}

absl::Duration Backoff::Next() {
  const absl::Duration delay = options_.min + random_.UniformDuration(bound_ - options_.min);
  bound_ = std::min(options_.max, bound_ * options_.multiplier);
  ++attempts_;
  return delay;
}

void Backoff::Reset() {
  bound_ = options_.initial;
  attempts_ = 0;
}

}  // namespace holdfast
