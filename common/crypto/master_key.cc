#include "common/crypto/master_key.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/crypto/hash.h"
#include "common/crypto/key_text.h"

namespace holdfast {

namespace {

// Part of the repository format; do not change.
constexpr absl::string_view kDerivePrefix = "holdfast/1/";
constexpr absl::string_view kChecksumLabel = "holdfast/1/master key text";
constexpr absl::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr size_t kChecksumSizeBytes = 3;
constexpr size_t kEncodedSizeBytes = kKeySizeBytes + kChecksumSizeBytes;
constexpr int kBitsPerCharacter = 5;
constexpr size_t kCharacters = kEncodedSizeBytes * 8 / kBitsPerCharacter;
constexpr absl::string_view kTextPrefix = internal::kKeyTextPrefix;
constexpr size_t kGroupSize = internal::kKeyTextGroupSize;
constexpr size_t kTextSize = kTextPrefix.size() + kCharacters + kCharacters / kGroupSize;
static_assert(kEncodedSizeBytes * 8 == kCharacters * kBitsPerCharacter);
static_assert(kCharacters % kGroupSize == 0);

std::array<uint8_t, kChecksumSizeBytes> TextChecksum(absl::Span<const uint8_t> key) {
  const Hash256 hash = Blake2b256({AsBytes(kChecksumLabel), key});
  std::array<uint8_t, kChecksumSizeBytes> checksum;
  std::copy_n(hash.begin(), checksum.size(), checksum.begin());
  return checksum;
}

}  // namespace

Key DeriveKey(const Key& key, absl::string_view label) {
  return KeyedBlake2b256ToKey(key, {AsBytes(kDerivePrefix), AsBytes(label)});
}

absl::StatusOr<KeyFingerprint> KeyFingerprint::FromText(absl::string_view text) {
  const bool is_hex = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
  if (text.size() != 2 * kSizeBytes || !is_hex) {
    return absl::InvalidArgumentError("a fingerprint has 16 hexadecimal digits, in lower case");
  }
  const std::string decoded = absl::HexStringToBytes(text);
  Bytes bytes;
  std::copy_n(AsBytes(decoded).begin(), bytes.size(), bytes.begin());
  return KeyFingerprint(bytes);
}

std::string KeyFingerprint::ToText() const { return absl::BytesToHexString(AsText(bytes_)); }

MasterKey::MasterKey(Key key) : key_(std::move(key)) {
  const Key derived = DeriveKey(key_, "fingerprint");
  KeyFingerprint::Bytes bytes;
  std::copy_n(derived.bytes().begin(), bytes.size(), bytes.begin());
  fingerprint_ = KeyFingerprint(bytes);
}

MasterKey MasterKey::Generate() { return MasterKey(Key::Generate()); }

MasterKey MasterKey::FromBytes(absl::Span<const uint8_t> bytes) {
  return MasterKey(Key::FromBytes(bytes));
}

absl::StatusOr<MasterKey> MasterKey::FromText(absl::string_view text) {
  SecretBytes encoded(kEncodedSizeBytes);
  const absl::Span<uint8_t> bytes = encoded.mutable_bytes();
  size_t prefix_size = 0;
  size_t characters = 0;
  size_t bytes_size = 0;
  uint32_t bits = 0;
  int bits_size = 0;
  for (const char c : text) {
    if (internal::IsIgnoredInKeyText(c)) continue;
    const char canonical = internal::CanonicalKeyCharacter(c);
    if (prefix_size < kTextPrefix.size()) {
      if (canonical != kTextPrefix[prefix_size++]) {
        return absl::InvalidArgumentError("not a master key: one begins with HF1-");
      }
      continue;
    }
    const size_t value = kAlphabet.find(canonical);
    if (value == absl::string_view::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("mistyped master key: character ", characters % kGroupSize + 1, " of group ",
                       characters / kGroupSize + 1, " after HF1- is none that a master key has"));
    }
    if (++characters > kCharacters) continue;
    bits = (bits << kBitsPerCharacter | static_cast<uint32_t>(value)) & 0xFFF;
    bits_size += kBitsPerCharacter;
    if (bits_size >= 8) {
      bits_size -= 8;
      bytes[bytes_size++] = static_cast<uint8_t>(bits >> bits_size);
    }
  }
  if (prefix_size < kTextPrefix.size()) {
    return absl::InvalidArgumentError(prefix_size == 0 ? "no master key: the text is empty"
                                                       : "not a master key: one begins with HF1-");
  }
  if (characters != kCharacters) {
    return absl::InvalidArgumentError(absl::StrCat("incomplete or mistyped master key: it has ",
                                                   characters, " characters after HF1-, not ",
                                                   kCharacters));
  }
  const absl::Span<const uint8_t> key = encoded.bytes().first(kKeySizeBytes);
  if (!ConstantTimeEqual(encoded.bytes().subspan(kKeySizeBytes), TextChecksum(key))) {
    return absl::InvalidArgumentError(
        "mistyped master key: its checksum is wrong; compare every character with the original");
  }
  return FromBytes(key);
}

bool MasterKey::IsIn(absl::string_view text) {
  for (size_t begin = 0; begin < text.size(); ++begin) {
    if (internal::CanonicalKeyCharacter(text[begin]) != kTextPrefix.front()) continue;
    // FromText would go on to the end of what it is given: a key has so many characters, and
    // whatever is ignored between them.
    size_t characters = 0;
    size_t end = begin;
    for (; end < text.size() && characters < kTextPrefix.size() + kCharacters; ++end) {
      if (internal::IsIgnoredInKeyText(text[end])) continue;
      const char canonical = internal::CanonicalKeyCharacter(text[end]);
      const bool is_possible = characters < kTextPrefix.size()
                                   ? canonical == kTextPrefix[characters]
                                   : kAlphabet.find(canonical) != absl::string_view::npos;
      if (!is_possible) break;
      ++characters;
    }
    if (characters == kTextPrefix.size() + kCharacters &&
        FromText(text.substr(begin, end - begin)).ok()) {
      return true;
    }
  }
  return false;
}

SecretBytes MasterKey::ToText() const {
  SecretBytes encoded(kEncodedSizeBytes);
  const auto checksum = TextChecksum(key_.bytes());
  const auto checksum_begin =
      std::copy(key_.bytes().begin(), key_.bytes().end(), encoded.mutable_bytes().begin());
  std::copy(checksum.begin(), checksum.end(), checksum_begin);

  SecretBytes text(kTextSize);
  uint8_t* next = std::copy(kTextPrefix.begin(), kTextPrefix.end(), text.mutable_bytes().data());
  size_t characters = 0;
  uint32_t bits = 0;
  int bits_size = 0;
  for (const uint8_t byte : encoded.bytes()) {
    bits = (bits << 8 | byte) & 0xFFF;
    bits_size += 8;
    while (bits_size >= kBitsPerCharacter) {
      if (characters++ % kGroupSize == 0) *next++ = '-';
      bits_size -= kBitsPerCharacter;
      *next++ = static_cast<uint8_t>(kAlphabet[bits >> bits_size & 0x1F]);
    }
  }
  HOLDFAST_CHECK(next == text.mutable_bytes().data() + text.size());
  return text;
}

Key MasterKey::DeriveBackupKeyWrap() const { return DeriveKey(key_, "backup key wrap"); }
Key MasterKey::DeriveDataKeyWrap() const { return DeriveKey(key_, "data key wrap"); }
Key MasterKey::DeriveSettingsKey() const { return DeriveKey(key_, "settings"); }

MasterKey MasterKey::Clone() const { return MasterKey(key_.Clone()); }

}  // namespace holdfast
