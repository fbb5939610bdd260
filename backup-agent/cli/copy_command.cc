#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backup-agent/cli/command.h"
#include "backup-agent/cli/json_text.h"
#include "backup-agent/cli/repository_reader.h"
#include "backup-agent/cli/terminal.h"
#include "backup-agent/restore/restorer.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/repository/backup_copier.h"
#include "common/storage/open_blob_store.h"

namespace holdfast {

namespace {

using Result = CopiedBackup::Result;

// Where the copies go.
struct Target {
  OpenedPlace place;
  std::optional<Repository> repository;
  bool was_created = false;
};

absl::StatusOr<Target> OpenTarget(const DestinationConfig& destination, bool may_create,
                                  CommandContext& context) {
  if (may_create) {
    HOLDFAST_RETURN_IF_ERROR(
        context.places.make_folder(destination.url, context.cancellation).status());
  }
  const auto seems_not_mounted = [&](const absl::Status& status) {
    return absl::FailedPreconditionError(absl::StrCat(
        status.message(), may_create ? ""
                                     : "\nthe share seems not to be mounted: mount it; or, where "
                                       "a new repository is to be made, add --create"));
  };
  Target target;
  absl::StatusOr<OpenedPlace> place = OpenPlace(destination.url, context);
  if (absl::IsNotFound(place.status())) return seems_not_mounted(place.status());
  HOLDFAST_RETURN_IF_ERROR(place.status());
  target.place = *std::move(place);
  absl::StatusOr<Repository> repository = Repository::Open(*target.place.blobs);
  if (absl::IsNotFound(repository.status())) {
    if (!may_create) return seems_not_mounted(repository.status());
    repository = Repository::Create(*target.place.blobs, context.clock.Now());
    target.was_created = repository.ok();
  }
  HOLDFAST_RETURN_IF_ERROR(repository.status());
  target.repository.emplace(*std::move(repository));
  if (const std::string warning = target.place.blobs->Warning().text; !warning.empty()) {
    context.console.Complain(absl::StrCat("warning: ", destination.url, ": ", warning));
  }
  return target;
}

// The backup that is latest. Where a manifest that can't be read may be that of the latest, an
// older one is never taken in its place in silence.
absl::StatusOr<std::string> FindLatest(StoreRepository& source) {
  HOLDFAST_ASSIGN_OR_RETURN(const BackupListing listing, source.ListBackups(), "list the backups");
  for (const auto& [backup_id, status] : listing.damaged) {
    const bool has_successor = std::any_of(listing.backups.begin(), listing.backups.end(),
                                           [&id = backup_id](const ListedBackup& backup) {
                                             return backup.summary.previous_backup_id() == id;
                                           });
    if (has_successor) continue;
    return Annotate(status, absl::StrCat("the latest backup can't be told, for ", backup_id,
                                         " can't be read (name one with --backup, or copy all that "
                                         "can be read with --all)"));
  }
  if (listing.Latest() == nullptr) {
    return absl::NotFoundError(absl::StrCat("there is no backup at ", source.blobs().Describe()));
  }
  return listing.Latest()->summary.backup_id();
}

// Which backups to copy, as of CopyOptions.
absl::StatusOr<std::vector<std::string>> ChooseBackups(const CopyArguments& arguments,
                                                       StoreRepository& source) {
  if (arguments.all) return std::vector<std::string>();
  for (const std::string& backup_id : arguments.backup_ids) {
    if (IsBackupId(backup_id)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("'", backup_id,
                     "' is not the id of a backup; one looks like 20261122T183500.123Z-1f9a2b3c"));
  }
  if (!arguments.backup_ids.empty()) return arguments.backup_ids;
  HOLDFAST_ASSIGN_OR_RETURN(std::string latest, FindLatest(source));
  return std::vector<std::string>{std::move(latest)};
}

// For scripts, and what people read.
absl::string_view ResultName(Result result) {
  switch (result) {
    case Result::kCopied:
      return "copied";
    case Result::kThereAlready:
      return "there_already";
    case Result::kDeletedThere:
      return "deleted_there";
    case Result::kFailed:
      break;
  }
  return "failed";
}

uint64_t Count(const CopyReport& report, Result result) {
  return static_cast<uint64_t>(
      std::count_if(report.backups.begin(), report.backups.end(),
                    [&](const CopiedBackup& backup) { return backup.result == result; }));
}

struct Totals {
  uint64_t objects = 0;
  uint64_t bytes = 0;
};

Totals CountCopied(const CopyReport& report) {
  Totals totals;
  for (const CopiedBackup& backup : report.backups) {
    totals.objects += backup.objects_copied;
    totals.bytes += backup.copied_bytes;
  }
  return totals;
}

std::string ToJson(const CopyReport& report, const DestinationConfig& from,
                   const DestinationConfig& to, const StoreId& store_id, bool was_created) {
  JsonObject object;
  object.AddString("from", from.url);
  object.AddString("to", to.url);
  object.AddString("store_id", store_id.ToText());
  object.AddBool("created", was_created);
  object.AddString("error", report.status.message());
  const Totals totals = CountCopied(report);
  object.AddCount("objects_copied", totals.objects);
  object.AddCount("copied_bytes", totals.bytes);
  JsonArray backups;
  for (const CopiedBackup& backup : report.backups) {
    JsonObject entry;
    entry.AddString("backup_id", backup.backup_id);
    entry.AddString("result", ResultName(backup.result));
    entry.AddString("error", backup.status.message());
    entry.AddString("warning", backup.warning);
    entry.AddCount("objects_copied", backup.objects_copied);
    entry.AddCount("objects_there", backup.objects_there);
    entry.AddCount("copied_bytes", backup.copied_bytes);
    backups.Add(entry.ToText());
  }
  object.AddJson("backups", backups.ToText());
  return object.ToText();
}

std::string Describe(const CopiedBackup& backup) {
  switch (backup.result) {
    case Result::kCopied:
      return absl::StrCat("copied: ", FormatCount(backup.objects_copied, "object"), ", ",
                          FormatBytes(backup.copied_bytes), "; ",
                          FormatCount(backup.objects_there, "object"), " there already");
    case Result::kThereAlready:
      return "there already";
    case Result::kDeletedThere:
      return "deleted there, and stays so";
    case Result::kFailed:
      break;
  }
  return absl::StrCat("not copied: ", backup.status.message());
}

std::string ToText(const CopyReport& report, const DestinationConfig& from,
                   const DestinationConfig& to, bool was_created, absl::Duration duration) {
  const Totals totals = CountCopied(report);
  std::string text =
      absl::StrCat(was_created ? absl::StrCat("made a repository at ", to.url, "\n") : "", from.url,
                   " to ", to.url, ": ", FormatCount(Count(report, Result::kCopied), "backup"),
                   " copied, ", FormatCount(Count(report, Result::kThereAlready)),
                   " there already, ", FormatCount(totals.objects, "object"), " of ",
                   FormatBytes(totals.bytes), "; ", DescribeDuration(duration), "\n");
  for (const CopiedBackup& backup : report.backups) {
    absl::StrAppend(&text, "  ", backup.backup_id, "  ", Describe(backup), "\n");
    if (!backup.warning.empty()) absl::StrAppend(&text, "    ", backup.warning, "\n");
  }
  return text;
}

// What is wrong in the end: what ended the job, else damage, else whatever came first.
absl::Status Summarise(const CopyReport& report, bool all) {
  if (!report.status.ok()) return report.status;
  absl::Status worst;
  uint64_t failed = 0;
  for (const CopiedBackup& backup : report.backups) {
    absl::Status status = backup.status;
    if (backup.result == Result::kDeletedThere && !all) {
      status = absl::FailedPreconditionError("it was deleted there, and stays so");
    }
    if (status.ok()) continue;
    ++failed;
    if (worst.ok() || (absl::IsDataLoss(status) && !absl::IsDataLoss(worst))) {
      worst = Annotate(status, absl::StrCat("backup ", backup.backup_id));
    }
  }
  if (failed <= 1) return worst;
  return Annotate(
      worst, absl::StrCat(FormatCount(failed), " of ", FormatCount(report.backups.size(), "backup"),
                          " could not be copied; one of them"));
}

}  // namespace

absl::Status RunCommand(const CopyArguments& arguments, CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<StoreId> store_id,
                            ParseStoreId(arguments.store_id));
  if (arguments.source.empty() || arguments.target.empty()) {
    return absl::InvalidArgumentError("--from and --to each name a destination");
  }
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<DestinationConfig> sources,
                            FindDestinations(arguments.source, context));
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<DestinationConfig> targets,
                            FindDestinations(arguments.target, context));
  const DestinationConfig& from = sources.front();
  const DestinationConfig& to = targets.front();
  HOLDFAST_ASSIGN_OR_RETURN(const MasterKey key, ReadCommandKey(context));
  HOLDFAST_ASSIGN_OR_RETURN(const auto reader,
                            RepositoryReader::Open(from.url, store_id, key, context));
  StoreRepository& source = reader->store();
  CopyOptions options;
  HOLDFAST_ASSIGN_OR_RETURN(options.backup_ids, ChooseBackups(arguments, source));
  HOLDFAST_ASSIGN_OR_RETURN(const Repository source_repository, Repository::Open(source.blobs()));
  HOLDFAST_ASSIGN_OR_RETURN(const Target target, OpenTarget(to, arguments.create, context));
  if (source_repository.repository_id() == target.repository->repository_id()) {
    return absl::InvalidArgumentError(
        absl::StrCat(from.url, " and ", to.url,
                     " are the same repository: ", source_repository.repository_id().ToText()));
  }

  const MonotonicTime start = context.clock.MonotonicNow();
  CopyReport report;
  {
    ProgressDisplay display(context.console, context.clock);
    options.on_progress = [&display](const CopyProgress& progress) {
      display.Update({.what = "copy",
                      .items = "object",
                      .items_done = progress.objects_done,
                      .items_total = progress.objects_total,
                      .bytes_done = progress.bytes_done,
                      .bytes_total = progress.bytes_total});
    };
    report =
        CopyBackups(source, *target.repository, key, options, context.clock, context.cancellation);
  }
  if (report.backups.empty() && report.status.ok()) {
    return absl::NotFoundError(absl::StrCat("there is no backup at ", from.url));
  }
  HOLDFAST_RETURN_IF_ERROR(
      context.global.json ? context.console.WriteLine(
                                ToJson(report, from, to, source.store_id(), target.was_created))
                          : context.console.Write(ToText(report, from, to, target.was_created,
                                                         context.clock.MonotonicNow() - start)));
  return Summarise(report, arguments.all);
}

}  // namespace holdfast
