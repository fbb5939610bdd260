#include "common/rpc/status_mapping.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

TEST(StatusMappingTest, EveryCodeAndItsMessageComeBack) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "write 3: no such thing");
    EXPECT_EQ(FromGrpcStatus(ToGrpcStatus(status)), status);
  }
  EXPECT_OK(FromGrpcStatus(ToGrpcStatus(absl::OkStatus())));
}

TEST(StatusMappingTest, PayloadsStay) {
  absl::Status status = absl::DataLossError("damaged");
  status.SetPayload("holdfast/sealed-fault", absl::Cord("2"));
  const absl::Status received = FromGrpcStatus(ToGrpcStatus(status));
  EXPECT_EQ(received.GetPayload("holdfast/sealed-fault"), absl::nullopt);
}

TEST(StatusMappingTest, ALongMessageIsCutBetweenCharacters) {
  std::string message = "x";
  while (message.size() < 3 * kRpcMessageSizeMaxBytes) message += "\u00e4";
  const grpc::Status status = ToGrpcStatus(absl::InternalError(message));
  EXPECT_LE(status.error_message().size(), kRpcMessageSizeMaxBytes);
  EXPECT_GE(status.error_message().size(), kRpcMessageSizeMaxBytes - 2);
  EXPECT_THAT(status.error_message(), testing::EndsWith("\u00e4 ..."));
}

TEST(StatusMappingTest, AMessageAtTheLimitIsNotCut) {
  const std::string message(kRpcMessageSizeMaxBytes, 'x');
  EXPECT_EQ(ToGrpcStatus(absl::InternalError(message)).error_message(), message);
}

}  // namespace
}  // namespace holdfast
