#include "store-service/documents/limits.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

TEST(LimitsTest, NamesOfCollections) {
  EXPECT_OK(CheckCollectionName("a"));
  EXPECT_OK(CheckCollectionName("0.deploy-ments_v2"));
  EXPECT_OK(CheckCollectionName(std::string(128, 'a')));
  for (const std::string& name :
       {std::string(), std::string(129, 'a'), std::string("A"), std::string(".a"),
        std::string("-a"), std::string("a/b"), std::string("a b"), std::string("a\0b", 3),
        std::string("\xc3\xa4")}) {
    EXPECT_THAT(CheckCollectionName(name), StatusIs(kInvalid, HasSubstr("1 to 128 characters")))
        << name;
  }
}

TEST(LimitsTest, IdsOfDocuments) {
  EXPECT_OK(CheckDocumentId("projects/7 \xc3\xa4 \xf0\x9f\x98\x80"));
  EXPECT_OK(CheckDocumentId(std::string(512, 'x')));
  EXPECT_THAT(CheckDocumentId(""), StatusIs(kInvalid, HasSubstr("empty")));
  EXPECT_THAT(CheckDocumentId(std::string(513, 'x')),
              StatusIs(kInvalid, HasSubstr("at most 512 bytes, not 513")));
  EXPECT_THAT(CheckDocumentId("a\nb"), StatusIs(kInvalid, HasSubstr("control characters")));
  EXPECT_THAT(CheckDocumentId("a\x7f"), StatusIs(kInvalid, HasSubstr("control characters")));
  EXPECT_THAT(CheckDocumentId(absl::string_view("a\0", 2)), StatusIs(kInvalid));
  EXPECT_THAT(CheckDocumentId("a\xff"), StatusIs(kInvalid, HasSubstr("UTF-8")));
}

TEST(LimitsTest, APrefixOfIdsMayBeEmpty) {
  EXPECT_OK(CheckIdPrefix(""));
  EXPECT_OK(CheckIdPrefix("projects/"));
  EXPECT_THAT(CheckIdPrefix("a\n"), StatusIs(kInvalid));
}

TEST(LimitsTest, MediaTypes) {
  EXPECT_OK(CheckMediaType("application/octet-stream; x=\"y\""));
  EXPECT_THAT(CheckMediaType(""), StatusIs(kInvalid));
  EXPECT_THAT(CheckMediaType(std::string(129, 'a')), StatusIs(kInvalid));
  EXPECT_THAT(CheckMediaType("a\tb"), StatusIs(kInvalid));
  EXPECT_THAT(CheckMediaType("\xc3\xa4"), StatusIs(kInvalid));
}

TEST(LimitsTest, ContentUpToOneMebibyte) {
  EXPECT_OK(CheckContent("text/plain", ""));
  EXPECT_OK(CheckContent("text/plain", std::string(kContentSizeMaxBytes, '\0')));
  EXPECT_THAT(CheckContent("text/plain", std::string(kContentSizeMaxBytes + 1, 'x')),
              StatusIs(kInvalid, HasSubstr("at most 1048576 bytes, not 1048577")));
}

TEST(LimitsTest, OnlyJsonMustBeJson) {
  EXPECT_OK(CheckContent("application/json", "{}"));
  EXPECT_OK(CheckContent("text/plain", "{"));
  EXPECT_OK(
      CheckContent("application/json", "\"" + std::string(kContentSizeMaxBytes - 2, 'x') + "\""));
  EXPECT_THAT(CheckContent("application/json", "{"),
              StatusIs(kInvalid, HasSubstr("the content is not valid JSON")));
  EXPECT_THAT(CheckContent("application/json", ""), StatusIs(kInvalid, HasSubstr("empty")));
  EXPECT_THAT(CheckContent("application/json", std::string(513, '[') + std::string(513, ']')),
              StatusIs(kInvalid, HasSubstr("nested more than 512 deep")));
}

}  // namespace
}  // namespace holdfast
