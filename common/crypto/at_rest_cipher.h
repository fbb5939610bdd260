#ifndef HOLDFAST_COMMON_CRYPTO_AT_REST_CIPHER_H_
#define HOLDFAST_COMMON_CRYPTO_AT_REST_CIPHER_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/random.h"
#include "common/crypto/hash.h"
#include "common/crypto/sealed_file.h"
#include "common/crypto/secret.h"

namespace holdfast {

// At-rest encryption of the files of a store's database: XChaCha20 with a random nonce for each
// file, addressed by offset, so that random reads stay cheap. It hides content; it does not
// authenticate it: whoever can write to the disk can flip bits unnoticed by this layer (RocksDB's
// block checksums and the full-file checksums find accidents).
//
// Each file begins with a prefix of 4,096 bytes; part of the data directory's format, do not
// change:
//    0   8  magic "\x89HFREST\n"
//    8   2  version 1, little-endian          10  6  zero
//   16  16  id of the data key
//   32  24  nonce                             56  8  zero
//   64  16  BLAKE2b-128(derive(data key, "at-rest prefix"), bytes 0 to 63)
//   80  …   zero to 4,095
// Content at offset o of the file (not counting the prefix) is XORed with the XChaCha20 stream of
// derive(data key, "at-rest content") and the nonce, at byte o of the stream.
inline constexpr size_t kAtRestPrefixSizeBytes = 4096;

// The stream of one file.
//
// Thread-safe (it has no state but key and nonce).
class AtRestStream {
 public:
  AtRestStream(std::shared_ptr<const Key> content_key, const std::array<uint8_t, 24>& nonce);

  // XORs `data`, which lies at `offset` of the file's content, in place. Encrypts and decrypts.
  void Apply(uint64_t offset, absl::Span<uint8_t> data) const;

 private:
  const std::shared_ptr<const Key> content_key_;
  const std::array<uint8_t, 24> nonce_;
};

// AtRestKeyring holds the data keys of one store: one for new files, others for older files.
//
// Thread-safe after construction.
class AtRestKeyring {
 public:
  // Does not keep a reference to `keys`, only keys derived from them.
  // REQUIRES: `keys` has `current`.
  AtRestKeyring(const std::map<KeyId, Key>& keys, const KeyId& current);

  // Makes the prefix of a new file, with the current key and a fresh nonce.
  std::array<uint8_t, kAtRestPrefixSizeBytes> MakePrefix(
      RandomSource& random = SystemRandom()) const;

  // The stream of the file that begins with `prefix`.
  // Errors: DATA_LOSS where the prefix is short, has another magic, or its MAC is wrong.
  // UNIMPLEMENTED for an unknown version. PERMISSION_DENIED for a key that is not in the keyring.
  absl::StatusOr<AtRestStream> OpenPrefix(absl::Span<const uint8_t> prefix) const;

 private:
  struct DerivedKeys {
    Key prefix_key;
    std::shared_ptr<const Key> content_key;
  };

  std::map<KeyId, DerivedKeys> keys_;
  const KeyId current_;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_CRYPTO_AT_REST_CIPHER_H_
