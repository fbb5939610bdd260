#include "common/base/status.h"

#include <string>

#include "absl/strings/cord.h"
#include "common/base/status_macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(StatusTest, AnnotationGoesBeforeTheMessageAndKeepsTheRest) {
  absl::Status inner = absl::DataLossError("checksum mismatch");
  inner.SetPayload("holdfast.test", absl::Cord("payload"));

  const absl::Status outer = Annotate(Annotate(inner, "read 000042.sst"), "back up store 1f");

  EXPECT_THAT(outer, StatusIs(absl::StatusCode::kDataLoss,
                              "back up store 1f: read 000042.sst: checksum mismatch"));
  EXPECT_THAT(outer.GetPayload("holdfast.test").has_value(), Eq(true));
}

TEST(StatusTest, AnnotatedOkIsOk) { EXPECT_OK(Annotate(absl::OkStatus(), "context")); }

TEST(StatusTest, MessageWithoutAContextBeginsAfterIt) {
  const absl::Status status = absl::DataLossError("stores/a: damaged: too short");
  EXPECT_EQ(MessageWithout(status, "stores/a"), "damaged: too short");
  EXPECT_EQ(MessageWithout(status, "stores"), status.message());
  EXPECT_EQ(MessageWithout(status, "damaged"), status.message());
  EXPECT_EQ(MessageWithout(absl::OkStatus(), "stores/a"), "");
}

TEST(StatusTest, WithCodeKeepsMessageAndPayloads) {
  absl::Status status = absl::NotFoundError("no document");
  status.SetPayload("holdfast.test", absl::Cord("payload"));

  const absl::Status changed = WithCode(status, absl::StatusCode::kFailedPrecondition);

  EXPECT_THAT(changed, StatusIs(absl::StatusCode::kFailedPrecondition, "no document"));
  EXPECT_THAT(changed.GetPayload("holdfast.test").has_value(), Eq(true));
}

absl::StatusOr<int> Half(int n) {
  if (n % 2 != 0) return absl::InvalidArgumentError("odd");
  return n / 2;
}

absl::StatusOr<int> Quarter(int n) {
  HOLDFAST_ASSIGN_OR_RETURN(const int half, Half(n));
  HOLDFAST_ASSIGN_OR_RETURN(const int quarter, Half(half), "the second half");
  return quarter;
}

absl::Status CheckTwice(const absl::Status& first, const absl::Status& second, int& context_made) {
  const auto context = [&] {
    ++context_made;
    return std::string("second");
  };
  HOLDFAST_RETURN_IF_ERROR(first);
  HOLDFAST_RETURN_IF_ERROR(second, context());
  return absl::OkStatus();
}

TEST(StatusMacrosTest, AssignOrReturnAssignsOrReturnsTheErrorInContext) {
  EXPECT_THAT(Quarter(12), IsOkAndHolds(3));
  EXPECT_THAT(Quarter(3), StatusIs(absl::StatusCode::kInvalidArgument, "odd"));
  EXPECT_THAT(Quarter(6), StatusIs(absl::StatusCode::kInvalidArgument, "the second half: odd"));
}

TEST(StatusMacrosTest, ReturnIfErrorMakesTheContextOnlyOnAnError) {
  int context_made = 0;
  EXPECT_OK(CheckTwice(absl::OkStatus(), absl::OkStatus(), context_made));
  EXPECT_THAT(CheckTwice(absl::AbortedError("a"), absl::OkStatus(), context_made),
              StatusIs(absl::StatusCode::kAborted, "a"));
  EXPECT_EQ(context_made, 0);
  EXPECT_THAT(CheckTwice(absl::OkStatus(), absl::AbortedError("b"), context_made),
              StatusIs(absl::StatusCode::kAborted, "second: b"));
  EXPECT_EQ(context_made, 1);
}

TEST(StatusMatchersTest, NameTheCodeAndTheMessage) {
  const absl::StatusOr<int> error = absl::NotFoundError("no document x");
  EXPECT_THAT(error, Not(IsOk()));
  EXPECT_THAT(error, StatusIs(absl::StatusCode::kNotFound, HasSubstr("document")));
  EXPECT_THAT(error, Not(StatusIs(absl::StatusCode::kAborted)));
  EXPECT_THAT(error, Not(StatusIs(absl::StatusCode::kNotFound, "other")));
  EXPECT_THAT(error, Not(IsOkAndHolds(1)));
  EXPECT_THAT(absl::StatusOr<int>(2), Not(IsOkAndHolds(1)));
  EXPECT_THAT(testing::DescribeMatcher<absl::Status>(StatusIs(absl::StatusCode::kNotFound, "x")),
              HasSubstr("x"));
}

}  // namespace
}  // namespace holdfast
