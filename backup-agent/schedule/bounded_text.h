#ifndef HOLDFAST_BACKUP_AGENT_SCHEDULE_BOUNDED_TEXT_H_
#define HOLDFAST_BACKUP_AGENT_SCHEDULE_BOUNDED_TEXT_H_

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace holdfast {

// Longer texts of errors are cut: what is remembered must stay bounded.
inline constexpr size_t kErrorSizeMaxBytes = 1000;

// Cuts between characters, not in the middle of one.
inline std::string CutError(absl::string_view error) {
  if (error.size() <= kErrorSizeMaxBytes) return std::string(error);
  size_t size = kErrorSizeMaxBytes;
  while (size > 0 && (static_cast<unsigned char>(error[size]) & 0xc0) == 0x80) --size;
  return absl::StrCat(error.substr(0, size), "…");
}

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SCHEDULE_BOUNDED_TEXT_H_
