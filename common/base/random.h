#ifndef HOLDFAST_COMMON_BASE_RANDOM_H_
#define HOLDFAST_COMMON_BASE_RANDOM_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "absl/types/span.h"

namespace holdfast {

// A RandomSource yields random bytes. It is the only source of chance in Holdfast, for names, ids,
// jitter and keys alike, so that a test with a seeded one is repeatable.
//
// Thread-safe.
class RandomSource {
 public:
  virtual ~RandomSource() = default;

  // Fills all of `bytes`. Cannot fail.
  virtual void Fill(absl::Span<uint8_t> bytes) = 0;

  // A number in [0, n), each as likely.
  // REQUIRES: n > 0.
  uint64_t Uniform(uint64_t n);

  // A duration in [0, max), to the nanosecond; zero if `max` is not positive.
  // REQUIRES: `max` is at most 100 years.
  absl::Duration UniformDuration(absl::Duration max);

  // `size_bytes` random bytes as lower-case hexadecimal digits: two characters a byte.
  std::string Hex(size_t size_bytes);
};

// The kernel's generator (getrandom), fit for keys. The process ends if it fails, for there would
// be no safe way to go on.
RandomSource& SystemRandom();

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_BASE_RANDOM_H_
