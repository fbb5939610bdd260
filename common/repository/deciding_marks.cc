#include "common/repository/deciding_marks.h"

#include "absl/status/statusor.h"
#include "common/repository/layout.h"

namespace holdfast {

using repository::v1::Mark;

void DecidingMarks::Add(absl::string_view mark_name, Mark::Kind kind) {
  const auto take_newer = [mark_name](std::string& newest) {
    if (mark_name > newest) newest = std::string(mark_name);
  };
  switch (kind) {
    case Mark::KIND_DELETED:
    case Mark::KIND_UNDELETED:
      take_newer(deletion);
      break;
    case Mark::KIND_PINNED:
    case Mark::KIND_UNPINNED:
      take_newer(pin);
      break;
    case Mark::KIND_DAMAGED:
    case Mark::KIND_DRILLED:
      take_newer(drill);
      take_newer(health);
      break;
    case Mark::KIND_CHECKED:
      take_newer(health);
      break;
    default:
      break;
  }
}

DecidingMarks DecidingMarksOf(const std::vector<std::string>& mark_names) {
  DecidingMarks deciding;
  for (const std::string& name : mark_names) {
    const absl::StatusOr<ParsedMarkName> parsed = ParseMarkName(name);
    if (parsed.ok()) deciding.Add(name, parsed->kind);
  }
  return deciding;
}

}  // namespace holdfast
