#ifndef HOLDFAST_COMMON_CRYPTO_SEALED_FILE_H_
#define HOLDFAST_COMMON_CRYPTO_SEALED_FILE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/random.h"
#include "common/crypto/hash.h"
#include "common/crypto/master_key.h"
#include "common/crypto/secret.h"

namespace holdfast {

// Sealed files, as FORMAT.md specifies them: a header, then segments, each encrypted and
// authenticated on its own. This file is the only one that knows their bytes.

// Numbers of the repository format; do not change.
inline constexpr size_t kSealedHeaderSizeBytes = 128;
inline constexpr size_t kSegmentSizeBytes = 65536;
inline constexpr size_t kSegmentTagSizeBytes = 16;
inline constexpr size_t kSealedSegmentSizeBytes = kSegmentSizeBytes + kSegmentTagSizeBytes;
inline constexpr uint64_t kUnknownContentSize = UINT64_MAX;

enum class SealedKind : uint8_t {
  kBackupKey = 1,
  kManifest = 2,
  kObject = 3,
  kMark = 4,
  kDataKey = 5,
  kSettings = 6,
};
// "manifest", "object", ...
absl::string_view SealedKindName(SealedKind kind);

enum class KeyScheme : uint8_t { kMasterKey = 1, kBackupKey = 2 };

using KeyId = std::array<uint8_t, 16>;

// A key that seals files of some kinds, with what the header says about it.
struct SealingKey {
  KeyScheme scheme;
  KeyId key_id;
  Key key;

  // A key derived from a master key; its id is the fingerprint and zeros.
  static SealingKey ForMaster(const KeyFingerprint& fingerprint, Key key);
  // A key derived from the backup key of that id.
  static SealingKey ForBackup(const KeyId& key_id, Key key);
};

// What was found wrong with a sealed file. Every error of this file's readers carries one as a
// payload; code: kWrongKey PERMISSION_DENIED, kUnknownVersion UNIMPLEMENTED, all others DATA_LOSS.
enum class SealedFault {
  kNotSealed,
  kHeaderDamaged,
  kUnknownVersion,
  kOtherName,  // another path or kind: renamed or swapped
  kWrongKey,
  kCutShort,
  kBytesAppended,
  kSegmentDamaged,
};
// "not_sealed", "cut_short", ...: as the test vectors and scripts have it.
absl::string_view SealedFaultName(SealedFault fault);
// The fault that `status` carries, also after it was annotated; nullopt where there is none.
std::optional<SealedFault> GetSealedFault(const absl::Status& status);

// The length (UINT64_MAX where it would be more) of a sealed file of `content_size_bytes` of
// content.
uint64_t SealedSizeBytes(uint64_t content_size_bytes);

// What a header says, after its checksum was verified.
struct SealedHeader {
  SealedKind kind;
  KeyScheme scheme;
  KeyId key_id;
  Hash256 path_hash;
  uint64_t content_size_bytes;  // kUnknownContentSize where the sealer did not know
};
// Steps 1 to 3 of FORMAT.md's "Reading", for tools that look at files without a key.
// A kind or scheme that is not known is no fault here.
absl::StatusOr<SealedHeader> ParseSealedHeader(absl::Span<const uint8_t> header);
// BLAKE2b-256 of a path, as headers have it.
Hash256 SealedPathHash(absl::string_view path);

// Sealer turns content that comes in pieces of any size into the bytes of one sealed file.
//
//   Sealer sealer(SealedKind::kObject, key, path, content_size);
//   out = sealer.Header();  then for each piece: sealer.Update(piece, out);  then
//   sealer.Finish(out);
//
// Not thread-safe. Does not keep a reference to `key`.
class Sealer {
 public:
  // `path` begins with "stores/" in a repository. `content_size_bytes` may be kUnknownContentSize.
  Sealer(SealedKind kind, const SealingKey& key, absl::string_view path,
         uint64_t content_size_bytes, RandomSource& random = SystemRandom());

  absl::Span<const uint8_t> Header() const { return header_; }

  // Appends to `out` the segments that are complete with `piece`; keeps the rest (at most a
  // segment).
  void Update(absl::Span<const uint8_t> piece, std::string& out);

  // Appends the last segment. INTERNAL where the content was not as long as announced: the file
  // must not be used then. REQUIRES: called once, last.
  absl::Status Finish(std::string& out);

 private:
  void SealSegment(absl::Span<const uint8_t> content, bool last, std::string& out);

  std::array<uint8_t, kSealedHeaderSizeBytes> header_;
  Key file_key_;
  const uint64_t content_size_announced_;
  uint64_t content_size_bytes_ = 0;
  uint64_t next_segment_ = 0;
  std::vector<uint8_t> pending_;
};

// Seals content that is in memory.
std::string Seal(SealedKind kind, const SealingKey& key, absl::string_view path,
                 absl::Span<const uint8_t> content, RandomSource& random = SystemRandom());

// What a reader knows about a file before it reads it.
struct SealedExpectation {
  SealedKind kind;
  absl::string_view path;
};

// Opener turns the bytes of one sealed file, which come in pieces of any size, back into content.
// No byte is handed out before it was authenticated; but that the file is whole is known only when
// Finish has returned OK. After an error, no other call may follow.
//
// Not thread-safe. Does not keep a reference to `key`.
//
// Errors carry a SealedFault. What comes in pieces is found out in the order in which it comes: of
// a file that is both cut and damaged, the damage before the cut.
class Opener {
 public:
  Opener(const SealedExpectation& expectation, const SealingKey& key);

  // Appends to `out` the content that is known to be good with `piece`.
  absl::Status Update(absl::Span<const uint8_t> piece, std::string& out);

  // The file has ended. Appends what is left; finds out a cut.
  absl::Status Finish(std::string& out);

 private:
  friend class SegmentOpener;
  friend absl::StatusOr<std::string> Unseal(const SealedExpectation& expectation,
                                            const SealingKey& key,
                                            absl::Span<const uint8_t> sealed);
  friend absl::StatusOr<std::string> UnsealFirstSegment(const SealedExpectation& expectation,
                                                        const SealingKey& key,
                                                        absl::Span<const uint8_t> beginning,
                                                        uint64_t sealed_size_bytes);

  absl::Status OpenHeader();
  absl::Status OpenSegment(absl::Span<const uint8_t> sealed, bool last, std::string& out);
  bool TryOpenSegment(uint64_t number, absl::Span<const uint8_t> sealed, bool last,
                      uint8_t* content) const;

  const SealedKind kind_;
  const Hash256 path_hash_;
  const KeyScheme scheme_;
  const KeyId key_id_;
  const Key sealing_key_;
  std::optional<Key> file_key_;
  uint64_t content_size_announced_ = kUnknownContentSize;
  uint64_t content_size_bytes_ = 0;
  uint64_t next_segment_ = 0;
  bool is_complete_ = false;  // the last segment was opened
  std::vector<uint8_t> pending_;
};

// SegmentOpener opens the segments of one sealed file, each by itself and in any order: for whoever
// wants what is whole of a file that is damaged. What it yields is authenticated, and is that
// segment's; that no segment is missing is for the caller to see.
//
// Not thread-safe.
class SegmentOpener {
 public:
  // `header`: the first kSealedHeaderSizeBytes bytes of the file. The errors of Opener.
  static absl::StatusOr<SegmentOpener> Create(const SealedExpectation& expectation,
                                              const SealingKey& key,
                                              absl::Span<const uint8_t> header);

  // What the header announces; kUnknownContentSize where it does not.
  uint64_t content_size_bytes() const { return opener_->content_size_announced_; }

  // Appends the content of segment `number`, which is the last one of the file or not.
  // SealedFault::kSegmentDamaged where `sealed` is not that segment.
  absl::Status Open(uint64_t number, bool last, absl::Span<const uint8_t> sealed,
                    std::string& out) const;

 private:
  explicit SegmentOpener(std::unique_ptr<const Opener> opener) : opener_(std::move(opener)) {}

  std::unique_ptr<const Opener> opener_;
};

// Opens a sealed file that is in memory.
absl::StatusOr<std::string> Unseal(const SealedExpectation& expectation, const SealingKey& key,
                                   absl::Span<const uint8_t> sealed);

// Opens header and first segment of a sealed file: `beginning` is its first
// kSealedHeaderSizeBytes + kSealedSegmentSizeBytes bytes, or all of it; `sealed_size_bytes` its
// length.
absl::StatusOr<std::string> UnsealFirstSegment(const SealedExpectation& expectation,
                                               const SealingKey& key,
                                               absl::Span<const uint8_t> beginning,
                                               uint64_t sealed_size_bytes);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_CRYPTO_SEALED_FILE_H_
