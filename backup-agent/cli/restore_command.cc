#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "backup-agent/cli/command.h"
#include "backup-agent/cli/json_text.h"
#include "backup-agent/cli/repository_reader.h"
#include "backup-agent/cli/restore_progress.h"
#include "backup-agent/cli/salvage_text.h"
#include "backup-agent/cli/terminal.h"
#include "backup-agent/restore/restorer.h"
#include "common/base/status_macros.h"
#include "common/database/data_directory.h"

namespace holdfast {

namespace {

using repository::v1::BackupSummary;

// How many instance files are named to people at most.
constexpr size_t kInstanceFilesShownMax = 10;

// By which a restored store's revisions lie above those of the backup.
constexpr uint64_t kRevisionRaise = uint64_t{1} << 40;

// A restorer, and the place that it reads.
struct OpenedRestorer {
  DestinationConfig destination;
  OpenedPlace place;
  std::unique_ptr<Restorer> restorer;
};

absl::StatusOr<OpenedRestorer> OpenRestorer(const DestinationConfig& destination,
                                            const MasterKey& key,
                                            const Restorer::Selection& selection,
                                            CommandContext& context) {
  OpenedRestorer opened;
  opened.destination = destination;
  HOLDFAST_ASSIGN_OR_RETURN(opened.place, OpenPlace(destination.url, context));
  HOLDFAST_ASSIGN_OR_RETURN(opened.restorer, Restorer::Open(*opened.place.blobs, key, selection,
                                                            context.clock, context.random));
  return opened;
}

// The first destination that can be read. One that is damaged is not passed over in silence:
// another may lack the newest backups.
absl::StatusOr<OpenedRestorer> OpenFirst(const std::vector<DestinationConfig>& destinations,
                                         const MasterKey& key, const Restorer::Selection& selection,
                                         CommandContext& context) {
  absl::Status last;
  for (const DestinationConfig& destination : destinations) {
    absl::StatusOr<OpenedRestorer> opened = OpenRestorer(destination, key, selection, context);
    if (opened.ok()) return opened;
    HOLDFAST_RETURN_IF_ERROR(context.cancellation.status());
    const bool is_elsewhere = absl::IsNotFound(opened.status()) ||
                              absl::IsUnavailable(opened.status()) ||
                              absl::IsDeadlineExceeded(opened.status());
    if (destinations.size() == 1) return opened.status();
    last = Annotate(opened.status(), destination.name);
    if (!is_elsewhere) {
      return absl::Status(
          last.code(),
          absl::StrCat(last.message(), "\nanother destination may help: --from ",
                       &destination == &destinations.back() ? destinations.front().name
                                                            : destinations.back().name));
    }
    context.console.Note(absl::StrCat("passed over ", last.message()));
  }
  return last;
}

std::string AbsolutePath(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  return error ? path : absolute.lexically_normal().string();
}

std::string ToJson(const BackupSummary& summary, const RestoreResult& result,
                   const std::string& target, const std::string& source) {
  JsonObject object;
  object.AddString("backup_id", summary.backup_id());
  object.AddString("source", source);
  object.AddString("data_directory", target);
  object.AddString("store_id", result.store_id.ToText());
  object.AddString("incarnation", result.new_incarnation.ToText());
  object.AddCount("document_count", result.document_count);
  object.AddString("state_digest", absl::BytesToHexString(AsText(result.state_digest)));
  object.AddCount("revision", result.revision);
  object.AddCount("first_new_revision", result.revision + kRevisionRaise + 1);
  object.AddCount("file_count", result.file_count);
  object.AddCount("size_bytes", result.size_bytes);
  JsonArray instance_files;
  for (const std::string& name : result.instance_files) instance_files.Add(JsonString(name));
  object.AddJson("instance_files", instance_files.ToText());
  object.AddCount("files_duration_ms",
                  static_cast<uint64_t>(absl::ToInt64Milliseconds(result.files_duration)));
  object.AddCount("duration_ms", static_cast<uint64_t>(absl::ToInt64Milliseconds(result.duration)));
  return object.ToText();
}

std::string ToText(const BackupSummary& summary, const RestoreResult& result,
                   const std::string& target, const std::string& source, bool as_new_store) {
  const double seconds = std::max(absl::ToDoubleSeconds(result.duration), 0.001);
  std::string text = absl::StrCat(
      "restored ", BackupInWords(summary), "\n  to            ", target, "\n  proven        ",
      result.document_count == 1 ? "" : "all ", FormatCount(result.document_count, "document"),
      " at revision ", result.revision, ", by count and state digest\n  took          ",
      DescribeDuration(result.duration), " for ", FormatBytes(result.size_bytes), " in ",
      FormatCount(result.file_count, "file"), ", ",
      FormatBytes(static_cast<uint64_t>(static_cast<double>(result.size_bytes) / seconds)),
      "/s; the files ", DescribeDuration(result.files_duration), ", the proof ",
      DescribeDuration(result.duration - result.files_duration), "\n  store         ",
      result.store_id.ToText(), as_new_store ? " (a new one: this is a copy)" : "",
      "\n  incarnation   ", result.new_incarnation.ToText(), " (new); revisions go on above ",
      result.revision + kRevisionRaise, "\n");
  if (!result.instance_files.empty()) {
    const size_t shown = std::min(result.instance_files.size(), kInstanceFilesShownMax);
    absl::StrAppend(
        &text, "  other files   below ", target, "/instance: ",
        absl::StrJoin(result.instance_files.begin(),
                      result.instance_files.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
        shown < result.instance_files.size()
            ? absl::StrCat(" and ", result.instance_files.size() - shown, " more")
            : "",
        "\n");
  }
  absl::StrAppend(&text, "next:\n");
  if (!result.instance_files.empty()) {
    absl::StrAppend(&text, "  put the files below ", target,
                    "/instance, such as the configuration, to where they were\n");
  }
  absl::StrAppend(&text,
                  "  put the master key into a file of mode 0600, the one that master_key in "
                  "the configuration names\n  set data_directory = \"",
                  target, "\" under [store], then start holdfast-store",
                  as_new_store ? "" : "; never two stores on copies of the same data", "\n");
  if (!as_new_store) {
    absl::StrAppend(&text,
                    "  start holdfast-agent, then go on with the schedule and the "
                    "destinations of the backup:\n    holdfast settings set --from ",
                    ShellQuote(source), "\n");
  }
  return text;
}

absl::Status PrintRestored(const OpenedRestorer& opened, const RestoreResult& result,
                           const std::string& target, const RestoreArguments& arguments,
                           CommandContext& context) {
  const BackupSummary& summary = opened.restorer->summary();
  return context.global.json
             ? context.console.WriteLine(ToJson(summary, result, target, opened.destination.url))
             : context.console.Write(
                   ToText(summary, result, target, opened.destination.url, arguments.as_new_store));
}

// The backup at `damaged` is damaged, as `why` says. Restores it from another destination that has
// it whole; only where there is none, what is left of it is salvaged.
absl::Status RestoreOrSalvage(const OpenedRestorer& damaged, const absl::Status& why,
                              const std::vector<DestinationConfig>& destinations,
                              const MasterKey& key, const std::string& target,
                              const RestoreArguments& arguments, CommandContext& context) {
  const BackupSummary& summary = damaged.restorer->summary();
  Console& console = context.console;
  console.Note(
      absl::StrCat("the backup is damaged at ", damaged.destination.url, ": ", why.message()));
  Restorer::Selection same;
  HOLDFAST_ASSIGN_OR_RETURN(same.store_id, StoreId::FromBytes(summary.store_id()));
  same.backup_id = summary.backup_id();
  const RestoreOptions options = {.as_new_store = arguments.as_new_store};
  for (const DestinationConfig& destination : destinations) {
    if (destination.url == damaged.destination.url) continue;
    const absl::StatusOr<OpenedRestorer> other = OpenRestorer(destination, key, same, context);
    if (!other.ok()) {
      console.Note(absl::StrCat("passed over ", destination.name, ": ", other.status().message()));
      continue;
    }
    const absl::StatusOr<RestoreResult> result =
        RestoreShowingProgress(*other->restorer, target, options, context);
    if (result.ok()) {
      console.Note(
          absl::StrCat("it is whole at ", destination.url, ": nothing had to be salvaged"));
      return PrintRestored(*other, *result, target, arguments, context);
    }
    if (!absl::IsDataLoss(result.status())) return result.status();
    console.Note(
        absl::StrCat("it is damaged at ", destination.url, ", too: ", result.status().message()));
  }
  HOLDFAST_ASSIGN_OR_RETURN(const SalvageResult result,
                            SalvageShowingProgress(*damaged.restorer, target, options, context),
                            "salvage");
  HOLDFAST_RETURN_IF_ERROR(
      context.global.json
          ? console.WriteLine(SalvageToJson(summary, result, target, damaged.destination.url))
          : console.Write(FormatSalvage(summary, result, target)));
  if (result.summary.whole()) return absl::OkStatus();
  return absl::DataLossError(SummarizeSalvage(result));
}

// Where the backup may be whole: also at the destinations of a configuration, if there is one.
absl::StatusOr<std::vector<DestinationConfig>> WithConfiguredDestinations(
    std::vector<DestinationConfig> destinations, const RestoreArguments& arguments,
    CommandContext& context) {
  if (arguments.source.empty()) return destinations;
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<Config> config, LoadCommandConfigIfAny(context));
  if (!config.has_value()) return destinations;
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<DestinationConfig> configured,
                            FindDestinations("", context));
  destinations.insert(destinations.end(), configured.begin(), configured.end());
  return destinations;
}

absl::Status AcceptSalvaged(const RestoreArguments& arguments, CommandContext& context) {
  const std::string target = AbsolutePath(arguments.target);
  HOLDFAST_ASSIGN_OR_RETURN(const store::v1::DataDirectoryState state,
                            DataDirectory::AcceptSalvaged(target));
  const store::v1::Salvage& salvage = state.salvage();
  if (context.global.json) {
    JsonObject object;
    object.AddString("data_directory", target);
    object.AddString("backup_id", state.restored_from_backup_id());
    object.AddCount("document_count", salvage.document_count());
    object.AddCount("proven", salvage.proven_count());
    object.AddCount("unproven", salvage.unproven_count());
    return context.console.WriteLine(object.ToText());
  }
  return context.console.Write(absl::StrCat(
      "accepted ", target, ", salvaged from backup ", state.restored_from_backup_id(), ": of ",
      FormatCount(salvage.document_count(), "document"), " ", FormatCount(salvage.proven_count()),
      " are proven, and ", FormatCount(salvage.unproven_count()),
      " more are there that are not\nnext: let a store serve it: data_directory = \"", target,
      "\" under [store] in its configuration, then start holdfast-store\n"));
}

}  // namespace

absl::Status RunCommand(const RestoreArguments& arguments, CommandContext& context) {
  if (arguments.accept_salvaged) return AcceptSalvaged(arguments, context);
  Restorer::Selection selection;
  HOLDFAST_ASSIGN_OR_RETURN(selection.store_id, ParseStoreId(arguments.store_id));
  if (arguments.backup_id != "latest") selection.backup_id = arguments.backup_id;
  if (arguments.source.empty()) {
    HOLDFAST_ASSIGN_OR_RETURN(const std::optional<Config> config, LoadCommandConfigIfAny(context));
    if (!config.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat("where from? There is no configuration ",
                                                     ConfigPath(context),
                                                     ": give --from file:///path/of/the/backups"));
    }
  }
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<DestinationConfig> destinations,
                            FindDestinations(arguments.source, context));
  HOLDFAST_ASSIGN_OR_RETURN(const MasterKey key, ReadCommandKey(context));
  HOLDFAST_ASSIGN_OR_RETURN(const OpenedRestorer opened,
                            OpenFirst(destinations, key, selection, context));
  const std::string target = AbsolutePath(arguments.target);
  HOLDFAST_RETURN_IF_ERROR(Restorer::CheckTarget(target));
  context.console.Note(absl::StrCat("restoring ", BackupInWords(opened.restorer->summary()),
                                    " from ", opened.destination.url, " to ", target));

  const absl::StatusOr<RestoreResult> result = RestoreShowingProgress(
      *opened.restorer, target, {.as_new_store = arguments.as_new_store}, context);
  if (absl::IsDataLoss(result.status())) {
    if (arguments.salvage) {
      HOLDFAST_ASSIGN_OR_RETURN(const std::vector<DestinationConfig> all,
                                WithConfiguredDestinations(destinations, arguments, context));
      return RestoreOrSalvage(opened, result.status(), all, key, target, arguments, context);
    }
    return absl::DataLossError(absl::StrCat(result.status().message(),
                                            "\nanother backup (--backup) or destination (--from) "
                                            "may be whole; --salvage brings what is "
                                            "whole of this one"));
  }
  HOLDFAST_RETURN_IF_ERROR(result.status());
  if (arguments.salvage) {
    context.console.Note("the backup is whole: nothing had to be salvaged");
  }
  return PrintRestored(opened, *result, target, arguments, context);
}

}  // namespace holdfast
