#include "common/database/document_record.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/database/little_endian.h"

namespace holdfast {

namespace {

using internal::AppendLittleEndian;
using internal::ReadLittleEndian;

// Offsets of the value. Part of the database's format; do not change.
constexpr char kFormat = 1;
constexpr size_t kHashOffset = 1;
constexpr size_t kRevisionOffset = 33;
constexpr size_t kCreateTimeOffset = 41;
constexpr size_t kChangeTimeOffset = 49;
constexpr size_t kMediaTypeSizeOffset = 57;
constexpr size_t kMediaTypeOffset = 58;

std::string WithTerminator(absl::string_view collection, char terminator) {
  HOLDFAST_CHECK(!collection.empty() && collection.find('\0') == absl::string_view::npos);
  std::string key(collection);
  key.push_back(terminator);
  return key;
}

}  // namespace

std::string EncodeDocumentKey(absl::string_view collection, absl::string_view id) {
  std::string key = WithTerminator(collection, '\0');
  key.append(id.data(), id.size());
  return key;
}

std::string DocumentKeyPrefix(absl::string_view collection) {
  return WithTerminator(collection, '\0');
}

std::string DocumentKeyEnd(absl::string_view collection) {
  return WithTerminator(collection, '\x01');
}

absl::StatusOr<DocumentKey> DecodeDocumentKey(absl::string_view key) {
  const size_t end = key.find('\0');
  if (end == absl::string_view::npos || end == 0) {
    return absl::DataLossError("an entry whose key is no document's");
  }
  return DocumentKey{.collection = key.substr(0, end), .id = key.substr(end + 1)};
}

std::string EncodeDocumentRecord(const DocumentRecord& record) {
  std::string value;
  value.reserve(kMediaTypeOffset + record.media_type.size() + record.content.size());
  AppendDocumentRecord(record, value);
  return value;
}

void AppendDocumentRecord(const DocumentRecord& record, std::string& out) {
  HOLDFAST_CHECK(record.media_type.size() <= kRecordMediaTypeSizeMaxBytes);
  out.push_back(kFormat);
  const absl::string_view hash = AsText(record.hash);
  out.append(hash.data(), hash.size());
  AppendLittleEndian(record.revision, sizeof(uint64_t), out);
  AppendLittleEndian(static_cast<uint64_t>(record.create_time_us), sizeof(uint64_t), out);
  AppendLittleEndian(static_cast<uint64_t>(record.change_time_us), sizeof(uint64_t), out);
  AppendLittleEndian(record.media_type.size(), 1, out);
  out.append(record.media_type.data(), record.media_type.size());
  out.append(record.content.data(), record.content.size());
}

absl::StatusOr<DocumentRecord> DecodeDocumentRecord(absl::string_view value) {
  if (value.empty()) return absl::DataLossError("a record of no bytes");
  if (value[0] != kFormat) {
    const int format = static_cast<uint8_t>(value[0]);
    if (format == 0) return absl::DataLossError("a record of format 0");
    return absl::UnimplementedError(
        absl::StrCat("a record of format ", format, "; a newer Holdfast is needed"));
  }
  if (value.size() < kMediaTypeOffset) {
    return absl::DataLossError(absl::StrCat("a record of only ", value.size(), " bytes"));
  }
  const size_t media_type_size = static_cast<uint8_t>(value[kMediaTypeSizeOffset]);
  if (value.size() < kMediaTypeOffset + media_type_size) {
    return absl::DataLossError("a record that ends inside its media type");
  }
  DocumentRecord record;
  std::copy_n(value.begin() + kHashOffset, record.hash.size(), record.hash.begin());
  record.revision = ReadLittleEndian(value.substr(kRevisionOffset, sizeof(uint64_t)));
  record.create_time_us =
      static_cast<int64_t>(ReadLittleEndian(value.substr(kCreateTimeOffset, sizeof(uint64_t))));
  record.change_time_us =
      static_cast<int64_t>(ReadLittleEndian(value.substr(kChangeTimeOffset, sizeof(uint64_t))));
  record.media_type = value.substr(kMediaTypeOffset, media_type_size);
  record.content = value.substr(kMediaTypeOffset + media_type_size);
  return record;
}

}  // namespace holdfast
