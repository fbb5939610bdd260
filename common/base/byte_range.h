#ifndef HOLDFAST_COMMON_BASE_BYTE_RANGE_H_
#define HOLDFAST_COMMON_BASE_BYTE_RANGE_H_

#include <cstdint>

namespace holdfast {

// A range of the bytes of a file. A value type.
struct ByteRange {
  uint64_t offset = 0;
  uint64_t size_bytes = 0;

  uint64_t end() const { return offset + size_bytes; }

  friend bool operator==(const ByteRange& a, const ByteRange& b) {
    return a.offset == b.offset && a.size_bytes == b.size_bytes;
  }
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_BASE_BYTE_RANGE_H_
