#ifndef HOLDFAST_BACKUP_AGENT_CLI_DOCUMENT_LINES_H_
#define HOLDFAST_BACKUP_AGENT_CLI_DOCUMENT_LINES_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "holdfast/v1/document_store.pb.h"

// Documents as JSON lines, which `doc export` writes and `doc import` reads:
//
//   {"collection":"users","id":"ada","content":{"name":"Ada"},"revision":"7",
//    "create_time":"2026-11-22T18:35:00.123456Z","change_time":"2026-11-22T18:35:00.123456Z"}
//   {"collection":"icons","id":"logo","content_base64":"iVBORw0K…","media_type":"image/png",…}
//
// (each in one line). JSON content stands in it as it is, but for newlines between its tokens,
// which become spaces: a number keeps all its digits.

namespace holdfast {

inline constexpr absl::string_view kJsonMediaType = "application/json";

// Longer lines are refused: a document at its limit takes less, however it is written.
inline constexpr size_t kDocumentLineSizeMaxBytes = size_t{8} << 20;

// One line, without its newline.
std::string FormatDocumentLine(const v1::Document& document);

// DocumentLineParser reads such lines.
//
// Not thread-safe. One parser reads any number of lines, with memory for the longest.
class DocumentLineParser {
 public:
  DocumentLineParser();
  ~DocumentLineParser();
  DocumentLineParser(const DocumentLineParser&) = delete;
  DocumentLineParser& operator=(const DocumentLineParser&) = delete;

  // INVALID_ARGUMENT says what is wrong with the line. Revision and times are ignored; any other
  // name that is not above is refused. Whether the content is JSON inside is left to the store.
  absl::StatusOr<v1::PutDocumentRequest> Parse(absl::string_view line);

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_CLI_DOCUMENT_LINES_H_
