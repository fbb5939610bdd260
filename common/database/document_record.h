#ifndef HOLDFAST_COMMON_DATABASE_DOCUMENT_RECORD_H_
#define HOLDFAST_COMMON_DATABASE_DOCUMENT_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/crypto/hash.h"

namespace holdfast {

// How documents lie in the database: in the column family kDocumentsFamily, one entry each. Which
// names and sizes are allowed is the store's to say; here is only what the bytes can hold.
//
// Part of the database's format (README.md draws it); do not change.

inline constexpr char kDocumentsFamily[] = "documents";

// The key: collection ‖ 0x00 ‖ id. So the documents of a collection lie together, in the order of
// their ids, and collections in the order of their names.
// REQUIRES: `collection` is not empty and has no zero byte.
std::string EncodeDocumentKey(absl::string_view collection, absl::string_view id);

// All keys of a collection begin with this: collection ‖ 0x00.
std::string DocumentKeyPrefix(absl::string_view collection);
// The first key behind all of a collection's: collection ‖ 0x01. An iterate_upper_bound.
std::string DocumentKeyEnd(absl::string_view collection);

struct DocumentKey {
  absl::string_view collection;
  absl::string_view id;
};
// The parts, as views into `key`. DATA_LOSS where it is no key of a document.
absl::StatusOr<DocumentKey> DecodeDocumentKey(absl::string_view key);

// A document as the database has it. The views point into what it was parsed from.
struct DocumentRecord {
  Hash256 hash{};  // HashDocument of it: what the state digest adds and subtracts
  uint64_t revision = 0;
  int64_t create_time_us = 0;
  int64_t change_time_us = 0;
  absl::string_view media_type;  // at most kRecordMediaTypeSizeMaxBytes
  absl::string_view content;
};

inline constexpr size_t kRecordMediaTypeSizeMaxBytes = 255;

// The value; integers little-endian:
//    0   1  format: 1
//    1  32  hash
//   33   8  revision
//   41   8  create time, µs since 1970
//   49   8  change time, µs since 1970
//   57   1  length m of the media type
//   58   m  media type
// 58+m  …   content, to the end
// REQUIRES: the media type is not too long.
std::string EncodeDocumentRecord(const DocumentRecord& record);

// The same, appended to `out`.
void AppendDocumentRecord(const DocumentRecord& record, std::string& out);

// The record, with views into `value`: nothing is copied. DATA_LOSS where it is no record,
// UNIMPLEMENTED where it has a newer format. Does not check the hash.
absl::StatusOr<DocumentRecord> DecodeDocumentRecord(absl::string_view value);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_DATABASE_DOCUMENT_RECORD_H_
