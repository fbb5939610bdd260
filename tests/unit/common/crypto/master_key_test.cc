#include "common/crypto/master_key.h"

#include <array>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/crypto/hash.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr absl::string_view kCountingText =
    "HF1-000G-40R4-0M30-E209-185G-R38E-1W81-24GK-2GAH-C5RR-34D1-P70X-3RFQ-MQZZ";

// A master key of the bytes 0, 1, 2, …; expected values are of a separate implementation.
MasterKey CountingKey() {
  std::array<uint8_t, kKeySizeBytes> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i);
  return MasterKey::FromBytes(bytes);
}

MasterKey KeyOf(uint8_t byte) {
  std::array<uint8_t, kKeySizeBytes> bytes;
  bytes.fill(byte);
  return MasterKey::FromBytes(bytes);
}

std::string TextOf(const MasterKey& key) { return std::string(key.ToText().text()); }

std::string ToHex(const Key& key) { return absl::BytesToHexString(AsText(key.bytes())); }

// No group of the key may appear in a message.
MATCHER_P(RepeatsNothingOf, text, "repeats nothing of the key") {
  for (size_t begin = 4; begin + 4 <= text.size(); begin += 5) {
    if (arg.find(std::string(text.substr(begin, 4))) != std::string::npos) return false;
  }
  return true;
}

TEST(MasterKeyTest, HasTheTextFormOfTheFormat) {
  EXPECT_EQ(TextOf(CountingKey()), kCountingText);
  EXPECT_EQ(TextOf(KeyOf(0)),
            "HF1-0000-0000-0000-0000-0000-0000-0000-0000-0000-0000-0000-0000-000A-GY55");
  EXPECT_EQ(TextOf(KeyOf(0xFF)),
            "HF1-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZV-MZMY");
}

TEST(MasterKeyTest, DerivesTheKeysOfTheFormat) {
  const MasterKey key = CountingKey();
  EXPECT_EQ(key.fingerprint().ToText(), "f4fc91984da8efab");
  EXPECT_EQ(ToHex(key.DeriveBackupKeyWrap()),
            "ee0ec1e629f2bebbfb1374bba236100d74615d35d62d1ba1db4816eb92cf2a62");
  EXPECT_EQ(ToHex(key.DeriveDataKeyWrap()),
            "0f6b76ee5ccfc55dcd3ed1103c44cd8c7a0d2063deb8c72b05bba324b485085b");
  EXPECT_EQ(ToHex(key.DeriveSettingsKey()),
            "76130b375a1c81f0c0ff25db73433dcd38602d7f306782b21bd3d9c4715019af");
}

TEST(MasterKeyTest, ComesBackFromItsText) {
  for (int i = 0; i < 100; ++i) {
    const MasterKey key = MasterKey::Generate();
    ASSERT_OK_AND_ASSIGN(const MasterKey read, MasterKey::FromText(key.ToText().text()));
    EXPECT_EQ(read.fingerprint(), key.fingerprint());
    EXPECT_EQ(TextOf(read), TextOf(key));
  }
}

TEST(MasterKeyTest, GeneratedKeysDiffer) {
  EXPECT_NE(MasterKey::Generate().fingerprint(), MasterKey::Generate().fingerprint());
}

TEST(MasterKeyTest, CloneIsTheSameKey) {
  const MasterKey key = MasterKey::Generate();
  const MasterKey clone = key.Clone();
  EXPECT_EQ(TextOf(clone), TextOf(key));
  EXPECT_EQ(clone.fingerprint(), key.fingerprint());
}

TEST(MasterKeyTest, ReadsWhatPeopleType) {
  const std::string text(kCountingText);
  const std::string accepted[] = {
      absl::AsciiStrToLower(text),
      absl::StrReplaceAll(text, {{"-", ""}}),
      absl::StrReplaceAll(text, {{"-", " "}}),
      absl::StrReplaceAll(text, {{"-", "\r\n\t"}}),
      absl::StrCat(" \n", text, "\n"),
      absl::StrReplaceAll(text, {{"1", "I"}, {"0", "O"}}),
      absl::StrReplaceAll(text, {{"1", "l"}, {"0", "o"}}),
      absl::StrReplaceAll(text, {{"-", "--"}}),
  };
  for (const std::string& typed : accepted) {
    SCOPED_TRACE(typed);
    ASSERT_OK_AND_ASSIGN(const MasterKey key, MasterKey::FromText(typed));
    EXPECT_EQ(key.fingerprint(), CountingKey().fingerprint());
  }
}

TEST(MasterKeyTest, IsFoundInATextHoweverItIsTyped) {
  const MasterKey key = MasterKey::Generate();
  const std::string text(key.ToText().text());
  std::string looks_alike = text;
  for (char& c : looks_alike) {
    if (c == '1') c = 'l';
    if (c == '0') c = 'o';
  }
  for (const std::string& form :
       {text, absl::AsciiStrToLower(text), absl::StrReplaceAll(text, {{"-", ""}}),
        absl::StrReplaceAll(text, {{"-", " "}}), absl::StrReplaceAll(text, {{"-", " -\n\t"}}),
        "H F 1" + text.substr(3), looks_alike}) {
    SCOPED_TRACE(form.size());
    ASSERT_OK(MasterKey::FromText(form));
    EXPECT_TRUE(MasterKey::IsIn(form));
    EXPECT_TRUE(MasterKey::IsIn("the key: \"" + form + "\", keep it"));
    EXPECT_TRUE(MasterKey::IsIn("HF1 hf1-" + form + "0000"));
    EXPECT_FALSE(MasterKey::IsIn(absl::string_view(form).substr(1)));
    EXPECT_FALSE(MasterKey::IsIn(absl::string_view(form).substr(0, form.size() - 1)));
  }
  std::string mistyped = text;
  mistyped[20] = mistyped[20] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(MasterKey::IsIn(mistyped));
  EXPECT_FALSE(MasterKey::IsIn(""));
  EXPECT_FALSE(MasterKey::IsIn("HF1-0000-0000 is how a key begins"));
}

TEST(MasterKeyTest, FindsEveryWrongCharacter) {
  const std::string text = TextOf(MasterKey::FromBytes(Blake2b256({AsBytes("typos")})));
  for (size_t i = 4; i < text.size(); ++i) {
    if (text[i] == '-') continue;
    for (const char other : absl::string_view("0123456789ABCDEFGHJKMNPQRSTVWXYZ")) {
      if (other == text[i]) continue;
      std::string typed = text;
      typed[i] = other;
      EXPECT_THAT(MasterKey::FromText(typed),
                  StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("checksum")))
          << i << other;
    }
  }
}

TEST(MasterKeyTest, FindsEverySwapOfNeighbours) {
  const std::string text = TextOf(MasterKey::FromBytes(Blake2b256({AsBytes("typos")})));
  for (size_t i = 4; i + 1 < text.size(); ++i) {
    const size_t next = text[i + 1] == '-' ? i + 2 : i + 1;
    if (text[i] == '-' || text[i] == text[next]) continue;
    std::string typed = text;
    std::swap(typed[i], typed[next]);
    EXPECT_THAT(MasterKey::FromText(typed),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("checksum")))
        << i;
  }
}

TEST(MasterKeyTest, SaysWhatIsWrongAndRepeatsNothing) {
  const std::string text = TextOf(MasterKey::FromBytes(Blake2b256({AsBytes("typos")})));
  const std::string dropped = text.substr(0, text.size() - 1);
  std::string bad_character = text;
  bad_character[4 + 5 + 2] = 'U';  // third of the second group
  const std::pair<std::string, std::string> cases[] = {
      {"", "empty"},
      {" -\n", "empty"},
      {"H", "begins with HF1-"},
      {"HF", "begins with HF1-"},
      {absl::StrCat("HF2", text.substr(3)), "begins with HF1-"},
      {text.substr(4), "begins with HF1-"},
      {dropped, "55 characters"},
      {absl::StrCat(text, "0"), "57 characters"},
      {absl::StrCat(text, "-", text.substr(4)), "112 characters"},
      {"HF1-", "0 characters"},
      {bad_character, "character 3 of group 2"},
      {absl::StrCat(text, "\xE2\x80\x93"), "character 1 of group 15"},
      {absl::StrCat(text.substr(0, 8), std::string(1, '\0'), text.substr(8)),
       "character 1 of group 2"},
  };
  for (const auto& [typed, complaint] : cases) {
    EXPECT_THAT(MasterKey::FromText(typed),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr(complaint), RepeatsNothingOf(text))))
        << typed;
  }
}

TEST(DeriveKeyTest, EachLabelAndKeyGivesAnother) {
  const Key key = Key::FromBytes(Blake2b256({AsBytes("a")}));
  const Key other = Key::FromBytes(Blake2b256({AsBytes("b")}));
  EXPECT_EQ(ToHex(DeriveKey(key, "id")), ToHex(DeriveKey(key, "id")));
  EXPECT_NE(ToHex(DeriveKey(key, "id")), ToHex(DeriveKey(key, "content")));
  EXPECT_NE(ToHex(DeriveKey(key, "id")), ToHex(DeriveKey(other, "id")));
}

TEST(KeyFingerprintTest, GoesThroughText) {
  ASSERT_OK_AND_ASSIGN(const KeyFingerprint fingerprint,
                       KeyFingerprint::FromText("0123456789abcdef"));
  EXPECT_EQ(fingerprint.ToText(), "0123456789abcdef");
  EXPECT_EQ(fingerprint.bytes()[0], 0x01);
  EXPECT_EQ(fingerprint.bytes()[7], 0xEF);
  EXPECT_NE(fingerprint, KeyFingerprint());
}

TEST(KeyFingerprintTest, RefusesAllElse) {
  for (const absl::string_view text :
       {"", "0123456789abcde", "0123456789abcdef0", "0123456789abcdeg", "0123456789ABCDEF",
        " 123456789abcdef", "0x23456789abcdef"}) {
    EXPECT_THAT(KeyFingerprint::FromText(text),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("16 hexadecimal digits")))
        << text;
  }
}

}  // namespace
}  // namespace holdfast
