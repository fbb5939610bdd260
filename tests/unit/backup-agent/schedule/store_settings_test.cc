#include "backup-agent/schedule/store_settings.h"

#include <functional>
#include <string>

#include "common/messages/proto_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kFingerprint[] = "0123456789abcdef";

v1::Settings Good() {
  AgentStoreConfig config;
  config.name = "main";
  config.destinations = {{"local", "file:///srv/backup"}, {"share", "file:///mnt/share"}};
  return SeedSettings(config);
}

// What CheckSettings says of settings that were changed.
absl::StatusOr<v1::Settings> Check(const std::function<void(v1::Settings&)>& change) {
  v1::Settings settings = Good();
  change(settings);
  return CheckSettings(settings, kFingerprint);
}

auto IsInvalid(const std::string& message) {
  return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message));
}

TEST(StoreSettingsTest, SeedsAreSettings) {
  const v1::Settings settings = Good();
  EXPECT_EQ(settings.settings_revision(), 1u);
  EXPECT_EQ(settings.store_name(), "main");
  EXPECT_TRUE(settings.schedule().automatic());
  EXPECT_EQ(FromProto(settings.schedule().interval()), absl::Hours(4));
  EXPECT_EQ(settings.destinations(1).url(), "file:///mnt/share");
  EXPECT_OK(CheckSettings(settings, kFingerprint));
}

TEST(StoreSettingsTest, EmptyFieldsAreFilledIn) {
  ASSERT_OK_AND_ASSIGN(const v1::Settings settings, Check([](v1::Settings& s) {
                         s.mutable_schedule()->clear_interval();
                         s.mutable_schedule()->clear_time_zone();
                         s.mutable_destinations(0)->set_url("/srv//backup/");
                         s.set_key_fingerprint("shown only");
                         s.mutable_destinations(0)->set_repository_id("shown only");
                       }));
  EXPECT_EQ(FromProto(settings.schedule().interval()), absl::Hours(4));
  EXPECT_EQ(settings.schedule().time_zone(), "UTC");
  EXPECT_EQ(settings.destinations(0).url(), "file:///srv/backup");
  EXPECT_EQ(settings.key_fingerprint(), "");
  EXPECT_EQ(settings.destinations(0).repository_id(), "");
}

TEST(StoreSettingsTest, EveryRuleIsChecked) {
  EXPECT_THAT(Check([](v1::Settings& s) { s.clear_schedule(); }),
              IsInvalid("schedule: is missing"));
  EXPECT_THAT(Check([](v1::Settings& s) {
                *s.mutable_schedule()->mutable_interval() = ToProto(absl::Seconds(1));
              }),
              IsInvalid("schedule.interval"));
  EXPECT_THAT(Check([](v1::Settings& s) { s.mutable_schedule()->set_time_zone("Mars"); }),
              IsInvalid("schedule.time_zone"));
  EXPECT_THAT(Check([](v1::Settings& s) { s.clear_destinations(); }),
              IsInvalid("there must be 1 to 16"));
  EXPECT_THAT(Check([](v1::Settings& s) {
                for (int i = 0; i < 15; ++i) s.add_destinations();
              }),
              IsInvalid("there must be 1 to 16"));
  EXPECT_THAT(Check([](v1::Settings& s) { s.mutable_destinations(0)->set_name("Local"); }),
              IsInvalid("destinations.name: "));
  EXPECT_THAT(Check([](v1::Settings& s) { s.mutable_destinations(0)->set_name("share"); }),
              IsInvalid("there are two \"share\""));
  EXPECT_THAT(Check([](v1::Settings& s) { s.mutable_destinations(0)->set_url("ftp://x"); }),
              IsInvalid("destinations.url of local"));
  EXPECT_THAT(Check([](v1::Settings& s) { s.mutable_destinations(0)->set_url("/mnt/share"); }),
              IsInvalid("two destinations at file:///mnt/share"));
  EXPECT_THAT(Check([](v1::Settings& s) { s.set_required_destinations(3); }),
              IsInvalid("3 are required, but there are 2"));
}

TEST(StoreSettingsTest, NoDestinationIsPutInsideOfAnother) {
  const auto with = [](const char* first, const char* second) {
    v1::Settings settings;
    v1::Destination& local = *settings.add_destinations();
    local.set_name("local");
    local.set_url(first);
    v1::Destination& share = *settings.add_destinations();
    share.set_name("share");
    share.set_url(second);
    return settings;
  };
  const v1::Settings apart = with("file:///mnt/share2", "file:///mnt/share");
  const v1::Settings nested = with("file:///mnt/share/x", "file:///mnt/share");
  EXPECT_OK(CheckThatNoneIsInside({}, apart));
  EXPECT_THAT(CheckThatNoneIsInside(apart, nested),
              IsInvalid("destinations.url of local: file:///mnt/share/x is inside of destination "
                        "share"));
  EXPECT_THAT(CheckThatNoneIsInside({}, with("rclone:r:", "rclone:r:backups")),
              IsInvalid("is inside of destination local"));
  EXPECT_THAT(CheckThatNoneIsInside({}, with("file:///", "file:///mnt/share")),
              IsInvalid("is inside of destination local"));
  // What is so already hinders no other change.
  EXPECT_OK(CheckThatNoneIsInside(nested, nested));
}

TEST(StoreSettingsTest, OnlyTheKeyInUseCanBeConfirmed) {
  EXPECT_OK(Check([](v1::Settings& s) { s.set_key_confirmed_fingerprint(kFingerprint); }));
  EXPECT_OK(Check([](v1::Settings& s) { s.set_key_confirmed_fingerprint(""); }));
  EXPECT_THAT(Check([](v1::Settings& s) { s.set_key_confirmed_fingerprint("fedcba9876543210"); }),
              IsInvalid(kFingerprint));
}

TEST(StoreSettingsTest, ZeroRequiredMeansAll) {
  v1::Settings settings = Good();
  EXPECT_EQ(RequiredDestinations(settings), 2u);
  settings.set_required_destinations(1);
  EXPECT_EQ(RequiredDestinations(settings), 1u);
}

TEST(StoreSettingsTest, DestinationElsewhereIsANewOne) {
  v1::Settings changed = Good();
  EXPECT_THAT(NewDestinations(Good(), changed), IsEmpty());
  changed.mutable_destinations(0)->set_url("file:///srv/other");
  ASSERT_THAT(NewDestinations(Good(), changed), SizeIs(1));
  EXPECT_EQ(NewDestinations(Good(), changed)[0].url(), "file:///srv/other");
  EXPECT_THAT(NewDestinations(changed, Good()), SizeIs(1));
}

TEST(StoreSettingsTest, WhatWasKnownOfADestinationElsewhereIsForgotten) {
  v1::Settings changed = Good();
  changed.mutable_destinations(0)->set_url("file:///srv/other");
  agent::v1::StoreMemory memory;
  (*memory.mutable_destinations())["local"].set_repository_id("1");
  (*memory.mutable_destinations())["share"].set_repository_id("2");
  (*memory.mutable_destinations())["gone"].set_repository_id("3");
  ForgetDestinations(Good(), changed, memory);
  EXPECT_EQ(memory.destinations().size(), 1u);
  EXPECT_EQ(memory.destinations().at("share").repository_id(), "2");
}

}  // namespace
}  // namespace holdfast
