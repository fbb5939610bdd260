#include "common/base/nearest_name.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace holdfast {

namespace {

constexpr size_t kNameLengthMax = 64;  // bounds the work; no name of ours is nearly as long

// How many single-character changes lead from one to the other (Levenshtein).
size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

absl::string_view NearestName(absl::string_view name, absl::Span<const absl::string_view> known) {
  if (name.size() > kNameLengthMax) return {};
  absl::string_view nearest;
  size_t distance_min = std::max<size_t>(2, name.size() / 3) + 1;
  for (const absl::string_view candidate : known) {
    const size_t distance = EditDistance(name, candidate);
    if (distance < distance_min) {
      distance_min = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace holdfast
