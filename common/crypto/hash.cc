#include "common/crypto/hash.h"

#include <sodium.h>

#include <utility>

#include "common/base/check.h"
#include "common/crypto/sodium.h"

namespace holdfast {

namespace {

using Parts = std::initializer_list<absl::Span<const uint8_t>>;

// A hash that is under way. Wipes itself: after keyed input the state holds what the key became.
class Hasher {
 public:
  // Unkeyed if `key` is null.
  Hasher(const Key* key, size_t output_size_bytes) : output_size_bytes_(output_size_bytes) {
    internal::EnsureSodium();
    const absl::Span<const uint8_t> key_bytes =
        key == nullptr ? absl::Span<const uint8_t>() : key->bytes();
    HOLDFAST_CHECK(key == nullptr || key_bytes.size() == kKeySizeBytes, "a moved-from key");
    HOLDFAST_CHECK(crypto_generichash_blake2b_init(&state_, key_bytes.data(), key_bytes.size(),
                                                   output_size_bytes) == 0);
  }
  ~Hasher() { WipeMemory(&state_, sizeof(state_)); }
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  void Update(absl::Span<const uint8_t> bytes) {
    crypto_generichash_blake2b_update(&state_, bytes.data(), bytes.size());
  }

  void Finish(absl::Span<uint8_t> output) {
    HOLDFAST_CHECK(output.size() == output_size_bytes_);
    HOLDFAST_CHECK(crypto_generichash_blake2b_final(&state_, output.data(), output.size()) == 0,
                   "a hash was finished twice");
  }

 private:
  const size_t output_size_bytes_;
  crypto_generichash_blake2b_state state_;
};

void HashParts(const Key* key, Parts parts, absl::Span<uint8_t> output) {
  Hasher hasher(key, output.size());
  for (const absl::Span<const uint8_t> part : parts) hasher.Update(part);
  hasher.Finish(output);
}

}  // namespace

Hash256 Blake2b256(Parts parts) {
  Hash256 hash;
  HashParts(nullptr, parts, absl::MakeSpan(hash));
  return hash;
}

Hash128 Blake2b128(Parts parts) {
  Hash128 hash;
  HashParts(nullptr, parts, absl::MakeSpan(hash));
  return hash;
}

Hash256 KeyedBlake2b256(const Key& key, Parts parts) {
  Hash256 hash;
  HashParts(&key, parts, absl::MakeSpan(hash));
  return hash;
}

Hash128 KeyedBlake2b128(const Key& key, Parts parts) {
  Hash128 hash;
  HashParts(&key, parts, absl::MakeSpan(hash));
  return hash;
}

Key KeyedBlake2b256ToKey(const Key& key, Parts parts) {
  SecretBytes hash(kKeySizeBytes);
  HashParts(&key, parts, hash.mutable_bytes());
  return Key::FromSecret(std::move(hash));
}

struct Blake2b256Stream::State {
  explicit State(const Key* key) : hasher(key, sizeof(Hash256)) {}
  Hasher hasher;
};

Blake2b256Stream::Blake2b256Stream() : state_(std::make_unique<State>(nullptr)) {}
Blake2b256Stream::Blake2b256Stream(const Key& key) : state_(std::make_unique<State>(&key)) {}
Blake2b256Stream::~Blake2b256Stream() = default;

void Blake2b256Stream::Update(absl::Span<const uint8_t> bytes) { state_->hasher.Update(bytes); }

Hash256 Blake2b256Stream::Finish() {
  Hash256 hash;
  state_->hasher.Finish(absl::MakeSpan(hash));
  return hash;
}

bool ConstantTimeEqual(absl::Span<const uint8_t> a, absl::Span<const uint8_t> b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

absl::Span<const uint8_t> AsBytes(absl::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

absl::string_view AsText(absl::Span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace holdfast
