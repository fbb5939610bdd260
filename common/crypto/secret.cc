#include "common/crypto/secret.h"

#include <sodium.h>

#include <cstring>
#include <utility>

#include "common/base/check.h"
#include "common/base/random.h"
#include "common/crypto/sodium.h"

namespace holdfast {

SecretBytes::SecretBytes(size_t size) : size_(size) {
  if (size == 0) return;
  internal::EnsureSodium();
  data_ = static_cast<uint8_t*>(sodium_malloc(size));
  HOLDFAST_CHECK(data_ != nullptr, "no memory for a secret");
  std::memset(data_, 0, size);
}

SecretBytes SecretBytes::CopyOf(absl::Span<const uint8_t> bytes) {
  SecretBytes copy(bytes.size());
  if (!bytes.empty()) std::memcpy(copy.data_, bytes.data(), bytes.size());
  return copy;
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this != &other) {
    sodium_free(data_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

// sodium_free wipes, and does nothing with a null pointer.
SecretBytes::~SecretBytes() { sodium_free(data_); }

SecretBytes SecretBytes::Clone() const { return CopyOf(bytes()); }

absl::string_view SecretBytes::text() const {
  return {reinterpret_cast<const char*>(data_), size_};
}

Key Key::FromBytes(absl::Span<const uint8_t> bytes) {
  HOLDFAST_CHECK(bytes.size() == kKeySizeBytes);
  return Key(SecretBytes::CopyOf(bytes));
}

Key Key::FromSecret(SecretBytes bytes) {
  HOLDFAST_CHECK(bytes.size() == kKeySizeBytes);
  return Key(std::move(bytes));
}

Key Key::Generate() {
  SecretBytes bytes(kKeySizeBytes);
  SystemRandom().Fill(bytes.mutable_bytes());
  return Key(std::move(bytes));
}

void WipeMemory(void* data, size_t size_bytes) { sodium_memzero(data, size_bytes); }

}  // namespace holdfast
