#include "common/base/log.h"

#include <string>

#include "common/base/thread.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/log_capture.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string LineWithValue(absl::string_view value) {
  return FormatLogEntry({.time = absl::UnixEpoch(),
                         .level = LogLevel::kInfo,
                         .message = "m",
                         .fields = {{"k", value}}});
}

TEST(LogTest, LineHasTimeLevelMessageAndFields) {
  const LogEntry entry = {.time = absl::FromUnixMillis(1'795'372'500'123),
                          .level = LogLevel::kInfo,
                          .message = "opened the store",
                          .fields = {{"data_dir", "/var/lib/holdfast"}, {"revision", 42}}};
  EXPECT_EQ(FormatLogEntry(entry),
            "2026-11-22T18:35:00.123Z INFO  opened the store data_dir=/var/lib/holdfast "
            "revision=42");
}

TEST(LogTest, EveryLevelHasItsWord) {
  LogCapture log;
  SetMinLogLevel(LogLevel::kDebug);
  LogDebug("d");
  LogInfo("i");
  LogWarning("w");
  LogError("e");
  SetMinLogLevel(LogLevel::kInfo);
  EXPECT_THAT(log.lines(), ElementsAre("DEBUG d", "INFO  i", "WARN  w", "ERROR e"));
}

TEST(LogTest, EntriesBelowTheLevelAreDropped) {
  LogCapture log;
  LogDebug("unseen");
  EXPECT_THAT(log.entries(), IsEmpty());
}

TEST(LogTest, ValuesOfAllKindsBecomeText) {
  LogCapture log;
  LogInfo("m", {{"string", std::string("s")},
                {"view", absl::string_view("v")},
                {"yes", true},
                {"int", -1},
                {"size", size_t{18446744073709551615u}},
                {"byte", uint8_t{65}},
                {"double", 1.5},
                {"duration", absl::Milliseconds(1500)},
                {"time", absl::UnixEpoch()},
                {"status", absl::NotFoundError("no document")}});
  EXPECT_THAT(log.lines(),
              ElementsAre("INFO  m string=s view=v yes=true int=-1 size=18446744073709551615 "
                          "byte=65 double=1.5 duration=1.5s time=1970-01-01T00:00:00.000Z "
                          "status=\"NOT_FOUND: no document\""));
}

TEST(LogTest, ValuesThatWouldBeAmbiguousAreQuoted) {
  const std::string prefix = "1970-01-01T00:00:00.000Z INFO  m k=";
  EXPECT_EQ(LineWithValue("plain/1.2-3_:"), prefix + "plain/1.2-3_:");
  EXPECT_EQ(LineWithValue(""), prefix + R"("")");
  EXPECT_EQ(LineWithValue("a b"), prefix + R"("a b")");
  EXPECT_EQ(LineWithValue("a=b"), prefix + R"("a=b")");
  EXPECT_EQ(LineWithValue("a\"b"), prefix + R"("a\"b")");
  EXPECT_EQ(LineWithValue("a\\b"), prefix + R"("a\\b")");
}

TEST(LogTest, NobodyCanForgeALineOrCommandATerminal) {
  const std::string prefix = "1970-01-01T00:00:00.000Z INFO  m k=";
  EXPECT_EQ(LineWithValue("a\nb\r\t"), prefix + R"("a\nb\r\t")");
  EXPECT_EQ(LineWithValue("\x1b[2J"), prefix + R"("\x1b[2J")");
  EXPECT_EQ(LineWithValue(absl::string_view("\0", 1)), prefix + R"("\x00")");
  EXPECT_EQ(LineWithValue("\x7f"), prefix + R"("\x7f")");
  EXPECT_EQ(LineWithValue("\xc2\x9b"), prefix + R"("\xc2\x9b")");          // C1: another ESC [
  EXPECT_EQ(LineWithValue("\xe2\x80\xa8"), prefix + R"("\xe2\x80\xa8")");  // line separator
  EXPECT_EQ(LineWithValue("\xe2\x80\xae"), prefix + R"("\xe2\x80\xae")");  // right to left

  LogCapture log;
  LogInfo("message\nINFO  forged", {{"key\n", "v"}});
  EXPECT_THAT(log.lines(), ElementsAre(R"(INFO  message\nINFO  forged key\n=v)"));
}

TEST(LogTest, Utf8PassesAndBrokenUtf8IsEscaped) {
  const std::string prefix = "1970-01-01T00:00:00.000Z INFO  m k=";
  EXPECT_EQ(LineWithValue("Grüße€𝄞"), prefix + "Grüße€𝄞");
  EXPECT_EQ(LineWithValue("a\xff"), prefix + R"("a\xff")");
  EXPECT_EQ(LineWithValue("\xc3"), prefix + R"("\xc3")");                  // cut
  EXPECT_EQ(LineWithValue("\xc1\x81"), prefix + R"("\xc1\x81")");          // A, overlong
  EXPECT_EQ(LineWithValue("\xed\xa0\x80"), prefix + R"("\xed\xa0\x80")");  // surrogate
}

TEST(LogTest, SinksNest) {
  LogCapture outer;
  {
    LogCapture inner;
    LogInfo("inner");
    EXPECT_THAT(inner.lines(), ElementsAre("INFO  inner"));
  }
  LogInfo("outer");
  EXPECT_THAT(outer.lines(), ElementsAre("INFO  outer"));
}

TEST(LogTest, GoesToStandardErrorLineByLine) {
  testing::internal::CaptureStderr();
  LogInfo("opened", {{"revision", 1}});
  LogError("failed");
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::MatchesRegex("....-..-..T..:..:..\\....Z INFO  opened revision=1\n"
                                    "....-..-..T..:..:..\\....Z ERROR failed\n"));
}

}  // namespace
}  // namespace holdfast
