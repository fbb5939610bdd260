#include "common/repository/deciding_marks.h"

#include "gtest/gtest.h"

namespace holdfast {
namespace {

using repository::v1::Mark;

TEST(DecidingMarksTest, NewestByNameDecidesInWhateverOrderTheyCome) {
  DecidingMarks marks;
  marks.Add("id/20261122T183502.000Z-undeleted-2", Mark::KIND_UNDELETED);
  marks.Add("id/20261122T183501.000Z-deleted-1", Mark::KIND_DELETED);
  EXPECT_EQ(marks.deletion, "id/20261122T183502.000Z-undeleted-2");
  marks.Add("id/20261122T183503.000Z-deleted-3", Mark::KIND_DELETED);
  EXPECT_EQ(marks.deletion, "id/20261122T183503.000Z-deleted-3");
  EXPECT_EQ(marks.pin, "");
}

TEST(DecidingMarksTest, EachKindDecidesItsQuestions) {
  DecidingMarks marks;
  marks.Add("id/1-drilled", Mark::KIND_DRILLED);
  EXPECT_EQ(marks.drill, "id/1-drilled");
  EXPECT_EQ(marks.health, "id/1-drilled");
  marks.Add("id/2-checked", Mark::KIND_CHECKED);
  EXPECT_EQ(marks.drill, "id/1-drilled") << "a check proves no restore";
  EXPECT_EQ(marks.health, "id/2-checked");
  marks.Add("id/3-damaged", Mark::KIND_DAMAGED);
  EXPECT_EQ(marks.drill, "id/3-damaged");
  EXPECT_EQ(marks.health, "id/3-damaged");
  marks.Add("id/4-unpinned", Mark::KIND_UNPINNED);
  EXPECT_EQ(marks.pin, "id/4-unpinned");
  EXPECT_EQ(marks.deletion, "");
}

TEST(DecidingMarksTest, KindThatIsNotKnownDecidesNothing) {
  DecidingMarks marks;
  marks.Add("id/1-unspecified", Mark::KIND_UNSPECIFIED);
  EXPECT_EQ(marks.deletion + marks.pin + marks.health + marks.drill, "");
}

}  // namespace
}  // namespace holdfast
