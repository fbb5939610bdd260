#ifndef HOLDFAST_COMMON_CRYPTO_LITTLE_ENDIAN_H_
#define HOLDFAST_COMMON_CRYPTO_LITTLE_ENDIAN_H_

#include <cstddef>
#include <cstdint>

// Integers as the formats of this folder have them: least significant byte first.
//
// Private to this folder.

namespace holdfast::internal {

// Writes `value` to the sizeof(T) bytes at `to`.
template <typename T>
void StoreLittleEndian(T value, uint8_t* to) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    to[i] = static_cast<uint8_t>(uint64_t{value} >> (8 * i));
  }
}

// Reads the sizeof(T) bytes at `from`.
template <typename T>
T LoadLittleEndian(const uint8_t* from) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value |= uint64_t{from[i]} << (8 * i);
  return static_cast<T>(value);
}

}  // namespace holdfast::internal

#endif  // HOLDFAST_COMMON_CRYPTO_LITTLE_ENDIAN_H_
