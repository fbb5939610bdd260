#ifndef HOLDFAST_COMMON_CRYPTO_MASTER_KEY_H_
#define HOLDFAST_COMMON_CRYPTO_MASTER_KEY_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/crypto/secret.h"

namespace holdfast {

// derive(key, label) of FORMAT.md: a key for one purpose. Labels are part of the repository format;
// do not change.
Key DeriveKey(const Key& key, absl::string_view label);

// Names a master key without telling anything about it; may be shown and logged.
class KeyFingerprint {
 public:
  static constexpr size_t kSizeBytes = 8;
  using Bytes = std::array<uint8_t, kSizeBytes>;

  KeyFingerprint() = default;
  explicit KeyFingerprint(const Bytes& bytes) : bytes_(bytes) {}
  // INVALID_ARGUMENT unless `text` is 16 lower-case hexadecimal digits.
  static absl::StatusOr<KeyFingerprint> FromText(absl::string_view text);

  const Bytes& bytes() const { return bytes_; }
  // 16 lower-case hexadecimal digits.
  std::string ToText() const;

  friend bool operator==(const KeyFingerprint& a, const KeyFingerprint& b) {
    return a.bytes_ == b.bytes_;
  }
  friend bool operator!=(const KeyFingerprint& a, const KeyFingerprint& b) { return !(a == b); }

 private:
  Bytes bytes_{};
};

// MasterKey is the one key from which everything can be opened.
//
// Thread-safe after construction. Movable, not copyable.
class MasterKey {
 public:
  static MasterKey Generate();
  // REQUIRES: bytes.size() == kKeySizeBytes.
  static MasterKey FromBytes(absl::Span<const uint8_t> bytes);
  // Reads the text form of FORMAT.md: grouped, case-insensitive, with a checksum.
  // INVALID_ARGUMENT says what is wrong with it (prefix, length, a character and where, checksum)
  // and repeats nothing of it.
  static absl::StatusOr<MasterKey> FromText(absl::string_view text);

  // Whether `text` holds a master key anywhere, in any form that FromText reads: dashes and white
  // space in any places, either case, letters for the digits that look like them. For finding keys
  // where none may be; in time linear in the text.
  static bool IsIn(absl::string_view text);

  // The text form: what is printed, read out and typed. Without a newline.
  SecretBytes ToText() const;

  const KeyFingerprint& fingerprint() const { return fingerprint_; }

  // The keys derived from it, one context each (FORMAT.md, "Keys").
  Key DeriveBackupKeyWrap() const;
  Key DeriveDataKeyWrap() const;
  Key DeriveSettingsKey() const;

  MasterKey Clone() const;

 private:
  explicit MasterKey(Key key);

  Key key_;
  KeyFingerprint fingerprint_;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_CRYPTO_MASTER_KEY_H_
