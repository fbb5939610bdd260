#include "common/storage/rclone_status.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/exit_code.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

absl::Status StatusOfError(absl::string_view error, int http_status = 500) {
  return StatusFromRclone(http_status,
                          absl::StrCat("{\n\t\"error\": \"", error,
                                       "\",\n\t\"input\": {\"fs\": \"nas:\"},\n\t\"path\": "
                                       "\"operations/stat\",\n\t\"status\": ",
                                       http_status, "\n}\n"));
}

std::string MessageOf(const absl::Status& status) { return std::string(status.message()); }

// As rclone 1.60.1 says it of real servers: OpenSSH 9.2, Samba 4.17, a local disk.
TEST(RcloneStatusTest, TheWordsOfTheBackendsAreKnown) {
  const struct {
    const char* error;
    absl::StatusCode code;
  } kCases[] = {
      {"write /mnt/x: no space left on device", absl::StatusCode::kResourceExhausted},
      {"Update ReadFrom failed: write root\\\\x: response error: An operation failed because the "
       "disk was full.",
       absl::StatusCode::kResourceExhausted},
      {"mkdir \\\"/srv/new\\\" failed: permission denied", absl::StatusCode::kPermissionDenied},
      {"rename a b: response error: {Write Protect Error} The disk cannot be written to because it "
       "is write-protected.",
       absl::StatusCode::kPermissionDenied},
      {"open /mnt/x: read-only file system", absl::StatusCode::kPermissionDenied},
      {"didn't find section in config file", absl::StatusCode::kFailedPrecondition},
      {"didn't find backend called \\\"nosuch\\\"", absl::StatusCode::kFailedPrecondition},
      {"NewFs: couldn't connect SSH: ssh: handshake failed: ssh: unable to authenticate, attempted "
       "methods [none publickey], no supported methods remain",
       absl::StatusCode::kFailedPrecondition},
      {"NewFs: couldn't connect SSH: ssh: handshake failed: knownhosts: key mismatch",
       absl::StatusCode::kFailedPrecondition},
      {"failed to read private key file: open /none: no such file or directory",
       absl::StatusCode::kFailedPrecondition},
      {"couldn't connect SMB: response error: The attempted logon is invalid. This is either due "
       "to a bad username or authentication information.",
       absl::StatusCode::kFailedPrecondition},
      {"is a directory not a file", absl::StatusCode::kFailedPrecondition},
      {"lstat /mnt/a/b: not a directory", absl::StatusCode::kFailedPrecondition},
      {"open /mnt/x: file name too long", absl::StatusCode::kInvalidArgument},
      {"NewFs: couldn't connect SSH: dial tcp 127.0.0.1:22: connect: connection refused",
       absl::StatusCode::kUnavailable},
      {"stat failed: connection lost", absl::StatusCode::kUnavailable},
      {"what nobody ever said before", absl::StatusCode::kUnavailable},
  };
  for (const auto& [error, code] : kCases) {
    EXPECT_THAT(StatusOfError(error), StatusIs(code)) << error;
  }
  EXPECT_THAT(StatusOfError("object not found", 404),
              StatusIs(absl::StatusCode::kNotFound, "object not found"));
}

TEST(RcloneStatusTest, TheMessageBeginsWithWhatToDo) {
  EXPECT_THAT(MessageOf(StatusOfError("write /mnt/x: no space left on device")),
              StartsWith("no space or quota is left there: make room. rclone says: write"));
  EXPECT_THAT(MessageOf(StatusOfError("ssh: unable to authenticate")), HasSubstr("rclone lsd"));
  EXPECT_THAT(MessageOf(StatusOfError("what nobody ever said before")), HasSubstr("rclone lsd"));
}

TEST(RcloneStatusTest, WhatIsThereButCannotBeOpenedIsNotAbsent) {
  EXPECT_THAT(StatusFromRclone(404, "Not Found\n"),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("could not open it")));
}

TEST(RcloneStatusTest, AConflictOfAFileAndAFolderIsTold) {
  EXPECT_TRUE(IsFileOrFolderConflict(StatusOfError("is a file not a directory")));
  EXPECT_FALSE(IsFileOrFolderConflict(StatusOfError("didn't find section in config file")));
  EXPECT_FALSE(IsFileOrFolderConflict(absl::OkStatus()));
}

TEST(RcloneStatusTest, WhatTheSystemDeniesIsNotAWrongKey) {
  EXPECT_EQ(ExitCodeFor(StatusOfError("permission denied")), kExitFailure);
}

TEST(RcloneStatusTest, TheMessageIsOneLineAndBounded) {
  EXPECT_THAT(MessageOf(StatusOfError("one\\n\\ttwo\\n")), EndsWith(". rclone says: one two"));
  EXPECT_EQ(StatusOfError(std::string(10'000, 'x'), 404).message().size(), 500u);
  EXPECT_THAT(MessageOf(StatusFromRclone(502, "")), EndsWith("rclone answered with status 502"));
  EXPECT_THAT(MessageOf(StatusFromRclone(500, "no JSON")), EndsWith("rclone says: no JSON"));
}

}  // namespace
}  // namespace holdfast
