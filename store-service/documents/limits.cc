#include "store-service/documents/limits.h"

#include <simdjson.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "store-service/documents/json_check.h"

namespace holdfast {
namespace {

bool IsControlCharacter(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

absl::Status CheckIdCharacters(absl::string_view what, absl::string_view text) {
  if (text.size() > kDocumentIdSizeMaxBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " has at most ", kDocumentIdSizeMaxBytes, " bytes, not ", text.size()));
  }
  if (std::any_of(text.begin(), text.end(), IsControlCharacter)) {
    return absl::InvalidArgumentError(absl::StrCat(what, " has no control characters"));
  }
  return absl::OkStatus();
}

}  // namespace

bool IsUtf8(absl::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

absl::Status CheckCollectionName(absl::string_view collection) {
  const auto is_alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || absl::ascii_isdigit(c);
  };
  const auto is_allowed = [&](char c) {
    return is_alphanumeric(c) || c == '.' || c == '_' || c == '-';
  };
  if (collection.empty() || collection.size() > kCollectionNameSizeMaxBytes ||
      !is_alphanumeric(collection.front()) ||
      !std::all_of(collection.begin(), collection.end(), is_allowed)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the name of a collection is 1 to ", kCollectionNameSizeMaxBytes,
                     " characters of a-z, 0-9, '.', '_' and '-', and begins with a letter "
                     "or digit"));
  }
  return absl::OkStatus();
}

absl::Status CheckDocumentId(absl::string_view id) {
  if (id.empty()) return absl::InvalidArgumentError("the id of a document is empty");
  if (absl::Status status = CheckIdCharacters("the id of a document", id); !status.ok()) {
    return status;
  }
  if (!IsUtf8(id)) return absl::InvalidArgumentError("the id of a document is not valid UTF-8");
  return absl::OkStatus();
}

absl::Status CheckIdPrefix(absl::string_view prefix) {
  if (prefix.empty()) return absl::OkStatus();
  if (absl::Status status = CheckIdCharacters("the prefix of ids", prefix); !status.ok()) {
    return status;
  }
  if (!IsUtf8(prefix)) return absl::InvalidArgumentError("the prefix of ids is not valid UTF-8");
  return absl::OkStatus();
}

absl::Status CheckMediaType(absl::string_view media_type) {
  const auto is_printable = [](char c) { return c >= 0x20 && c < 0x7F; };
  if (media_type.empty() || media_type.size() > kMediaTypeSizeMaxBytes ||
      !std::all_of(media_type.begin(), media_type.end(), is_printable)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a media type has at most ", kMediaTypeSizeMaxBytes, " characters of printable ASCII"));
  }
  return absl::OkStatus();
}

absl::Status CheckContent(absl::string_view media_type, absl::string_view content) {
  if (content.size() > kContentSizeMaxBytes) {
    return absl::InvalidArgumentError(absl::StrCat("the content has at most ", kContentSizeMaxBytes,
                                                   " bytes, not ", content.size()));
  }
  if (media_type != kJsonMediaType) return absl::OkStatus();
  if (content.empty()) {
    return absl::InvalidArgumentError(
        "the content is empty, which JSON never "
        "is (give it another media type)");
  }
  HOLDFAST_RETURN_IF_ERROR(CheckJson(content, kJsonDepthMax),
                           "the content is not valid JSON (give it another media type if it is not "
                           "meant to be)");
  return absl::OkStatus();
}

}  // namespace holdfast
