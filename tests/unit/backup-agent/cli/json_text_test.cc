#include "backup-agent/cli/json_text.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "holdfast/v1/backup_agent.pb.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

TEST(JsonStringTest, EscapesWhatMustBe) {
  EXPECT_EQ(JsonString("plain äöü €"), "\"plain äöü €\"");
  EXPECT_EQ(JsonString("a\"b\\c\nd\x01\x7F"), R"("a\"b\\c\u000ad\u0001\u007f")");
  EXPECT_EQ(JsonString(""), "\"\"");
}

TEST(JsonStringTest, ReplacesWhatIsNotUtf8) {
  EXPECT_EQ(JsonString("a\xFFz"), "\"a\xEF\xBF\xBDz\"");
  EXPECT_EQ(JsonString("\xC3"), "\"\xEF\xBF\xBD\"");                                  // cut
  EXPECT_EQ(JsonString("\xC0\xAF"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");                  // overlong
  EXPECT_EQ(JsonString("\xED\xA0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");  // surrogate
  EXPECT_EQ(JsonString("\xF0\x9F\x98\x80"), "\"\xF0\x9F\x98\x80\"");                  // four bytes
}

TEST(JsonObjectTest, PutsMembersTogether) {
  JsonArray array;
  array.Add("1");
  array.Add("\"x\"");
  JsonObject object;
  EXPECT_EQ(object.ToText(), "{}");
  object.AddString("name", "a\"b");
  object.AddCount("revision", UINT64_MAX);
  object.AddBool("is", true);
  object.AddJson("list", array.ToText());
  EXPECT_EQ(object.ToText(),
            R"({"name":"a\"b","revision":"18446744073709551615","is":true,"list":[1,"x"]})");
}

TEST(MessageToJsonTest, HasTheNamesOfTheProtosAndEveryField) {
  v1::Backup backup;
  backup.set_backup_id("b");
  const std::string json = MessageToJson(backup);
  EXPECT_THAT(json, HasSubstr(R"("backup_id":"b")"));
  EXPECT_THAT(json, HasSubstr(R"("document_count":"0")"));
  EXPECT_THAT(json, HasSubstr(R"("destination_names":[])"));
  EXPECT_THAT(json, testing::Not(HasSubstr("\n")));
}

}  // namespace
}  // namespace holdfast
