#include "store-service/documents/json_check.h"

#include <simdjson.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

std::string Nested(size_t depth, absl::string_view inside) {
  return absl::StrCat(std::string(depth, '['), inside, std::string(depth, ']'));
}

TEST(CheckJsonTest, TakesEveryKindOfValue) {
  for (const char* text : {"null", "true", "false", "0", "-0", "12", "-1.5e+10", "1E5", "\"\"",
                           "\"a\\n\\u00e4\\\\\"", "{}", "[]", " [ ] ", "{\"a\":1}", "[1,2,[3]]",
                           "\t{ \"a\" : [ { } , null ] }\r\n", "\"\xc3\xa4\xf0\x9f\x98\x80\""}) {
    EXPECT_OK(CheckJson(text, 10)) << text;
  }
}

TEST(CheckJsonTest, TakesNumbersThatNoMachineTypeHolds) {
  EXPECT_OK(CheckJson("123456789012345678901234567890", 1));
  EXPECT_OK(CheckJson("1e999999", 1));
  EXPECT_OK(CheckJson("0.1234567890123456789012345678901234567890", 1));
}

TEST(CheckJsonTest, RefusesWhatIsNoJsonAndSaysWhere) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "expected a value at byte 0"},
      {" ", "expected a value at byte 1"},
      {"{} {}", "something follows the value at byte 3"},
      {"[1,]", "expected a value at byte 3"},
      {"[1 2]", "expected ',' or ']' at byte 3"},
      {"[", "expected a value at byte 1"},
      {"[1", "expected ',' or ']' at byte 2"},
      {"{\"a\"}", "expected ':' at byte 4"},
      {"{\"a\":}", "expected a value at byte 5"},
      {"{a:1}", "expected a name in quotes at byte 1"},
      {"{\"a\":1,}", "expected a name in quotes at byte 7"},
      {"{\"a\":1]", "expected ',' or '}' at byte 6"},
      {"nul", "expected a value at byte 0"},
      {"NaN", "expected a value at byte 0"},
      {"'a'", "expected a value at byte 0"},
      {"01", "something follows the value at byte 1"},
      {"+1", "expected a value at byte 0"},
      {"-", "expected a digit at byte 1"},
      {"1.", "expected a digit at byte 2"},
      {"1e", "expected a digit at byte 2"},
      {".5", "expected a value at byte 0"},
      {"\"a", "a string does not end at byte 2"},
      {"\"\n\"", "a control character in a string at byte 1"},
      {"\"\\x\"", "an unknown escape in a string at byte 2"},
      {"\"\\u12g4\"", "expected four hexadecimal digits at byte 3"},
      {"\xef\xbb\xbf{}", "expected a value at byte 0"},
      {"\"\xff\"", "not valid UTF-8"},
      {"// x\n1", "expected a value at byte 0"},
  };
  for (const auto& [text, message] : cases) {
    EXPECT_THAT(CheckJson(text, 10), StatusIs(absl::StatusCode::kInvalidArgument, message)) << text;
  }
}

TEST(CheckJsonTest, AZeroByteIsNoEnd) {
  EXPECT_THAT(CheckJson(absl::string_view("1\0", 2), 10),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at byte 1")));
}

TEST(CheckJsonTest, DepthCountsArraysAndObjects) {
  EXPECT_OK(CheckJson("1", 0));
  EXPECT_OK(CheckJson(Nested(512, ""), 512));
  EXPECT_OK(CheckJson(Nested(512, "1"), 512));
  EXPECT_OK(CheckJson(Nested(511, "{}"), 512));
  for (const std::string& text : {Nested(513, ""), Nested(513, "1"), Nested(512, "{}")}) {
    EXPECT_THAT(CheckJson(text, 512), StatusIs(absl::StatusCode::kInvalidArgument,
                                               HasSubstr("nested more than 512 deep at byte 512")));
  }
}

TEST(CheckJsonTest, AMillionBracketsAreRefusedAtOnce) {
  EXPECT_THAT(CheckJson(std::string(1'000'000, '['), 512),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("nested more than")));
}

// What a parser takes, the check takes; and the other way round, but for values that the parser
// cannot represent.
TEST(CheckJsonTest, AgreesWithAParserOnRandomTexts) {
  SeededRandom random;
  simdjson::dom::parser parser;
  const absl::string_view pieces[] = {"{",  "}",      "[",    "]",  ",",    ":",    "\"a\"",
                                      "\"", "1",      "-2.5", "0",  "true", "null", " ",
                                      "\\", "\"b\":", "[]",   "{}", "1,"};
  int valid = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text;
    for (uint64_t length = 1 + random.Uniform(8); length > 0; --length) {
      absl::StrAppend(&text, pieces[random.Uniform(std::size(pieces))]);
    }
    const bool is_parsed = !parser.parse(text).error();
    EXPECT_EQ(CheckJson(text, 512).ok(), is_parsed) << text;
    if (is_parsed) ++valid;
  }
  EXPECT_GT(valid, 1'000);
}

}  // namespace
}  // namespace holdfast
