#include "common/io/fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "common/base/thread.h"
#include "common/io/durable_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

absl::Span<uint8_t> BytesOf(std::string& text) {
  return absl::MakeSpan(reinterpret_cast<uint8_t*>(text.data()), text.size());
}

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) != -1; }

TEST(StatusFromErrnoTest, CodeSaysWhatTheCallerShouldDo) {
  using Code = absl::StatusCode;
  const std::vector<std::pair<int, Code>> cases = {
      {ENOENT, Code::kNotFound},
      {EEXIST, Code::kAlreadyExists},
      {ENOSPC, Code::kResourceExhausted},
      {EDQUOT, Code::kResourceExhausted},
      {EMFILE, Code::kResourceExhausted},
      {EACCES, Code::kPermissionDenied},
      {EPERM, Code::kPermissionDenied},
      {EROFS, Code::kPermissionDenied},
      {EIO, Code::kUnavailable},
      {ESTALE, Code::kUnavailable},
      {ETIMEDOUT, Code::kUnavailable},
      {ENOTCONN, Code::kUnavailable},
      {EHOSTDOWN, Code::kUnavailable},
      {ENOTDIR, Code::kFailedPrecondition},
      {EISDIR, Code::kFailedPrecondition},
      {ELOOP, Code::kFailedPrecondition},
      {EINVAL, Code::kInvalidArgument},
      {ENAMETOOLONG, Code::kInvalidArgument},
      {EOPNOTSUPP, Code::kUnimplemented},
      {EBADF, Code::kInternal},
      {ENOTTY, Code::kUnknown},
  };
  for (const auto& [error, code] : cases) {
    EXPECT_THAT(StatusFromErrno(error, "context"), StatusIs(code, testing::StartsWith("context: ")))
        << error;
  }
}

TEST(StatusFromErrnoTest, MessageHasTheSystemsWords) {
  EXPECT_EQ(StatusFromErrno(ENOENT, "open /x").message(), "open /x: No such file or directory");
  EXPECT_THAT(StatusFromErrno(EROFS, "x").message(), HasSubstr("Read-only"));
}

TEST(UniqueFdTest, ClosesWhenDestroyedOrReplaced) {
  int first = open("/dev/null", O_RDONLY | O_CLOEXEC);
  int second = open("/dev/null", O_RDONLY | O_CLOEXEC);
  {
    UniqueFd fd(first);
    fd = UniqueFd(second);
    EXPECT_FALSE(IsOpen(first));
    EXPECT_TRUE(IsOpen(second));
  }
  EXPECT_FALSE(IsOpen(second));
}

TEST(UniqueFdTest, MovingAndReleasingGiveUpOwnership) {
  const int raw = open("/dev/null", O_RDONLY | O_CLOEXEC);
  UniqueFd fd(raw);
  UniqueFd moved = std::move(fd);
  EXPECT_FALSE(fd.is_valid());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(moved.get(), raw);
  EXPECT_EQ(moved.Release(), raw);
  moved.Reset();
  EXPECT_TRUE(IsOpen(raw));
  EXPECT_EQ(close(raw), 0);
}

TEST(UniqueFdTest, CloseTellsErrorsAndLeavesItEmpty) {
  UniqueFd good(open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_OK(good.Close("x"));
  EXPECT_FALSE(good.is_valid());
  EXPECT_OK(good.Close("x"));

  UniqueFd bad(1'000'000);
  EXPECT_THAT(bad.Close("x"), StatusIs(absl::StatusCode::kInternal, HasSubstr("x: close: ")));
  EXPECT_FALSE(bad.is_valid());
}

TEST(OpenForReadingTest, OpensRegularFilesOnly) {
  TempDir dir;
  ASSERT_OK(WriteFileDurably(dir.Path("file"), "text", {}));
  ASSERT_EQ(mkfifo(dir.Path("pipe").c_str(), 0600), 0);
  EXPECT_OK(OpenForReading(dir.Path("file")));
  EXPECT_THAT(OpenForReading(dir.path()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not a regular file")));
  EXPECT_THAT(OpenForReading(dir.Path("pipe")), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(OpenForReading(dir.Path("none")), StatusIs(absl::StatusCode::kNotFound));
}

TEST(OpenForReadingTest, FollowsALinkOnlyIfAllowed) {
  TempDir dir;
  ASSERT_OK(WriteFileDurably(dir.Path("file"), "text", {}));
  ASSERT_EQ(symlink("file", dir.Path("link").c_str()), 0);
  EXPECT_THAT(OpenForReading(dir.Path("link")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("symbolic link")));
  EXPECT_OK(OpenForReading(dir.Path("link"), Links::kFollow));
}

TEST(OpenForReadingTest, IsNotInheritedByChildren) {
  TempDir dir;
  ASSERT_OK(WriteFileDurably(dir.Path("file"), "text", {}));
  ASSERT_OK_AND_ASSIGN(const UniqueFd fd, OpenForReading(dir.Path("file")));
  EXPECT_TRUE(fcntl(fd.get(), F_GETFD) & FD_CLOEXEC);
}

TEST(ReadFullTest, PutsTogetherWhatComesInPieces) {
  int fds[2];
  ASSERT_EQ(pipe2(fds, O_CLOEXEC), 0);
  UniqueFd reader(fds[0]);
  std::string sent(300'000, 'x');  // more than a pipe holds
  for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 7 % 251);
  Thread sender("sender", [&sent, fd = fds[1]] {
    UniqueFd writer(fd);
    EXPECT_OK(WriteFull(writer.get(), sent));
  });
  std::string received(200'000, '\0');
  EXPECT_THAT(ReadFull(reader.get(), BytesOf(received)), IsOkAndHolds(200'000u));
  EXPECT_TRUE(absl::StartsWith(sent, received));
  EXPECT_THAT(ReadFull(reader.get(), BytesOf(received)), IsOkAndHolds(100'000u));
  EXPECT_TRUE(absl::EndsWith(sent, received.substr(0, 100'000)));
  EXPECT_THAT(ReadFull(reader.get(), BytesOf(received)), IsOkAndHolds(0u));
}

TEST(ReadFullTest, ErrorsAreErrors) {
  std::string buffer(10, '\0');
  EXPECT_THAT(ReadFull(1'000'000, BytesOf(buffer)), StatusIs(absl::StatusCode::kInternal));
  EXPECT_THAT(WriteFull(1'000'000, "x"), StatusIs(absl::StatusCode::kInternal));
  EXPECT_THAT(WriteFull(UniqueFd(open("/dev/full", O_WRONLY | O_CLOEXEC)).get(), "x"),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST(PReadFullTest, ReadsAtAnOffsetAndKeepsThePosition) {
  TempDir dir;
  ASSERT_OK(WriteFileDurably(dir.Path("file"), "0123456789", {}));
  ASSERT_OK_AND_ASSIGN(const UniqueFd fd, OpenForReading(dir.Path("file")));
  std::string buffer(4, '\0');
  EXPECT_THAT(PReadFull(fd.get(), BytesOf(buffer), 5), IsOkAndHolds(4u));
  EXPECT_EQ(buffer, "5678");
  EXPECT_THAT(PReadFull(fd.get(), BytesOf(buffer), 8), IsOkAndHolds(2u));
  EXPECT_THAT(PReadFull(fd.get(), BytesOf(buffer), 10), IsOkAndHolds(0u));
  EXPECT_THAT(ReadFull(fd.get(), BytesOf(buffer)), IsOkAndHolds(4u));
  EXPECT_EQ(buffer, "0123");
}

}  // namespace
}  // namespace holdfast
