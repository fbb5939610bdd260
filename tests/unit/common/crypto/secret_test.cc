#include "common/crypto/secret.h"

#include <array>
#include <string>
#include <type_traits>
#include <utility>

#include "common/crypto/hash.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace holdfast {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::SizeIs;

static_assert(!std::is_copy_constructible_v<SecretBytes>);
static_assert(!std::is_copy_assignable_v<SecretBytes>);
static_assert(!std::is_copy_constructible_v<Key>);

TEST(SecretBytesTest, BeginsAsZeros) {
  const SecretBytes secret(100);
  EXPECT_THAT(secret.bytes(), SizeIs(100));
  EXPECT_THAT(secret.bytes(), Each(0));
}

TEST(SecretBytesTest, NoBytesAreEmpty) {
  EXPECT_TRUE(SecretBytes().empty());
  EXPECT_TRUE(SecretBytes(0).empty());
  EXPECT_TRUE(SecretBytes::CopyOf({}).empty());
  EXPECT_EQ(SecretBytes().text(), "");
}

TEST(SecretBytesTest, CloneIsACopyOfItsOwn) {
  SecretBytes secret = SecretBytes::CopyOf(AsBytes("secret"));
  const SecretBytes clone = secret.Clone();
  secret.mutable_bytes()[0] = 'S';
  EXPECT_EQ(secret.text(), "Secret");
  EXPECT_EQ(clone.text(), "secret");
}

TEST(SecretBytesTest, MovedFromIsEmpty) {
  SecretBytes from = SecretBytes::CopyOf(AsBytes("secret"));
  SecretBytes to(std::move(from));
  EXPECT_EQ(to.text(), "secret");
  EXPECT_TRUE(from.empty());  // NOLINT(bugprone-use-after-move): what is tested
  EXPECT_EQ(from.bytes().data(), nullptr);

  from = SecretBytes::CopyOf(AsBytes("another"));
  to = std::move(from);
  EXPECT_EQ(to.text(), "another");
  EXPECT_TRUE(from.empty());  // NOLINT(bugprone-use-after-move): what is tested
}

TEST(SecretBytesTest, MoveToItselfChangesNothing) {
  SecretBytes secret = SecretBytes::CopyOf(AsBytes("secret"));
  SecretBytes& same = secret;
  secret = std::move(same);
  EXPECT_EQ(secret.text(), "secret");
}

TEST(SecretBytesDeathTest, AByteBeyondTheEndEndsTheProcess) {
  SecretBytes secret(kKeySizeBytes);
  volatile uint8_t* const end = secret.mutable_bytes().data() + secret.size();
  EXPECT_DEATH(*end = 1, "");
}

TEST(KeyTest, KeepsItsBytes) {
  std::array<uint8_t, kKeySizeBytes> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i);
  const Key key = Key::FromBytes(bytes);
  EXPECT_EQ(key.bytes(), absl::MakeConstSpan(bytes));
  EXPECT_EQ(key.Clone().bytes(), absl::MakeConstSpan(bytes));
  EXPECT_EQ(Key::FromSecret(SecretBytes::CopyOf(bytes)).bytes(), absl::MakeConstSpan(bytes));
}

TEST(KeyTest, GeneratedKeysDiffer) {
  const Key a = Key::Generate();
  const Key b = Key::Generate();
  EXPECT_THAT(a.bytes(), SizeIs(kKeySizeBytes));
  EXPECT_NE(a.bytes(), b.bytes());
}

TEST(KeyDeathTest, AnotherLengthIsRefused) {
  const std::array<uint8_t, kKeySizeBytes - 1> bytes{};
  EXPECT_DEATH(Key::FromBytes(bytes), "kKeySizeBytes");
}

TEST(WipeMemoryTest, LeavesZeros) {
  std::array<uint8_t, 4> bytes = {1, 2, 3, 4};
  WipeMemory(bytes.data(), 3);
  EXPECT_THAT(bytes, ElementsAre(0, 0, 0, 4));
}

}  // namespace
}  // namespace holdfast
