#include "common/storage/blob_store.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "common/io/durable_file.h"

namespace holdfast {

namespace {

constexpr size_t kNameSizeMaxBytes = 1024;
constexpr size_t kPartSizeMaxBytes = 255;

bool IsNameCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
}

bool IsNamePart(absl::string_view part) {
  return !part.empty() && part.size() <= kPartSizeMaxBytes && part != "." && part != ".." &&
         !absl::StartsWith(part, kTemporaryPrefix) &&
         std::all_of(part.begin(), part.end(), IsNameCharacter);
}

}  // namespace

absl::Status ByteSource::Rewind() {
  return absl::UnimplementedError("these bytes can be had only once");
}

absl::StatusOr<absl::Span<const uint8_t>> MemorySource::Next() {
  const absl::Span<const uint8_t> piece = rest_;
  rest_ = {};
  return piece;
}

absl::Status MemorySource::Rewind() {
  rest_ = bytes_;
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> BlobStore::RemoveLeftovers(absl::string_view /*prefix*/,
                                                    absl::Time /*before*/) {
  return 0;
}

absl::Status BlobStore::Replace(absl::string_view name, ByteSource& source) {
  const absl::Status deleted = Delete(name);
  if (!deleted.ok() && !absl::IsNotFound(deleted)) return deleted;
  return Put(name, source);
}

absl::StatusOr<std::string> ReadBlob(BlobStore& store, absl::string_view name,
                                     uint64_t size_max_bytes) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, store.Get(name));
  std::string bytes;
  for (;;) {
    HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, source->Next());
    if (piece.empty()) return bytes;
    if (piece.size() > size_max_bytes - bytes.size()) {
      return absl::DataLossError(
          absl::StrCat(name, " is larger than the ", size_max_bytes, " bytes that it may have"));
    }
    bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  }
}

absl::Status CheckBlobName(absl::string_view name) {
  const bool is_name = [&] {
    if (name.empty() || name.size() > kNameSizeMaxBytes) return false;
    for (const absl::string_view part : absl::StrSplit(name, '/')) {
      if (!IsNamePart(part)) return false;
    }
    return true;
  }();
  if (is_name) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("\"", absl::CHexEscape(name.substr(0, 100)), "\" cannot name a blob"));
}

}  // namespace holdfast
