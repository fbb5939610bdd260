#include "common/io/xxh3_stream.h"

#include <xxhash.h>

#include "common/base/check.h"

namespace holdfast {

namespace {

std::string CanonicalBytes(const XXH128_hash_t& hash) {
  XXH128_canonical_t canonical;
  static_assert(sizeof(canonical.digest) == kXxh3SizeBytes);
  XXH128_canonicalFromHash(&canonical, hash);
  return std::string(canonical.digest, canonical.digest + sizeof(canonical.digest));
}

}  // namespace

struct Xxh3Stream::State {
  State() : xxh3(XXH3_createState()) {
    HOLDFAST_CHECK(xxh3 != nullptr, "out of memory");
    HOLDFAST_CHECK(XXH3_128bits_reset(xxh3) == XXH_OK);
  }
  ~State() { XXH3_freeState(xxh3); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  XXH3_state_t* const xxh3;
};

Xxh3Stream::Xxh3Stream() : state_(std::make_unique<State>()) {}
Xxh3Stream::~Xxh3Stream() = default;
Xxh3Stream::Xxh3Stream(Xxh3Stream&&) noexcept = default;
Xxh3Stream& Xxh3Stream::operator=(Xxh3Stream&&) noexcept = default;

void Xxh3Stream::Update(absl::Span<const uint8_t> bytes) {
  if (bytes.empty()) return;
  HOLDFAST_CHECK(XXH3_128bits_update(state_->xxh3, bytes.data(), bytes.size()) == XXH_OK);
}

void Xxh3Stream::Update(absl::string_view bytes) {
  if (bytes.empty()) return;
  HOLDFAST_CHECK(XXH3_128bits_update(state_->xxh3, bytes.data(), bytes.size()) == XXH_OK);
}

std::string Xxh3Stream::Digest() const { return CanonicalBytes(XXH3_128bits_digest(state_->xxh3)); }

std::string Xxh3Of(absl::string_view bytes) {
  return CanonicalBytes(XXH3_128bits(bytes.data(), bytes.size()));
}

uint64_t Xxh3Of64Bits(absl::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace holdfast
