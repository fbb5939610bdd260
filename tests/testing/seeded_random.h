#ifndef HOLDFAST_TESTS_TESTING_SEEDED_RANDOM_H_
#define HOLDFAST_TESTS_TESTING_SEEDED_RANDOM_H_

#include <cstdint>

#include "absl/types/span.h"
#include "common/base/mutex.h"
#include "common/base/random.h"

namespace holdfast {

// A SeededRandom yields the same bytes for the same seed, on every machine. Never fit for keys.
//
// Without a seed of the test's own it takes the environment's HOLDFAST_TEST_SEED, else a new one,
// and prints it, so that a failure can be repeated:
//   HOLDFAST_TEST_SEED=1234 build/dev/tests/…_test --gtest_filter=…
//
// Thread-safe.
class SeededRandom : public RandomSource {
 public:
  SeededRandom();
  explicit SeededRandom(uint64_t seed);

  void Fill(absl::Span<uint8_t> bytes) override;

  uint64_t seed() const { return seed_; }

 private:
  const uint64_t seed_;

  Mutex mutex_;
  uint64_t state_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast

#endif  // HOLDFAST_TESTS_TESTING_SEEDED_RANDOM_H_
