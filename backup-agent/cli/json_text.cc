#include "backup-agent/cli/json_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "google/protobuf/util/json_util.h"

namespace holdfast {

namespace {

// The length of the UTF-8 sequence that `text` begins with; 0 where it begins with none.
size_t Utf8SequenceSize(absl::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t size = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
  if (size == 0 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what lies beyond U+10FFFF.
  if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) >= 0xA0) ||
      (first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) >= 0x90)) {
    return 0;
  }
  return size;
}

}  // namespace

std::string MessageToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  HOLDFAST_CHECK(status.ok(), "a message of ours has no JSON form");
  return json;
}

std::string JsonString(absl::string_view text) {
  std::string json = "\"";
  json.reserve(text.size() + 2);
  while (!text.empty()) {
    const char c = text.front();
    size_t size = 1;
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (static_cast<uint8_t>(c) < 0x20 || c == 0x7F) {
      absl::StrAppendFormat(&json, "\\u%04x", static_cast<unsigned>(c));
    } else if (size = Utf8SequenceSize(text); size > 0) {
      json.append(text.data(), size);
    } else {
      json += "\xEF\xBF\xBD";
      size = 1;
    }
    text.remove_prefix(size);
  }
  json += '"';
  return json;
}

void JsonObject::AddJson(absl::string_view name, absl::string_view json) {
  if (body_.size() > 1) body_ += ',';
  absl::StrAppend(&body_, "\"", name, "\":", json);
}

void JsonObject::AddString(absl::string_view name, absl::string_view value) {
  AddJson(name, JsonString(value));
}

void JsonObject::AddCount(absl::string_view name, uint64_t value) {
  AddJson(name, absl::StrCat("\"", value, "\""));
}

void JsonObject::AddBool(absl::string_view name, bool value) {
  AddJson(name, value ? "true" : "false");
}

void JsonArray::Add(absl::string_view json) {
  if (body_.size() > 1) body_ += ',';
  absl::StrAppend(&body_, json);
}

}  // namespace holdfast
