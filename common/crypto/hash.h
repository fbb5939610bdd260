#ifndef HOLDFAST_COMMON_CRYPTO_HASH_H_
#define HOLDFAST_COMMON_CRYPTO_HASH_H_

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/crypto/secret.h"

namespace holdfast {

// BLAKE2b (RFC 7693), as FORMAT.md uses it.
using Hash256 = std::array<uint8_t, 32>;
using Hash128 = std::array<uint8_t, 16>;

// One input. The parts of `parts` are hashed one after the other, without lengths between them.
Hash256 Blake2b256(std::initializer_list<absl::Span<const uint8_t>> parts);
Hash128 Blake2b128(std::initializer_list<absl::Span<const uint8_t>> parts);
Hash256 KeyedBlake2b256(const Key& key, std::initializer_list<absl::Span<const uint8_t>> parts);
Hash128 KeyedBlake2b128(const Key& key, std::initializer_list<absl::Span<const uint8_t>> parts);
// KeyedBlake2b256 where the result is a key: it is never outside locked memory.
Key KeyedBlake2b256ToKey(const Key& key, std::initializer_list<absl::Span<const uint8_t>> parts);

// BLAKE2b-256 over input that comes in pieces.
//
// Not thread-safe. Finish() ends it: no other call may follow.
class Blake2b256Stream {
 public:
  Blake2b256Stream();
  // Keyed. Does not keep a reference to `key`.
  explicit Blake2b256Stream(const Key& key);
  ~Blake2b256Stream();
  Blake2b256Stream(const Blake2b256Stream&) = delete;
  Blake2b256Stream& operator=(const Blake2b256Stream&) = delete;

  void Update(absl::Span<const uint8_t> bytes);
  Hash256 Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Compares in constant time. False where the lengths differ.
bool ConstantTimeEqual(absl::Span<const uint8_t> a, absl::Span<const uint8_t> b);

// Views of text as bytes and back.
absl::Span<const uint8_t> AsBytes(absl::string_view text);
absl::string_view AsText(absl::Span<const uint8_t> bytes);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_CRYPTO_HASH_H_
