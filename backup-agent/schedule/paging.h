#ifndef HOLDFAST_BACKUP_AGENT_SCHEDULE_PAGING_H_
#define HOLDFAST_BACKUP_AGENT_SCHEDULE_PAGING_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace holdfast {

inline constexpr int32_t kPageSizeMax = 1000;
inline constexpr int32_t kPageSizeDefault = 50;
// gRPC's clients take 4 MiB unless they are told otherwise.
inline constexpr size_t kPageSizeMaxBytes = size_t{2} << 20;

// What is to be known of an item: its id, which lives as long as the item, and its size in a page.
struct PageItem {
  absl::string_view id;
  size_t size_bytes = 0;
};

// The part of a list that is one page: [begin, end), and the token of the next page.
struct PageRange {
  size_t begin = 0;
  size_t end = 0;
  std::string next_page_token;
};

// Finds a page of `items`. A token is the id of the last item of the page before, so that items
// that come in front meanwhile shift nothing. A page has fewer items than asked for, but one at
// least, where they are large. `describe` takes an item and returns its PageItem. INVALID_ARGUMENT
// where the page size is out of bounds or the token's item is not there.
template <typename Items, typename Describe>
absl::StatusOr<PageRange> FindPage(const Items& items, Describe describe, int32_t page_size,
                                   absl::string_view page_token) {
  if (page_size < 0 || page_size > kPageSizeMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_size is 0 to ", kPageSizeMax, ", not ", page_size));
  }
  PageRange page;
  if (!page_token.empty()) {
    const auto before = std::find_if(items.begin(), items.end(), [&](const auto& item) {
      return describe(item).id == page_token;
    });
    if (before == items.end()) {
      return absl::InvalidArgumentError(
          "page_token is not one of this list, or no longer: begin with the first page again");
    }
    page.begin = static_cast<size_t>(before - items.begin()) + 1;
  }
  const size_t size = page_size == 0 ? kPageSizeDefault : static_cast<size_t>(page_size);
  const size_t last = std::min(items.size(), page.begin + size);
  size_t size_bytes = 0;
  for (page.end = page.begin; page.end < last; ++page.end) {
    size_bytes += describe(items[page.end]).size_bytes;
    if (size_bytes > kPageSizeMaxBytes && page.end > page.begin) break;
  }
  if (page.end < items.size()) page.next_page_token = std::string(describe(items[page.end - 1]).id);
  return page;
}

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SCHEDULE_PAGING_H_
