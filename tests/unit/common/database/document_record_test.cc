#include "common/database/document_record.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;

DocumentRecord SampleRecord() {
  DocumentRecord record{.revision = 0x0102030405060708,
                        .create_time_us = 1,
                        .change_time_us = -2,
                        .media_type = "text/plain",
                        .content = "content"};
  record.hash.fill(0xab);
  return record;
}

TEST(DocumentRecordTest, ValueHasTheBytesOfTheFormat) {
  const std::string expected =
      std::string("\x01") + std::string(32, '\xab') +
      std::string("\x08\x07\x06\x05\x04\x03\x02\x01", 8) + std::string("\x01\0\0\0\0\0\0\0", 8) +
      std::string("\xfe\xff\xff\xff\xff\xff\xff\xff", 8) + "\x0a" + "text/plain" + "content";
  EXPECT_EQ(EncodeDocumentRecord(SampleRecord()), expected);
}

TEST(DocumentRecordTest, ComesBackAsItWasWithoutACopy) {
  const std::string value = EncodeDocumentRecord(SampleRecord());
  ASSERT_OK_AND_ASSIGN(const DocumentRecord record, DecodeDocumentRecord(value));
  EXPECT_EQ(record.hash, SampleRecord().hash);
  EXPECT_EQ(record.revision, SampleRecord().revision);
  EXPECT_EQ(record.create_time_us, 1);
  EXPECT_EQ(record.change_time_us, -2);
  EXPECT_EQ(record.media_type, "text/plain");
  EXPECT_EQ(record.content, "content");
  EXPECT_EQ(record.content.data(), value.data() + value.size() - record.content.size());
}

TEST(DocumentRecordTest, ContentMayBeAnyBytesAndNone) {
  DocumentRecord record = SampleRecord();
  const std::string bytes("\0\xff\0", 3);
  for (const absl::string_view content : {absl::string_view(), absl::string_view(bytes)}) {
    record.content = content;
    const std::string value = EncodeDocumentRecord(record);
    ASSERT_OK_AND_ASSIGN(const DocumentRecord decoded, DecodeDocumentRecord(value));
    EXPECT_EQ(decoded.content, content);
  }
}

TEST(DocumentRecordTest, EveryCutInsideTheHeadIsFound) {
  DocumentRecord record = SampleRecord();
  record.content = "";
  const std::string value = EncodeDocumentRecord(record);
  for (size_t size = 0; size < value.size(); ++size) {
    EXPECT_THAT(DecodeDocumentRecord(absl::string_view(value).substr(0, size)), StatusIs(kDataLoss))
        << size;
  }
}

TEST(DocumentRecordTest, NewerFormatIsToldApart) {
  std::string value = EncodeDocumentRecord(SampleRecord());
  value[0] = 2;
  EXPECT_THAT(DecodeDocumentRecord(value),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("newer Holdfast")));
  value[0] = 0;
  EXPECT_THAT(DecodeDocumentRecord(value), StatusIs(kDataLoss));
}

TEST(DocumentRecordTest, KeyComesBack) {
  const std::string key = EncodeDocumentKey("projects", "a/b");
  EXPECT_EQ(key, std::string("projects\0a/b", 12));
  ASSERT_OK_AND_ASSIGN(const DocumentKey name, DecodeDocumentKey(key));
  EXPECT_EQ(name.collection, "projects");
  EXPECT_EQ(name.id, "a/b");
}

TEST(DocumentRecordTest, KeysOfACollectionLieTogether) {
  std::vector<std::string> keys = {
      EncodeDocumentKey("ab", "\xff"), EncodeDocumentKey("a", "\xff\xff"),
      EncodeDocumentKey("a", "0"),     EncodeDocumentKey("a.b", "0"),
      EncodeDocumentKey("a-", "0"),
  };
  std::sort(keys.begin(), keys.end());
  std::vector<std::string> collections;
  for (const std::string& key : keys) {
    ASSERT_OK_AND_ASSIGN(const DocumentKey name, DecodeDocumentKey(key));
    collections.emplace_back(name.collection);
    EXPECT_EQ(key >= DocumentKeyPrefix("a") && key < DocumentKeyEnd("a"), name.collection == "a");
  }
  EXPECT_THAT(collections, ElementsAre("a", "a", "a-", "a.b", "ab"));
}

TEST(DocumentRecordTest, ForeignKeyIsFound) {
  EXPECT_THAT(DecodeDocumentKey("projects"), StatusIs(kDataLoss));
  EXPECT_THAT(DecodeDocumentKey(absl::string_view("\0id", 3)), StatusIs(kDataLoss));
  EXPECT_THAT(DecodeDocumentKey(""), StatusIs(kDataLoss));
}

}  // namespace
}  // namespace holdfast
