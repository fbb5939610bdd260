#include "common/rpc/status_mapping.h"

#include <cstring>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

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

TEST(StatusMappingTest, ACodeThatIsNoneIsUnknown) {
  // As it comes from a peer with other ideas: gRPC casts the number that it receives.
  int number = 99;
  grpc::StatusCode code;
  static_assert(sizeof(code) == sizeof(number));
  std::memcpy(&code, &number, sizeof(code));
  EXPECT_THAT(FromGrpcStatus(grpc::Status(code, "odd")),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("99: odd")));
}

}  // namespace
}  // namespace holdfast
