#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "backup-agent/cli/agent_client.h"
#include "backup-agent/cli/backup_text.h"
#include "backup-agent/cli/command.h"
#include "backup-agent/cli/json_text.h"
#include "backup-agent/cli/repository_reader.h"
#include "backup-agent/cli/terminal.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/base/thread.h"
#include "common/messages/backup_message.h"
#include "common/messages/proto_time.h"

namespace holdfast {

namespace {

constexpr int kPageSize = 1000;

constexpr absl::string_view kNoBackup = "there is no backup yet";
constexpr absl::string_view kNoneDeleted = "there is no deleted backup";

// How often to look whether a run has begun.
constexpr absl::Duration kRunLookInterval = absl::Milliseconds(200);

// Longer than any backup: the caller may press Ctrl-C.
constexpr absl::Duration kTriggerTimeoutDefault = absl::Hours(24 * 7);

// Shows how the run in progress goes, whichever it is, while it lives.
class RunWatcher {
 public:
  RunWatcher(AgentClient& agent, CommandContext& context)
      : agent_(agent),
        context_(context),
        stop_(context.cancellation),
        thread_("watch", [this] { Watch(); }) {}
  ~RunWatcher() { stop_.Cancel(absl::CancelledError("the backup is there")); }

 private:
  void Watch() {
    ProgressDisplay display(context_.console, context_.clock);
    v1::WatchRunRequest request;
    request.set_store_name(context_.global.store_name);
    const Cancellation stopped = stop_.token();
    while (!stopped.IsCancelled()) {
      // There may be none yet, or the agent may be gone: who waits for the backup will hear of
      // that.
      (void)agent_.WatchRun(
          request, [&display](const v1::Run& run) { display.Update(RunProgress(run)); }, stopped);
      (void)SleepFor(context_.clock, kRunLookInterval, stopped);
    }
  }

  AgentClient& agent_;
  CommandContext& context_;
  CancellationSource stop_;
  Thread thread_;  // last: it uses all of the above
};

std::string DescribeTriggered(const v1::TriggerBackupResponse& response, absl::Duration duration) {
  const v1::Backup& backup = response.backup();
  return absl::StrCat(
      response.already_there() ? "there already: " : "", "backup ", backup.backup_id(), "\n",
      FormatCount(backup.document_count(), "document"), " at revision ", backup.revision(), ", ",
      FormatBytes(backup.size_bytes()), " in ", FormatCount(backup.file_count(), "file"), ", ",
      FormatBytes(backup.added_bytes()), " added, at ",
      absl::StrJoin(backup.destination_names(), ", "), "; ", DescribeDuration(duration), "\n");
}

// What becomes of a backup whose end was not awaited, and how to find it.
absl::Status ExplainNotAwaited(const absl::Status& status, const BackupNowArguments& arguments,
                               const CommandContext& context) {
  const bool is_lost = AgentClient::WasConnectionLost(status);
  const bool is_late = absl::IsDeadlineExceeded(status);
  if (!absl::IsCancelled(status) && !is_late && !is_lost) return status;
  const std::string again = arguments.request_id.empty()
                                ? std::string()
                                : absl::StrCat("; the same --request-id ",
                                               ShellQuote(arguments.request_id), " finds it again");
  if (is_lost) {
    return absl::Status(status.code(), absl::StrCat(status.message(),
                                                    "; a run that this cut is made up for once "
                                                    "the agent runs again",
                                                    again));
  }
  context.console.Note(absl::StrCat(
      "the backup goes on; follow it with `holdfast status`, stop it with `holdfast backup "
      "cancel`",
      again));
  if (is_late && arguments.timeout.has_value()) {
    return absl::Status(status.code(), absl::StrCat("the backup was not durable within ",
                                                    DescribeDuration(*arguments.timeout)));
  }
  return status;
}

// A manifest that can't be read, and why.
struct DamagedManifest {
  std::string backup_id;
  std::string message;
};

// `damaged`: absent where the agent was asked, which does not tell. `none`: what to say where there
// is no backup.
absl::Status PrintBackups(const std::vector<v1::Backup>& backups,
                          const std::optional<std::vector<DamagedManifest>>& damaged,
                          absl::string_view none, CommandContext& context) {
  if (context.global.json) {
    v1::ListBackupsResponse list;
    for (const v1::Backup& backup : backups) *list.add_backups() = backup;
    std::string json = MessageToJson(list);
    if (damaged.has_value()) {
      JsonArray entries;
      for (const DamagedManifest& manifest : *damaged) {
        JsonObject entry;
        entry.AddString("backup_id", manifest.backup_id);
        entry.AddString("message", manifest.message);
        entries.Add(entry.ToText());
      }
      json = absl::StrCat(absl::StripSuffix(json, "}"), ",\"damaged\":", entries.ToText(), "}");
    }
    return context.console.WriteLine(json);
  }
  if (backups.empty()) context.console.Note(none);
  return backups.empty() ? absl::OkStatus() : context.console.Write(FormatBackupTable(backups));
}

absl::Status PrintBackup(const v1::Backup& backup, CommandContext& context) {
  return context.global.json ? context.console.WriteLine(MessageToJson(backup))
                             : context.console.Write(FormatBackup(backup));
}

// What was read at destinations themselves.
struct DirectListing {
  std::vector<v1::Backup> backups;  // newest first
  std::vector<DamagedManifest> damaged;
  absl::Status failure;  // of a destination that could not be read, where another could
};

// Adds what is at `destination`. A manifest that can't be read is named on the error stream too.
absl::Status AddListingAt(const DestinationConfig& destination,
                          const std::optional<StoreId>& store_id, const MasterKey& key,
                          bool deleted, CommandContext& context, DirectListing& listed) {
  HOLDFAST_ASSIGN_OR_RETURN(const auto reader,
                            RepositoryReader::Open(destination.url, store_id, key, context));
  HOLDFAST_ASSIGN_OR_RETURN(const BackupListing listing, reader->store().ListBackups());
  const std::string& name = destination.name;
  const auto add = [&](const repository::v1::BackupSummary& summary) -> v1::Backup& {
    auto found = std::find_if(
        listed.backups.begin(), listed.backups.end(),
        [&](const v1::Backup& backup) { return backup.backup_id() == summary.backup_id(); });
    if (found == listed.backups.end()) {
      found = listed.backups.insert(found, DescribeBackup(summary));
    }
    found->add_destination_names(name);
    return *found;
  };
  const auto add_damaged = [&](const std::string& backup_id, const absl::Status& status) {
    context.console.Complain(absl::StrCat("damaged: backup ", backup_id, ": ", status.message()));
    listed.damaged.push_back({.backup_id = backup_id, .message = std::string(status.message())});
  };
  if (deleted) {
    for (const auto& [backup_id, delete_time] : listing.deleted) {
      const absl::StatusOr<StoreRepository::LoadedManifest> loaded =
          reader->store().LoadManifest(backup_id);
      if (absl::IsDataLoss(loaded.status())) {
        add_damaged(backup_id, loaded.status());
        continue;
      }
      if (absl::IsNotFound(loaded.status())) continue;  // it was removed for good just now
      HOLDFAST_RETURN_IF_ERROR(loaded.status());
      add(loaded->manifest.summary);
    }
    return absl::OkStatus();
  }
  for (const ListedBackup& backup : listing.backups) {
    v1::Backup& described = add(backup.summary);
    if (backup.is_damaged) described.add_damaged_destination_names(name);
    if (backup.pinned) described.set_pinned(true);
    if (backup.drill_time > absl::InfinitePast()) {
      *described.mutable_drill_time() = ToProto(backup.drill_time);
    }
  }
  for (const auto& [backup_id, status] : listing.damaged) add_damaged(backup_id, status);
  return absl::OkStatus();
}

// Reads the destination that is named; all where none is. One that can't be read does not keep the
// others from it.
absl::StatusOr<DirectListing> ListDirectly(const std::string& destination,
                                           const std::string& store_id_text, bool deleted,
                                           CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<StoreId> store_id, ParseStoreId(store_id_text));
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<DestinationConfig> destinations,
                            FindDestinations(destination, context));
  HOLDFAST_ASSIGN_OR_RETURN(const MasterKey key, ReadCommandKey(context));
  DirectListing listed;
  size_t failures = 0;
  for (const DestinationConfig& one : destinations) {
    const absl::Status added = AddListingAt(one, store_id, key, deleted, context, listed);
    HOLDFAST_RETURN_IF_ERROR(context.cancellation.status());
    if (added.ok()) continue;
    ++failures;
    listed.failure.Update(
        destinations.size() == 1 ? added : Annotate(added, absl::StrCat("destination ", one.name)));
  }
  if (failures == destinations.size()) return listed.failure;
  std::sort(listed.backups.begin(), listed.backups.end(),
            [](const v1::Backup& a, const v1::Backup& b) {
              return std::make_tuple(a.ordinal(), a.revision(), a.backup_id()) >
                     std::make_tuple(b.ordinal(), b.revision(), b.backup_id());
            });
  return listed;
}

absl::Status Summarise(const std::vector<DamagedManifest>& damaged) {
  if (damaged.empty()) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(FormatCount(damaged.size(), "manifest"), " can't be read"));
}

}  // namespace

absl::Status RunCommand(const BackupNowArguments& arguments, CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(std::string socket, FindAgentSocket(context));
  AgentClient agent(std::move(socket), context.cancellation);
  v1::TriggerBackupRequest request;
  request.set_store_name(context.global.store_name);
  request.set_required_destinations(arguments.required_destinations);
  request.set_request_id(arguments.request_id);
  if (arguments.min_revision != 0) {
    request.set_min_revision(arguments.min_revision);
  } else {
    *request.mutable_max_age() = ToProto(arguments.max_age.value_or(absl::ZeroDuration()));
  }
  const MonotonicTime start = context.clock.MonotonicNow();
  absl::StatusOr<v1::TriggerBackupResponse> response;
  {
    const RunWatcher watcher(agent, context);
    response = agent.TriggerBackup(request, arguments.timeout.value_or(kTriggerTimeoutDefault));
  }
  if (!response.ok()) {
    return ExplainNotAwaited(response.status(), arguments, context);
  }
  if (context.global.json) return context.console.WriteLine(MessageToJson(*response));
  return context.console.Write(DescribeTriggered(*response, context.clock.MonotonicNow() - start));
}

absl::Status RunCommand(const BackupListArguments& arguments, CommandContext& context) {
  std::vector<v1::Backup> backups;
  std::optional<std::vector<DamagedManifest>> damaged;
  const uint64_t limit = arguments.limit == 0 ? UINT64_MAX : arguments.limit;
  absl::Status failure;
  if (!arguments.source.empty() || arguments.deleted) {
    HOLDFAST_ASSIGN_OR_RETURN(
        DirectListing listed,
        ListDirectly(arguments.source, arguments.store_id, arguments.deleted, context));
    backups = std::move(listed.backups);
    damaged = std::move(listed.damaged);
    failure = std::move(listed.failure);
  } else {
    if (!arguments.store_id.empty()) {
      return absl::InvalidArgumentError("--store-id goes with --from");
    }
    HOLDFAST_ASSIGN_OR_RETURN(std::string socket, FindAgentSocket(context));
    AgentClient agent(std::move(socket), context.cancellation);
    v1::ListBackupsRequest request;
    request.set_store_name(context.global.store_name);
    request.set_page_size(static_cast<int>(std::min<uint64_t>(limit, kPageSize)));
    do {
      HOLDFAST_ASSIGN_OR_RETURN(v1::ListBackupsResponse page, agent.ListBackups(request));
      for (v1::Backup& backup : *page.mutable_backups()) backups.push_back(std::move(backup));
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty() && backups.size() < limit);
  }
  if (backups.size() > limit) backups.resize(limit);
  HOLDFAST_RETURN_IF_ERROR(
      PrintBackups(backups, damaged, arguments.deleted ? kNoneDeleted : kNoBackup, context));
  if (damaged.has_value()) HOLDFAST_RETURN_IF_ERROR(Summarise(*damaged));
  return failure;
}

absl::Status RunCommand(const BackupShowArguments& arguments, CommandContext& context) {
  if (arguments.source.empty()) {
    if (!arguments.store_id.empty()) {
      return absl::InvalidArgumentError("--store-id goes with --from");
    }
    HOLDFAST_ASSIGN_OR_RETURN(std::string socket, FindAgentSocket(context));
    AgentClient agent(std::move(socket), context.cancellation);
    v1::GetBackupRequest request;
    request.set_store_name(context.global.store_name);
    request.set_backup_id(arguments.backup_id);
    HOLDFAST_ASSIGN_OR_RETURN(const v1::Backup backup, agent.GetBackup(request));
    return PrintBackup(backup, context);
  }
  HOLDFAST_ASSIGN_OR_RETURN(
      const DirectListing listed,
      ListDirectly(arguments.source, arguments.store_id, /*deleted=*/false, context));
  for (const v1::Backup& backup : listed.backups) {
    if (!arguments.backup_id.empty() && backup.backup_id() != arguments.backup_id) continue;
    return PrintBackup(backup, context);
  }
  HOLDFAST_RETURN_IF_ERROR(Summarise(listed.damaged));
  return absl::NotFoundError(arguments.backup_id.empty()
                                 ? std::string(kNoBackup)
                                 : absl::StrCat("there is no backup ", arguments.backup_id));
}

absl::Status RunCommand(const BackupRunsArguments& arguments, CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(std::string socket, FindAgentSocket(context));
  AgentClient agent(std::move(socket), context.cancellation);
  v1::ListRunsRequest request;
  request.set_store_name(context.global.store_name);
  v1::ListRunsResponse runs;
  for (uint64_t left = arguments.limit; left > 0;) {
    request.set_page_size(static_cast<int>(std::min<uint64_t>(left, kPageSize)));
    HOLDFAST_ASSIGN_OR_RETURN(v1::ListRunsResponse page, agent.ListRuns(request));
    left -= std::min<uint64_t>(left, static_cast<uint64_t>(page.runs_size()));
    request.set_page_token(page.next_page_token());
    runs.MergeFrom(page);
    if (request.page_token().empty()) break;
  }
  runs.clear_next_page_token();
  if (context.global.json) return context.console.WriteLine(MessageToJson(runs));
  if (runs.runs().empty()) context.console.Note("there was no run yet");
  return runs.runs().empty() ? absl::OkStatus() : context.console.Write(FormatRunTable(runs));
}

absl::Status RunCommand(const BackupCancelArguments& arguments, CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(std::string socket, FindAgentSocket(context));
  AgentClient agent(std::move(socket), context.cancellation);
  v1::CancelRunRequest request;
  request.set_store_name(context.global.store_name);
  request.set_run_id(arguments.run_id);
  HOLDFAST_ASSIGN_OR_RETURN(const v1::Run run, agent.CancelRun(request));
  if (context.global.json) return context.console.WriteLine(MessageToJson(run));
  return context.console.WriteLine(FormatEndedRun(run));
}

absl::Status RunCommand(const BackupAcceptArguments& /*arguments*/, CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(std::string socket, FindAgentSocket(context));
  AgentClient agent(std::move(socket), context.cancellation);
  v1::AcceptStoreRequest request;
  request.set_store_name(context.global.store_name);
  HOLDFAST_ASSIGN_OR_RETURN(const v1::AcceptStoreResponse accepted, agent.AcceptStore(request));
  if (context.global.json) return context.console.WriteLine(MessageToJson(accepted));
  return context.console.WriteLine(absl::StrCat(
      accepted.was_refused()
          ? "accepted store "
          : "there was nothing to accept: the agent backs it up as it is. Store ",
      accepted.store_id(), accepted.was_refused() ? " as it is: revision " : ": revision ",
      accepted.revision(), ", ", FormatCount(accepted.document_count(), "document"),
      accepted.was_refused() ? "\nnext: holdfast backup now" : ""));
}

absl::Status RunCommand(const BackupMarkArguments& arguments, CommandContext& context) {
  v1::MarkBackupRequest request;
  v1::MarkBackupRequest::Mark mark = v1::MarkBackupRequest::MARK_UNSPECIFIED;
  if (!v1::MarkBackupRequest::Mark_Parse(
          absl::StrCat("MARK_", absl::AsciiStrToUpper(arguments.mark)), &mark)) {
    return absl::InternalError(absl::StrCat("no mark ", arguments.mark));
  }
  HOLDFAST_ASSIGN_OR_RETURN(std::string socket, FindAgentSocket(context));
  AgentClient agent(std::move(socket), context.cancellation);
  request.set_store_name(context.global.store_name);
  request.set_backup_id(arguments.backup_id);
  request.set_mark(mark);
  HOLDFAST_ASSIGN_OR_RETURN(const v1::MarkBackupResponse response, agent.MarkBackup(request));
  if (context.global.json) {
    HOLDFAST_RETURN_IF_ERROR(context.console.WriteLine(MessageToJson(response)));
  }
  std::vector<std::string> not_marked;
  for (const v1::DestinationMark& destination : response.destinations()) {
    if (!destination.error().empty()) not_marked.push_back(destination.destination_name());
    if (context.global.json) continue;
    if (destination.marked()) {
      HOLDFAST_RETURN_IF_ERROR(
          context.console.WriteLine(absl::StrCat(arguments.mark, " backup ", arguments.backup_id,
                                                 " at ", destination.destination_name())));
    } else if (!destination.error().empty()) {
      context.console.Complain(
          absl::StrCat("destination ", destination.destination_name(), ": ", destination.error()));
    }
  }
  if (mark == v1::MarkBackupRequest::MARK_UNDELETED && !context.global.json) {
    context.console.Note("retention deletes it again with the next backup unless it is pinned");
  }
  if (not_marked.empty()) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("backup ", arguments.backup_id, " could not be marked at ",
                   absl::StrJoin(not_marked, ", "), ": say it again once they can be reached"));
}

}  // namespace holdfast
