#ifndef HOLDFAST_COMMON_DATABASE_LOG_READER_H_
#define HOLDFAST_COMMON_DATABASE_LOG_READER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/database/database_entry.h"

namespace holdfast {

// The entries of a write-ahead log, in the order in which they were written.
struct LogContent {
  struct Entry {
    uint32_t column_family_id = 0;
    std::string key;
    uint64_t sequence = 0;
    DatabaseEntry::Kind kind = DatabaseEntry::Kind::kPut;
    std::string value;
  };
  std::vector<Entry> entries;

  // Whether the bytes end with the end of a batch. Where they do not, what is missing is newer than
  // all entries.
  bool is_complete = true;
};

// Reads a log, or the beginning of one, up to the first batch that is not whole. UNIMPLEMENTED
// where a batch does what is not known here.
absl::StatusOr<LogContent> ReadLog(absl::string_view bytes);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_DATABASE_LOG_READER_H_
