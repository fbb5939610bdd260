#include "backup-agent/cli/salvage_text.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backup-agent/cli/json_text.h"
#include "backup-agent/cli/restore_progress.h"
#include "backup-agent/cli/terminal.h"
#include "common/database/data_directory.h"

namespace holdfast {

namespace {

// How many files and collections are named to people at most; the report has them all.
constexpr size_t kShownMax = 10;

std::string FormatLost(uint64_t at_least, uint64_t at_most) {
  if (at_least == at_most) return FormatCount(at_most);
  return absl::StrCat(at_least == 0 ? "up to " : absl::StrCat(FormatCount(at_least), " to "),
                      FormatCount(at_most));
}

std::string DescribeCollection(const agent::v1::SalvagedCollection& collection) {
  std::string text = absl::StrCat(collection.collection(), ": ", FormatCount(collection.proven()));
  if (collection.count_known()) {
    absl::StrAppend(&text, " of ", FormatCount(collection.document_count()));
  }
  absl::StrAppend(&text, " proven, ", FormatCount(collection.unproven()), " not");
  if (!collection.count_known()) {
    absl::StrAppend(&text, ", and nobody knows how many it had");
  } else if (collection.lost_at_most() > 0) {
    absl::StrAppend(&text, ", ", FormatLost(collection.lost_at_least(), collection.lost_at_most()),
                    " lost");
  }
  return text;
}

// Lines below each other, the first behind `label`.
void AppendList(std::string& text, absl::string_view label, const std::vector<std::string>& items) {
  constexpr size_t kLabelColumns = 16;
  std::string lead = absl::StrCat("  ", label);
  lead.resize(kLabelColumns, ' ');
  for (size_t i = 0; i < std::min(items.size(), kShownMax); ++i) {
    absl::StrAppend(&text, lead, items[i], "\n");
    lead.assign(kLabelColumns, ' ');
  }
  if (items.size() > kShownMax) {
    absl::StrAppend(&text, lead, "and ", FormatCount(items.size() - kShownMax), " more\n");
  }
}

}  // namespace

std::string SummarizeSalvage(const SalvageResult& result) {
  std::string text =
      absl::StrCat(FormatCount(result.summary.proven()), " of ",
                   FormatCount(result.summary.document_count(), "document"), " are proven");
  if (result.summary.instance_files_lost() > 0) {
    absl::StrAppend(&text, ", and ",
                    FormatCount(result.summary.instance_files_lost(), "other file"),
                    result.summary.instance_files_lost() == 1 ? " is lost" : " are lost");
  }
  return text;
}

std::string FormatSalvage(const repository::v1::BackupSummary& backup, const SalvageResult& result,
                          absl::string_view target) {
  const agent::v1::SalvageSummary& summary = result.summary;
  std::string text = absl::StrCat("salvaged ", BackupInWords(backup), "\n  to            ", target,
                                  "\n  proven        ", FormatCount(summary.proven()), " of ",
                                  FormatCount(summary.document_count(), "document"),
                                  " are what the store had at revision ", result.revision, "\n");
  if (summary.unproven() > 0) {
    absl::StrAppend(&text, "  not proven    ", FormatCount(summary.unproven()),
                    " more were found; each may have been written again or deleted since\n");
  }
  if (summary.lost_at_most() > 0) {
    absl::StrAppend(&text, "  lost          ",
                    FormatLost(summary.lost_at_least(), summary.lost_at_most()),
                    " of the documents that the store had",
                    summary.lost_at_least() == summary.lost_at_most()
                        ? ""
                        : "; how many of the unproven ones are among them can't be told",
                    "\n");
  }
  if (summary.as_of_revision() > 0) {
    absl::StrAppend(
        &text, "  state         all that was brought back is exactly the store at revision ",
        summary.as_of_revision(), "; the ",
        FormatCount(result.revision - summary.as_of_revision(), "write"), " after it are lost\n");
  }
  if (summary.whole()) {
    absl::StrAppend(&text,
                    "  whole         what is damaged held nothing that is still current: the state "
                    "digest proves it\n");
  }
  AppendList(text, "damaged", result.damaged_files);
  std::vector<std::string> collections;
  for (const agent::v1::SalvagedCollection& collection : result.collections) {
    collections.push_back(DescribeCollection(collection));
  }
  AppendList(text, "collections", collections);
  if (!result.instance_files.empty()) {
    absl::StrAppend(&text, "  other files   ", FormatCount(result.instance_files.size()), " below ",
                    target, "/instance\n");
  }
  absl::StrAppend(&text, "  store         ", result.store_id.ToText(), "\n  incarnation   ",
                  result.new_incarnation.ToText(), " (new)\n  took          ",
                  DescribeDuration(result.duration), "\n  report        ", target, "/",
                  kSalvageReportName, "\n");
  if (!summary.whole()) {
    absl::StrAppend(
        &text,
        "next: read the report. Another destination or backup may have what is missing. "
        "No store opens\nthe directory before you accept it as it is:\n  holdfast restore "
        "--accept-salvaged --to ",
        ShellQuote(target), "\n");
  }
  return text;
}

std::string SalvageToJson(const repository::v1::BackupSummary& backup, const SalvageResult& result,
                          absl::string_view target, absl::string_view source) {
  JsonObject object;
  object.AddString("backup_id", backup.backup_id());
  object.AddString("source", source);
  object.AddString("data_directory", target);
  object.AddString("report", absl::StrCat(target, "/", kSalvageReportName));
  object.AddString("store_id", result.store_id.ToText());
  object.AddString("incarnation", result.new_incarnation.ToText());
  object.AddCount("revision", result.revision);
  object.AddCount("documents_brought_back", result.documents_brought_back);
  object.AddJson("summary", MessageToJson(result.summary));
  JsonArray collections;
  for (const agent::v1::SalvagedCollection& collection : result.collections) {
    collections.Add(MessageToJson(collection));
  }
  object.AddJson("collections", collections.ToText());
  JsonArray damaged;
  for (const std::string& file : result.damaged_files) damaged.Add(JsonString(file));
  object.AddJson("damaged_files", damaged.ToText());
  object.AddCount("duration_ms", static_cast<uint64_t>(absl::ToInt64Milliseconds(result.duration)));
  return object.ToText();
}

}  // namespace holdfast
