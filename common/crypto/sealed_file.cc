#include "common/crypto/sealed_file.h"

#include <sodium.h>

#include <algorithm>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/crypto/little_endian.h"

namespace holdfast {

namespace {

using internal::LoadLittleEndian;
using internal::StoreLittleEndian;

// The header's bytes. Part of the repository format; do not change.
constexpr std::array<uint8_t, 8> kMagic = {0x89, 'H', 'F', 'S', 'E', 'A', 'L', '\n'};
constexpr uint16_t kHeaderVersion = 1;
constexpr size_t kVersionOffset = 8;
constexpr size_t kKindOffset = 10;
constexpr size_t kSchemeOffset = 11;
constexpr size_t kHeaderSizeOffset = 12;
constexpr size_t kKeyIdOffset = 16;
constexpr size_t kSaltOffset = 32;
constexpr size_t kSaltSizeBytes = 32;
constexpr size_t kPathHashOffset = 64;
constexpr size_t kContentSizeOffset = 96;
constexpr size_t kHeaderChecksumOffset = 112;
static_assert(kHeaderChecksumOffset + sizeof(Hash128) == kSealedHeaderSizeBytes);

constexpr size_t kNonceSegmentOffset = 15;
constexpr size_t kNonceLastOffset = 23;
using Nonce = std::array<uint8_t, crypto_aead_xchacha20poly1305_ietf_NPUBBYTES>;
static_assert(sizeof(Nonce) == kNonceLastOffset + 1);
static_assert(kSegmentTagSizeBytes == crypto_aead_xchacha20poly1305_ietf_ABYTES);
static_assert(kKeySizeBytes == crypto_aead_xchacha20poly1305_ietf_KEYBYTES);

Nonce MakeNonce(uint64_t segment, bool last) {
  Nonce nonce{};
  StoreLittleEndian(segment, nonce.data() + kNonceSegmentOffset);
  nonce[kNonceLastOffset] = last ? 1 : 0;
  return nonce;
}

KeyScheme SchemeOf(SealedKind kind) {
  switch (kind) {
    case SealedKind::kManifest:
    case SealedKind::kObject:
    case SealedKind::kMark:
      return KeyScheme::kBackupKey;
    case SealedKind::kBackupKey:
    case SealedKind::kDataKey:
    case SealedKind::kSettings:
      break;
  }
  return KeyScheme::kMasterKey;
}

std::array<uint8_t, kSealedHeaderSizeBytes> MakeHeader(SealedKind kind, const SealingKey& key,
                                                       absl::string_view path,
                                                       uint64_t content_size_bytes,
                                                       RandomSource& random) {
  HOLDFAST_CHECK(key.scheme == SchemeOf(kind), "a key of another scheme");
  std::array<uint8_t, kSealedHeaderSizeBytes> header{};
  std::copy(kMagic.begin(), kMagic.end(), header.begin());
  StoreLittleEndian(kHeaderVersion, &header[kVersionOffset]);
  header[kKindOffset] = static_cast<uint8_t>(kind);
  header[kSchemeOffset] = static_cast<uint8_t>(key.scheme);
  StoreLittleEndian(uint16_t{kSealedHeaderSizeBytes}, &header[kHeaderSizeOffset]);
  std::copy(key.key_id.begin(), key.key_id.end(), &header[kKeyIdOffset]);
  random.Fill(absl::MakeSpan(header).subspan(kSaltOffset, kSaltSizeBytes));
  const Hash256 path_hash = SealedPathHash(path);
  std::copy(path_hash.begin(), path_hash.end(), &header[kPathHashOffset]);
  StoreLittleEndian(content_size_bytes, &header[kContentSizeOffset]);
  const Hash128 checksum = Blake2b128({absl::MakeSpan(header).first(kHeaderChecksumOffset)});
  std::copy(checksum.begin(), checksum.end(), &header[kHeaderChecksumOffset]);
  return header;
}

constexpr absl::string_view kFaultPayloadUrl = "type.holdfast/sealed-fault";
constexpr SealedFault kAllFaults[] = {
    SealedFault::kNotSealed,     SealedFault::kHeaderDamaged,  SealedFault::kUnknownVersion,
    SealedFault::kOtherName,     SealedFault::kWrongKey,       SealedFault::kCutShort,
    SealedFault::kBytesAppended, SealedFault::kSegmentDamaged,
};

absl::StatusCode CodeOf(SealedFault fault) {
  switch (fault) {
    case SealedFault::kWrongKey:
      return absl::StatusCode::kPermissionDenied;
    case SealedFault::kUnknownVersion:
      return absl::StatusCode::kUnimplemented;
    default:
      return absl::StatusCode::kDataLoss;
  }
}

absl::Status FaultError(SealedFault fault, absl::string_view message) {
  absl::Status status(CodeOf(fault), message);
  status.SetPayload(kFaultPayloadUrl, absl::Cord(SealedFaultName(fault)));
  return status;
}

absl::Status BytesAppendedError() {
  return FaultError(SealedFault::kBytesAppended,
                    "bytes were appended: the file goes on after its end");
}

// "master key 0123456789abcdef" or "backup key 0123…" (all 16 bytes).
std::string DescribeKey(KeyScheme scheme, const KeyId& key_id) {
  switch (scheme) {
    case KeyScheme::kMasterKey:
      return absl::StrCat("master key ", absl::BytesToHexString(
                                             AsText(key_id).substr(0, KeyFingerprint::kSizeBytes)));
    case KeyScheme::kBackupKey:
      return absl::StrCat("backup key ", absl::BytesToHexString(AsText(key_id)));
  }
  return absl::StrCat("a key of unknown scheme ", static_cast<int>(scheme));
}

// Whether a stored segment may have that length: only segment 0 may have no content.
bool IsSegmentSize(uint64_t sealed_size_bytes, uint64_t segment) {
  return sealed_size_bytes >= kSegmentTagSizeBytes + (segment == 0 ? 0 : 1);
}

// Whether any content at all makes a sealed file of that length.
bool IsSealedSize(uint64_t sealed_size_bytes) {
  if (sealed_size_bytes < kSealedHeaderSizeBytes + kSegmentTagSizeBytes) return false;
  const uint64_t segments_size_bytes = sealed_size_bytes - kSealedHeaderSizeBytes;
  const uint64_t rest = segments_size_bytes % kSealedSegmentSizeBytes;
  return rest == 0 || IsSegmentSize(rest, segments_size_bytes / kSealedSegmentSizeBytes);
}

// Step 6 of FORMAT.md's "Reading", where the length was announced.
absl::Status CheckSealedSize(uint64_t sealed_size_bytes, uint64_t content_size_announced) {
  if (content_size_announced == kUnknownContentSize) return absl::OkStatus();
  const uint64_t expected = SealedSizeBytes(content_size_announced);
  if (sealed_size_bytes == expected) return absl::OkStatus();
  const bool is_cut = sealed_size_bytes < expected;
  return FaultError(is_cut ? SealedFault::kCutShort : SealedFault::kBytesAppended,
                    absl::StrCat(is_cut ? "cut short" : "bytes were appended", ": it has ",
                                 sealed_size_bytes, " bytes, not ", expected));
}

absl::Status SegmentDamagedError(uint64_t segment) {
  return FaultError(SealedFault::kSegmentDamaged,
                    absl::StrCat("damaged: segment ", segment, " does not authenticate"));
}

absl::Status EndsWithinError(uint64_t segment) {
  return FaultError(SealedFault::kCutShort,
                    absl::StrCat("cut short: it ends within segment ", segment));
}

}  // namespace

absl::string_view SealedKindName(SealedKind kind) {
  switch (kind) {
    case SealedKind::kBackupKey:
      return "backup key";
    case SealedKind::kManifest:
      return "manifest";
    case SealedKind::kObject:
      return "object";
    case SealedKind::kMark:
      return "mark";
    case SealedKind::kDataKey:
      return "data key";
    case SealedKind::kSettings:
      return "settings";
  }
  return "unknown kind";
}

SealingKey SealingKey::ForMaster(const KeyFingerprint& fingerprint, Key key) {
  KeyId key_id{};
  std::copy(fingerprint.bytes().begin(), fingerprint.bytes().end(), key_id.begin());
  return {KeyScheme::kMasterKey, key_id, std::move(key)};
}

SealingKey SealingKey::ForBackup(const KeyId& key_id, Key key) {
  return {KeyScheme::kBackupKey, key_id, std::move(key)};
}

absl::string_view SealedFaultName(SealedFault fault) {
  switch (fault) {
    case SealedFault::kNotSealed:
      return "not_sealed";
    case SealedFault::kHeaderDamaged:
      return "header_damaged";
    case SealedFault::kUnknownVersion:
      return "unknown_version";
    case SealedFault::kOtherName:
      return "other_name";
    case SealedFault::kWrongKey:
      return "wrong_key";
    case SealedFault::kCutShort:
      return "cut_short";
    case SealedFault::kBytesAppended:
      return "bytes_appended";
    case SealedFault::kSegmentDamaged:
      return "segment_damaged";
  }
  return "unknown";
}

std::optional<SealedFault> GetSealedFault(const absl::Status& status) {
  const auto payload = status.GetPayload(kFaultPayloadUrl);
  if (!payload.has_value()) return std::nullopt;
  for (const SealedFault fault : kAllFaults) {
    if (*payload == SealedFaultName(fault)) return fault;
  }
  return std::nullopt;
}

uint64_t SealedSizeBytes(uint64_t content_size_bytes) {
  const uint64_t full_segments = content_size_bytes / kSegmentSizeBytes;
  const uint64_t segments =
      std::max<uint64_t>(1, full_segments + (content_size_bytes % kSegmentSizeBytes == 0 ? 0 : 1));
  const uint64_t overhead = kSealedHeaderSizeBytes + segments * kSegmentTagSizeBytes;
  if (content_size_bytes > UINT64_MAX - overhead) return UINT64_MAX;
  return content_size_bytes + overhead;
}

Hash256 SealedPathHash(absl::string_view path) { return Blake2b256({AsBytes(path)}); }

absl::StatusOr<SealedHeader> ParseSealedHeader(absl::Span<const uint8_t> header) {
  const size_t magic_size = std::min(header.size(), kMagic.size());
  if (!std::equal(header.begin(), header.begin() + magic_size, kMagic.begin())) {
    return FaultError(SealedFault::kNotSealed, "not a sealed file");
  }
  if (header.size() < kSealedHeaderSizeBytes) {
    return FaultError(SealedFault::kCutShort,
                      absl::StrCat("cut short: it has ", header.size(), " bytes, its header alone ",
                                   kSealedHeaderSizeBytes));
  }
  header = header.first(kSealedHeaderSizeBytes);
  const Hash128 checksum = Blake2b128({header.first(kHeaderChecksumOffset)});
  if (!ConstantTimeEqual(checksum, header.subspan(kHeaderChecksumOffset))) {
    return FaultError(SealedFault::kHeaderDamaged, "header damaged: its checksum is wrong");
  }
  const auto version = LoadLittleEndian<uint16_t>(&header[kVersionOffset]);
  const auto header_size_bytes = LoadLittleEndian<uint16_t>(&header[kHeaderSizeOffset]);
  if (version != kHeaderVersion || header_size_bytes != kSealedHeaderSizeBytes) {
    return FaultError(SealedFault::kUnknownVersion,
                      absl::StrCat("unknown version: its header is of version ", version, " and ",
                                   header_size_bytes, " bytes; a newer Holdfast is needed"));
  }
  SealedHeader parsed;
  parsed.kind = static_cast<SealedKind>(header[kKindOffset]);
  parsed.scheme = static_cast<KeyScheme>(header[kSchemeOffset]);
  std::copy_n(&header[kKeyIdOffset], parsed.key_id.size(), parsed.key_id.begin());
  std::copy_n(&header[kPathHashOffset], parsed.path_hash.size(), parsed.path_hash.begin());
  parsed.content_size_bytes = LoadLittleEndian<uint64_t>(&header[kContentSizeOffset]);
  return parsed;
}

// --- Sealing ---------------------------------------------------------------------------------

Sealer::Sealer(SealedKind kind, const SealingKey& key, absl::string_view path,
               uint64_t content_size_bytes, RandomSource& random)
    : header_(MakeHeader(kind, key, path, content_size_bytes, random)),
      file_key_(KeyedBlake2b256ToKey(key.key, {header_})),
      content_size_announced_(content_size_bytes) {}

void Sealer::Update(absl::Span<const uint8_t> piece, std::string& out) {
  const bool is_announced = content_size_announced_ != kUnknownContentSize;
  content_size_bytes_ += piece.size();
  while (!piece.empty()) {
    const uint64_t begin = next_segment_ * kSegmentSizeBytes;
    // More than was announced: nothing of it is sealed, and Finish tells.
    if (is_announced && begin >= content_size_announced_) return;
    const size_t segment_size_bytes =
        static_cast<size_t>(std::min<uint64_t>(kSegmentSizeBytes, content_size_announced_ - begin));
    const bool last = is_announced && begin + segment_size_bytes == content_size_announced_;

    if (pending_.size() == segment_size_bytes) {  // held back in case it was the last
      SealSegment(pending_, /*last=*/false, out);
      pending_.clear();
    } else if (pending_.empty() && piece.size() >= segment_size_bytes + (is_announced ? 0 : 1)) {
      SealSegment(piece.first(segment_size_bytes), last, out);
      piece.remove_prefix(segment_size_bytes);
    } else {
      const size_t taken = std::min(piece.size(), segment_size_bytes - pending_.size());
      if (pending_.empty()) pending_.reserve(segment_size_bytes);
      pending_.insert(pending_.end(), piece.begin(), piece.begin() + taken);
      piece.remove_prefix(taken);
      if (is_announced && pending_.size() == segment_size_bytes) {
        SealSegment(pending_, last, out);
        pending_.clear();
      }
    }
  }
}

absl::Status Sealer::Finish(std::string& out) {
  if (content_size_announced_ == kUnknownContentSize) {
    SealSegment(pending_, /*last=*/true, out);
    pending_.clear();
    return absl::OkStatus();
  }
  if (content_size_bytes_ != content_size_announced_) {
    return absl::InternalError(absl::StrCat("content of ", content_size_bytes_,
                                            " bytes came where ", content_size_announced_,
                                            " were announced"));
  }
  if (content_size_announced_ == 0) SealSegment({}, /*last=*/true, out);
  return absl::OkStatus();
}

void Sealer::SealSegment(absl::Span<const uint8_t> content, bool last, std::string& out) {
  const Nonce nonce = MakeNonce(next_segment_++, last);
  const size_t out_size = out.size();
  out.resize(out_size + content.size() + kSegmentTagSizeBytes);
  unsigned long long sealed_size_bytes = 0;  // NOLINT(google-runtime-int): libsodium's type
  crypto_aead_xchacha20poly1305_ietf_encrypt(
      reinterpret_cast<uint8_t*>(out.data() + out_size), &sealed_size_bytes, content.data(),
      content.size(), nullptr, 0, nullptr, nonce.data(), file_key_.bytes().data());
  HOLDFAST_CHECK(sealed_size_bytes == content.size() + kSegmentTagSizeBytes);
}

std::string Seal(SealedKind kind, const SealingKey& key, absl::string_view path,
                 absl::Span<const uint8_t> content, RandomSource& random) {
  Sealer sealer(kind, key, path, content.size(), random);
  std::string sealed;
  sealed.reserve(SealedSizeBytes(content.size()));
  absl::StrAppend(&sealed, AsText(sealer.Header()));
  sealer.Update(content, sealed);
  HOLDFAST_CHECK(sealer.Finish(sealed).ok());
  return sealed;
}

// --- Opening ---------------------------------------------------------------------------------

Opener::Opener(const SealedExpectation& expectation, const SealingKey& key)
    : kind_(expectation.kind),
      path_hash_(SealedPathHash(expectation.path)),
      scheme_(key.scheme),
      key_id_(key.key_id),
      sealing_key_(key.key.Clone()) {
  HOLDFAST_CHECK(key.scheme == SchemeOf(kind_), "a key of another scheme");
}

absl::Status Opener::Update(absl::Span<const uint8_t> piece, std::string& out) {
  if (!file_key_.has_value()) {
    const size_t taken = std::min(piece.size(), kSealedHeaderSizeBytes - pending_.size());
    pending_.insert(pending_.end(), piece.begin(), piece.begin() + taken);
    piece.remove_prefix(taken);
    if (pending_.size() < kSealedHeaderSizeBytes) return absl::OkStatus();
    HOLDFAST_RETURN_IF_ERROR(OpenHeader());
    pending_.clear();
  }
  const bool is_announced = content_size_announced_ != kUnknownContentSize;
  while (!piece.empty()) {
    if (is_complete_) return BytesAppendedError();
    const uint64_t rest_size_bytes = content_size_announced_ - content_size_bytes_;
    const size_t sealed_size_bytes =
        static_cast<size_t>(std::min<uint64_t>(kSegmentSizeBytes, rest_size_bytes)) +
        kSegmentTagSizeBytes;
    const bool last = is_announced && rest_size_bytes <= kSegmentSizeBytes;

    if (pending_.size() == sealed_size_bytes) {  // held back in case it was the last
      HOLDFAST_RETURN_IF_ERROR(OpenSegment(pending_, /*last=*/false, out));
      pending_.clear();
    } else if (pending_.empty() && piece.size() >= sealed_size_bytes + (is_announced ? 0 : 1)) {
      HOLDFAST_RETURN_IF_ERROR(OpenSegment(piece.first(sealed_size_bytes), last, out));
      piece.remove_prefix(sealed_size_bytes);
    } else {
      const size_t taken = std::min(piece.size(), sealed_size_bytes - pending_.size());
      if (pending_.empty()) pending_.reserve(sealed_size_bytes);
      pending_.insert(pending_.end(), piece.begin(), piece.begin() + taken);
      piece.remove_prefix(taken);
      if (is_announced && pending_.size() == sealed_size_bytes) {
        HOLDFAST_RETURN_IF_ERROR(OpenSegment(pending_, last, out));
        pending_.clear();
      }
    }
  }
  return absl::OkStatus();
}

absl::Status Opener::Finish(std::string& out) {
  if (!file_key_.has_value()) return ParseSealedHeader(pending_).status();
  if (is_complete_) return absl::OkStatus();
  if (content_size_announced_ == kUnknownContentSize &&
      IsSegmentSize(pending_.size(), next_segment_)) {
    return OpenSegment(pending_, /*last=*/true, out);
  }
  return EndsWithinError(next_segment_);
}

absl::Status Opener::OpenHeader() {
  HOLDFAST_ASSIGN_OR_RETURN(const SealedHeader header, ParseSealedHeader(pending_));
  if (header.kind != kind_) {
    return FaultError(SealedFault::kOtherName,
                      absl::StrCat("sealed under another name: as ", SealedKindName(header.kind),
                                   ", not as ", SealedKindName(kind_)));
  }
  if (header.path_hash != path_hash_) {
    return FaultError(SealedFault::kOtherName,
                      "sealed under another name: it was renamed, or swapped with another file");
  }
  if (header.scheme != scheme_ || header.key_id != key_id_) {
    return FaultError(
        SealedFault::kWrongKey,
        absl::StrCat("wrong key: sealed with ", DescribeKey(header.scheme, header.key_id),
                     ", not with ", DescribeKey(scheme_, key_id_)));
  }
  content_size_announced_ = header.content_size_bytes;
  file_key_ = KeyedBlake2b256ToKey(sealing_key_, {pending_});
  return absl::OkStatus();
}

bool Opener::TryOpenSegment(uint64_t number, absl::Span<const uint8_t> sealed, bool last,
                            uint8_t* content) const {
  const Nonce nonce = MakeNonce(number, last);
  return crypto_aead_xchacha20poly1305_ietf_decrypt(content, nullptr, nullptr, sealed.data(),
                                                    sealed.size(), nullptr, 0, nonce.data(),
                                                    file_key_->bytes().data()) == 0;
}

absl::Status Opener::OpenSegment(absl::Span<const uint8_t> sealed, bool last, std::string& out) {
  const size_t out_size = out.size();
  const size_t content_size_bytes = sealed.size() - kSegmentTagSizeBytes;
  out.resize(out_size + content_size_bytes);
  auto* const content = reinterpret_cast<uint8_t*>(out.data() + out_size);
  if (TryOpenSegment(next_segment_, sealed, last, content)) {
    ++next_segment_;
    content_size_bytes_ += content_size_bytes;
    is_complete_ = last;
    return absl::OkStatus();
  }
  // Where the length is unknown, only the other flag tells a cut or an addition from damage.
  const bool is_misplaced_end = content_size_announced_ == kUnknownContentSize &&
                                TryOpenSegment(next_segment_, sealed, !last, content);
  out.resize(out_size);
  if (!is_misplaced_end) return SegmentDamagedError(next_segment_);
  if (!last) return BytesAppendedError();
  return FaultError(SealedFault::kCutShort,
                    absl::StrCat("cut short: segment ", next_segment_, " is not its last"));
}

absl::StatusOr<SegmentOpener> SegmentOpener::Create(const SealedExpectation& expectation,
                                                    const SealingKey& key,
                                                    absl::Span<const uint8_t> header) {
  auto opener = std::make_unique<Opener>(expectation, key);
  std::string nothing;
  HOLDFAST_RETURN_IF_ERROR(
      opener->Update(header.first(std::min(header.size(), kSealedHeaderSizeBytes)), nothing));
  if (!opener->file_key_.has_value()) return opener->Finish(nothing);
  return SegmentOpener(std::move(opener));
}

absl::Status SegmentOpener::Open(uint64_t number, bool last, absl::Span<const uint8_t> sealed,
                                 std::string& out) const {
  if (sealed.size() < kSegmentTagSizeBytes) return SegmentDamagedError(number);
  const size_t out_size = out.size();
  out.resize(out_size + sealed.size() - kSegmentTagSizeBytes);
  auto* const content = reinterpret_cast<uint8_t*>(out.data() + out_size);
  if (opener_->TryOpenSegment(number, sealed, last, content)) return absl::OkStatus();
  out.resize(out_size);
  return SegmentDamagedError(number);
}

absl::StatusOr<std::string> Unseal(const SealedExpectation& expectation, const SealingKey& key,
                                   absl::Span<const uint8_t> sealed) {
  const size_t header_size_bytes = std::min(sealed.size(), kSealedHeaderSizeBytes);
  Opener opener(expectation, key);
  std::string content;
  HOLDFAST_RETURN_IF_ERROR(opener.Update(sealed.first(header_size_bytes), content));
  if (opener.file_key_.has_value()) {
    HOLDFAST_RETURN_IF_ERROR(CheckSealedSize(sealed.size(), opener.content_size_announced_));
  }
  content.reserve(sealed.size() - header_size_bytes);
  HOLDFAST_RETURN_IF_ERROR(opener.Update(sealed.subspan(header_size_bytes), content));
  HOLDFAST_RETURN_IF_ERROR(opener.Finish(content));
  return content;
}

absl::StatusOr<std::string> UnsealFirstSegment(const SealedExpectation& expectation,
                                               const SealingKey& key,
                                               absl::Span<const uint8_t> beginning,
                                               uint64_t sealed_size_bytes) {
  Opener opener(expectation, key);
  std::string content;
  HOLDFAST_RETURN_IF_ERROR(
      opener.Update(beginning.first(std::min(beginning.size(), kSealedHeaderSizeBytes)), content));
  if (!opener.file_key_.has_value()) return opener.Finish(content);
  HOLDFAST_RETURN_IF_ERROR(CheckSealedSize(sealed_size_bytes, opener.content_size_announced_));

  const uint64_t needed_size_bytes =
      std::min<uint64_t>(sealed_size_bytes, kSealedHeaderSizeBytes + kSealedSegmentSizeBytes);
  if (beginning.size() < needed_size_bytes) {
    return FaultError(SealedFault::kCutShort,
                      absl::StrCat("cut short: only ", beginning.size(), " bytes could be read of ",
                                   sealed_size_bytes));
  }
  const absl::Span<const uint8_t> segment =
      beginning.first(needed_size_bytes).subspan(kSealedHeaderSizeBytes);
  if (!IsSegmentSize(segment.size(), 0)) return EndsWithinError(0);
  const bool last = needed_size_bytes == sealed_size_bytes;
  HOLDFAST_RETURN_IF_ERROR(opener.OpenSegment(segment, last, content));
  if (!IsSealedSize(sealed_size_bytes)) {
    return EndsWithinError((sealed_size_bytes - kSealedHeaderSizeBytes) / kSealedSegmentSizeBytes);
  }
  return content;
}

}  // namespace holdfast
