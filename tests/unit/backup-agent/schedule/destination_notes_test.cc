#include "backup-agent/schedule/destination_notes.h"

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"

namespace holdfast {
namespace {

class DestinationNotesTest : public ::testing::Test {
 protected:
  DestinationNotesTest() {
    settings_.add_destinations()->set_name("local");
    settings_.add_destinations()->set_name("share");
  }

  static BackupRunner::Listing Unread(const std::string& name, const absl::Status& error) {
    BackupRunner::Listing listing;
    listing.errors[name] = error;
    return listing;
  }
  std::string Warning(const std::string& name) const {
    const PlaceWarning* const warning = notes_.WarningOf(name);
    return warning == nullptr ? "" : warning->text;
  }

  FakeClock clock_;
  v1::Settings settings_;
  DestinationNotes notes_;
};

TEST_F(DestinationNotesTest, ErrorsAreThoseOfTheLastListing) {
  EXPECT_EQ(notes_.ListingError("share"), "");
  notes_.OnListed(settings_, Unread("share", absl::NotFoundError("not mounted")));
  EXPECT_EQ(notes_.ListingError("share"), "not mounted");
  EXPECT_EQ(notes_.ListingError("local"), "");
  notes_.OnListed(settings_, absl::PermissionDeniedError("another key"));
  EXPECT_EQ(notes_.ListingError("share"), "another key");
  EXPECT_EQ(notes_.ListingError("local"), "another key");
  notes_.OnListed(settings_, BackupRunner::Listing());
  EXPECT_EQ(notes_.ListingError("share"), "");
}

TEST_F(DestinationNotesTest, WarningStaysUntilThePlaceIsSeenWithoutIt) {
  BackupRunner::Listing warned;
  warned.warnings["share"] = {.text = "mounted soft"};
  notes_.OnListed(settings_, warned);
  EXPECT_EQ(Warning("share"), "mounted soft");
  EXPECT_EQ(Warning("local"), "");
  notes_.OnListed(settings_, absl::UnavailableError("not now"));
  EXPECT_EQ(Warning("share"), "mounted soft");
  notes_.OnListed(settings_, Unread("share", absl::NotFoundError("not mounted")));
  EXPECT_EQ(Warning("share"), "mounted soft");
  notes_.OnListed(settings_, BackupRunner::Listing());
  EXPECT_EQ(Warning("share"), "");
}

TEST_F(DestinationNotesTest, DestinationThatMovedHasNoNotes) {
  notes_.OnSuccess("local", clock_.MonotonicNow());
  notes_.OnSuccess("share", clock_.MonotonicNow());
  notes_.OnListed(settings_, absl::UnavailableError("not now"));
  notes_.Forget("share");
  EXPECT_EQ(notes_.SuccessTime("share"), std::nullopt);
  EXPECT_EQ(notes_.ListingError("share"), "");
  EXPECT_EQ(notes_.SuccessTime("local"), clock_.MonotonicNow());
  EXPECT_EQ(notes_.ListingError("local"), "not now");
}

}  // namespace
}  // namespace holdfast
