#include "common/crypto/sealed_file.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/crypto/hash.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr absl::string_view kPath = "stores/00/objects/4f/4f";
constexpr SealedExpectation kExpected = {SealedKind::kObject, kPath};
constexpr uint64_t kSalt = 42;  // a seed

// Lengths of content around every boundary.
constexpr size_t kLengths[] = {0,      1,      2,      63,      64,      65,      65'535,
                               65'536, 65'537, 65'552, 131'071, 131'072, 131'073, 200'000};

KeyId IdOf(uint8_t byte) {
  KeyId key_id;
  key_id.fill(byte);
  return key_id;
}

SealingKey ContentKey() {
  return SealingKey::ForBackup(IdOf(0xB0), Key::FromBytes(Blake2b256({AsBytes("content key")})));
}

SealingKey MasterWrap(absl::string_view name) {
  KeyFingerprint::Bytes fingerprint;
  fingerprint.fill(static_cast<uint8_t>(name.size()));
  return SealingKey::ForMaster(KeyFingerprint(fingerprint),
                               Key::FromBytes(Blake2b256({AsBytes(name)})));
}

std::string ContentOf(size_t size) {
  std::string content(size, '\0');
  for (size_t i = 0; i < size; ++i) content[i] = static_cast<char>(i % 251);
  return content;
}

enum class Length { kKnown, kUnknown };

// Seals an object that comes in pieces of `piece_size`; always with the same salt.
std::string SealInPieces(absl::string_view content, Length length, size_t piece_size) {
  SeededRandom random(kSalt);
  Sealer sealer(SealedKind::kObject, ContentKey(), kPath,
                length == Length::kKnown ? content.size() : kUnknownContentSize, random);
  std::string sealed(AsText(sealer.Header()));
  for (size_t begin = 0; begin < content.size(); begin += piece_size) {
    sealer.Update(AsBytes(content.substr(begin, piece_size)), sealed);
  }
  EXPECT_OK(sealer.Finish(sealed));
  return sealed;
}

std::string SealObject(absl::string_view content, Length length) {
  return SealInPieces(content, length, std::max<size_t>(1, content.size()));
}

// Opens in pieces; what was good before an error is left in `content`.
absl::Status OpenInPieces(absl::string_view sealed, size_t piece_size, std::string& content,
                          const SealedExpectation& expectation = kExpected,
                          const SealingKey& key = ContentKey()) {
  Opener opener(expectation, key);
  for (size_t begin = 0; begin < sealed.size(); begin += piece_size) {
    absl::Status status = opener.Update(AsBytes(sealed.substr(begin, piece_size)), content);
    if (!status.ok()) return status;
  }
  return opener.Finish(content);
}

absl::StatusOr<std::string> UnsealObject(absl::string_view sealed) {
  return Unseal(kExpected, ContentKey(), AsBytes(sealed));
}

absl::StatusOr<std::string> UnsealBeginning(absl::string_view sealed) {
  return UnsealFirstSegment(
      kExpected, ContentKey(),
      AsBytes(sealed.substr(0, kSealedHeaderSizeBytes + kSealedSegmentSizeBytes)), sealed.size());
}

MATCHER_P(HasFault, fault, absl::StrCat("has the fault ", SealedFaultName(fault))) {
  const absl::Status& status = internal::StatusOf(arg);
  const std::optional<SealedFault> actual = GetSealedFault(status);
  const absl::StatusCode code =
      fault == SealedFault::kWrongKey         ? absl::StatusCode::kPermissionDenied
      : fault == SealedFault::kUnknownVersion ? absl::StatusCode::kUnimplemented
                                              : absl::StatusCode::kDataLoss;
  *result_listener << status;
  return actual == fault && status.code() == code;
}

// Every way to open must find the same fault.
void ExpectFault(absl::string_view sealed, SealedFault fault) {
  EXPECT_THAT(UnsealObject(sealed), HasFault(fault));
  std::string content;
  EXPECT_THAT(OpenInPieces(sealed, sealed.size() + 1, content), HasFault(fault));
  content.clear();
  EXPECT_THAT(OpenInPieces(sealed, 1000, content), HasFault(fault));
  EXPECT_THAT(ContentOf(content.size()), content) << "what was handed out is not what was sealed";
}

// Makes the checksum of the header right again, as an attacker would.
void MendHeader(std::string& sealed) {
  const Hash128 checksum = Blake2b128({AsBytes(sealed).first(112)});
  sealed.replace(112, 16, std::string(AsText(checksum)));
}

std::string Hex(absl::string_view bytes) { return absl::BytesToHexString(bytes); }

TEST(SealerTest, WritesTheHeaderOfTheFormat) {
  for (const Length length : {Length::kKnown, Length::kUnknown}) {
    const std::string sealed = SealObject(ContentOf(0x010203), length);
    EXPECT_EQ(Hex(sealed.substr(0, 8)), "8948465345414c0a");
    EXPECT_EQ(Hex(sealed.substr(8, 2)), "0100");
    EXPECT_EQ(Hex(sealed.substr(10, 1)), "03");
    EXPECT_EQ(Hex(sealed.substr(11, 1)), "02");
    EXPECT_EQ(Hex(sealed.substr(12, 4)), "80000000");
    EXPECT_EQ(Hex(sealed.substr(16, 16)), std::string("b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0"));
    EXPECT_EQ(sealed.substr(64, 32), AsText(Blake2b256({AsBytes(kPath)})));
    EXPECT_EQ(Hex(sealed.substr(96, 8)),
              length == Length::kKnown ? "0302010000000000" : "ffffffffffffffff");
    EXPECT_EQ(Hex(sealed.substr(104, 8)), "0000000000000000");
    EXPECT_EQ(sealed.substr(112, 16), AsText(Blake2b128({AsBytes(sealed.substr(0, 112))})));
  }
}

TEST(SealerTest, TheKeyIdOfAMasterKeyIsItsFingerprint) {
  const SealingKey key = MasterWrap("wrap");
  const std::string sealed = Seal(SealedKind::kBackupKey, key, "keys/1", AsBytes("content"));
  EXPECT_EQ(Hex(sealed.substr(10, 2)), "0101");
  EXPECT_EQ(Hex(sealed.substr(16, 16)), "04040404040404040000000000000000");
}

TEST(SealerTest, EverySealingHasASaltOfItsOwn) {
  const std::string a = Seal(SealedKind::kObject, ContentKey(), kPath, AsBytes("content"));
  const std::string b = Seal(SealedKind::kObject, ContentKey(), kPath, AsBytes("content"));
  EXPECT_NE(a.substr(32, 32), b.substr(32, 32));
  EXPECT_NE(a.substr(128), b.substr(128));
  EXPECT_THAT(UnsealObject(a), IsOkAndHolds("content"));
  EXPECT_THAT(UnsealObject(b), IsOkAndHolds("content"));
}

TEST(SealerTest, PiecesDoNotMatter) {
  for (const Length length : {Length::kKnown, Length::kUnknown}) {
    for (const size_t size : kLengths) {
      const std::string content = ContentOf(size);
      const std::string whole = SealObject(content, length);
      EXPECT_EQ(whole.size(), SealedSizeBytes(size));
      for (const size_t piece_size :
           {1, 7, 4096, 65'535, 65'536, 65'537, 65'552, 131'072, 1 << 20}) {
        EXPECT_TRUE(SealInPieces(content, length, piece_size) == whole)
            << size << " " << piece_size;
      }
    }
  }
}

TEST(SealerTest, SealsOnTheGo) {
  const std::string piece = ContentOf(1 << 20);
  for (const uint64_t announced : {kUnknownContentSize, uint64_t{64} << 20}) {
    Sealer sealer(SealedKind::kObject, ContentKey(), kPath, announced);
    uint64_t content_size = 0;
    uint64_t sealed_size = sealer.Header().size();
    for (int i = 0; i < 64; ++i) {
      std::string out;
      sealer.Update(AsBytes(piece), out);
      content_size += piece.size();
      sealed_size += out.size();
      EXPECT_GE(sealed_size + kSealedSegmentSizeBytes, SealedSizeBytes(content_size));
    }
  }
}

TEST(SealerTest, AppendsToWhatIsThere) {
  Sealer sealer(SealedKind::kObject, ContentKey(), kPath, kUnknownContentSize);
  std::string out = absl::StrCat("before", AsText(sealer.Header()));
  sealer.Update(AsBytes("content"), out);
  ASSERT_OK(sealer.Finish(out));
  EXPECT_THAT(out, StartsWith("before"));
  EXPECT_THAT(UnsealObject(out.substr(6)), IsOkAndHolds("content"));
}

TEST(SealerTest, AnotherLengthThanAnnouncedIsAnError) {
  for (const size_t announced : {0, 1, 65'535, 65'536, 65'537, 131'072}) {
    for (const size_t size : {0, 1, 65'535, 65'536, 65'537, 131'072, 131'073}) {
      for (const size_t piece_size : {1000, 1 << 20}) {
        Sealer sealer(SealedKind::kObject, ContentKey(), kPath, announced);
        std::string out(AsText(sealer.Header()));
        const std::string content = ContentOf(size);
        for (size_t begin = 0; begin < size; begin += piece_size) {
          sealer.Update(AsBytes(absl::string_view(content).substr(begin, piece_size)), out);
        }
        if (size == announced) {
          EXPECT_OK(sealer.Finish(out));
          EXPECT_THAT(UnsealObject(out), IsOkAndHolds(content));
        } else {
          EXPECT_THAT(sealer.Finish(out),
                      StatusIs(absl::StatusCode::kInternal, HasSubstr(absl::StrCat(announced))));
          EXPECT_LE(out.size(), SealedSizeBytes(announced));
        }
      }
    }
  }
}

TEST(SealerDeathTest, AKeyOfAnotherSchemeIsRefused) {
  EXPECT_DEATH(Seal(SealedKind::kManifest, MasterWrap("wrap"), kPath, {}), "another scheme");
  EXPECT_DEATH(Seal(SealedKind::kDataKey, ContentKey(), kPath, {}), "another scheme");
}

TEST(SealedSizeBytesTest, CountsHeaderAndTags) {
  EXPECT_EQ(SealedSizeBytes(0), 128U + 16);
  EXPECT_EQ(SealedSizeBytes(1), 128U + 16 + 1);
  EXPECT_EQ(SealedSizeBytes(65'536), 128U + 16 + 65'536);
  EXPECT_EQ(SealedSizeBytes(65'537), 128U + 32 + 65'537);
  EXPECT_EQ(SealedSizeBytes(uint64_t{1} << 40), 128 + (uint64_t{16} << 24) + (uint64_t{1} << 40));
  EXPECT_EQ(SealedSizeBytes(UINT64_MAX - 1), UINT64_MAX);
}

TEST(OpenerTest, PiecesDoNotMatter) {
  for (const Length length : {Length::kKnown, Length::kUnknown}) {
    for (const size_t size : kLengths) {
      const std::string content = ContentOf(size);
      const std::string sealed = SealObject(content, length);
      EXPECT_THAT(UnsealObject(sealed), IsOkAndHolds(content));
      for (const size_t piece_size : {1, 7, 127, 128, 129, 144, 4096, 65'551, 65'552, 65'553,
                                      65'680, 65'681, 131'104, 1 << 20}) {
        std::string opened = "before";
        EXPECT_OK(OpenInPieces(sealed, piece_size, opened));
        EXPECT_TRUE(opened == "before" + content) << size << " " << piece_size;
      }
    }
  }
}

TEST(OpenerTest, RandomPiecesDoNotMatter) {
  SeededRandom random;
  for (int i = 0; i < 200; ++i) {
    const std::string content = ContentOf(random.Uniform(300'000));
    const Length length = random.Uniform(2) == 0 ? Length::kKnown : Length::kUnknown;
    const std::string sealed = SealInPieces(content, length, 1 + random.Uniform(100'000));
    Opener opener(kExpected, ContentKey());
    std::string opened;
    for (size_t begin = 0; begin < sealed.size();) {
      const size_t size = random.Uniform(random.Uniform(2) == 0 ? 100 : 150'000);
      ASSERT_OK(opener.Update(AsBytes(absl::string_view(sealed).substr(begin, size)), opened));
      begin += size;
    }
    ASSERT_OK(opener.Finish(opened));
    EXPECT_TRUE(opened == content) << content.size();
  }
}

TEST(OpenerTest, OpensOnTheGo) {
  for (const Length length : {Length::kKnown, Length::kUnknown}) {
    const std::string sealed = SealObject(ContentOf(8 << 20), length);
    Opener opener(kExpected, ContentKey());
    std::string opened;
    for (size_t begin = 0; begin < sealed.size(); begin += 1 << 20) {
      const auto piece = absl::string_view(sealed).substr(begin, 1 << 20);
      ASSERT_OK(opener.Update(AsBytes(piece), opened));
      EXPECT_GE(SealedSizeBytes(opened.size()) + kSealedSegmentSizeBytes, begin + piece.size());
    }
  }
}

TEST(OpenerTest, EveryKindOpensAsItself) {
  for (const SealedKind kind : {SealedKind::kBackupKey, SealedKind::kManifest, SealedKind::kObject,
                                SealedKind::kMark, SealedKind::kDataKey, SealedKind::kSettings}) {
    const bool by_backup_key =
        kind == SealedKind::kManifest || kind == SealedKind::kObject || kind == SealedKind::kMark;
    const SealingKey key = by_backup_key ? ContentKey() : MasterWrap("wrap");
    const std::string sealed = Seal(kind, key, kPath, AsBytes("content"));
    EXPECT_THAT(Unseal({kind, kPath}, key, AsBytes(sealed)), IsOkAndHolds("content"));
    EXPECT_THAT(SealedKindName(kind), Not(HasSubstr("unknown")));
  }
}

TEST(OpenerTest, EveryFlippedByteIsFoundOut) {
  for (const Length length : {Length::kKnown, Length::kUnknown}) {
    for (const size_t size : {0, 1, 100}) {
      const std::string sealed = SealObject(ContentOf(size), length);
      for (size_t i = 0; i < sealed.size(); ++i) {
        for (const int flip : {0x01, 0x80, 0xFF}) {
          SCOPED_TRACE(absl::StrCat("byte ", i, " of ", sealed.size()));
          std::string damaged = sealed;
          damaged[i] = static_cast<char>(damaged[i] ^ flip);
          ExpectFault(damaged, i < 8     ? SealedFault::kNotSealed
                               : i < 128 ? SealedFault::kHeaderDamaged
                                         : SealedFault::kSegmentDamaged);
        }
      }
    }
  }
}

TEST(OpenerTest, ADamagedSegmentIsNamedAndTheOnesBeforeAreGood) {
  for (const Length length : {Length::kKnown, Length::kUnknown}) {
    const std::string content = ContentOf(200'000);
    const std::string sealed = SealObject(content, length);
    for (size_t segment = 0; segment < 4; ++segment) {
      std::string damaged = sealed;
      damaged[kSealedHeaderSizeBytes + segment * kSealedSegmentSizeBytes + 99] ^= 1;
      std::string opened;
      EXPECT_THAT(OpenInPieces(damaged, 5000, opened),
                  AllOf(HasFault(SealedFault::kSegmentDamaged),
                        StatusIs(absl::StatusCode::kDataLoss,
                                 HasSubstr(absl::StrCat("segment ", segment)))));
      EXPECT_TRUE(opened == content.substr(0, segment * kSegmentSizeBytes)) << segment;
    }
  }
}

TEST(OpenerTest, EveryCutIsFoundOut) {
  for (const size_t size : {0, 1, 100}) {
    const std::string sealed = SealObject(ContentOf(size), Length::kKnown);
    for (size_t cut = 0; cut < sealed.size(); ++cut) {
      SCOPED_TRACE(absl::StrCat(cut, " of ", sealed.size()));
      ExpectFault(sealed.substr(0, cut), SealedFault::kCutShort);
    }
  }
  // Of an unknown length, a cut within a segment looks like damage.
  const std::string sealed = SealObject(ContentOf(100), Length::kUnknown);
  for (size_t cut = 0; cut < sealed.size(); ++cut) {
    SCOPED_TRACE(absl::StrCat(cut, " of ", sealed.size()));
    ExpectFault(sealed.substr(0, cut),
                cut < 128 + 16 ? SealedFault::kCutShort : SealedFault::kSegmentDamaged);
  }
}

TEST(OpenerTest, CutsAroundSegmentsAreFoundOut) {
  for (const size_t size : {131'072, 200'000}) {
    const std::string known = SealObject(ContentOf(size), Length::kKnown);
    const std::string unknown = SealObject(ContentOf(size), Length::kUnknown);
    for (const size_t boundary : {128, 128 + 65'552, 128 + 2 * 65'552}) {
      for (size_t cut = boundary - 20; cut <= boundary + 20; ++cut) {
        if (cut >= known.size()) continue;
        SCOPED_TRACE(absl::StrCat(cut, " of ", known.size()));
        ExpectFault(known.substr(0, cut), SealedFault::kCutShort);
        // What is left of a segment can be told from a segment only where it is too short for one.
        const bool cut_is_plain = cut < 144 || (cut >= 128 + 65'552 && cut - boundary <= 16);
        ExpectFault(unknown.substr(0, cut),
                    cut_is_plain ? SealedFault::kCutShort : SealedFault::kSegmentDamaged);
      }
    }
  }
}

TEST(OpenerTest, AppendedBytesAreFoundOut) {
  for (const size_t size : kLengths) {
    for (const size_t appended : {1, 16, 17, 65'552, 100'000}) {
      SCOPED_TRACE(absl::StrCat(size, "+", appended));
      const std::string tail(appended, 'x');
      ExpectFault(SealObject(ContentOf(size), Length::kKnown) + tail, SealedFault::kBytesAppended);
      // Of an unknown length, they look like damage to a last segment that was not full.
      const std::string unknown = SealObject(ContentOf(size), Length::kUnknown) + tail;
      const bool last_is_full = size > 0 && size % kSegmentSizeBytes == 0;
      ExpectFault(unknown,
                  last_is_full ? SealedFault::kBytesAppended : SealedFault::kSegmentDamaged);
    }
  }
}

TEST(OpenerTest, SwappedSegmentsAreFoundOut) {
  for (const Length length : {Length::kKnown, Length::kUnknown}) {
    std::string sealed = SealObject(ContentOf(3 * kSegmentSizeBytes), length);
    std::swap_ranges(sealed.begin() + 128, sealed.begin() + 128 + 65'552,
                     sealed.begin() + 128 + 65'552);
    ExpectFault(sealed, SealedFault::kSegmentDamaged);
  }
}

TEST(OpenerTest, ALeftOutSegmentIsFoundOut) {
  for (const Length length : {Length::kKnown, Length::kUnknown}) {
    std::string sealed = SealObject(ContentOf(3 * kSegmentSizeBytes), length);
    sealed.erase(128 + 65'552, 65'552);
    EXPECT_THAT(
        UnsealObject(sealed),
        HasFault(length == Length::kKnown ? SealedFault::kCutShort : SealedFault::kSegmentDamaged));
    std::string opened;
    EXPECT_THAT(OpenInPieces(sealed, 1000, opened), HasFault(SealedFault::kSegmentDamaged));
  }
}

TEST(OpenerTest, ASegmentOfAnotherFileIsFoundOut) {
  const std::string a = Seal(SealedKind::kObject, ContentKey(), kPath, AsBytes(ContentOf(100)));
  const std::string b = Seal(SealedKind::kObject, ContentKey(), kPath, AsBytes(ContentOf(100)));
  ExpectFault(a.substr(0, 128) + b.substr(128), SealedFault::kSegmentDamaged);
}

TEST(OpenerTest, AnotherPathIsFoundOut) {
  const std::string sealed =
      Seal(SealedKind::kObject, ContentKey(), "stores/00/objects/50/50", AsBytes("content"));
  ExpectFault(sealed, SealedFault::kOtherName);
}

TEST(OpenerTest, AnotherKindIsFoundOut) {
  const std::string sealed = Seal(SealedKind::kMark, ContentKey(), kPath, AsBytes("content"));
  ExpectFault(sealed, SealedFault::kOtherName);
  EXPECT_THAT(UnsealObject(sealed),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("as mark, not as object")));
}

TEST(OpenerTest, AHeaderThatWasExchangedIsFoundOut) {
  // Each field changed with a checksum that is right: the tags of the segments find it.
  const std::string sealed = SealObject(ContentOf(100), Length::kUnknown);
  for (const size_t offset : {14, 15, 32, 63, 104, 111}) {
    std::string damaged = sealed;
    damaged[offset] ^= 1;
    MendHeader(damaged);
    ExpectFault(damaged, SealedFault::kSegmentDamaged);
  }
  std::string announced = sealed;
  announced.replace(96, 8, std::string("\x64\0\0\0\0\0\0\0", 8));
  MendHeader(announced);
  ExpectFault(announced, SealedFault::kSegmentDamaged);
}

TEST(OpenerTest, ANewerVersionIsToldFromDamage) {
  for (const size_t offset : {8, 9, 12, 13}) {
    std::string newer = SealObject(ContentOf(100), Length::kKnown);
    newer[offset] ^= 2;
    MendHeader(newer);
    ExpectFault(newer, SealedFault::kUnknownVersion);
    EXPECT_THAT(UnsealObject(newer),
                StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("newer Holdfast")));
  }
}

TEST(OpenerTest, AnAbsurdLengthIsACut) {
  for (const absl::string_view length : {absl::string_view("\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 8),
                                         absl::string_view("\0\0\0\0\0\0\0\x7F", 8)}) {
    std::string damaged = SealObject(ContentOf(100), Length::kKnown);
    damaged.replace(96, 8, std::string(length));
    MendHeader(damaged);
    ExpectFault(damaged, SealedFault::kCutShort);
  }
}

TEST(OpenerTest, AnotherBackupKeyIsNamed) {
  const std::string sealed = Seal(
      SealedKind::kObject, SealingKey::ForBackup(IdOf(0xC1), ContentKey().key.Clone()), kPath, {});
  ExpectFault(sealed, SealedFault::kWrongKey);
  EXPECT_THAT(UnsealObject(sealed),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       AllOf(HasSubstr("backup key c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1"),
                             HasSubstr("backup key b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0"))));
}

TEST(OpenerTest, AnotherMasterKeyIsNamedByItsFingerprint) {
  const std::string sealed = Seal(SealedKind::kDataKey, MasterWrap("a"), kPath, AsBytes("key"));
  const auto opened = Unseal({SealedKind::kDataKey, kPath}, MasterWrap("another"), AsBytes(sealed));
  EXPECT_THAT(opened, HasFault(SealedFault::kWrongKey));
  EXPECT_THAT(opened, StatusIs(absl::StatusCode::kPermissionDenied,
                               AllOf(HasSubstr("master key 0101010101010101,"),
                                     HasSubstr("master key 0707070707070707"),
                                     Not(HasSubstr("0000000000")))));
}

TEST(OpenerTest, AnotherKeyOfTheSameIdOpensNothing) {
  const std::string sealed = SealObject(ContentOf(100), Length::kKnown);
  const SealingKey other = SealingKey::ForBackup(IdOf(0xB0), Key::Generate());
  EXPECT_THAT(Unseal(kExpected, other, AsBytes(sealed)), HasFault(SealedFault::kSegmentDamaged));
}

TEST(OpenerTest, OtherFilesAreNotSealed) {
  ExpectFault("{\"format\":\"holdfast-repository\"}\n", SealedFault::kNotSealed);
  ExpectFault(std::string(1000, '\0'), SealedFault::kNotSealed);
  ExpectFault("\x89HFSEAK", SealedFault::kNotSealed);
  ExpectFault("x", SealedFault::kNotSealed);
}

TEST(UnsealFirstSegmentTest, OpensTheFirstSegmentOfAnyFile) {
  for (const Length length : {Length::kKnown, Length::kUnknown}) {
    for (const size_t size : kLengths) {
      SCOPED_TRACE(size);
      EXPECT_THAT(UnsealBeginning(SealObject(ContentOf(size), length)),
                  IsOkAndHolds(ContentOf(std::min(size, kSegmentSizeBytes))));
    }
  }
}

TEST(UnsealFirstSegmentTest, FindsFaultsOfWhatItSees) {
  for (const Length length : {Length::kKnown, Length::kUnknown}) {
    const std::string sealed = SealObject(ContentOf(100'000), length);
    for (const size_t i : {0, 7, 8, 100, 127, 128, 1000, 65'679}) {
      std::string damaged = sealed;
      damaged[i] ^= 4;
      EXPECT_THAT(UnsealBeginning(damaged), HasFault(i < 8     ? SealedFault::kNotSealed
                                                     : i < 128 ? SealedFault::kHeaderDamaged
                                                               : SealedFault::kSegmentDamaged))
          << i;
    }
    EXPECT_THAT(UnsealBeginning(sealed.substr(0, 128 + 65'552)), HasFault(SealedFault::kCutShort));
    EXPECT_THAT(UnsealBeginning(sealed.substr(0, 128 + 65'552 + 16)),
                HasFault(SealedFault::kCutShort));
    EXPECT_THAT(UnsealBeginning(sealed.substr(0, 130)), HasFault(SealedFault::kCutShort));
    EXPECT_THAT(UnsealBeginning(sealed.substr(0, 100)), HasFault(SealedFault::kCutShort));
    EXPECT_THAT(UnsealBeginning(""), HasFault(SealedFault::kCutShort));
  }
}

TEST(UnsealFirstSegmentTest, LengthsThatDoNotFitAreFoundOut) {
  const std::string sealed = SealObject(ContentOf(100), Length::kKnown);
  const auto open = [&](size_t beginning_size, uint64_t sealed_size) {
    return UnsealFirstSegment(kExpected, ContentKey(),
                              AsBytes(absl::string_view(sealed).substr(0, beginning_size)),
                              sealed_size);
  };
  EXPECT_THAT(open(sealed.size(), sealed.size() + 1), HasFault(SealedFault::kBytesAppended));
  EXPECT_THAT(open(sealed.size(), sealed.size() - 1), HasFault(SealedFault::kCutShort));
  EXPECT_THAT(open(sealed.size() - 1, sealed.size()), HasFault(SealedFault::kCutShort));
  EXPECT_THAT(open(128, sealed.size()), HasFault(SealedFault::kCutShort));
}

TEST(ParseSealedHeaderTest, TellsWhatAToolWithoutAKeyMayKnow) {
  const std::string sealed = SealObject(ContentOf(100), Length::kKnown);
  ASSERT_OK_AND_ASSIGN(const SealedHeader header, ParseSealedHeader(AsBytes(sealed)));
  EXPECT_EQ(header.kind, SealedKind::kObject);
  EXPECT_EQ(header.scheme, KeyScheme::kBackupKey);
  EXPECT_EQ(header.key_id, IdOf(0xB0));
  EXPECT_EQ(header.path_hash, SealedPathHash(kPath));
  EXPECT_EQ(header.content_size_bytes, 100U);
}

TEST(GetSealedFaultTest, SurvivesAnnotation) {
  const absl::Status status = UnsealObject("x").status();
  EXPECT_EQ(GetSealedFault(Annotate(Annotate(status, "read it"), "restore")),
            SealedFault::kNotSealed);
  EXPECT_EQ(GetSealedFault(absl::OkStatus()), std::nullopt);
  EXPECT_EQ(GetSealedFault(absl::DataLossError("not of a sealed file")), std::nullopt);
}

// --- SegmentOpener ---------------------------------------------------------------------------

absl::StatusOr<SegmentOpener> OpenSegments(absl::string_view sealed) {
  return SegmentOpener::Create(kExpected, ContentKey(), AsBytes(sealed));
}

// Segment `number` of a sealed file.
absl::Span<const uint8_t> SegmentOf(const std::string& sealed, size_t number) {
  return AsBytes(sealed).subspan(kSealedHeaderSizeBytes + number * kSealedSegmentSizeBytes,
                                 kSealedSegmentSizeBytes);
}

TEST(SegmentOpenerTest, OpensSegmentsInAnyOrder) {
  const std::string content = ContentOf(200'000);
  const std::string sealed = Seal(SealedKind::kObject, ContentKey(), kPath, AsBytes(content));
  ASSERT_OK_AND_ASSIGN(const SegmentOpener opener, OpenSegments(sealed));
  EXPECT_EQ(opener.content_size_bytes(), content.size());
  for (const size_t number : {3, 0, 2, 1}) {
    std::string opened = "before ";
    EXPECT_OK(opener.Open(number, number == 3, SegmentOf(sealed, number), opened));
    EXPECT_EQ(opened, "before " + content.substr(number * kSegmentSizeBytes, kSegmentSizeBytes));
  }
}

TEST(SegmentOpenerTest, OpensNothingButThatVerySegment) {
  std::string sealed = Seal(SealedKind::kObject, ContentKey(), kPath, AsBytes(ContentOf(200'000)));
  ASSERT_OK_AND_ASSIGN(const SegmentOpener opener, OpenSegments(sealed));
  const auto fault_of = [&](uint64_t number, bool last, absl::Span<const uint8_t> bytes) {
    std::string opened = "before";
    const absl::Status status = opener.Open(number, last, bytes, opened);
    EXPECT_TRUE(status.ok() || opened == "before") << "nothing comes of what does not open";
    return GetSealedFault(status);
  };
  EXPECT_EQ(fault_of(1, false, SegmentOf(sealed, 2)), SealedFault::kSegmentDamaged);
  EXPECT_EQ(fault_of(2, true, SegmentOf(sealed, 2)), SealedFault::kSegmentDamaged);
  EXPECT_EQ(fault_of(2, false, SegmentOf(sealed, 2).first(1000)), SealedFault::kSegmentDamaged);
  EXPECT_EQ(fault_of(2, false, {}), SealedFault::kSegmentDamaged);
  sealed[kSealedHeaderSizeBytes + 1000] ^= 1;
  EXPECT_EQ(fault_of(0, false, SegmentOf(sealed, 0)), SealedFault::kSegmentDamaged);
  EXPECT_EQ(fault_of(1, false, SegmentOf(sealed, 1)), std::nullopt) << "the others are whole";
}

TEST(SegmentOpenerTest, NeedsAHeaderThatIsWhole) {
  std::string sealed = Seal(SealedKind::kObject, ContentKey(), kPath, AsBytes(ContentOf(100)));
  EXPECT_EQ(GetSealedFault(OpenSegments(sealed.substr(0, 100)).status()), SealedFault::kCutShort);
  EXPECT_EQ(GetSealedFault(SegmentOpener::Create({SealedKind::kObject, "stores/00/other"},
                                                 ContentKey(), AsBytes(sealed))
                               .status()),
            SealedFault::kOtherName);
  sealed[40] ^= 1;
  EXPECT_EQ(GetSealedFault(OpenSegments(sealed).status()), SealedFault::kHeaderDamaged);
}

}  // namespace
}  // namespace holdfast
