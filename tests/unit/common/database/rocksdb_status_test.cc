#include "common/database/rocksdb_status.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using RocksStatus = rocksdb::Status;

TEST(RocksDbStatusTest, OkIsOk) {
  EXPECT_OK(StatusFromRocksDb(RocksStatus::OK(), "get"));
  EXPECT_TRUE(ToRocksDbStatus(absl::OkStatus()).ok());
  EXPECT_TRUE(ToRocksDbIoStatus(absl::OkStatus()).ok());
}

TEST(RocksDbStatusTest, MessageHasTheContextAndRocksDbsWords) {
  EXPECT_THAT(StatusFromRocksDb(RocksStatus::Corruption("block checksum mismatch"), "get a"),
              StatusIs(absl::StatusCode::kDataLoss,
                       AllOf(StartsWith("get a: "), HasSubstr("block checksum mismatch"))));
}

TEST(RocksDbStatusTest, CodeSaysWhatTheCallerShouldDo) {
  const auto code = [](const RocksStatus& status) { return StatusFromRocksDb(status, "").code(); };
  EXPECT_EQ(code(RocksStatus::NotFound()), absl::StatusCode::kNotFound);
  EXPECT_EQ(code(RocksStatus::PathNotFound()), absl::StatusCode::kNotFound);
  EXPECT_EQ(code(RocksStatus::Corruption()), absl::StatusCode::kDataLoss);
  EXPECT_EQ(code(RocksStatus::NotSupported()), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(code(RocksStatus::InvalidArgument()), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(RocksStatus::NoSpace()), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code(RocksStatus::SpaceLimit()), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code(RocksStatus::MemoryLimit()), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code(RocksStatus::CompactionTooLarge()), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code(RocksStatus::IOError("EIO")), absl::StatusCode::kUnavailable);
  EXPECT_EQ(code(RocksStatus::Busy()), absl::StatusCode::kUnavailable);
  EXPECT_EQ(code(RocksStatus::TryAgain()), absl::StatusCode::kUnavailable);
  EXPECT_EQ(code(RocksStatus::Incomplete()), absl::StatusCode::kUnavailable);
  EXPECT_EQ(code(RocksStatus::ShutdownInProgress()), absl::StatusCode::kUnavailable);
  EXPECT_EQ(code(RocksStatus::TimedOut()), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(code(RocksStatus::Aborted()), absl::StatusCode::kAborted);
  EXPECT_EQ(code(RocksStatus::ColumnFamilyDropped()), absl::StatusCode::kInternal);
}

TEST(RocksDbStatusTest, OurErrorsReachRocksDbAsWhatItKnows) {
  EXPECT_TRUE(ToRocksDbStatus(absl::DataLossError("x")).IsCorruption());
  EXPECT_TRUE(ToRocksDbStatus(absl::PermissionDeniedError("x")).IsCorruption());
  EXPECT_TRUE(ToRocksDbStatus(absl::UnimplementedError("x")).IsNotSupported());
  EXPECT_TRUE(ToRocksDbStatus(absl::ResourceExhaustedError("x")).IsNoSpace());
  EXPECT_TRUE(ToRocksDbStatus(absl::NotFoundError("x")).IsPathNotFound());
  EXPECT_TRUE(ToRocksDbStatus(absl::InternalError("x")).IsIOError());
  EXPECT_TRUE(ToRocksDbIoStatus(absl::DataLossError("x")).IsCorruption());
  EXPECT_THAT(ToRocksDbStatus(absl::DataLossError("the words")).ToString(), HasSubstr("the words"));
}

}  // namespace
}  // namespace holdfast
