#include "backup-agent/proving/proof_schedule.h"

#include <string>
#include <vector>

#include "common/messages/proto_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr absl::Duration kDay = absl::Hours(24);

class ProofScheduleTest : public testing::Test {
 protected:
  // A destination with backups since `first`, last checked and drilled then, both with success;
  // InfinitePast: never.
  static ProvableDestination At(const std::string& name, absl::Time first, absl::Time check,
                                absl::Time drill) {
    ProvableDestination destination;
    destination.name = name;
    destination.has_backups = true;
    destination.memory.set_first_backup_time_us(absl::ToUnixMicros(first));
    if (check != absl::InfinitePast()) {
      destination.memory.set_last_check_time_us(absl::ToUnixMicros(check));
    }
    if (drill != absl::InfinitePast()) {
      destination.memory.set_last_drill_time_us(absl::ToUnixMicros(drill));
      destination.memory.set_drilled_time_us(absl::ToUnixMicros(drill));
    }
    return destination;
  }

  // "check a" for each that is due, in order.
  std::vector<std::string> Due(const std::vector<ProvableDestination>& destinations) const {
    std::vector<std::string> texts;
    for (const DueProof& due : FindDueProofs(proving_, destinations, now_)) {
      texts.push_back((due.kind == v1::Proof::KIND_DRILL ? "drill " : "check ") +
                      due.destination_name);
    }
    return texts;
  }

  const absl::Time now_ = absl::FromUnixSeconds(1'795'000'000);
  const absl::Time long_ago_ = now_ - 100 * kDay;
  v1::Proving proving_ = DefaultProving();
};

TEST_F(ProofScheduleTest, ChecksDailyAndDrillsWeekly) {
  EXPECT_THAT(Due({At("a", long_ago_, now_ - kDay, now_ - 7 * kDay)}),
              ElementsAre("check a", "drill a"));
  EXPECT_THAT(
      Due({At("a", long_ago_, now_ - kDay + absl::Seconds(1), now_ - 7 * kDay + absl::Seconds(1))}),
      IsEmpty());
}

TEST_F(ProofScheduleTest, ADrillThatDidNotSucceedIsMadeAgainAfterADay) {
  ProvableDestination destination = At("a", long_ago_, now_, now_ - kDay);
  EXPECT_THAT(Due({destination}), IsEmpty());
  destination.memory.set_drilled_time_us(absl::ToUnixMicros(now_ - 8 * kDay));
  EXPECT_THAT(Due({destination}), ElementsAre("drill a"));
  destination.memory.set_last_drill_time_us(absl::ToUnixMicros(now_ - kDay + absl::Seconds(1)));
  EXPECT_THAT(Due({destination}), IsEmpty());
  // One that never succeeded, too.
  destination.memory.clear_drilled_time_us();
  EXPECT_THAT(Due({destination}), IsEmpty());
  destination.memory.set_last_drill_time_us(absl::ToUnixMicros(now_ - kDay));
  EXPECT_THAT(Due({destination}), ElementsAre("drill a"));
}

TEST_F(ProofScheduleTest, LongestOverdueComesFirst) {
  EXPECT_THAT(
      Due({At("a", long_ago_, now_, now_ - 8 * kDay), At("b", long_ago_, now_, now_ - 9 * kDay)}),
      ElementsAre("drill b", "drill a"));
}

TEST_F(ProofScheduleTest, NewDestinationIsLeftAloneForAnHour) {
  const absl::Time never = absl::InfinitePast();
  EXPECT_THAT(Due({At("a", now_ - absl::Minutes(59), never, never)}), IsEmpty());
  EXPECT_THAT(Due({At("a", now_ - absl::Minutes(60), never, never)}),
              ElementsAre("check a", "drill a"));
}

TEST_F(ProofScheduleTest, NothingIsDueWhereThereIsNoBackup) {
  ProvableDestination empty = At("a", long_ago_, absl::InfinitePast(), absl::InfinitePast());
  empty.has_backups = false;
  EXPECT_THAT(Due({empty}), IsEmpty());
}

TEST_F(ProofScheduleTest, ClockThatWasSetBackDelaysNothingForLong) {
  EXPECT_THAT(Due({At("a", long_ago_, now_ + 30 * kDay, now_ + 30 * kDay)}),
              ElementsAre("check a", "drill a"));
  // Clocks may differ a little.
  EXPECT_THAT(Due({At("a", long_ago_, now_ + absl::Hours(23), now_ + absl::Hours(23))}), IsEmpty());
}

TEST_F(ProofScheduleTest, EachCanBeTurnedOff) {
  proving_.set_read_data_days(0);
  EXPECT_THAT(Due({At("a", long_ago_, long_ago_, long_ago_)}), ElementsAre("drill a"));
  proving_.clear_drill_interval();
  EXPECT_THAT(Due({At("a", long_ago_, long_ago_, long_ago_)}), IsEmpty());
}

TEST_F(ProofScheduleTest, UnprovenIsSaidAfterTheAgeOfTheSettings) {
  ProvableDestination destination = At("a", long_ago_, now_, absl::InfinitePast());
  EXPECT_THAT(WhyNotProven(proving_, destination, now_), HasSubstr("in the 100 days"));
  destination.memory.set_drilled_time_us(absl::ToUnixMicros(now_ - 14 * kDay));
  EXPECT_EQ(WhyNotProven(proving_, destination, now_), "");
  EXPECT_EQ(WhyNotProven(proving_, destination, now_ + kDay), "no drill has succeeded for 15 days");
  proving_.clear_drill_age_max();
  EXPECT_EQ(WhyNotProven(proving_, destination, now_ + kDay), "");
}

TEST_F(ProofScheduleTest, WrongSettingsAreRefused) {
  EXPECT_OK(CheckProving(DefaultProving()));
  EXPECT_OK(CheckProving(v1::Proving()));
  v1::Proving proving;
  proving.set_read_data_days(366);
  EXPECT_THAT(CheckProving(proving),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("proving.read_data_days")));
  proving.Clear();
  *proving.mutable_drill_interval() = ToProto(absl::Minutes(59));
  EXPECT_THAT(CheckProving(proving),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("proving.drill_interval")));
  proving.Clear();
  *proving.mutable_drill_age_max() = ToProto(-absl::Seconds(1));
  EXPECT_THAT(CheckProving(proving),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("proving.drill_age_max")));
}

}  // namespace
}  // namespace holdfast
