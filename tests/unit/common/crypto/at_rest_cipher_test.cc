#include "common/crypto/at_rest_cipher.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "common/crypto/hash.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using testing::Each;
using testing::HasSubstr;

// Expected values are of a separate implementation of XChaCha20 and Python's hashlib.blake2b, for
// a key of the bytes 0, 1, 2, …, a key id from a0 on, and a nonce from 40 on.

template <size_t Size>
std::array<uint8_t, Size> CountingFrom(uint8_t first) {
  std::array<uint8_t, Size> bytes;
  for (size_t i = 0; i < Size; ++i) bytes[i] = static_cast<uint8_t>(first + i);
  return bytes;
}

class FixedRandom : public RandomSource {
 public:
  void Fill(absl::Span<uint8_t> bytes) override {
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(0x40 + i);
  }
};

AtRestStream CountingStream() {
  return AtRestStream(std::make_shared<const Key>(Key::FromBytes(CountingFrom<32>(0))),
                      CountingFrom<24>(0x40));
}

AtRestKeyring CountingKeyring() {
  const KeyId key_id = CountingFrom<16>(0xA0);
  std::map<KeyId, Key> keys;
  keys.emplace(key_id, Key::FromBytes(CountingFrom<32>(0)));
  return AtRestKeyring(keys, key_id);
}

// The bytes of a stream from `offset` on.
std::string StreamAt(const AtRestStream& stream, uint64_t offset, size_t size) {
  std::vector<uint8_t> bytes(size);
  stream.Apply(offset, absl::MakeSpan(bytes));
  return absl::BytesToHexString(AsText(bytes));
}

TEST(AtRestStreamTest, KnownStream) {
  EXPECT_EQ(StreamAt(CountingStream(), 0, 80),
            "85ee3116337d23c62215345c52264d7f3c6e8a9359304fdc8453180483ac1666"
            "3fb7048e486198e54eb811953bf0dc76a767a9d29134dae8ad692519afd7b6d8"
            "d4390570d0e079168ff487beaf9c6592");
}

TEST(AtRestStreamTest, KnownStreamBeyondThirtyTwoBitsOfBlocks) {
  EXPECT_EQ(StreamAt(CountingStream(), (uint64_t{1} << 38) + 30, 40),
            "33b45cf4800a47e4df7b61b815aba7c47837f820c80ca5d2a2baea7f7d45422c481d0d03612f02c2");
}

TEST(AtRestStreamTest, EveryRangeIsThatOfTheWhole) {
  SeededRandom random;
  std::vector<uint8_t> plain(20'000);
  random.Fill(absl::MakeSpan(plain));
  const AtRestStream stream = CountingStream();
  std::vector<uint8_t> whole = plain;
  stream.Apply(0, absl::MakeSpan(whole));

  const auto expect_range = [&](size_t begin, size_t size) {
    std::vector<uint8_t> range(plain.begin() + begin, plain.begin() + begin + size);
    stream.Apply(begin, absl::MakeSpan(range));
    EXPECT_TRUE(std::equal(range.begin(), range.end(), whole.begin() + begin))
        << begin << "+" << size;
  };
  for (size_t begin = 0; begin <= 130; ++begin) {
    for (size_t size = 0; size <= 130; ++size) expect_range(begin, size);
  }
  for (int i = 0; i < 1000; ++i) {
    const size_t begin = random.Uniform(plain.size());
    expect_range(begin, random.Uniform(plain.size() - begin + 1));
  }
}

TEST(AtRestStreamTest, AppliedTwiceIsPlainAgain) {
  std::string text = "the quick brown fox";
  const absl::Span<uint8_t> bytes(reinterpret_cast<uint8_t*>(text.data()), text.size());
  const AtRestStream stream = CountingStream();
  stream.Apply(12'345, bytes);
  EXPECT_NE(text, "the quick brown fox");
  stream.Apply(12'345, bytes);
  EXPECT_EQ(text, "the quick brown fox");
}

TEST(AtRestKeyringTest, KnownPrefix) {
  FixedRandom random;
  const auto prefix = CountingKeyring().MakePrefix(random);
  const absl::Span<const uint8_t> bytes(prefix);
  EXPECT_EQ(absl::BytesToHexString(AsText(bytes.first(80))),
            "894846524553540a0100000000000000a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
            "404142434445464748494a4b4c4d4e4f50515253545556570000000000000000"
            "d541e91ae0ea46243b37b3ad4c819a41");
  EXPECT_THAT(bytes.subspan(80), Each(0));
  ASSERT_OK_AND_ASSIGN(const AtRestStream stream, CountingKeyring().OpenPrefix(prefix));
  EXPECT_EQ(StreamAt(stream, 0, 32),
            "05a917e1c13266e0376ab6a7c9394c6dfb272854a329845fc58aad21e1198a33");
}

TEST(AtRestKeyringTest, EveryFileHasAStreamOfItsOwn) {
  const AtRestKeyring keyring = CountingKeyring();
  ASSERT_OK_AND_ASSIGN(const AtRestStream a, keyring.OpenPrefix(keyring.MakePrefix()));
  ASSERT_OK_AND_ASSIGN(const AtRestStream b, keyring.OpenPrefix(keyring.MakePrefix()));
  EXPECT_NE(StreamAt(a, 0, 32), StreamAt(b, 0, 32));
}

TEST(AtRestKeyringTest, OldFilesOpenAfterANewKey) {
  const KeyId old_id = CountingFrom<16>(0xA0);
  const KeyId new_id = CountingFrom<16>(0xB0);
  std::map<KeyId, Key> keys;
  keys.emplace(old_id, Key::FromBytes(CountingFrom<32>(0)));
  keys.emplace(new_id, Key::FromBytes(CountingFrom<32>(1)));
  const AtRestKeyring rotated(keys, new_id);

  FixedRandom random;
  const auto old_prefix = CountingKeyring().MakePrefix(random);
  const auto new_prefix = rotated.MakePrefix(random);
  ASSERT_OK_AND_ASSIGN(const AtRestStream old_stream, rotated.OpenPrefix(old_prefix));
  ASSERT_OK_AND_ASSIGN(const AtRestStream new_stream, rotated.OpenPrefix(new_prefix));
  EXPECT_EQ(StreamAt(old_stream, 0, 32),
            "05a917e1c13266e0376ab6a7c9394c6dfb272854a329845fc58aad21e1198a33");
  EXPECT_NE(StreamAt(new_stream, 0, 32), StreamAt(old_stream, 0, 32));
  EXPECT_THAT(
      CountingKeyring().OpenPrefix(new_prefix),
      StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("b0b1b2b3b4b5b6b7b8b9babbbcbdbebf")));
}

TEST(AtRestKeyringTest, AnotherKeyOfTheSameIdIsFoundOut) {
  const KeyId key_id = CountingFrom<16>(0xA0);
  std::map<KeyId, Key> keys;
  keys.emplace(key_id, Key::FromBytes(CountingFrom<32>(1)));
  EXPECT_THAT(AtRestKeyring(keys, key_id).OpenPrefix(CountingKeyring().MakePrefix()),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("MAC")));
}

TEST(AtRestKeyringTest, EveryFlippedByteOfThePrefixIsFoundOut) {
  const AtRestKeyring keyring = CountingKeyring();
  const auto prefix = keyring.MakePrefix();
  for (size_t i = 0; i < 80; ++i) {
    auto damaged = prefix;
    damaged[i] ^= 0x20;
    const auto expected = i < 8    ? absl::StatusCode::kDataLoss
                          : i < 10 ? absl::StatusCode::kUnimplemented
                          : i < 16 ? absl::StatusCode::kDataLoss
                          : i < 32 ? absl::StatusCode::kPermissionDenied
                                   : absl::StatusCode::kDataLoss;
    EXPECT_THAT(keyring.OpenPrefix(damaged), StatusIs(expected)) << i;
  }
}

TEST(AtRestKeyringTest, EveryCutPrefixIsFoundOut) {
  const AtRestKeyring keyring = CountingKeyring();
  const auto prefix = keyring.MakePrefix();
  for (size_t size = 0; size < prefix.size(); ++size) {
    EXPECT_THAT(keyring.OpenPrefix(absl::MakeConstSpan(prefix).first(size)),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("cut short")))
        << size;
  }
}

TEST(AtRestKeyringTest, ZerosAreNoPrefix) {
  const std::array<uint8_t, kAtRestPrefixSizeBytes> zeros{};
  EXPECT_THAT(CountingKeyring().OpenPrefix(zeros),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("not a file encrypted at rest")));
}

TEST(AtRestKeyringDeathTest, TheCurrentKeyMustBeThere) {
  EXPECT_DEATH(AtRestKeyring({}, KeyId{}), "current data key");
}

}  // namespace
}  // namespace holdfast
