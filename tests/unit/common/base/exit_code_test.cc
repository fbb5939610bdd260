#include "common/base/exit_code.h"

#include "common/base/status.h"
#include "gtest/gtest.h"

namespace holdfast {
namespace {

TEST(ExitCodeTest, TellsErrorsApart) {
  EXPECT_EQ(ExitCodeFor(absl::OkStatus()), 0);
  EXPECT_EQ(ExitCodeFor(absl::InternalError("")), 1);
  EXPECT_EQ(ExitCodeFor(absl::ResourceExhaustedError("")), 1);
  EXPECT_EQ(ExitCodeFor(absl::UnimplementedError("")), 1);
  EXPECT_EQ(ExitCodeFor(absl::InvalidArgumentError("")), 2);
  EXPECT_EQ(ExitCodeFor(absl::OutOfRangeError("")), 2);
  EXPECT_EQ(ExitCodeFor(absl::NotFoundError("")), 3);
  EXPECT_EQ(ExitCodeFor(absl::AlreadyExistsError("")), 4);
  EXPECT_EQ(ExitCodeFor(absl::FailedPreconditionError("")), 4);
  EXPECT_EQ(ExitCodeFor(absl::AbortedError("")), 4);
  EXPECT_EQ(ExitCodeFor(absl::DataLossError("")), 5);
  EXPECT_EQ(ExitCodeFor(absl::PermissionDeniedError("")), 6);
  EXPECT_EQ(ExitCodeFor(absl::UnavailableError("")), 7);
  EXPECT_EQ(ExitCodeFor(absl::DeadlineExceededError("")), 7);
  EXPECT_EQ(ExitCodeFor(absl::CancelledError("")), 130);
}

TEST(ExitCodeTest, DoesNotTakeADeniedFileForAWrongKey) {
  const absl::Status denied = MarkDeniedBySystem(absl::PermissionDeniedError("/etc/shadow"));
  EXPECT_EQ(denied.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(ExitCodeFor(denied), kExitFailure);
  EXPECT_EQ(ExitCodeFor(Annotate(denied, "read the configuration")), kExitFailure);
}

}  // namespace
}  // namespace holdfast
