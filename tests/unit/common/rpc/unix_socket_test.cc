#include "common/rpc/unix_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <string>

#include "common/io/durable_file.h"
#include "common/io/fd.h"
#include "common/io/files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

UniqueFd Listen(const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(listen(fd.get(), 1), 0);
  return fd;
}

TEST(UnixSocketClaimTest, MakesAFolderThatOnlyTheOwnerMayEnter) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(const auto claim, UnixSocketClaim::Acquire(dir.Path("a/b/x.sock")));
  ASSERT_OK_AND_ASSIGN(const FileInfo info, GetFileInfo(dir.Path("a/b")));
  EXPECT_EQ(info.permissions, 0700U);
}

TEST(UnixSocketClaimTest, RefusesAFolderThatOthersMayEnter) {
  TempDir dir;
  ASSERT_EQ(mkdir(dir.Path("open").c_str(), 0700), 0);
  ASSERT_EQ(chmod(dir.Path("open").c_str(), 0755), 0);
  EXPECT_THAT(UnixSocketClaim::Acquire(dir.Path("open/x.sock")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("mode 0755")));
}

TEST(UnixSocketClaimTest, RemovesTheSocketOfADeadProcess) {
  TempDir dir;
  const std::string path = dir.Path("x.sock");
  Listen(path).Reset();
  ASSERT_THAT(FileExists(path), IsOkAndHolds(true));
  EXPECT_OK(UnixSocketClaim::Acquire(path));
  EXPECT_THAT(FileExists(path), IsOkAndHolds(false));
}

TEST(UnixSocketClaimTest, RefusesASocketThatAProcessListensOn) {
  TempDir dir;
  const std::string path = dir.Path("x.sock");
  const UniqueFd listener = Listen(path);
  EXPECT_THAT(UnixSocketClaim::Acquire(path),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("another process listens on")));
  EXPECT_THAT(FileExists(path), IsOkAndHolds(true));
}

TEST(UnixSocketClaimTest, RefusesAPathThatIsClaimed) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(auto claim, UnixSocketClaim::Acquire(dir.Path("x.sock")));
  EXPECT_THAT(UnixSocketClaim::Acquire(dir.Path("x.sock")),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("another process")));
  claim.reset();
  EXPECT_OK(UnixSocketClaim::Acquire(dir.Path("x.sock")));
}

TEST(UnixSocketClaimTest, LeavesAFileThatIsNoSocketAlone) {
  TempDir dir;
  ASSERT_OK(WriteFileDurably(dir.Path("x.sock"), "precious", {}));
  EXPECT_THAT(UnixSocketClaim::Acquire(dir.Path("x.sock")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("no socket")));
  EXPECT_THAT(ReadFile(dir.Path("x.sock"), 100), IsOkAndHolds("precious"));
}

TEST(CheckUnixSocketPathTest, TakesWhatTheKernelTakes) {
  EXPECT_OK(CheckUnixSocketPath("/" + std::string(kUnixSocketPathSizeMaxBytes - 1, 'x')));
  EXPECT_THAT(CheckUnixSocketPath("/" + std::string(kUnixSocketPathSizeMaxBytes, 'x')),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at most 107 bytes")));
  for (const char* path : {"", "x.sock", "./x.sock", "/run/"}) {
    EXPECT_THAT(CheckUnixSocketPath(path), StatusIs(absl::StatusCode::kInvalidArgument)) << path;
  }
}

TEST(UnixSocketAddressTest, EscapesWhatHasAMeaningInAddresses) {
  EXPECT_EQ(UnixSocketAddress("/run/holdfast/store-1.sock"), "unix:/run/holdfast/store-1.sock");
  EXPECT_EQ(UnixSocketAddress("/a b%?#c"), "unix:/a%20b%25%3f%23c");
}

}  // namespace
}  // namespace holdfast
