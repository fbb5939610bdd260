#ifndef HOLDFAST_COMMON_CRYPTO_SECRET_H_
#define HOLDFAST_COMMON_CRYPTO_SECRET_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace holdfast {

// SecretBytes holds key material: in memory that is locked (never swapped, as far as RLIMIT_MEMLOCK
// allows), left out of core dumps, fenced by guard pages, and wiped when the object goes.
//
// Making one costs some system calls and four pages: it is for keys, not for data. A moved-from one
// is empty. It has no way to print, compare or copy itself by accident: copies are made with
// Clone().
//
// Not thread-safe; const methods may be called concurrently.
class SecretBytes {
 public:
  // No bytes.
  SecretBytes() = default;
  // `size` zero bytes. Crashes when memory is exhausted.
  explicit SecretBytes(size_t size);
  // A copy of `bytes`. The caller wipes its own (see WipeMemory).
  static SecretBytes CopyOf(absl::Span<const uint8_t> bytes);

  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes();

  SecretBytes Clone() const;

  absl::Span<const uint8_t> bytes() const { return {data_, size_}; }
  absl::Span<uint8_t> mutable_bytes() { return {data_, size_}; }
  // For secrets that are text.
  absl::string_view text() const;
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

// Length of every symmetric key in Holdfast.
inline constexpr size_t kKeySizeBytes = 32;

// A symmetric key of 32 bytes.
//
// Not thread-safe; const methods may be called concurrently.
class Key {
 public:
  // REQUIRES: bytes.size() == kKeySizeBytes. The caller wipes its own copy.
  static Key FromBytes(absl::Span<const uint8_t> bytes);
  // Takes the bytes over without a copy.
  // REQUIRES: bytes.size() == kKeySizeBytes.
  static Key FromSecret(SecretBytes bytes);
  // A new key from the system's random source.
  static Key Generate();

  // A moved-from Key has no bytes; it can only be assigned to or destroyed.
  Key(Key&&) noexcept = default;
  Key& operator=(Key&&) noexcept = default;

  Key Clone() const { return Key(bytes_.Clone()); }
  absl::Span<const uint8_t> bytes() const { return bytes_.bytes(); }

 private:
  explicit Key(SecretBytes bytes) : bytes_(static_cast<SecretBytes&&>(bytes)) {}

  SecretBytes bytes_;
};

// Overwrites memory that held a secret; the compiler does not leave it out.
void WipeMemory(void* data, size_t size_bytes);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_CRYPTO_SECRET_H_
