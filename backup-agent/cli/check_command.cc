#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "backup-agent/cli/command.h"
#include "backup-agent/cli/json_text.h"
#include "backup-agent/cli/repository_reader.h"
#include "backup-agent/cli/terminal.h"
#include "common/base/status_macros.h"
#include "common/repository/checker.h"

namespace holdfast {

namespace {

// How many names a list shows to people at most.
constexpr size_t kNamesShownMax = 10;

// A word for scripts.
absl::string_view FaultName(const absl::Status& status) {
  if (absl::IsNotFound(status)) return "missing";
  const std::optional<SealedFault> fault = GetSealedFault(status);
  return fault.has_value() ? SealedFaultName(*fault) : "damaged";
}

std::string JoinNames(const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kNamesShownMax);
  std::string text =
      absl::StrJoin(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", ");
  if (shown < names.size()) {
    absl::StrAppend(&text, " and ", FormatCount(names.size() - shown), " more");
  }
  return text;
}

// "nas (file:///mnt/nas)", or the URL alone where that is all that was given.
std::string DescribeDestination(const DestinationConfig& destination) {
  if (absl::StrContains(destination.name, '/')) return destination.url;
  return absl::StrCat(destination.name, " (", destination.url, ")");
}

// What was found at one destination.
struct DestinationReport {
  StoreId store_id;
  CheckReport report;
  absl::Duration duration;
};

std::string ToJson(const DestinationConfig& destination,
                   const absl::StatusOr<DestinationReport>& checked, bool read_data) {
  JsonObject object;
  object.AddString("name", destination.name);
  object.AddString("destination", destination.url);
  object.AddString("error", checked.status().message());
  if (!checked.ok()) return object.ToText();
  const CheckReport& report = checked->report;
  object.AddString("store_id", checked->store_id.ToText());
  object.AddBool("read_data", read_data);
  object.AddCount("backups_checked", report.backups_checked);
  object.AddCount("objects_checked", report.objects_checked);
  object.AddCount("bytes_read", report.bytes_read);
  object.AddCount("unnamed_objects", report.unnamed_objects);
  object.AddCount("unnamed_bytes", report.unnamed_bytes);
  JsonArray foreign_names;
  for (const std::string& name : report.foreign_names) foreign_names.Add(JsonString(name));
  object.AddJson("foreign_names", foreign_names.ToText());
  JsonArray findings;
  for (const CheckFinding& finding : report.findings) {
    JsonObject entry;
    entry.AddString("path", finding.path);
    entry.AddString("fault", FaultName(finding.status));
    entry.AddString("message", finding.status.message());
    JsonArray backup_ids;
    for (const std::string& backup_id : finding.backup_ids) backup_ids.Add(JsonString(backup_id));
    entry.AddJson("backup_ids", backup_ids.ToText());
    findings.Add(entry.ToText());
  }
  object.AddJson("findings", findings.ToText());
  return object.ToText();
}

std::string ToText(const DestinationConfig& destination, const DestinationReport& checked,
                   bool read_data) {
  const CheckReport& report = checked.report;
  std::string text = absl::StrCat(
      DescribeDestination(destination), ": ",
      report.findings.empty()
          ? absl::StrCat("all is well: ", FormatCount(report.backups_checked, "backup"))
          : absl::StrCat(FormatCount(report.findings.size(), "file"),
                         " damaged or missing: ", FormatCount(report.backups_checked, "backup")),
      ", ", FormatCount(report.objects_checked, "object"),
      read_data ? absl::StrCat(", ", FormatBytes(report.bytes_read), " read and proven")
                : ", their contents not read (--read-data does)",
      "; ", DescribeDuration(checked.duration), "\n");
  for (const CheckFinding& finding : report.findings) {
    absl::StrAppend(&text, "  ", finding.path, "\n    ", finding.status.message(), "\n");
    if (!finding.backup_ids.empty()) {
      absl::StrAppend(&text, "    can't be restored: ", JoinNames(finding.backup_ids), "\n");
    }
  }
  if (report.unnamed_objects > 0) {
    absl::StrAppend(&text, "  ", FormatCount(report.unnamed_objects, "object"), " of ",
                    FormatBytes(report.unnamed_bytes),
                    " that no backup names: no fault; prune removes them\n");
  }
  if (!report.foreign_names.empty()) {
    absl::StrAppend(&text, "  not Holdfast's: ", JoinNames(report.foreign_names), "\n");
  }
  return text;
}

// What is wrong in the end: DATA_LOSS, or PERMISSION_DENIED where the key is all that is wrong.
absl::Status Summarise(const DestinationConfig& destination, const CheckReport& report) {
  if (report.findings.empty()) return absl::OkStatus();
  const bool is_key_only = std::all_of(
      report.findings.begin(), report.findings.end(),
      [](const CheckFinding& finding) { return absl::IsPermissionDenied(finding.status); });
  return absl::Status(
      is_key_only ? absl::StatusCode::kPermissionDenied : absl::StatusCode::kDataLoss,
      absl::StrCat("the repository at ", destination.url, " has ",
                   FormatCount(report.findings.size(), "fault")));
}

absl::StatusOr<DestinationReport> CheckDestination(const DestinationConfig& destination,
                                                   const std::optional<StoreId>& store_id,
                                                   const MasterKey& key, bool read_data,
                                                   CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(const auto reader, RepositoryReader::Open(destination.url, store_id,
                                                                      key, context.cancellation));
  const MonotonicTime start = context.clock.MonotonicNow();
  ProgressDisplay display(context.console, context.clock);
  CheckOptions options;
  options.read_data = read_data;
  options.on_progress = [&display, &destination](const CheckProgress& progress) {
    display.Update({.what = absl::StrCat("check ", destination.name),
                    .items = "object",
                    .items_done = progress.objects_done,
                    .items_total = progress.objects_total,
                    .bytes_done = progress.bytes_done,
                    .bytes_total = progress.bytes_total});
  };
  HOLDFAST_ASSIGN_OR_RETURN(CheckReport report,
                            CheckStore(reader->store(), options, context.cancellation));
  return DestinationReport{.store_id = reader->store().store_id(),
                           .report = std::move(report),
                           .duration = context.clock.MonotonicNow() - start};
}

}  // namespace

absl::Status RunCommand(const CheckArguments& arguments, CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<StoreId> store_id,
                            ParseStoreId(arguments.store_id));
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<DestinationConfig> destinations,
                            FindDestinations(arguments.source, context));
  HOLDFAST_ASSIGN_OR_RETURN(const MasterKey key, ReadCommandKey(context));
  // One that fails does not keep the others from being checked; damage is what is told in the end.
  std::vector<absl::Status> failures;
  JsonArray json;
  for (const DestinationConfig& destination : destinations) {
    const absl::StatusOr<DestinationReport> checked =
        CheckDestination(destination, store_id, key, arguments.read_data, context);
    HOLDFAST_RETURN_IF_ERROR(context.cancellation.status());
    if (context.global.json) {
      json.Add(ToJson(destination, checked, arguments.read_data));
    } else if (checked.ok()) {
      HOLDFAST_RETURN_IF_ERROR(
          context.console.Write(ToText(destination, *checked, arguments.read_data)));
    }
    const absl::Status status = checked.ok()
                                    ? Summarise(destination, checked->report)
                                    : Annotate(checked.status(), DescribeDestination(destination));
    if (!status.ok()) failures.push_back(status);
  }
  if (context.global.json) {
    JsonObject object;
    object.AddJson("destinations", json.ToText());
    HOLDFAST_RETURN_IF_ERROR(context.console.WriteLine(object.ToText()));
  }
  if (failures.empty()) return absl::OkStatus();
  const auto damage = std::find_if(failures.begin(), failures.end(), absl::IsDataLoss);
  const auto told_last = damage == failures.end() ? failures.begin() : damage;
  for (auto failure = failures.begin(); failure != failures.end(); ++failure) {
    if (failure == told_last) continue;
    context.console.Complain(absl::StrCat("holdfast: ", failure->message()));
  }
  return *told_last;
}

}  // namespace holdfast
