#include "common/base/random.h"

#include <sys/random.h>

#include <cerrno>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "common/base/check.h"

namespace holdfast {
namespace {

class SystemRandomSource : public RandomSource {
 public:
  void Fill(absl::Span<uint8_t> bytes) override {
    while (!bytes.empty()) {
      const ssize_t size = getrandom(bytes.data(), bytes.size(), 0);
      if (size < 0 && errno == EINTR) continue;
      HOLDFAST_CHECK(size > 0, "the kernel gives no random bytes");
      bytes.remove_prefix(static_cast<size_t>(size));
    }
  }
};

}  // namespace

uint64_t RandomSource::Uniform(uint64_t n) {
  HOLDFAST_CHECK(n > 0);
  // The 2^64 values are cut to a multiple of n, else the low results would be likelier.
  const uint64_t rejected = (0 - n) % n;
  while (true) {
    uint64_t value = 0;
    uint8_t bytes[sizeof(value)];
    Fill(absl::MakeSpan(bytes));
    for (uint8_t byte : bytes) value = value << 8 | byte;
    if (value >= rejected) return value % n;
  }
}

absl::Duration RandomSource::UniformDuration(absl::Duration max) {
  if (max < absl::Nanoseconds(1)) return absl::ZeroDuration();
  HOLDFAST_CHECK(max <= absl::Hours(24) * 365 * 100);
  return absl::Nanoseconds(Uniform(static_cast<uint64_t>(absl::ToInt64Nanoseconds(max))));
}

std::string RandomSource::Hex(size_t size_bytes) {
  std::vector<uint8_t> bytes(size_bytes);
  Fill(absl::MakeSpan(bytes));
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

RandomSource& SystemRandom() {
  static RandomSource& random = *new SystemRandomSource();
  return random;
}

}  // namespace holdfast
