#include "common/crypto/at_rest_cipher.h"

#include <sodium.h>

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/crypto/little_endian.h"
#include "common/crypto/master_key.h"

namespace holdfast {

namespace {

using internal::LoadLittleEndian;
using internal::StoreLittleEndian;

// The prefix's bytes. Part of the data directory's format; do not change.
constexpr std::array<uint8_t, 8> kMagic = {0x89, 'H', 'F', 'R', 'E', 'S', 'T', '\n'};
constexpr uint16_t kPrefixVersion = 1;
constexpr size_t kVersionOffset = 8;
constexpr size_t kKeyIdOffset = 16;
constexpr size_t kNonceOffset = 32;
constexpr size_t kMacOffset = 64;
constexpr size_t kNonceSizeBytes = 24;
static_assert(kNonceSizeBytes == crypto_stream_xchacha20_NONCEBYTES);
static_assert(kKeySizeBytes == crypto_stream_xchacha20_KEYBYTES);

constexpr size_t kBlockSizeBytes = 64;  // of XChaCha20

Hash128 PrefixMac(const Key& prefix_key, absl::Span<const uint8_t> prefix) {
  return KeyedBlake2b128(prefix_key, {prefix.first(kMacOffset)});
}

}  // namespace

AtRestStream::AtRestStream(std::shared_ptr<const Key> content_key,
                           const std::array<uint8_t, kNonceSizeBytes>& nonce)
    : content_key_(std::move(content_key)), nonce_(nonce) {}

void AtRestStream::Apply(uint64_t offset, absl::Span<uint8_t> data) const {
  const uint8_t* const key = content_key_->bytes().data();
  const size_t skipped = offset % kBlockSizeBytes;
  uint64_t block = offset / kBlockSizeBytes;
  if (skipped != 0) {
    const size_t taken = std::min(data.size(), kBlockSizeBytes - skipped);
    std::array<uint8_t, kBlockSizeBytes> first_block{};
    std::copy_n(data.begin(), taken, first_block.begin() + skipped);
    crypto_stream_xchacha20_xor_ic(first_block.data(), first_block.data(), first_block.size(),
                                   nonce_.data(), block, key);
    std::copy_n(first_block.begin() + skipped, taken, data.begin());
    WipeMemory(first_block.data(), first_block.size());
    data.remove_prefix(taken);
    ++block;
  }
  if (data.empty()) return;
  crypto_stream_xchacha20_xor_ic(data.data(), data.data(), data.size(), nonce_.data(), block, key);
}

AtRestKeyring::AtRestKeyring(const std::map<KeyId, Key>& keys, const KeyId& current)
    : current_(current) {
  for (const auto& [key_id, key] : keys) {
    keys_.emplace(key_id,
                  DerivedKeys{DeriveKey(key, "at-rest prefix"),
                              std::make_shared<const Key>(DeriveKey(key, "at-rest content"))});
  }
  HOLDFAST_CHECK(keys_.contains(current_), "the current data key is missing");
}

std::array<uint8_t, kAtRestPrefixSizeBytes> AtRestKeyring::MakePrefix(RandomSource& random) const {
  std::array<uint8_t, kAtRestPrefixSizeBytes> prefix{};
  std::copy(kMagic.begin(), kMagic.end(), prefix.begin());
  StoreLittleEndian(kPrefixVersion, &prefix[kVersionOffset]);
  std::copy(current_.begin(), current_.end(), &prefix[kKeyIdOffset]);
  random.Fill(absl::MakeSpan(prefix).subspan(kNonceOffset, kNonceSizeBytes));
  const Hash128 mac = PrefixMac(keys_.at(current_).prefix_key, prefix);
  std::copy(mac.begin(), mac.end(), &prefix[kMacOffset]);
  return prefix;
}

absl::StatusOr<AtRestStream> AtRestKeyring::OpenPrefix(absl::Span<const uint8_t> prefix) const {
  if (prefix.size() < kAtRestPrefixSizeBytes) {
    return absl::DataLossError(absl::StrCat("cut short: ", prefix.size(),
                                            " bytes of the prefix of ", kAtRestPrefixSizeBytes,
                                            " that a file encrypted at rest has"));
  }
  if (!std::equal(kMagic.begin(), kMagic.end(), prefix.begin())) {
    return absl::DataLossError("not a file encrypted at rest, or its beginning is damaged");
  }
  const auto version = LoadLittleEndian<uint16_t>(&prefix[kVersionOffset]);
  if (version != kPrefixVersion) {
    return absl::UnimplementedError(absl::StrCat("unknown version: encrypted at rest by version ",
                                                 version, "; a newer Holdfast is needed"));
  }
  KeyId key_id;
  std::copy_n(&prefix[kKeyIdOffset], key_id.size(), key_id.begin());
  const auto keys = keys_.find(key_id);
  if (keys == keys_.end()) {
    return absl::PermissionDeniedError(absl::StrCat("wrong key: encrypted at rest with data key ",
                                                    absl::BytesToHexString(AsText(key_id)),
                                                    ", which this store does not have"));
  }
  if (!ConstantTimeEqual(PrefixMac(keys->second.prefix_key, prefix),
                         prefix.subspan(kMacOffset, sizeof(Hash128)))) {
    return absl::DataLossError("damaged: the MAC of its at-rest prefix is wrong");
  }
  std::array<uint8_t, kNonceSizeBytes> nonce;
  std::copy_n(&prefix[kNonceOffset], nonce.size(), nonce.begin());
  return AtRestStream(keys->second.content_key, nonce);
}

}  // namespace holdfast
