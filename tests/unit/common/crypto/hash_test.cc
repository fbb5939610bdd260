#include "common/crypto/hash.h"

#include <array>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

namespace holdfast {
namespace {

template <typename T>
std::string ToHex(const T& bytes) {
  return absl::BytesToHexString(AsText(bytes));
}

// A key of the bytes 0, 1, 2, …
Key CountingKey() {
  std::array<uint8_t, kKeySizeBytes> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i);
  return Key::FromBytes(bytes);
}

// Expected values are of Python's hashlib.blake2b.

TEST(Blake2bTest, KnownHashes) {
  EXPECT_EQ(ToHex(Blake2b256({})),
            "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
  EXPECT_EQ(ToHex(Blake2b256({AsBytes("abc")})),
            "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
  EXPECT_EQ(ToHex(Blake2b128({AsBytes("abc")})), "cf4ab791c62b8d2b2109c90275287816");
}

TEST(Blake2bTest, KnownKeyedHashes) {
  EXPECT_EQ(ToHex(KeyedBlake2b256(CountingKey(), {AsBytes("abc")})),
            "d63a32d3e44738d7907f964316c241adaba0abfeabc32349677578a15a203f7f");
  EXPECT_EQ(ToHex(KeyedBlake2b128(CountingKey(), {AsBytes("abc")})),
            "1a64be47e4729d951c302ee543f97cf3");
}

TEST(Blake2bTest, PartsAreHashedAsOne) {
  const Key key = CountingKey();
  EXPECT_EQ(Blake2b256({AsBytes("a"), {}, AsBytes("bc")}), Blake2b256({AsBytes("abc")}));
  EXPECT_EQ(Blake2b128({AsBytes("ab"), AsBytes("c")}), Blake2b128({AsBytes("abc")}));
  EXPECT_EQ(KeyedBlake2b256(key, {AsBytes("ab"), AsBytes("c")}),
            KeyedBlake2b256(key, {AsBytes("abc")}));
  EXPECT_EQ(KeyedBlake2b128(key, {AsBytes("ab"), AsBytes("c")}),
            KeyedBlake2b128(key, {AsBytes("abc")}));
}

TEST(Blake2bTest, AKeyIsMadeOfTheSameBytes) {
  const Key key = CountingKey();
  EXPECT_EQ(KeyedBlake2b256ToKey(key, {AsBytes("abc")}).bytes(),
            absl::MakeConstSpan(KeyedBlake2b256(key, {AsBytes("abc")})));
}

TEST(Blake2b256StreamTest, PiecesAreHashedAsOne) {
  const std::string text(1000, 'x');
  for (const size_t piece_size : {1, 7, 127, 128, 129, 1000}) {
    Blake2b256Stream stream;
    const Key key = CountingKey();
    Blake2b256Stream keyed(key);
    for (size_t begin = 0; begin < text.size(); begin += piece_size) {
      stream.Update(AsBytes(text.substr(begin, piece_size)));
      keyed.Update(AsBytes(text.substr(begin, piece_size)));
    }
    EXPECT_EQ(stream.Finish(), Blake2b256({AsBytes(text)})) << piece_size;
    EXPECT_EQ(keyed.Finish(), KeyedBlake2b256(key, {AsBytes(text)})) << piece_size;
  }
}

TEST(Blake2b256StreamTest, NothingAtAllHasAHash) {
  Blake2b256Stream stream;
  EXPECT_EQ(stream.Finish(), Blake2b256({}));
}

TEST(Blake2b256StreamDeathTest, CannotBeFinishedTwice) {
  Blake2b256Stream stream;
  stream.Finish();
  EXPECT_DEATH(stream.Finish(), "finished twice");
}

TEST(ConstantTimeEqualTest, ComparesLengthAndBytes) {
  EXPECT_TRUE(ConstantTimeEqual({}, {}));
  EXPECT_TRUE(ConstantTimeEqual(AsBytes("abc"), AsBytes("abc")));
  EXPECT_FALSE(ConstantTimeEqual(AsBytes("abc"), AsBytes("abd")));
  EXPECT_FALSE(ConstantTimeEqual(AsBytes("abc"), AsBytes("ab")));
  EXPECT_FALSE(ConstantTimeEqual({}, AsBytes("a")));
}

TEST(AsBytesTest, GoesThereAndBack) {
  const std::string text("\xFF\0a", 3);
  EXPECT_EQ(AsBytes(text)[0], 0xFF);
  EXPECT_EQ(AsText(AsBytes(text)), text);
}

}  // namespace
}  // namespace holdfast
