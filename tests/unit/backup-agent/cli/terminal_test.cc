#include "backup-agent/cli/terminal.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/io/fd.h"
#include "common/io/files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

TEST(FormatBytesTest, ShowsThreeDigits) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1024), "1.00 KiB");
  EXPECT_EQ(FormatBytes(10 * 1024), "10.0 KiB");
  EXPECT_EQ(FormatBytes(100 * 1024), "100 KiB");
  EXPECT_EQ(FormatBytes(1000 * 1024), "0.98 MiB");
  EXPECT_EQ(FormatBytes(uint64_t{3} << 30), "3.00 GiB");
  EXPECT_EQ(FormatBytes(UINT64_MAX), "16.0 EiB");
}

TEST(FormatCountTest, GroupsThousands) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1000), "1,000");
  EXPECT_EQ(FormatCount(1234567), "1,234,567");
  EXPECT_EQ(FormatCount(1, "file"), "1 file");
  EXPECT_EQ(FormatCount(0, "file"), "0 files");
}

TEST(DescribeDurationTest, ShowsTwoUnitsAtMost) {
  EXPECT_EQ(DescribeDuration(absl::Milliseconds(-5)), "0.0 s");
  EXPECT_EQ(DescribeDuration(absl::Milliseconds(840)), "0.8 s");
  EXPECT_EQ(DescribeDuration(absl::Milliseconds(9960)), "10 s");
  EXPECT_EQ(DescribeDuration(absl::Milliseconds(59'700)), "1 min");
  EXPECT_EQ(DescribeDuration(absl::Seconds(192)), "3 min 12 s");
  EXPECT_EQ(DescribeDuration(absl::Minutes(302)), "5 h 2 min");
  EXPECT_EQ(DescribeDuration(absl::Hours(99)), "4 d 3 h");
}

TEST(ShellQuoteTest, QuotesWhatNeedsIt) {
  EXPECT_EQ(ShellQuote("/etc/holdfast.toml"), "/etc/holdfast.toml");
  EXPECT_EQ(ShellQuote("a b"), "'a b'");
  EXPECT_EQ(ShellQuote("it's"), R"('it'\''s')");
  EXPECT_EQ(ShellQuote(""), "''");
}

TEST(TableTest, AlignsColumns) {
  Table table({"ID", "SIZE", "AT"});
  table.AlignRight(1);
  table.AddRow({"ä", "1 B", "here"});
  table.AddRow({"longer", "100 KiB", ""});
  EXPECT_EQ(table.ToText(),
            "ID         SIZE  AT\n"
            "ä           1 B  here\n"
            "longer  100 KiB\n");
}

TEST(FormatProgressTest, ShowsWhatIsKnown) {
  EXPECT_EQ(FormatProgress({.what = "wait", .items = "file"}, {}), "wait");
  EXPECT_EQ(FormatProgress({.what = "restore",
                            .items = "file",
                            .items_done = 12,
                            .items_total = 40,
                            .bytes_done = 42 << 20,
                            .bytes_total = 100 << 20},
                           2.0 * (1 << 20)),
            "restore: 42.0%, 42.0 MiB of 100 MiB, 12 of 40 files, 2.00 MiB/s, 29 s left");
  EXPECT_EQ(FormatProgress({.what = "prove", .items = "document", .items_done = 1}, {}),
            "prove: 1 document");
  EXPECT_EQ(FormatProgress({.what = "import",
                            .items = "document",
                            .items_done = 5000,
                            .bytes_done = 0,
                            .bytes_total = 0},
                           1000.0),
            "import: 5,000 documents, 1,000 documents/s");
}

TEST(FormatProgressTest, NeverRoundsUpToTheEnd) {
  EXPECT_THAT(
      FormatProgress(
          {.what = "x", .items = "document", .items_done = 99'999, .items_total = 100'000}, {}),
      HasSubstr("99.9%"));
  EXPECT_THAT(FormatProgress({.what = "x", .items = "file", .items_done = 3, .items_total = 3}, {}),
              HasSubstr("100.0%"));
}

TEST(FormatProgressTest, LeavesOutATimeThatNobodyCanTell) {
  EXPECT_EQ(FormatProgress({.what = "x",
                            .items = "file",
                            .items_done = 0,
                            .items_total = 1,
                            .bytes_done = 0,
                            .bytes_total = 100},
                           0.0),
            "x: 0.0%, 0 B of 100 B, 0 of 1 file, 0 B/s");
}

TEST(RateMeterTest, TellsTheRateOfTheLastSeconds) {
  FakeClock clock;
  RateMeter rate;
  EXPECT_EQ(rate.PerSecond(), std::nullopt);
  uint64_t done = 0;
  for (int i = 0; i < 1000; ++i) {  // 100 s at 1,000 a second
    rate.Add(clock.MonotonicNow(), done);
    done += 100;
    clock.Advance(absl::Milliseconds(100));
  }
  ASSERT_TRUE(rate.PerSecond().has_value());
  EXPECT_NEAR(*rate.PerSecond(), 1000, 10);
  for (int i = 0; i < 150; ++i) {  // 15 s without a change
    rate.Add(clock.MonotonicNow(), done);
    clock.Advance(absl::Milliseconds(100));
  }
  EXPECT_NEAR(*rate.PerSecond(), 0, 10);
}

class ProgressDisplayTest : public testing::Test {
 protected:
  void SetUp() override {
    file_ = UniqueFd(open(directory_.Path("error").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_TRUE(file_.is_valid());
  }

  std::vector<std::string> Lines() {
    const absl::StatusOr<std::string> text = ReadFile(directory_.Path("error"), 1 << 20);
    EXPECT_OK(text);
    return absl::StrSplit(*text, '\n', absl::SkipEmpty());
  }

  void ShowFor(absl::Duration duration, bool is_quiet) {
    Console console({.error_fd = file_.get()}, is_quiet);
    ProgressDisplay display(console, clock_);
    for (absl::Duration passed; passed < duration; passed += absl::Milliseconds(100)) {
      display.Update({.what = "restore", .items = "file", .items_done = 1, .items_total = 2});
      clock_.Advance(absl::Milliseconds(100));
    }
  }

  TempDir directory_;
  UniqueFd file_;
  FakeClock clock_;
};

TEST_F(ProgressDisplayTest, PrintsALineEveryFiveSecondsWhereThereIsNoTerminal) {
  ShowFor(absl::Seconds(21), /*is_quiet=*/false);
  EXPECT_THAT(Lines(), SizeIs(4));
  EXPECT_THAT(Lines().front(), HasSubstr("restore: 50.0%"));
}

TEST_F(ProgressDisplayTest, PrintsNothingOfWhatIsOverAtOnce) {
  ShowFor(absl::Seconds(4), /*is_quiet=*/false);
  EXPECT_THAT(Lines(), ElementsAre());
}

TEST_F(ProgressDisplayTest, PrintsNothingWhenQuiet) {
  ShowFor(absl::Seconds(60), /*is_quiet=*/true);
  EXPECT_THAT(Lines(), ElementsAre());
}

}  // namespace
}  // namespace holdfast
