#ifndef HOLDFAST_COMMON_IO_XXH3_STREAM_H_
#define HOLDFAST_COMMON_IO_XXH3_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace holdfast {

// Length of what Xxh3Stream yields.
inline constexpr size_t kXxh3SizeBytes = 16;

// XXH3 of 128 bits over bytes that come in pieces: the checksum that travels with every file. It
// finds accidents, never attackers.
//
//   Xxh3Stream checksum;
//   checksum.Update(piece);  // for each
//   if (checksum.Digest() != file.xxh3_128()) …
//
// Not thread-safe.
class Xxh3Stream {
 public:
  Xxh3Stream();
  ~Xxh3Stream();
  Xxh3Stream(Xxh3Stream&&) noexcept;
  Xxh3Stream& operator=(Xxh3Stream&&) noexcept;

  void Update(absl::Span<const uint8_t> bytes);
  void Update(absl::string_view bytes);

  // The checksum of all bytes so far: 16 bytes, in the canonical (big-endian) order. More may
  // follow.
  std::string Digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The checksum of bytes that are in memory.
std::string Xxh3Of(absl::string_view bytes);

// XXH3 of 64 bits over bytes that are in memory: of a block in a database's table.
uint64_t Xxh3Of64Bits(absl::string_view bytes);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_IO_XXH3_STREAM_H_
