#include "common/base/nearest_name.h"

#include <string>

#include "gtest/gtest.h"

namespace holdfast {
namespace {

TEST(NearestNameTest, FindsWhatWasProbablyMeant) {
  EXPECT_EQ(NearestName("--frm", {"--to", "--from", "--format"}), "--from");
  EXPECT_EQ(NearestName("data_directroy", {"socket", "data_directory"}), "data_directory");
  EXPECT_EQ(NearestName("socket", {"socket"}), "socket");
}

TEST(NearestNameTest, FindsNothingWhereNothingIsNear) {
  EXPECT_EQ(NearestName("--bogus", {"--to", "--from"}), "");
  EXPECT_EQ(NearestName("name", {}), "");
  const std::string long_name(1000, 'x');
  EXPECT_EQ(NearestName(long_name, {long_name}), "");
}

}  // namespace
}  // namespace holdfast
