#include "tests/testing/seeded_random.h"

#include <cstdio>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "common/base/check.h"

namespace holdfast {
namespace {

uint64_t ChooseSeed() {
  uint64_t seed = 0;
  if (const char* text = std::getenv("HOLDFAST_TEST_SEED"); text != nullptr) {
    HOLDFAST_CHECK(absl::SimpleAtoi(text, &seed), "HOLDFAST_TEST_SEED is not a number");
  } else {
    seed = SystemRandom().Uniform(1'000'000'000);
  }
  std::fprintf(stderr, "to repeat: HOLDFAST_TEST_SEED=%llu\n",
               static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace

SeededRandom::SeededRandom() : SeededRandom(ChooseSeed()) {}

SeededRandom::SeededRandom(uint64_t seed) : seed_(seed), state_(seed) {}

void SeededRandom::Fill(absl::Span<uint8_t> bytes) {
  MutexLock lock(&mutex_);
  while (!bytes.empty()) {
    // SplitMix64.
    state_ += 0x9e3779b97f4a7c15;
    uint64_t value = state_;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    value ^= value >> 31;
    for (size_t i = 0; i < sizeof(value) && !bytes.empty(); ++i) {
      bytes[0] = static_cast<uint8_t>(value >> (8 * i));
      bytes.remove_prefix(1);
    }
  }
}

}  // namespace holdfast
