#ifndef HOLDFAST_COMMON_DATABASE_LITTLE_ENDIAN_H_
#define HOLDFAST_COMMON_DATABASE_LITTLE_ENDIAN_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

// Integers as the database's values have them: least significant byte first.
//
// Private to this folder.

namespace holdfast::internal {

inline void AppendLittleEndian(uint64_t value, size_t size_bytes, std::string& out) {
  for (size_t i = 0; i < size_bytes; ++i) {
    out.push_back(static_cast<char>(static_cast<uint8_t>(value >> (8 * i))));
  }
}

// REQUIRES: bytes.size() <= 8.
inline uint64_t ReadLittleEndian(absl::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    value |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  }
  return value;
}

}  // namespace holdfast::internal

#endif  // HOLDFAST_COMMON_DATABASE_LITTLE_ENDIAN_H_
