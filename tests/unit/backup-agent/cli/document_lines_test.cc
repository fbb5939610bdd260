#include "backup-agent/cli/document_lines.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

absl::StatusOr<v1::PutDocumentRequest> Parse(absl::string_view line) {
  return DocumentLineParser().Parse(line);
}

v1::Document MakeDocument(const std::string& media_type, const std::string& content) {
  v1::Document document;
  document.set_collection("users");
  document.set_id("ada \"l\"");
  document.set_media_type(media_type);
  document.set_content(content);
  document.set_revision(7);
  document.mutable_create_time()->set_seconds(1'795'372'500);
  document.mutable_change_time()->set_seconds(1'795'372'500);
  document.mutable_change_time()->set_nanos(123'456'000);
  return document;
}

TEST(FormatDocumentLineTest, EmbedsJsonAsItIs) {
  EXPECT_EQ(FormatDocumentLine(MakeDocument("application/json",
                                            "{ \"n\": 1.10,\r\n\t\"big\": 12345678901234567890 }")),
            R"({"collection":"users","id":"ada \"l\"","content":{ "n": 1.10,  )"
            "\t"
            R"("big": 12345678901234567890 },"revision":"7",)"
            R"("create_time":"2026-11-22T18:35:00.000000Z",)"
            R"("change_time":"2026-11-22T18:35:00.123456Z"})");
}

TEST(FormatDocumentLineTest, EncodesOtherBytes) {
  EXPECT_THAT(FormatDocumentLine(MakeDocument("image/png", std::string("\0\xFF\n", 3))),
              HasSubstr(R"("content_base64":"AP8K","media_type":"image/png","revision")"));
}

TEST(DocumentLineTest, SurvivesTheRoundTrip) {
  for (const auto& [media_type, content] : std::vector<std::pair<std::string, std::string>>{
           {"application/json", R"({"a":[1,2.50,"x\ny",null,true,{"b":{}}]})"},
           {"application/json", "1e400"},
           {"application/json", "\"text\""},
           {"application/json", "null"},
           {"application/json", "[]"},
           {"application/json", "123456789012345678901234567890.000"},
           {"application/problem+json", "{\n}"},
           {"text/plain", ""},
           {"application/octet-stream", std::string("\0\n\xFF", 3)}}) {
    SCOPED_TRACE(content);
    const v1::Document document = MakeDocument(media_type, content);
    ASSERT_OK_AND_ASSIGN(const v1::PutDocumentRequest request, Parse(FormatDocumentLine(document)));
    EXPECT_EQ(request.collection(), document.collection());
    EXPECT_EQ(request.id(), document.id());
    EXPECT_EQ(request.media_type(), document.media_type());
    EXPECT_EQ(request.content(), document.content());
    EXPECT_FALSE(request.has_precondition());
  }
}

TEST(DocumentLineParserTest, TakesMembersInAnyOrderAndWithSpace) {
  ASSERT_OK_AND_ASSIGN(const auto request,
                       Parse(R"( { "content" : [ 1 , 2 ] , "id":"i\u00e4", "collection":"c" } )"));
  EXPECT_EQ(request.content(), "[ 1 , 2 ]");
  EXPECT_EQ(request.id(), "iä");
}

TEST(DocumentLineParserTest, ReadsManyLines) {
  DocumentLineParser parser;
  for (int i = 0; i < 100; ++i) {
    ASSERT_OK_AND_ASSIGN(
        const auto request,
        parser.Parse(absl::StrCat(R"({"collection":"c","id":")", i, R"(","content":")",
                                  std::string(static_cast<size_t>(i) * 997, 'x'), R"("})")));
    EXPECT_EQ(request.id(), absl::StrCat(i));
    EXPECT_EQ(request.content().size(), static_cast<size_t>(i) * 997 + 2);
  }
  EXPECT_THAT(parser.Parse("{"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_OK(parser.Parse(R"({"collection":"c","id":"i","content":0})"));
}

TEST(DocumentLineParserTest, SaysWhatIsWrong) {
  const auto expect = [](absl::string_view line, const std::string& words) {
    EXPECT_THAT(Parse(line), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(words)))
        << line;
  };
  expect("", "not JSON");
  expect("nonsense", "not");
  expect("[1]", "not an object");
  expect(R"({"collection":"c","id":"i","content":1)", "");
  expect(R"({"collection":"c","id":"i","content":1} {})", "after the object");
  expect(R"({"collection":"c","id":"i"})", R"(either "content")");
  expect(R"({"id":"i","content":1})", R"(no "collection")");
  expect(R"({"collection":"c","content":1})", R"(no "id")");
  expect(R"({"collection":"c","id":7,"content":1})", R"("id" is not a string)");
  expect(R"({"collection":"c","id":"i","id":"j","content":1})", R"("id" stands twice)");
  expect(R"({"collection":"c","id":"i","contents":1})", R"(unknown name "contents")");
  expect(R"({"collection":"c","id":"i","content":1,"media_type":"a/b"})", "media_type");
  expect(R"({"collection":"c","id":"i","content":1,"content_base64":"","media_type":"a/b"})",
         "either");
  expect(R"({"collection":"c","id":"i","content_base64":"AA=="})", "needs a \"media_type\"");
  expect(R"({"collection":"c","id":"i","content_base64":"!","media_type":"a/b"})", "not base64");
  expect("{\"collection\":\"c\xFF\",\"id\":\"i\",\"content\":1}", "not JSON");
  expect(std::string(kDocumentLineSizeMaxBytes + 1, ' '), "more than");
}

}  // namespace
}  // namespace holdfast
