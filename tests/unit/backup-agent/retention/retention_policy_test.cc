#include "backup-agent/retention/retention_policy.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "common/messages/proto_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

absl::Time At(const std::string& text) {
  absl::Time time;
  EXPECT_TRUE(absl::ParseTime("%Y-%m-%d %H:%M", text, &time, nullptr)) << text;
  return time;
}

class RetentionPolicyTest : public testing::Test {
 protected:
  RetentionPolicyTest() { retention_.set_time_zone("UTC"); }

  // Adds a backup that is newer than those before, whatever its time.
  RetentionCandidate& Add(absl::Time time) {
    RetentionCandidate& added = backups_.emplace_back();
    added.backup_id = absl::StrCat("b", backups_.size());
    added.time = time;
    return added;
  }
  void AddEvery(absl::Duration interval, int count, absl::Time begin) {
    for (int i = 0; i < count; ++i) Add(begin + i * interval);
  }

  std::vector<RetentionDecision> Decide() {
    return RetentionPolicy::Create(retention_)->Decide(backups_);
  }
  std::set<std::string> Kept() {
    std::set<std::string> kept;
    for (const RetentionDecision& decision : Decide()) {
      std::vector<std::string> rules = decision.reasons;
      if (!rules.empty() && rules.back() == "damaged") rules.pop_back();
      EXPECT_EQ(decision.is_kept, !rules.empty());
      if (decision.is_kept) kept.insert(decision.backup_id);
    }
    return kept;
  }
  std::vector<std::string> ReasonsOf(const std::string& backup_id) {
    for (const RetentionDecision& decision : Decide()) {
      if (decision.backup_id == backup_id) return decision.reasons;
    }
    return {};
  }

  v1::Retention retention_;
  std::vector<RetentionCandidate> backups_;
};

TEST_F(RetentionPolicyTest, WithoutRulesAllAreKept) {
  AddEvery(absl::Hours(1000), 50, At("2020-01-01 00:00"));
  EXPECT_EQ(Kept().size(), 50u);
}

TEST_F(RetentionPolicyTest, NoBackupsNoDecisions) {
  retention_ = DefaultRetention();
  EXPECT_THAT(Decide(), IsEmpty());
}

TEST_F(RetentionPolicyTest, KeepsTheLastOfEachDayOfTheZone) {
  retention_.set_keep_daily(2);
  retention_.set_time_zone("America/New_York");
  Add(At("2026-03-01 12:00"));
  Add(At("2026-03-03 04:59"));  // still the second of March there
  Add(At("2026-03-03 05:00"));
  Add(At("2026-03-03 20:00"));
  EXPECT_THAT(Kept(), ElementsAre("b2", "b4"));
  EXPECT_THAT(ReasonsOf("b2"), ElementsAre("daily 2026-03-02"));
  EXPECT_THAT(ReasonsOf("b4"), ElementsAre("the newest", "daily 2026-03-03"));
}

TEST_F(RetentionPolicyTest, WeeksBeginOnMonday) {
  retention_.set_keep_weekly(10);
  Add(At("2026-11-15 10:00"));  // a Sunday
  Add(At("2026-11-16 10:00"));  // a Monday
  Add(At("2026-11-22 10:00"));  // the Sunday after
  EXPECT_THAT(Kept(), ElementsAre("b1", "b3"));
  EXPECT_THAT(ReasonsOf("b1"), ElementsAre("weekly from 2026-11-09"));
}

TEST_F(RetentionPolicyTest, PeriodsWithoutABackupAreNotCounted) {
  retention_.set_keep_monthly(3);
  Add(At("2020-01-31 10:00"));
  Add(At("2023-05-01 10:00"));
  Add(At("2023-05-31 10:00"));
  Add(At("2026-11-22 10:00"));
  EXPECT_THAT(Kept(), ElementsAre("b1", "b3", "b4"));
}

TEST_F(RetentionPolicyTest, LastAndWithinCountFromTheNewest) {
  retention_.set_keep_last(2);
  AddEvery(absl::Hours(4), 20, At("2026-11-01 00:00"));
  EXPECT_THAT(Kept(), ElementsAre("b19", "b20"));
  *retention_.mutable_keep_within() = ToProto(absl::Hours(12));
  EXPECT_THAT(Kept(), ElementsAre("b17", "b18", "b19", "b20"));
}

TEST_F(RetentionPolicyTest, PinnedAndProvenStayWhateverTheRulesSay) {
  retention_.set_keep_last(1);
  AddEvery(absl::Hours(4), 10, At("2026-11-01 00:00"));
  backups_[1].is_pinned = true;
  backups_[2].is_proven = true;
  backups_[4].is_proven = true;
  backups_[5].is_proven_elsewhere = true;
  EXPECT_THAT(Kept(), ElementsAre("b10", "b2", "b5", "b6"));
}

TEST_F(RetentionPolicyTest, WhatWasProvenHereIsNotCalledProvenAtAnotherDestination) {
  retention_.set_keep_last(1);
  AddEvery(absl::Hours(4), 10, At("2026-11-01 00:00"));
  for (const size_t i : {2, 4}) {
    backups_[i].is_proven = true;
    backups_[i].is_proven_elsewhere = true;
  }
  EXPECT_THAT(ReasonsOf("b5"), ElementsAre("the newest that was proven"));
  EXPECT_THAT(ReasonsOf("b3"), ElementsAre("proven at another destination"));
  backups_[4].is_damaged = true;
  EXPECT_THAT(ReasonsOf("b5"), ElementsAre("proven at another destination", "damaged"));
}

TEST_F(RetentionPolicyTest, TheNewestThatIsNotDamagedStays) {
  retention_.set_keep_last(1);
  AddEvery(absl::Hours(4), 5, At("2026-11-01 00:00"));
  backups_[4].is_damaged = true;
  backups_[3].is_damaged = true;
  backups_[1].is_proven = true;
  EXPECT_THAT(Kept(), ElementsAre("b2", "b3", "b4", "b5"));
  backups_[1].is_damaged = true;  // what was proven before is not any more
  EXPECT_THAT(Kept(), ElementsAre("b3", "b4", "b5"));
}

TEST_F(RetentionPolicyTest, ADamagedBackupStandsForItsPeriodOnlyWhereNoneIsWhole) {
  retention_.set_keep_daily(2);
  Add(At("2026-11-01 08:00"));
  Add(At("2026-11-02 08:00")).is_damaged = true;
  Add(At("2026-11-02 12:00")).is_damaged = true;
  Add(At("2026-11-03 04:00"));
  Add(At("2026-11-03 08:00"));
  Add(At("2026-11-03 12:00")).is_damaged = true;
  EXPECT_THAT(Kept(), ElementsAre("b3", "b5"));
  EXPECT_THAT(ReasonsOf("b3"), ElementsAre("daily 2026-11-02", "damaged"));
  EXPECT_THAT(ReasonsOf("b5"), ElementsAre("the newest", "daily 2026-11-03"));
  EXPECT_THAT(ReasonsOf("b6"), ElementsAre("damaged"));
}

TEST_F(RetentionPolicyTest, DamagedBackupsTakeNoPlaceAmongTheLast) {
  retention_.set_keep_last(2);
  AddEvery(absl::Hours(4), 5, At("2026-11-01 00:00"));
  backups_[3].is_damaged = true;
  EXPECT_THAT(Kept(), ElementsAre("b3", "b4", "b5"));
  EXPECT_THAT(ReasonsOf("b4"), ElementsAre("one of the last", "damaged"));
  for (RetentionCandidate& backup : backups_) backup.is_damaged = true;
  EXPECT_EQ(Kept().size(), 5u) << "nothing goes before there is a whole one";
}

TEST_F(RetentionPolicyTest, WithinKeepsDamagedOnes) {
  *retention_.mutable_keep_within() = ToProto(absl::Hours(8));
  AddEvery(absl::Hours(4), 5, At("2026-11-01 00:00"));
  backups_[3].is_damaged = true;
  EXPECT_THAT(Kept(), ElementsAre("b3", "b4", "b5"));
}

// The clock of the machine jumps fourteen years ahead for one backup, and back.
TEST_F(RetentionPolicyTest, AClockThatJumpsMakesNothingOldByMoreThanADay) {
  *retention_.mutable_keep_within() = ToProto(absl::Hours(48));
  AddEvery(absl::Hours(4), 13, At("2026-11-01 00:00"));
  ASSERT_EQ(Kept().size(), 13u);
  Add(At("2040-11-01 00:00"));
  EXPECT_EQ(Kept().size(), 8u) << "24 hours of 4, and the one of the future";
  Add(At("2026-11-03 04:00"));
  EXPECT_EQ(Kept().size(), 14u) << "all within 48 hours again";
  EXPECT_THAT(ReasonsOf(backups_[12].backup_id), ElementsAre("within 2 d of the newest"));
}

TEST_F(RetentionPolicyTest, AClockThatWasSetBackMakesNothingOld) {
  *retention_.mutable_keep_within() = ToProto(absl::Hours(48));
  AddEvery(absl::Hours(4), 13, At("2026-11-01 00:00"));
  AddEvery(absl::Hours(4), 3, At("1990-01-01 00:00"));
  EXPECT_EQ(Kept().size(), 16u);
}

TEST_F(RetentionPolicyTest, AMachineThatWasOffKeepsWhatItHad) {
  retention_ = DefaultRetention();
  AddEvery(absl::Hours(4), 24, At("2026-01-01 00:00"));
  Add(At("2026-09-01 00:00"));
  for (const char* const backup_id : {"b24", "b23", "b22", "b21", "b20", "b19"}) {
    EXPECT_THAT(Kept(), Contains(backup_id));
  }
}

TEST_F(RetentionPolicyTest, WrongFieldsAreNamed) {
  retention_.set_time_zone("Mars/Olympus");
  EXPECT_THAT(RetentionPolicy::Create(retention_),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("retention.time_zone: this machine knows no")));
  retention_.clear_time_zone();
  retention_.set_keep_weekly(100'001);
  EXPECT_THAT(RetentionPolicy::Create(retention_),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("retention.keep_weekly")));
  retention_.clear_keep_weekly();
  retention_.mutable_keep_within()->set_seconds(1);
  retention_.mutable_keep_within()->set_nanos(-999'999'999);
  EXPECT_THAT(RetentionPolicy::Create(retention_),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("retention.keep_within")));
  retention_.mutable_keep_within()->set_seconds(-1);
  EXPECT_THAT(RetentionPolicy::Create(retention_),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("retention.keep_within")));
}

// The rule of the default once more, written down as plainly as it can be.
std::set<std::string> KeptByThePlainRule(const std::vector<RetentionCandidate>& all) {
  std::set<std::string> kept;
  const absl::Time newest = all.back().time;
  for (auto one = all.rbegin(); one != all.rend(); ++one) {
    if (one->is_damaged) continue;
    kept.insert(one->backup_id);
    break;
  }
  for (const RetentionCandidate& one : all) {
    if (newest - one.time <= absl::Hours(48)) kept.insert(one.backup_id);
  }
  const auto keep_last_of_each = [&](const char* period_format, size_t count) {
    std::map<std::string, std::string> last;       // by period, which sorts by time
    for (const bool is_damaged : {true, false}) {  // so that a whole one stands before any other
      for (const RetentionCandidate& one : all) {
        if (one.is_damaged != is_damaged) continue;
        last[absl::FormatTime(period_format, one.time, absl::UTCTimeZone())] = one.backup_id;
      }
    }
    for (auto entry = last.rbegin(); entry != last.rend() && count > 0; ++entry, --count) {
      kept.insert(entry->second);
    }
  };
  keep_last_of_each("%Y-%m-%d", 30);
  keep_last_of_each("%G-%V", 12);
  keep_last_of_each("%Y-%m", 12);
  keep_last_of_each("%Y", 3);
  return kept;
}

// As it goes in use: after each backup what is not kept is gone for the next decision. Some are
// damaged: now and then one, and once all of two days.
TEST_F(RetentionPolicyTest, TwoThousandBackupsEndAsTheRuleSays) {
  retention_ = DefaultRetention();
  const absl::Time begin = At("2024-02-28 02:00");
  std::vector<RetentionCandidate> all;
  for (int i = 0; i < 2000; ++i) {
    Add(begin + i * absl::Hours(4)).is_damaged = i % 11 == 3 || (i >= 1900 && i < 1912);
    all.push_back(backups_.back());
    all.back().backup_id = backups_.back().backup_id = absl::StrCat("n", i);
    const std::set<std::string> kept = Kept();
    if (i % 97 == 0 || i == 1999) {
      ASSERT_EQ(kept, KeptByThePlainRule(all)) << i;
    }
    std::vector<RetentionCandidate> left;
    for (const RetentionCandidate& one : backups_) {
      if (kept.count(one.backup_id) > 0) left.push_back(one);
    }
    backups_ = std::move(left);
  }
  EXPECT_LT(backups_.size(), 70u);
}

}  // namespace
}  // namespace holdfast
