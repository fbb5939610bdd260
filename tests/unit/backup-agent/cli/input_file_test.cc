#include "backup-agent/cli/input_file.h"

#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/base/thread.h"
#include "common/io/durable_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class InputFileTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<InputFile>> OpenWith(absl::string_view content) {
    const std::string path = directory_.Path(absl::StrCat("input ", ++files_));
    HOLDFAST_CHECK(WriteFileDurably(path, content, {}).ok());
    return InputFile::Open(path, console_);
  }

  absl::StatusOr<std::vector<std::string>> ReadLines(absl::string_view content,
                                                     size_t line_size_max = 1000) {
    HOLDFAST_ASSIGN_OR_RETURN(const auto input, OpenWith(content));
    LineReader reader(*input, line_size_max, {});
    std::vector<std::string> lines;
    for (;;) {
      HOLDFAST_ASSIGN_OR_RETURN(const auto line, reader.Next());
      if (!line.has_value()) break;
      lines.emplace_back(*line);
      EXPECT_EQ(reader.line_number(), lines.size());
    }
    EXPECT_EQ(reader.bytes_read(), content.size());
    return lines;
  }

  TempDir directory_;
  int files_ = 0;
  Console console_{{}, false};
};

TEST_F(InputFileTest, CutsLines) {
  EXPECT_THAT(ReadLines(""), IsOkAndHolds(ElementsAre()));
  EXPECT_THAT(ReadLines("a"), IsOkAndHolds(ElementsAre("a")));
  EXPECT_THAT(ReadLines("a\n"), IsOkAndHolds(ElementsAre("a")));
  EXPECT_THAT(ReadLines("a\n\nb\r\nc"), IsOkAndHolds(ElementsAre("a", "", "b", "c")));
  EXPECT_THAT(ReadLines("\n"), IsOkAndHolds(ElementsAre("")));
}

TEST_F(InputFileTest, CutsLinesThatLieAcrossReads) {
  std::string content;
  std::vector<std::string> expected;
  for (size_t size = 0; size < 1500; ++size) {
    expected.emplace_back(size, static_cast<char>('a' + size % 26));
    absl::StrAppend(&content, expected.back(), "\n");
  }
  ASSERT_GT(content.size(), 1'000'000);
  EXPECT_THAT(ReadLines(content, 1500), IsOkAndHolds(expected));
}

TEST_F(InputFileTest, RefusesALineThatIsTooLong) {
  EXPECT_THAT(ReadLines("short\n" + std::string(11, 'x') + "\n", 10),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("line 2")));
  EXPECT_THAT(ReadLines(std::string(2'000'000, 'x'), 10),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("line 1")));
}

TEST_F(InputFileTest, ReadsAllUpToALimit) {
  ASSERT_OK_AND_ASSIGN(const auto input, OpenWith("12345"));
  EXPECT_EQ(input->size_bytes(), 5);
  EXPECT_THAT(input->ReadAll(5, {}), IsOkAndHolds("12345"));
  ASSERT_OK_AND_ASSIGN(const auto longer, OpenWith("123456"));
  EXPECT_THAT(longer->ReadAll(5, {}), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(InputFileTest, SaysWhatIsNotThere) {
  EXPECT_THAT(InputFile::Open(directory_.Path("nothing"), console_),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("nothing")));
  EXPECT_THAT(InputFile::Open(directory_.path(), console_),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("directory")));
}

TEST_F(InputFileTest, StopsWaitingForInputWhenCancelled) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const UniqueFd reading(ends[0]);
  const UniqueFd writing(ends[1]);
  CancellationSource cancellation;
  const Thread canceller("cancel", [&] { cancellation.Cancel(absl::CancelledError("stop")); });
  EXPECT_THAT(ReadSomeFrom(reading.get(), 10, cancellation.token()),
              StatusIs(absl::StatusCode::kCancelled, "stop"));
}

}  // namespace
}  // namespace holdfast
