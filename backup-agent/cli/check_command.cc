#include <algorithm>
#include <memory>
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
#include "backup-agent/restore/restorer.h"
#include "common/base/status_macros.h"
#include "common/repository/checker.h"
#include "common/repository/store_repairer.h"

namespace holdfast {

namespace {

// How many names a list shows to people at most.
constexpr size_t kNamesShownMax = 10;

// How often a destination is checked again after a repair, before it is given up: two are the rule.
constexpr int kRepairRoundsMax = 5;

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
  // What became of what was damaged; absent where nothing was to be repaired.
  std::optional<std::vector<RepairedFile>> repairs;
  absl::Duration duration;
};

uint64_t CountRepaired(const std::vector<RepairedFile>& repairs) {
  return static_cast<uint64_t>(std::count_if(
      repairs.begin(), repairs.end(), [](const RepairedFile& file) { return file.status.ok(); }));
}

std::string ToJson(const RepairedFile& file) {
  JsonObject object;
  object.AddString("path", file.path);
  object.AddString("fault", FaultName(file.damage));
  object.AddString("message", file.damage.message());
  JsonArray backup_ids;
  for (const std::string& backup_id : file.backup_ids) backup_ids.Add(JsonString(backup_id));
  object.AddJson("backup_ids", backup_ids.ToText());
  object.AddBool("repaired", file.status.ok());
  object.AddString("repaired_from", file.repaired_from);
  object.AddString("error", file.status.message());
  return object.ToText();
}

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
  if (checked->repairs.has_value()) {
    JsonArray repairs;
    for (const RepairedFile& file : *checked->repairs) repairs.Add(ToJson(file));
    object.AddJson("repairs", repairs.ToText());
  }
  return object.ToText();
}

std::string DescribeLost(const std::vector<std::string>& backup_ids) {
  return backup_ids.empty() ? ""
                            : absl::StrCat("    can't be restored: ", JoinNames(backup_ids), "\n");
}

std::string ToText(const std::vector<RepairedFile>& repairs) {
  std::string text;
  for (const RepairedFile& file : repairs) {
    absl::StrAppend(&text, "  ", file.path, "\n    ", MessageWithout(file.damage, file.path), "\n");
    if (!file.status.ok()) {
      absl::StrAppend(&text, "    not repaired: ", file.status.message(), "\n",
                      DescribeLost(file.backup_ids));
    } else if (file.repaired_from.empty()) {
      absl::StrAppend(&text, "    is whole again\n");
    } else {
      absl::StrAppend(&text, "    repaired from ", file.repaired_from, "\n");
    }
  }
  return text;
}

// What the check comes to. `damaged` is how many files are or were.
std::string Headline(const DestinationReport& checked, uint64_t damaged, bool read_data) {
  const CheckReport& report = checked.report;
  if (damaged > 0) {
    std::string text = absl::StrCat(FormatCount(damaged, "file"), " damaged or missing");
    if (checked.repairs.has_value()) {
      absl::StrAppend(&text, ", ", FormatCount(CountRepaired(*checked.repairs)),
                      " of them repaired");
    }
    return text;
  }
  if (report.backups_checked == 0) return "nothing is proven";
  if (!read_data && report.backups_marked > 0) {
    return absl::StrCat(FormatCount(report.backups_marked, "backup"),
                        " marked as damaged, and nothing else found");
  }
  return "all is well";
}

std::string ToText(const DestinationConfig& destination, const DestinationReport& checked,
                   bool read_data) {
  const CheckReport& report = checked.report;
  const uint64_t damaged =
      checked.repairs.has_value() ? checked.repairs->size() : report.findings.size();
  std::string text = absl::StrCat(
      DescribeDestination(destination), ": ", Headline(checked, damaged, read_data), ": ",
      FormatCount(report.backups_checked, "backup"), ", ",
      FormatCount(report.objects_checked, "object"),
      read_data ? absl::StrCat(", ", FormatBytes(report.bytes_read), " read and proven")
                : ", their contents not read (--read-data does)",
      "; ", DescribeDuration(checked.duration), "\n");
  if (checked.repairs.has_value()) {
    absl::StrAppend(&text, ToText(*checked.repairs));
  } else {
    for (const CheckFinding& finding : report.findings) {
      absl::StrAppend(&text, "  ", finding.path, "\n    ",
                      MessageWithout(finding.status, finding.path), "\n",
                      DescribeLost(finding.backup_ids));
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

// What is wrong in the end: DATA_LOSS, or PERMISSION_DENIED where the key is all that is wrong;
// NOT_FOUND where there was nothing to check.
absl::Status Summarise(const DestinationConfig& destination, const DestinationReport& checked,
                       bool read_data) {
  std::vector<absl::Status> faults;
  if (checked.repairs.has_value()) {
    for (const RepairedFile& file : *checked.repairs) {
      if (!file.status.ok()) faults.push_back(file.damage);
    }
  } else {
    for (const CheckFinding& finding : checked.report.findings) faults.push_back(finding.status);
  }
  if (faults.empty()) {
    // A check that reads all data knows better than a mark.
    if (!read_data && checked.report.backups_marked > 0) {
      return absl::DataLossError(absl::StrCat(
          FormatCount(checked.report.backups_marked, "backup"), " at ", destination.url,
          " can't be restored, as an earlier check or drill found: `holdfast check --read-data "
          "--repair` mends what another destination holds whole"));
    }
    if (checked.report.backups_checked > 0) return absl::OkStatus();
    return absl::NotFoundError(absl::StrCat("there is no backup at ", destination.url));
  }
  const bool is_key_only = std::all_of(faults.begin(), faults.end(), [](const absl::Status& fault) {
    return GetSealedFault(fault) == SealedFault::kWrongKey;
  });
  return absl::Status(
      is_key_only ? absl::StatusCode::kPermissionDenied : absl::StatusCode::kDataLoss,
      absl::StrCat("the repository at ", destination.url, " has ",
                   FormatCount(faults.size(), "fault"),
                   checked.repairs.has_value()
                       ? " that could not be repaired"
                       : absl::StrCat("; `holdfast check ", read_data ? "--read-data " : "",
                                      "--repair` mends what another destination holds whole")));
}

// Shows how the check of one destination goes.
CheckOptions MakeCheckOptions(const DestinationConfig& destination, bool read_data,
                              ProgressDisplay& display) {
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
  return options;
}

absl::StatusOr<DestinationReport> CheckDestination(const DestinationConfig& destination,
                                                   const std::optional<StoreId>& store_id,
                                                   const MasterKey& key, bool read_data,
                                                   CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(const auto reader,
                            RepositoryReader::Open(destination.url, store_id, key, context));
  const MonotonicTime start = context.clock.MonotonicNow();
  ProgressDisplay display(context.console, context.clock);
  HOLDFAST_ASSIGN_OR_RETURN(
      CheckReport report,
      CheckStore(reader->store(), MakeCheckOptions(destination, read_data, display),
                 context.cancellation));
  return DestinationReport{.store_id = reader->store().store_id(),
                           .report = std::move(report),
                           .repairs = std::nullopt,
                           .duration = context.clock.MonotonicNow() - start};
}

// The same, and mends what is damaged with what is at `sources`.
absl::StatusOr<DestinationReport> CheckAndRepairDestination(
    const DestinationConfig& destination, const std::vector<DestinationConfig>& sources,
    const std::optional<StoreId>& store_id, const MasterKey& key, bool read_data,
    CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(const OpenedPlace place, OpenPlace(destination.url, context));
  HOLDFAST_ASSIGN_OR_RETURN(const Repository repository, Repository::Open(*place.blobs));
  HOLDFAST_ASSIGN_OR_RETURN(const StoreId selected, SelectStore(repository, store_id));
  std::vector<std::unique_ptr<RepositoryReader>> readers;
  std::vector<StoreRepository*> others;
  for (const DestinationConfig& source : sources) {
    if (source.url == destination.url) continue;
    absl::StatusOr<std::unique_ptr<RepositoryReader>> reader =
        RepositoryReader::Open(source.url, selected, key, context);
    HOLDFAST_RETURN_IF_ERROR(context.cancellation.status());
    if (!reader.ok()) {
      context.console.Complain(
          absl::StrCat("nothing is repaired from ", source.name, ": ", reader.status().message()));
      continue;
    }
    others.push_back(&(*reader)->store());
    readers.push_back(*std::move(reader));
  }

  const MonotonicTime start = context.clock.MonotonicNow();
  ProgressDisplay display(context.console, context.clock);
  StoreRepairer repairer(repository, selected, key, std::move(others), context.clock);
  HOLDFAST_RETURN_IF_ERROR(repairer.Open());
  DestinationReport checked;
  checked.store_id = selected;
  for (int round = 0; round < kRepairRoundsMax; ++round) {
    HOLDFAST_ASSIGN_OR_RETURN(
        CheckReport report,
        CheckStore(repairer.store(), MakeCheckOptions(destination, read_data, display),
                   context.cancellation));
    const absl::Status repaired = repairer.Repair(
        report,
        [&display, &destination](uint64_t done, uint64_t total) {
          display.Update({.what = absl::StrCat("repair ", destination.name),
                          .items = "file",
                          .items_done = done,
                          .items_total = total});
        },
        context.cancellation);
    HOLDFAST_RETURN_IF_ERROR(repaired, "repair");
    if (round == 0) {
      checked.report = std::move(report);
    } else {  // what was found first, and how much is there now
      report.findings = std::move(checked.report.findings);
      report.bytes_read += checked.report.bytes_read;
      checked.report = std::move(report);
    }
    if (!repairer.has_to_check_again()) {
      checked.repairs = repairer.files();
      checked.duration = context.clock.MonotonicNow() - start;
      return checked;
    }
  }
  return absl::AbortedError(absl::StrCat("the backups at ", destination.url,
                                         " keep changing while they are repaired: try again"));
}

// Where good copies are looked for.
absl::StatusOr<std::vector<DestinationConfig>> FindRepairSources(const CheckArguments& arguments,
                                                                 CommandContext& context) {
  if (arguments.repair_sources.empty()) {
    absl::StatusOr<std::vector<DestinationConfig>> all = FindDestinations("", context);
    if (all.ok() || arguments.source.empty()) return all;
    // Where the place is named there need be no configuration.
    context.console.Complain(
        absl::StrCat("there is nowhere to repair from: ", all.status().message()));
    return std::vector<DestinationConfig>();
  }
  std::vector<DestinationConfig> sources;
  for (const std::string& source : arguments.repair_sources) {
    HOLDFAST_ASSIGN_OR_RETURN(const std::vector<DestinationConfig> found,
                              FindDestinations(source, context));
    sources.insert(sources.end(), found.begin(), found.end());
  }
  return sources;
}

}  // namespace

absl::Status RunCommand(const CheckArguments& arguments, CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<StoreId> store_id,
                            ParseStoreId(arguments.store_id));
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<DestinationConfig> destinations,
                            FindDestinations(arguments.source, context));
  std::vector<DestinationConfig> sources;
  if (arguments.repair) {
    HOLDFAST_ASSIGN_OR_RETURN(sources, FindRepairSources(arguments, context));
  }
  HOLDFAST_ASSIGN_OR_RETURN(const MasterKey key, ReadCommandKey(context));
  // One that fails does not keep the others from being checked; damage is what is told in the end.
  std::vector<absl::Status> failures;
  JsonArray json;
  for (const DestinationConfig& destination : destinations) {
    const absl::StatusOr<DestinationReport> checked =
        arguments.repair
            ? CheckAndRepairDestination(destination, sources, store_id, key, arguments.read_data,
                                        context)
            : CheckDestination(destination, store_id, key, arguments.read_data, context);
    HOLDFAST_RETURN_IF_ERROR(context.cancellation.status());
    if (context.global.json) {
      json.Add(ToJson(destination, checked, arguments.read_data));
    } else if (checked.ok()) {
      HOLDFAST_RETURN_IF_ERROR(
          context.console.Write(ToText(destination, *checked, arguments.read_data)));
      // The next one may take long.
      HOLDFAST_RETURN_IF_ERROR(context.console.Flush());
    }
    const absl::Status status = checked.ok()
                                    ? Summarise(destination, *checked, arguments.read_data)
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
  if (!arguments.repair || damage == failures.end()) return *told_last;
  return absl::DataLossError(
      absl::StrCat(damage->message(),
                   "\nwhat no destination holds whole is lost to the backups that need it. "
                   "`holdfast drill`, and then `holdfast backup now`, make a whole one of the "
                   "store; `holdfast restore --salvage` brings what is left of a damaged one"));
}

}  // namespace holdfast
