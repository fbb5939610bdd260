#ifndef HOLDFAST_STORE_SERVICE_DOCUMENTS_LIMITS_H_
#define HOLDFAST_STORE_SERVICE_DOCUMENTS_LIMITS_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

// The names and sizes that a store takes, as holdfast/v1/document_store.proto
// promises them.
//
// Every function is thread-safe and answers INVALID_ARGUMENT with the rule that
// is broken.

namespace holdfast {

inline constexpr size_t kCollectionNameSizeMaxBytes = 128;
inline constexpr size_t kCollectionsMax = 10'000;
inline constexpr size_t kDocumentIdSizeMaxBytes = 512;
inline constexpr size_t kContentSizeMaxBytes = 1024 * 1024;
inline constexpr size_t kMediaTypeSizeMaxBytes = 128;
inline constexpr size_t kJsonDepthMax = 512;

// Of one WriteDocuments: content, names and media types together.
inline constexpr size_t kWritesMax = 1'000;
inline constexpr size_t kWritesSizeMaxBytes = 3 * 1024 * 1024;

// Of one page of a listing.
inline constexpr size_t kPageDocumentsMax = 1'000;
inline constexpr size_t kPageDocumentsDefault = 100;
inline constexpr size_t kPageSizeMaxBytes = 3 * 1024 * 1024;

inline constexpr absl::string_view kJsonMediaType = "application/json";

bool IsUtf8(absl::string_view text);

absl::Status CheckCollectionName(absl::string_view collection);
absl::Status CheckDocumentId(absl::string_view id);
// As CheckDocumentId, and it may be empty.
absl::Status CheckIdPrefix(absl::string_view prefix);
absl::Status CheckMediaType(absl::string_view media_type);

// Size, and for kJsonMediaType that it is one valid JSON value in UTF-8, nested
// at most kJsonDepthMax deep.
absl::Status CheckContent(absl::string_view media_type, absl::string_view content);

}  // namespace holdfast

#endif  // HOLDFAST_STORE_SERVICE_DOCUMENTS_LIMITS_H_
