#include "common/messages/proto_time.h"

#include "gtest/gtest.h"

namespace holdfast {
namespace {

TEST(ProtoTimeTest, TimesComeBackAsTheyWere) {
  for (const absl::Time time :
       {absl::UnixEpoch(), absl::FromUnixNanos(1'795'372'500'123'456'789), absl::FromUnixNanos(-1),
        absl::FromUnixSeconds(-5) + absl::Milliseconds(300)}) {
    EXPECT_EQ(FromProto(ToProto(time)), time);
    EXPECT_GE(ToProto(time).nanos(), 0);
  }
}

TEST(ProtoTimeTest, DurationsComeBackAsTheyWere) {
  for (const absl::Duration duration : {absl::ZeroDuration(), absl::Milliseconds(1500),
                                        -absl::Milliseconds(1500), absl::Hours(24 * 31)}) {
    EXPECT_EQ(FromProto(ToProto(duration)), duration);
  }
}

TEST(ProtoTimeTest, WhatMessagesCannotHoldIsCut) {
  EXPECT_EQ(ToProto(absl::InfiniteFuture()).seconds(), 253'402'300'799);
  EXPECT_EQ(ToProto(absl::InfinitePast()).seconds(), -62'135'596'800);
  EXPECT_EQ(ToProto(absl::InfiniteDuration()).seconds(), 315'576'000'000);
  EXPECT_EQ(ToProto(-absl::InfiniteDuration()).seconds(), -315'576'000'000);
}

}  // namespace
}  // namespace holdfast
