#include "backup-agent/cli/restore_progress.h"

#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "backup-agent/cli/terminal.h"

namespace holdfast {

std::string BackupInWords(const repository::v1::BackupSummary& summary) {
  return absl::StrCat("backup ", summary.backup_id(), " (taken ",
                      DescribeTime(absl::FromUnixMicros(summary.checkpoint_time_us())), ", ",
                      FormatCount(summary.document_count(), "document"), ", ",
                      FormatBytes(summary.size_bytes()), ")");
}

namespace {

// Shows progress under these names.
std::function<void(const RestoreProgress&)> Show(ProgressDisplay& display, const std::string& files,
                                                 const std::string& documents) {
  return [&display, files, documents](const RestoreProgress& progress) {
    const bool is_files = progress.phase == RestoreProgress::Phase::kFiles;
    display.Update(is_files ? Progress{.what = files,
                                       .items = "file",
                                       .items_done = progress.files_done,
                                       .items_total = progress.files_total,
                                       .bytes_done = progress.bytes_done,
                                       .bytes_total = progress.bytes_total}
                            : Progress{.what = documents,
                                       .items = "document",
                                       .items_done = progress.documents_done,
                                       .items_total = progress.documents_total});
  };
}

}  // namespace

absl::StatusOr<RestoreResult> RestoreShowingProgress(Restorer& restorer, const std::string& target,
                                                     RestoreOptions options,
                                                     CommandContext& context) {
  ProgressDisplay display(context.console, context.clock);
  options.on_progress = Show(display, "restore", "prove");
  return restorer.RestoreTo(target, options, context.cancellation);
}

absl::StatusOr<SalvageResult> SalvageShowingProgress(Restorer& restorer, const std::string& target,
                                                     RestoreOptions options,
                                                     CommandContext& context) {
  ProgressDisplay display(context.console, context.clock);
  options.on_progress = Show(display, "salvage", "prove");
  return restorer.SalvageTo(target, options, context.cancellation);
}

}  // namespace holdfast
