#include "backup-agent/schedule/paging.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace holdfast {
namespace {

absl::StatusOr<PageRange> Page(const std::vector<std::string>& items, int page_size,
                               const std::string& token) {
  return FindPage(
      items,
      [](const std::string& item) {
        return PageItem{item, item.size()};
      },
      page_size, token);
}

std::vector<std::string> Items(int count) {
  std::vector<std::string> items;
  for (int i = 0; i < count; ++i) items.push_back(absl::StrCat("item-", i));
  return items;
}

TEST(PagingTest, PagesFollowEachOtherToTheEnd) {
  const std::vector<std::string> items = Items(5);
  ASSERT_OK_AND_ASSIGN(const PageRange first, Page(items, 2, ""));
  EXPECT_EQ(first.begin, 0u);
  EXPECT_EQ(first.end, 2u);
  ASSERT_OK_AND_ASSIGN(const PageRange second, Page(items, 2, first.next_page_token));
  EXPECT_EQ(second.begin, 2u);
  EXPECT_EQ(second.end, 4u);
  ASSERT_OK_AND_ASSIGN(const PageRange last, Page(items, 2, second.next_page_token));
  EXPECT_EQ(last.begin, 4u);
  EXPECT_EQ(last.end, 5u);
  EXPECT_EQ(last.next_page_token, "");
}

TEST(PagingTest, APageOfLargeItemsFitsIntoAMessage) {
  std::vector<std::string> items;
  for (const char c : {'a', 'b', 'c'}) items.emplace_back(kPageSizeMaxBytes / 2, c);
  ASSERT_OK_AND_ASSIGN(const PageRange first, Page(items, 3, ""));
  EXPECT_EQ(first.end, 2u);
  ASSERT_OK_AND_ASSIGN(const PageRange last, Page(items, 3, first.next_page_token));
  EXPECT_EQ(last.begin, 2u);
  EXPECT_EQ(last.end, 3u);
}

TEST(PagingTest, AnItemLargerThanAPageIsAPage) {
  const std::vector<std::string> items = {std::string(kPageSizeMaxBytes + 1, 'x'), "y"};
  ASSERT_OK_AND_ASSIGN(const PageRange first, Page(items, 2, ""));
  EXPECT_EQ(first.end, 1u);
  EXPECT_NE(first.next_page_token, "");
}

TEST(PagingTest, FullLastPageHasNoToken) {
  ASSERT_OK_AND_ASSIGN(const PageRange page, Page(Items(2), 2, ""));
  EXPECT_EQ(page.next_page_token, "");
}

TEST(PagingTest, ItemsThatComeInFrontShiftNothing) {
  std::vector<std::string> items = Items(4);
  ASSERT_OK_AND_ASSIGN(const PageRange first, Page(items, 2, ""));
  items.insert(items.begin(), "new");
  ASSERT_OK_AND_ASSIGN(const PageRange second, Page(items, 2, first.next_page_token));
  EXPECT_EQ(items[second.begin], "item-2");
}

TEST(PagingTest, SizeHasADefaultAndABound) {
  ASSERT_OK_AND_ASSIGN(const PageRange page, Page(Items(100), 0, ""));
  EXPECT_EQ(page.end, 50u);
  EXPECT_OK(Page(Items(1), 1000, ""));
  EXPECT_THAT(Page(Items(1), 1001, ""), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Page(Items(1), -1, ""), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(PagingTest, TokenOfAnotherListIsRefused) {
  EXPECT_THAT(Page(Items(3), 1, "item-7"), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(PagingTest, EmptyListIsOneEmptyPage) {
  ASSERT_OK_AND_ASSIGN(const PageRange page, Page({}, 10, ""));
  EXPECT_EQ(page.begin, page.end);
  EXPECT_EQ(page.next_page_token, "");
}

}  // namespace
}  // namespace holdfast
