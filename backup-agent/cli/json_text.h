#ifndef HOLDFAST_BACKUP_AGENT_CLI_JSON_TEXT_H_
#define HOLDFAST_BACKUP_AGENT_CLI_JSON_TEXT_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

// What --json prints: one value a line, names in snake_case as in the .proto files.

namespace holdfast {

// A message by the JSON mapping of Protocol Buffers (64-bit numbers and bytes are strings, times
// are RFC 3339), with the names of the .proto files and all fields, also those that are zero.
std::string MessageToJson(const google::protobuf::Message& message);

// A JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
std::string JsonString(absl::string_view text);

// Puts a JSON object together, member by member, in one line.
//
//   JsonObject object;
//   object.AddString("name", name);
//   object.AddCount("revision", revision);
//   object.ToText()  // {"name":"x","revision":"42"}
class JsonObject {
 public:
  void AddString(absl::string_view name, absl::string_view value);
  // As MessageToJson writes a uint64: a string.
  void AddCount(absl::string_view name, uint64_t value);
  void AddBool(absl::string_view name, bool value);
  // `json` is JSON without newlines.
  void AddJson(absl::string_view name, absl::string_view json);

  std::string ToText() const { return body_ + "}"; }

 private:
  std::string body_ = "{";
};

// Values that are JSON joined to an array.
class JsonArray {
 public:
  void Add(absl::string_view json);
  std::string ToText() const { return body_ + "]"; }

 private:
  std::string body_ = "[";
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_CLI_JSON_TEXT_H_
