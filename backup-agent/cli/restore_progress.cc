#include "backup-agent/cli/restore_progress.h"

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

absl::StatusOr<RestoreResult> RestoreShowingProgress(Restorer& restorer, const std::string& target,
                                                     RestoreOptions options,
                                                     CommandContext& context) {
  ProgressDisplay display(context.console, context.clock);
  options.on_progress = [&display](const RestoreProgress& progress) {
    const bool is_files = progress.phase == RestoreProgress::Phase::kFiles;
    display.Update(is_files ? Progress{.what = "restore",
                                       .items = "file",
                                       .items_done = progress.files_done,
                                       .items_total = progress.files_total,
                                       .bytes_done = progress.bytes_done,
                                       .bytes_total = progress.bytes_total}
                            : Progress{.what = "prove",
                                       .items = "document",
                                       .items_done = progress.documents_done,
                                       .items_total = progress.documents_total});
  };
  return restorer.RestoreTo(target, options, context.cancellation);
}

}  // namespace holdfast
