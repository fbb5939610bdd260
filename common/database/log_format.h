#ifndef HOLDFAST_COMMON_DATABASE_LOG_FORMAT_H_
#define HOLDFAST_COMMON_DATABASE_LOG_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

// RocksDB's log format, as far as it is the same for every log: blocks of 32 KiB; in a block
// fragments, each with a header (masked CRC-32C of type and payload, length, type) and its payload;
// a rest of a block that is shorter than a header is filled up.
//
// Private to this folder.

namespace holdfast::internal {

inline constexpr size_t kLogBlockSizeBytes = 32768;
inline constexpr size_t kLogHeaderSizeBytes = 7;

// The records of a write-ahead log are batches: a sequence number, that of their first entry; the
// count of entries; and the entries.
inline constexpr size_t kBatchSequenceSizeBytes = 8;
inline constexpr size_t kBatchHeaderSizeBytes = 12;

// A record, or a piece of one.
struct LogFragment {
  enum Type : uint8_t { kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };
  Type type;
  absl::string_view payload;
};

// The fragment at the beginning of `bytes`, which end with the block; nullopt where there is none
// that is whole.
std::optional<LogFragment> ParseLogFragment(absl::string_view bytes);

}  // namespace holdfast::internal

#endif  // HOLDFAST_COMMON_DATABASE_LOG_FORMAT_H_
