#ifndef HOLDFAST_COMMON_REPOSITORY_DECIDING_MARKS_H_
#define HOLDFAST_COMMON_REPOSITORY_DECIDING_MARKS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "holdfast/repository/v1/repository.pb.h"

namespace holdfast {

// DecidingMarks are the marks of one backup that decide something: of each question the newest, by
// name (FORMAT.md, "Marks").
//
// Not thread-safe.
struct DecidingMarks {
  std::string deletion;  // of `deleted` and `undeleted`; empty where there is none
  std::string pin;       // of `pinned` and `unpinned`
  std::string health;    // of `damaged`, `checked` and `drilled`
  std::string drill;     // of `damaged` and `drilled`

  // `mark_name` and its kind as of ParseMarkName.
  void Add(absl::string_view mark_name, repository::v1::Mark::Kind kind);
};

// The same of all the marks of one backup; other names are ignored.
DecidingMarks DecidingMarksOf(const std::vector<std::string>& mark_names);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_REPOSITORY_DECIDING_MARKS_H_
