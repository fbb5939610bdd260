#include "backup-agent/adoption/adoption.h"

#include <string>

#include "backup-agent/schedule/store_settings.h"
#include "common/messages/proto_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr absl::Time kTaken = absl::FromUnixSeconds(1'795'372'500);  // 2026-11-22 18:35 UTC
constexpr absl::Time kNow = absl::FromUnixSeconds(1'795'372'500 + 50 * 3600);

Id128 IdOf(uint8_t byte) {
  Id128::Bytes bytes;
  bytes.fill(byte);
  return Id128(bytes);
}

v1::Destination& AddDestination(v1::Settings& settings, const std::string& name,
                                const std::string& url, const Id128& repository_id) {
  v1::Destination& added = *settings.add_destinations();
  added.set_name(name);
  added.set_url(url);
  added.set_repository_id(repository_id.ToText());
  return added;
}

class AdoptionTest : public testing::Test {
 protected:
  AdoptionTest() {
    repository::v1::BackupSummary& summary = backup_.summary;
    summary.set_backup_id("20261122T183500.000Z-1f9a2b3c");
    summary.set_store_id(IdOf(0x51).ToByteString());
    summary.set_incarnation(IdOf(0x11).ToByteString());
    summary.set_ordinal(57);
    summary.set_revision(1234);
    summary.set_document_count(1000);
    summary.set_state_digest(std::string(32, '\x07'));
    summary.set_checkpoint_time_us(absl::ToUnixMicros(kTaken));
    summary.set_commit_at_agent_time_us(absl::ToUnixMicros(kTaken + absl::Seconds(5)));
    backup_.manifest_hash.fill(0x3a);
    backup_.repository_id = IdOf(0xaa);
    backup_.url = "file:///media/nas";
    backup_.new_name = "nas-here";

    v1::Settings settings;
    settings.set_store_name("shop");
    settings.set_settings_revision(9);
    settings.mutable_schedule()->set_automatic(true);
    *settings.mutable_schedule()->mutable_interval() = ToProto(absl::Hours(6));
    settings.mutable_schedule()->set_start_time_of_day("02:00");
    settings.mutable_schedule()->set_time_zone("UTC");
    settings.mutable_retention()->set_keep_daily(7);
    settings.set_required_destinations(1);
    AddDestination(settings, "local", "file:///srv/backup", IdOf(0xbb));
    AddDestination(settings, "nas", "file:///mnt/nas", IdOf(0xaa));
    backup_.settings = settings;

    KeyFingerprint::Bytes fingerprint;
    fingerprint.fill(0x42);
    options_.key_fingerprint = KeyFingerprint(fingerprint);
  }

  Adoption AdoptIt() {
    absl::StatusOr<Adoption> adoption = Adopt(backup_, options_, kNow);
    EXPECT_OK(adoption);
    return adoption.ok() ? *std::move(adoption) : Adoption();
  }

  AdoptedBackup backup_;
  AdoptOptions options_;
};

TEST_F(AdoptionTest, GoesOnWithSettingsChainAndSchedule) {
  const Adoption adoption = AdoptIt();
  const agent::v1::StoreState& state = adoption.state;
  EXPECT_TRUE(adoption.has_settings);
  EXPECT_EQ(state.settings().store_name(), "shop");
  EXPECT_EQ(state.settings().settings_revision(), 9u);
  EXPECT_EQ(state.settings().retention().keep_daily(), 7u);
  EXPECT_EQ(state.settings().required_destinations(), 1u);
  EXPECT_OK(CheckSettings(state.settings(), options_.key_fingerprint.ToText()));

  const agent::v1::StoreMemory& memory = state.memory();
  EXPECT_EQ(memory.store_id(), IdOf(0x51).ToText());
  EXPECT_EQ(memory.incarnation(), IdOf(0x11).ToText());
  EXPECT_EQ(memory.revision(), 1234u);
  EXPECT_EQ(memory.document_count(), 1000u);
  EXPECT_EQ(memory.state_digest().substr(0, 4), "0707");
  EXPECT_EQ(memory.last_backup_id(), backup_.summary.backup_id());
  EXPECT_EQ(memory.last_ordinal(), 57u);
  EXPECT_EQ(memory.last_manifest_hash(), std::string(32, '\x3a'));

  EXPECT_EQ(state.last_backup().ordinal(), 57u);
  EXPECT_THAT(state.last_backup().destination_names(), testing::ElementsAre("nas"));
  // The time after the backup was missed, so it is due at once.
  EXPECT_EQ(absl::FromUnixMicros(state.next_due_time_us()),
            absl::FromUnixSeconds(1'795'377'600));  // 20:00 UTC
  EXPECT_EQ(absl::FromUnixMicros(state.create_time_us()), kNow);
}

TEST_F(AdoptionTest, FindsTheDestinationByItsRepositoryWhereverItIsNow) {
  const Adoption adoption = AdoptIt();
  EXPECT_EQ(adoption.destination_name, "nas");
  EXPECT_EQ(adoption.former_url, "file:///mnt/nas");
  const v1::Settings& settings = adoption.state.settings();
  ASSERT_EQ(settings.destinations_size(), 2);
  EXPECT_EQ(settings.destinations(0).url(), "file:///srv/backup");
  EXPECT_EQ(settings.destinations(1).url(), "file:///media/nas");
  EXPECT_THAT(settings.destinations(1).repository_id(), IsEmpty());

  // All repositories stay pinned, also the one that nobody has looked at here.
  const auto& known = adoption.state.memory().destinations();
  EXPECT_EQ(known.at("nas").repository_id(), IdOf(0xaa).ToText());
  EXPECT_EQ(known.at("nas").last_backup_id(), backup_.summary.backup_id());
  EXPECT_TRUE(known.at("nas").has_unnamed_objects());
  EXPECT_EQ(known.at("local").repository_id(), IdOf(0xbb).ToText());
  EXPECT_THAT(known.at("local").last_backup_id(), IsEmpty());
}

TEST_F(AdoptionTest, FindsTheDestinationByItsUrlWhereNoRepositoryIsKnown) {
  for (v1::Destination& destination : *backup_.settings->mutable_destinations()) {
    destination.clear_repository_id();
  }
  backup_.url = "file:///srv/backup";
  const Adoption adoption = AdoptIt();
  EXPECT_EQ(adoption.destination_name, "local");
  EXPECT_THAT(adoption.former_url, IsEmpty());
  EXPECT_EQ(adoption.state.memory().destinations().at("local").repository_id(),
            IdOf(0xaa).ToText());
  EXPECT_EQ(adoption.state.memory().destinations().count("nas"), 0u);
}

TEST_F(AdoptionTest, AddsADestinationThatTheSettingsDoNotKnow) {
  backup_.repository_id = IdOf(0xcc);
  backup_.new_name = "nas";  // taken
  const Adoption adoption = AdoptIt();
  EXPECT_EQ(adoption.destination_name, "nas-2");
  ASSERT_EQ(adoption.state.settings().destinations_size(), 3);
  EXPECT_EQ(adoption.state.settings().destinations(2).url(), "file:///media/nas");
}

TEST_F(AdoptionTest, NeverLeavesTwoDestinationsAtOneUrl) {
  backup_.url = "file:///srv/backup";  // where "local" was
  const Adoption adoption = AdoptIt();
  const v1::Settings& settings = adoption.state.settings();
  EXPECT_EQ(adoption.destination_name, "nas");
  EXPECT_EQ(settings.destinations(1).url(), "file:///srv/backup");
  EXPECT_EQ(settings.destinations(0).url(), "file:///mnt/nas");
  EXPECT_OK(CheckSettings(settings, options_.key_fingerprint.ToText()));
}

TEST_F(AdoptionTest, TakesAKeyThatCameFromElsewhereForConfirmed) {
  const std::string fingerprint = options_.key_fingerprint.ToText();
  EXPECT_THAT(AdoptIt().state.settings().key_confirmed_fingerprint(), IsEmpty());
  options_.is_key_from_elsewhere = true;
  EXPECT_EQ(AdoptIt().state.settings().key_confirmed_fingerprint(), fingerprint);

  options_.is_key_from_elsewhere = false;
  backup_.settings->set_key_confirmed_fingerprint(fingerprint);
  EXPECT_EQ(AdoptIt().state.settings().key_confirmed_fingerprint(), fingerprint);
  backup_.settings->set_key_confirmed_fingerprint("0000000000000000");
  EXPECT_THAT(AdoptIt().state.settings().key_confirmed_fingerprint(), IsEmpty())
      << "said of another key";
}

TEST_F(AdoptionTest, KeepsAutomaticBackupsOffAndTakesNoTimeFromAClockThatIsAhead) {
  backup_.summary.set_checkpoint_time_us(absl::ToUnixMicros(kNow + absl::Hours(1000)));
  EXPECT_LE(absl::FromUnixMicros(AdoptIt().state.next_due_time_us()), kNow + absl::Hours(6));
  backup_.settings->mutable_schedule()->set_automatic(false);
  EXPECT_EQ(AdoptIt().state.next_due_time_us(), 0);
}

TEST_F(AdoptionTest, BeginsWithDefaultsWhereTheBackupDoesNotTell) {
  backup_.settings.reset();
  options_.store_name = "other";
  const Adoption adoption = AdoptIt();
  EXPECT_FALSE(adoption.has_settings);
  EXPECT_EQ(adoption.state.settings().store_name(), "other");
  EXPECT_EQ(adoption.destination_name, "nas-here");
  EXPECT_EQ(adoption.state.memory().last_ordinal(), 57u);
  EXPECT_OK(CheckSettings(adoption.state.settings(), options_.key_fingerprint.ToText()));
}

TEST_F(AdoptionTest, SaysWhereAZoneIsNotKnownHere) {
  backup_.settings->mutable_schedule()->set_time_zone("Mars/Olympus");
  EXPECT_THAT(Adopt(backup_, options_, kNow),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("Mars/Olympus")));
}

TEST_F(AdoptionTest, IsUnusedUntilAnAgentHasBegunWithIt) {
  agent::v1::StoreState state = AdoptIt().state;
  EXPECT_TRUE(IsUnusedAdoption(state, IdOf(0x51)));
  EXPECT_FALSE(IsUnusedAdoption(state, IdOf(0x52)));
  state.mutable_memory()->set_checkpoint_holder("x");
  EXPECT_FALSE(IsUnusedAdoption(state, IdOf(0x51)));
}

}  // namespace
}  // namespace holdfast
