#ifndef HOLDFAST_COMMON_DATABASE_DATABASE_ENTRY_H_
#define HOLDFAST_COMMON_DATABASE_DATABASE_ENTRY_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace holdfast {

// What was once written under a key, as RocksDB's files have it: of the entries of a key the one
// with the greatest sequence number is what the database holds.
struct DatabaseEntry {
  enum class Kind { kPut, kDelete };

  absl::string_view key;
  // Ascends with every write; zero where RocksDB has forgotten it, as nothing older is left.
  uint64_t sequence = 0;
  Kind kind = Kind::kPut;
  absl::string_view value;  // empty for kDelete
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_DATABASE_DATABASE_ENTRY_H_
