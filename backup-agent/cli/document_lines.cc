#include "backup-agent/cli/document_lines.h"

#include <simdjson.h>

#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "backup-agent/cli/json_text.h"
#include "common/base/status_macros.h"
#include "common/base/time_format.h"
#include "common/messages/proto_time.h"

namespace holdfast {

namespace {

std::string FormatTimestamp(const google::protobuf::Timestamp& timestamp) {
  return FormatRfc3339Micros(FromProto(timestamp));
}

absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

absl::Status JsonError(simdjson::error_code error) {
  return absl::InvalidArgumentError(absl::StrCat("not JSON: ", simdjson::error_message(error)));
}

// Members that an export has and an import has no use for.
bool IsIgnored(absl::string_view name) {
  return name == "revision" || name == "create_time" || name == "change_time";
}

}  // namespace

std::string FormatDocumentLine(const v1::Document& document) {
  JsonObject line;
  line.AddString("collection", document.collection());
  line.AddString("id", document.id());
  if (document.media_type() == kJsonMediaType) {
    std::string content = document.content();
    // Strings have no raw newlines in JSON, so each stands between two tokens.
    for (char& c : content) {
      if (c == '\n' || c == '\r') c = ' ';
    }
    line.AddJson("content", content);
  } else {
    line.AddString("content_base64", absl::Base64Escape(document.content()));
    line.AddString("media_type", document.media_type());
  }
  line.AddCount("revision", document.revision());
  line.AddString("create_time", FormatTimestamp(document.create_time()));
  line.AddString("change_time", FormatTimestamp(document.change_time()));
  return line.ToText();
}

struct DocumentLineParser::State {
  simdjson::ondemand::parser parser;
  std::string buffer;
};

DocumentLineParser::DocumentLineParser() : state_(std::make_unique<State>()) {}
DocumentLineParser::~DocumentLineParser() = default;

absl::StatusOr<v1::PutDocumentRequest> DocumentLineParser::Parse(absl::string_view line) {
  if (line.size() > kDocumentLineSizeMaxBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("it has more than ", kDocumentLineSizeMaxBytes, " bytes"));
  }
  state_->buffer.assign(line.data(), line.size());
  state_->buffer.reserve(line.size() + simdjson::SIMDJSON_PADDING);

  simdjson::ondemand::document document;
  if (const auto error = state_->parser.iterate(state_->buffer).get(document)) {
    return JsonError(error);
  }
  simdjson::ondemand::object object;
  if (const auto error = document.get_object().get(object)) {
    return error == simdjson::INCORRECT_TYPE
               ? absl::InvalidArgumentError(
                     R"(not an object: a line looks like {"collection":"c","id":"i","content":…})")
               : JsonError(error);
  }

  v1::PutDocumentRequest request;
  std::set<std::string, std::less<>> seen;
  for (auto field_or : object) {
    simdjson::ondemand::field field;
    if (const auto error = std::move(field_or).get(field)) return JsonError(error);
    std::string_view key;
    if (const auto error = field.unescaped_key().get(key)) return JsonError(error);
    const std::string name(key);
    if (!seen.insert(name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", absl::CHexEscape(name), "\" stands twice"));
    }
    if (name == "content") {
      std::string_view content;
      if (const auto error = simdjson::to_json_string(field.value()).get(content)) {
        return JsonError(error);
      }
      request.set_content(content.data(), content.size());
      request.set_media_type(std::string(kJsonMediaType));
      continue;
    }
    if (IsIgnored(name)) continue;
    if (name != "collection" && name != "id" && name != "content_base64" && name != "media_type") {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown name \"", absl::CHexEscape(name),
                       "\": there are collection, id, content, content_base64 and media_type"));
    }
    std::string_view value;
    if (const auto error = field.value().get_string().get(value)) {
      return error == simdjson::INCORRECT_TYPE
                 ? absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is not a string"))
                 : JsonError(error);
    }
    if (name == "collection") {
      request.set_collection(value.data(), value.size());
    } else if (name == "id") {
      request.set_id(value.data(), value.size());
    } else if (name == "media_type") {
      request.set_media_type(value.data(), value.size());
    } else if (!absl::Base64Unescape(ToAbsl(value), request.mutable_content())) {
      return absl::InvalidArgumentError("\"content_base64\" is not base64");
    }
  }
  const char* rest;
  if (document.current_location().get(rest) == simdjson::SUCCESS) {
    return absl::InvalidArgumentError("something stands after the object");
  }

  for (const absl::string_view needed : {"collection", "id"}) {
    if (seen.count(std::string(needed)) == 0) {
      return absl::InvalidArgumentError(absl::StrCat("it has no \"", needed, "\""));
    }
  }
  const bool is_json = seen.count("content") > 0;
  if (is_json == (seen.count("content_base64") > 0)) {
    return absl::InvalidArgumentError(
        R"(it needs either "content", or "content_base64" with "media_type")");
  }
  if (is_json == (seen.count("media_type") > 0)) {
    return absl::InvalidArgumentError(
        is_json ? R"("media_type" goes with "content_base64": "content" is JSON)"
                : R"("content_base64" needs a "media_type")");
  }
  return request;
}

}  // namespace holdfast
