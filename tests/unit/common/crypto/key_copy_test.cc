#include "common/crypto/key_copy.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kInvalidArgument = absl::StatusCode::kInvalidArgument;

// Where character `character` of group `group` stands in the text form; both count from one.
size_t Place(size_t group, size_t character) { return 4 + (group - 1) * 5 + character - 1; }

class ReadKeyCopyTest : public testing::Test {
 protected:
  // The text with another character there.
  static std::string Mistyped(std::string text, size_t group, size_t character) {
    char& c = text[Place(group, character)];
    c = c == 'A' ? 'B' : 'A';
    return text;
  }

  const MasterKey key_ = MasterKey::Generate();
  const std::string text_{key_.ToText().text()};
};

TEST_F(ReadKeyCopyTest, TakesAGoodCopyAndAnotherKey) {
  ASSERT_OK_AND_ASSIGN(const MasterKey copy, ReadKeyCopy(text_, key_));
  EXPECT_EQ(copy.fingerprint(), key_.fingerprint());
  const MasterKey other = MasterKey::Generate();
  ASSERT_OK_AND_ASSIGN(const MasterKey read, ReadKeyCopy(other.ToText().text(), key_));
  EXPECT_EQ(read.fingerprint(), other.fingerprint());
}

TEST_F(ReadKeyCopyTest, NamesEachGroupThatDiffersAndRepeatsNothing) {
  for (const size_t group : {1, 7, 14}) {
    const std::string typed = Mistyped(text_, group, 3);
    const absl::Status status = ReadKeyCopy(typed, key_).status();
    EXPECT_THAT(status, StatusIs(kInvalidArgument,
                                 EndsWith(absl::StrCat("in group ", group, " after HF1-"))));
    EXPECT_THAT(std::string(status.message()),
                AllOf(Not(HasSubstr(text_.substr(Place(group, 1), 4))),
                      Not(HasSubstr(typed.substr(Place(group, 1), 4)))));
  }
  EXPECT_THAT(ReadKeyCopy(Mistyped(Mistyped(Mistyped(text_, 2, 1), 2, 4), 9, 1), key_),
              StatusIs(kInvalidArgument, EndsWith("in groups 2, 9 after HF1-")));
}

TEST_F(ReadKeyCopyTest, NamesTheGroupWhereCharactersAreMissing) {
  std::string typed = text_;
  typed.resize(typed.size() - 2);
  EXPECT_THAT(ReadKeyCopy(typed, key_),
              StatusIs(kInvalidArgument,
                       AllOf(HasSubstr("it has 54 characters"), EndsWith("in use is group 14"))));
  // A whole group is missing, and with it all that follow differ.
  typed = Mistyped(text_, 5, 1);
  typed.erase(Place(6, 1), 5);
  EXPECT_THAT(ReadKeyCopy(typed, key_), StatusIs(kInvalidArgument, EndsWith("is group 5")));
}

TEST_F(ReadKeyCopyTest, AMistypedCopyOfAnotherKeyIsNotComparedGroupByGroup) {
  const std::string other(MasterKey::Generate().ToText().text());
  EXPECT_THAT(ReadKeyCopy(Mistyped(other, 3, 1), key_),
              StatusIs(kInvalidArgument, EndsWith("it may be another key")));
}

TEST_F(ReadKeyCopyTest, WhatIsNoKeyAtAllIsSaidAsEver) {
  EXPECT_THAT(ReadKeyCopy("", key_), StatusIs(kInvalidArgument, HasSubstr("the text is empty")));
  EXPECT_THAT(ReadKeyCopy("nonsense", key_), StatusIs(kInvalidArgument, HasSubstr("HF1-")));
}

}  // namespace
}  // namespace holdfast
