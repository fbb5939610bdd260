#ifndef HOLDFAST_BACKUP_AGENT_RESTORE_SALVAGE_REPORT_H_
#define HOLDFAST_BACKUP_AGENT_RESTORE_SALVAGE_REPORT_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/io/durable_file.h"
#include "holdfast/agent/v1/salvage.pb.h"

namespace holdfast {

// SalvageReport writes salvage-report.jsonl (holdfast/agent/v1/salvage.proto): it appears whole, or
// not at all.
//
// Not thread-safe.
class SalvageReport {
 public:
  static absl::StatusOr<SalvageReport> Create(const std::string& path);

  absl::Status Add(const agent::v1::Line& line);
  // The report is complete.
  absl::Status Commit();

 private:
  explicit SalvageReport(std::unique_ptr<DurableFile> file) : file_(std::move(file)) {}

  absl::Status Flush();

  std::unique_ptr<DurableFile> file_;
  std::string buffer_;
};

// Text that a line may hold: as it is where it is UTF-8, else escaped as in C.
std::string ReportText(absl::string_view bytes);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_RESTORE_SALVAGE_REPORT_H_
