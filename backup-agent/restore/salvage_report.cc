#include "backup-agent/restore/salvage_report.h"

#include <simdjson.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "google/protobuf/util/json_util.h"

namespace holdfast {

namespace {

constexpr size_t kBufferSizeBytes = 256 << 10;

}  // namespace

absl::StatusOr<SalvageReport> SalvageReport::Create(const std::string& path) {
  HOLDFAST_ASSIGN_OR_RETURN(std::unique_ptr<DurableFile> file,
                            DurableFile::Create(path, {.mode = 0600}), "write the report");
  return SalvageReport(std::move(file));
}

absl::Status SalvageReport::Add(const agent::v1::Line& line) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  const auto printed = google::protobuf::util::MessageToJsonString(line, &json, options);
  HOLDFAST_CHECK(printed.ok(), "a line of a report has no JSON form");
  absl::StrAppend(&buffer_, json, "\n");
  return buffer_.size() < kBufferSizeBytes ? absl::OkStatus() : Flush();
}

absl::Status SalvageReport::Flush() {
  HOLDFAST_RETURN_IF_ERROR(file_->Append(absl::string_view(buffer_)), "write the report");
  buffer_.clear();
  return absl::OkStatus();
}

absl::Status SalvageReport::Commit() {
  HOLDFAST_RETURN_IF_ERROR(Flush());
  return Annotate(file_->Commit(), "write the report");
}

std::string ReportText(absl::string_view bytes) {
  return simdjson::validate_utf8(bytes.data(), bytes.size()) ? std::string(bytes)
                                                             : absl::CHexEscape(bytes);
}

}  // namespace holdfast
