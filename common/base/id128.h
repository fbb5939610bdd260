#ifndef HOLDFAST_COMMON_BASE_ID128_H_
#define HOLDFAST_COMMON_BASE_ID128_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/random.h"

namespace holdfast {

// A random id of 16 bytes, shown as 32 lower-case hexadecimal digits. A value type.
class Id128 {
 public:
  using Bytes = std::array<uint8_t, 16>;

  // All zero: no id.
  Id128() = default;
  explicit Id128(const Bytes& bytes) : bytes_(bytes) {}
  static Id128 Generate(RandomSource& random = SystemRandom());
  // INVALID_ARGUMENT unless 32 lower-case hexadecimal digits.
  static absl::StatusOr<Id128> FromText(absl::string_view text);
  // INVALID_ARGUMENT unless 16 bytes.
  static absl::StatusOr<Id128> FromBytes(absl::string_view bytes);

  const Bytes& bytes() const { return bytes_; }
  std::string ToText() const;
  std::string ToByteString() const;

  friend bool operator==(const Id128& a, const Id128& b) { return a.bytes_ == b.bytes_; }
  friend bool operator!=(const Id128& a, const Id128& b) { return a.bytes_ != b.bytes_; }
  friend bool operator<(const Id128& a, const Id128& b) { return a.bytes_ < b.bytes_; }

 private:
  Bytes bytes_{};
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_BASE_ID128_H_
