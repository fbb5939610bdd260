#include "backup-agent/cli/backup_text.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "common/messages/proto_time.h"

namespace holdfast {

namespace {

constexpr int kLabelColumns = 16;

// "label           value".
void AddLine(std::string* text, absl::string_view label, absl::string_view value) {
  absl::StrAppendFormat(text, "%-*s%s\n", kLabelColumns, label, value);
}

std::string FormatWhen(absl::Time time, absl::Time now) {
  return time <= now ? absl::StrCat(DescribeDuration(now - time), " ago")
                     : absl::StrCat("in ", DescribeDuration(time - now));
}

// Of what begins by itself.
std::string FormatNext(absl::Time time, absl::Time now) {
  return time <= now ? "due now" : FormatWhen(time, now);
}

// "caught up" of CAUSE_CAUGHT_UP.
std::string LowerName(absl::string_view name, absl::string_view prefix) {
  return absl::StrReplaceAll(absl::AsciiStrToLower(absl::StripPrefix(name, prefix)), {{"_", " "}});
}

}  // namespace

namespace {

// What is to be known of a backup besides what it holds.
std::string BackupNotes(const v1::Backup& backup) {
  std::vector<std::string> notes;
  if (backup.damaged_destination_names_size() > 0) {
    notes.push_back(
        absl::StrCat("damaged at ", absl::StrJoin(backup.damaged_destination_names(), ", ")));
  }
  if (backup.pinned()) notes.push_back("pinned");
  if (backup.has_drill_time()) notes.push_back("proven restorable");
  return absl::StrJoin(notes, "; ");
}

}  // namespace

std::string FormatBackupTable(const std::vector<v1::Backup>& backups) {
  Table table({"BACKUP", "TAKEN", "REVISION", "DOCUMENTS", "SIZE", "ADDED", "AT", "NOTES"});
  for (const size_t column : {2, 3, 4, 5}) table.AlignRight(column);
  for (const v1::Backup& backup : backups) {
    table.AddRow({backup.backup_id(), DescribeTime(FromProto(backup.checkpoint_time())),
                  absl::StrCat(backup.revision()), FormatCount(backup.document_count()),
                  FormatBytes(backup.size_bytes()), FormatBytes(backup.added_bytes()),
                  absl::StrJoin(backup.destination_names(), ", "), BackupNotes(backup)});
  }
  return table.ToText();
}

std::string FormatBackup(const v1::Backup& backup) {
  std::string text;
  AddLine(&text, "backup", backup.backup_id());
  AddLine(&text, "store id", backup.store_id());
  AddLine(&text, "incarnation", backup.incarnation());
  AddLine(&text, "ordinal", absl::StrCat(backup.ordinal()));
  AddLine(&text, "taken", DescribeTime(FromProto(backup.checkpoint_time())));
  AddLine(&text, "revision",
          absl::StrCat(backup.revision(), ", committed ",
                       DescribeTime(FromProto(backup.commit_time()))));
  AddLine(&text, "documents", FormatCount(backup.document_count()));
  AddLine(&text, "state digest", backup.state_digest());
  AddLine(&text, "size",
          absl::StrCat(FormatBytes(backup.size_bytes()), " in ",
                       FormatCount(backup.file_count(), "file"), "; ",
                       FormatBytes(backup.added_bytes()), " added to the repository"));
  if (!backup.manifest_hash().empty()) {
    AddLine(&text, "manifest hash", absl::BytesToHexString(backup.manifest_hash()));
  }
  AddLine(&text, "at", absl::StrJoin(backup.destination_names(), ", "));
  if (backup.damaged_destination_names_size() > 0) {
    AddLine(&text, "damaged at", absl::StrJoin(backup.damaged_destination_names(), ", "));
  }
  if (backup.pinned()) AddLine(&text, "pinned", "retention keeps it");
  if (backup.has_drill_time()) {
    AddLine(&text, "proven",
            absl::StrCat("restored by a drill at ", DescribeTime(FromProto(backup.drill_time()))));
  }
  return text;
}

std::string FormatRunTable(const v1::ListRunsResponse& runs) {
  Table table({"RUN", "STARTED", "CAUSE", "STATE", "TOOK", "SENT", "BACKUP"});
  for (const size_t column : {4, 5}) table.AlignRight(column);
  std::string errors;
  for (const v1::Run& run : runs.runs()) {
    table.AddRow({run.run_id(), DescribeTime(FromProto(run.start_time())),
                  LowerName(v1::Run::Cause_Name(run.cause()), "CAUSE_"),
                  LowerName(v1::Run::State_Name(run.state()), "STATE_"),
                  run.has_end_time()
                      ? DescribeDuration(FromProto(run.end_time()) - FromProto(run.start_time()))
                      : std::string(PhaseName(run.phase())),
                  FormatBytes(run.bytes_sent()), run.backup_id()});
    if (!run.error().empty()) absl::StrAppend(&errors, run.run_id(), ": ", run.error(), "\n");
  }
  return table.ToText() + errors;
}

absl::string_view PhaseName(v1::Run::Phase phase) {
  switch (phase) {
    case v1::Run::PHASE_CHECKPOINT:
      return "make a checkpoint";
    case v1::Run::PHASE_COMPARE:
      return "compare with the destinations";
    case v1::Run::PHASE_TRANSFER:
      return "send";
    case v1::Run::PHASE_COMMIT:
      return "commit";
    default:
      return "begin";
  }
}

Progress RunProgress(const v1::Run& run) {
  Progress progress{.what = std::string(PhaseName(run.phase())), .items = "file"};
  if (run.phase() == v1::Run::PHASE_TRANSFER) {
    progress.items_done = run.files_sent();
    progress.items_total = run.files_to_send();
    progress.bytes_done = run.bytes_sent();
    progress.bytes_total = run.bytes_to_send();
  }
  return progress;
}

std::string FormatEndedRun(const v1::Run& run) {
  std::string text = absl::StrCat(
      "run ", run.run_id(), " ", LowerName(v1::Run::State_Name(run.state()), "STATE_"), " after ",
      DescribeDuration(FromProto(run.end_time()) - FromProto(run.start_time())));
  if (!run.error().empty()) absl::StrAppend(&text, ": ", run.error());
  return text;
}

absl::string_view VerdictName(v1::BackupStatus::Verdict verdict) {
  return absl::StripPrefix(v1::BackupStatus::Verdict_Name(verdict), "VERDICT_");
}

namespace {

// "what: cause", or only "what" where `told` has the cause already: the reason of the verdict, with
// which it all begins, is made of what runs and destinations tell.
std::string WithCauseOnce(absl::string_view told, absl::string_view what, absl::string_view cause) {
  return absl::StrContains(told, cause) ? std::string(what) : absl::StrCat(what, ": ", cause);
}

// Why nothing is removed for good, where that is the same at all of several destinations; else
// empty.
std::string SharedRefusal(const v1::BackupStatus& status) {
  if (status.destinations_size() < 2) return "";
  const std::string& first = status.destinations(0).removal_refusal();
  const bool is_shared = std::all_of(status.destinations().begin(), status.destinations().end(),
                                     [&first](const v1::DestinationStatus& destination) {
                                       return destination.removal_refusal() == first;
                                     });
  return is_shared ? first : "";
}

// Some lines, without what `told` has already.
std::string FormatDestinationStatus(const v1::DestinationStatus& destination,
                                    absl::string_view told, absl::Time now) {
  std::string state =
      destination.has_last_success_time()
          ? absl::StrCat("last backup ",
                         DescribeDuration(FromProto(destination.last_success_age())), " ago")
          : "no backup yet";
  if (destination.consecutive_failures() > 0) {
    absl::StrAppend(
        &state, "; ",
        WithCauseOnce(
            told,
            absl::StrCat(FormatCount(destination.consecutive_failures(), "failure"), " in a row"),
            destination.last_error()));
  }
  if (destination.has_last_drill_time()) {
    absl::StrAppend(&state, "; proven restorable ",
                    FormatWhen(FromProto(destination.last_drill_time()), now));
    if (destination.has_last_drill_duration()) {
      absl::StrAppend(&state, ", in ",
                      DescribeDuration(FromProto(destination.last_drill_duration())));
    }
  } else if (destination.has_last_success_time()) {
    absl::StrAppend(&state, "; never proven restorable");
  }
  if (destination.has_next_drill_time()) {
    absl::StrAppend(&state, "; next drill ",
                    FormatNext(FromProto(destination.next_drill_time()), now));
  }
  if (destination.has_next_check_time()) {
    absl::StrAppend(&state, "; next check ",
                    FormatNext(FromProto(destination.next_check_time()), now));
  }
  std::string text;
  AddLine(&text, "  destination",
          absl::StrCat(destination.destination_name(), " (", destination.url(), "): ", state));
  const auto add_once = [&text, told](absl::string_view label, const std::string& value) {
    if (absl::StrContains(told, value) || absl::StrContains(text, value)) return;
    AddLine(&text, label, value);
  };
  add_once("  warning", destination.warning());
  add_once("  frees nothing", destination.removal_refusal());
  add_once("  can't be read", destination.listing_error());
  return text;
}

std::string FormatBackupStatus(const v1::BackupStatus& status, absl::Time now) {
  std::string text = absl::StrCat(status.store_name(), ": ", VerdictName(status.verdict()),
                                  status.reason().empty() ? "" : ": ", status.reason(), "\n");
  const v1::Backup& last = status.last_backup();
  AddLine(&text, "  last backup",
          status.has_last_backup()
              ? absl::StrCat(last.backup_id(), ", ",
                             DescribeDuration(FromProto(status.last_backup_age())),
                             " old: ", FormatCount(last.document_count(), "document"), ", ",
                             FormatBytes(last.size_bytes()), ", revision ", last.revision())
              : "none");
  if (status.has_current_run()) {
    AddLine(&text, "  in progress", FormatProgress(RunProgress(status.current_run()), {}));
  }
  if (status.has_current_proof()) {
    AddLine(&text, "  in progress",
            absl::StrCat(status.current_proof().destination_name(), ": ",
                         FormatProgress(ProofProgressText(status.current_proof()), {})));
  }
  AddLine(&text, "  next backup",
          status.has_next_due_time()
              ? absl::StrCat(DescribeTime(FromProto(status.next_due_time())), ", ",
                             FormatWhen(FromProto(status.next_due_time()), now))
              : "when somebody asks for one: automatic backups are off");
  if (status.has_last_run() && status.last_run().state() != v1::Run::STATE_SUCCEEDED) {
    v1::Run run = status.last_run();
    if (absl::StrContains(text, run.error())) run.clear_error();
    AddLine(&text, "  last run", FormatEndedRun(run));
  }
  if (status.consecutive_failures() > 0) {
    AddLine(&text, "  failures",
            WithCauseOnce(text, absl::StrCat(status.consecutive_failures(), " in a row"),
                          status.last_error()));
  }
  if (!absl::StrContains(text, status.store_error())) {
    AddLine(&text, "  store", status.store_error());
  }
  const std::string refusal = SharedRefusal(status);
  const std::string told = absl::StrCat(status.reason(), "\n", refusal);
  for (const v1::DestinationStatus& destination : status.destinations()) {
    absl::StrAppend(&text, FormatDestinationStatus(destination, told, now));
  }
  if (!refusal.empty()) AddLine(&text, "  frees nothing", refusal);
  return text;
}

}  // namespace

std::string FormatStatus(const v1::GetBackupStatusResponse& response, absl::Time now) {
  std::string text;
  for (const v1::BackupStatus& status : response.stores()) {
    absl::StrAppend(&text, text.empty() ? "" : "\n", FormatBackupStatus(status, now));
  }
  return text;
}

std::string FormatStoreStatus(absl::string_view store_name, const v1::StoreStatus& status,
                              absl::Time now) {
  std::string text =
      absl::StrCat(store_name, ": ",
                   status.has_sickness() ? "the store is sick: " + status.sickness().message()
                                         : std::string("the store runs"),
                   "\n");
  AddLine(&text, "  documents",
          absl::StrCat(FormatCount(status.document_count()), " at revision ", status.revision()));
  const v1::BackupReport& last = status.last_backup();
  AddLine(&text, "  last backup",
          status.has_last_backup()
              ? absl::StrCat(last.backup_id(), ", taken ",
                             FormatWhen(FromProto(last.checkpoint_time()), now), ": revision ",
                             last.revision(), ", at ",
                             FormatCount(last.destination_count(), "destination"))
              : "none that the store was told of");
  return text;
}

std::string DescribeRetention(const v1::Retention& retention) {
  std::vector<std::string> rules;
  const absl::Duration within = FromProto(retention.keep_within());
  if (within > absl::ZeroDuration()) {
    rules.push_back(absl::StrCat("all of the last ", DescribeDuration(within)));
  }
  for (const auto& [count, name] :
       {std::pair(retention.keep_last(), "last"), std::pair(retention.keep_hourly(), "hourly"),
        std::pair(retention.keep_daily(), "daily"), std::pair(retention.keep_weekly(), "weekly"),
        std::pair(retention.keep_monthly(), "monthly"),
        std::pair(retention.keep_yearly(), "yearly")}) {
    if (count > 0) rules.push_back(absl::StrCat(count, " ", name));
  }
  if (rules.empty()) return "every backup";
  return absl::StrCat(absl::StrJoin(rules, ", "), " (", retention.time_zone(), ")");
}

Progress ProofProgressText(const v1::Proof& proof) {
  const bool is_reading = proof.bytes_done() < proof.bytes_total() || proof.documents_total() == 0;
  Progress progress{.what = proof.kind() == v1::Proof::KIND_CHECK ? "check"
                            : is_reading                          ? "restore"
                                                                  : "compare",
                    .items = "document"};
  if (is_reading) {
    progress.bytes_done = proof.bytes_done();
    progress.bytes_total = proof.bytes_total();
  } else {
    progress.items_done = proof.documents_done();
    progress.items_total = proof.documents_total();
  }
  return progress;
}

std::string FormatProof(const v1::Proof& proof) {
  const bool is_drill = proof.kind() == v1::Proof::KIND_DRILL;
  std::string text = absl::StrCat(
      is_drill ? "drill" : "check", " ", proof.proof_id(), " at ", proof.destination_name(),
      proof.backup_id().empty() ? "" : absl::StrCat(" of backup ", proof.backup_id()), ": ",
      LowerName(v1::Proof::State_Name(proof.state()), "STATE_"));
  if (!proof.error().empty()) absl::StrAppend(&text, ": ", proof.error());
  text += "\n";
  if (is_drill && proof.state() == v1::Proof::STATE_SUCCEEDED) {
    absl::StrAppend(&text, "restored ", FormatBytes(proof.bytes_done()), " and compared ",
                    FormatCount(proof.documents_done(), "document"), " in ",
                    DescribeDuration(FromProto(proof.restore_duration())), "\n");
  }
  for (const v1::Proof::Damage& damage : proof.damages()) {
    absl::StrAppend(&text, "damaged: ", damage.path(), ": ", damage.error(), "\n");
    if (!damage.repaired_from().empty()) {
      absl::StrAppend(&text, "  mended from destination ", damage.repaired_from(), "\n");
    } else if (!damage.backup_ids().empty()) {
      absl::StrAppend(&text, "  can't be restored: ", absl::StrJoin(damage.backup_ids(), ", "),
                      "\n");
    }
  }
  return text;
}

std::string FormatProofTable(const v1::ListProofsResponse& proofs) {
  Table table({"PROOF", "STARTED", "KIND", "DESTINATION", "STATE", "OF", "RESTORED IN"});
  std::string errors;
  for (const v1::Proof& proof : proofs.proofs()) {
    table.AddRow(
        {proof.proof_id(), DescribeTime(FromProto(proof.start_time())),
         proof.kind() == v1::Proof::KIND_DRILL ? "drill" : "check", proof.destination_name(),
         LowerName(v1::Proof::State_Name(proof.state()), "STATE_"),
         !proof.backup_id().empty() ? proof.backup_id()
         : proof.shares() > 1       ? absl::StrCat("share ", proof.share(), "/", proof.shares())
                                    : std::string(),
         proof.has_restore_duration() ? DescribeDuration(FromProto(proof.restore_duration()))
                                      : std::string()});
    if (!proof.error().empty()) {
      absl::StrAppend(&errors, proof.proof_id(), ": ", proof.error(), "\n");
    }
  }
  return absl::StrCat(table.ToText(), errors);
}

std::string DescribeProving(const v1::Proving& proving) {
  std::vector<std::string> rules;
  const absl::Duration interval = FromProto(proving.drill_interval());
  if (interval > absl::ZeroDuration()) {
    rules.push_back(absl::StrCat("a drill every ", DescribeDuration(interval)));
  }
  if (proving.read_data_days() > 0) {
    rules.push_back(
        absl::StrCat("every byte read within ", FormatCount(proving.read_data_days(), "day")));
  }
  return rules.empty() ? "never by itself" : absl::StrJoin(rules, ", ");
}

std::string FormatPrune(const v1::PruneBackupsResponse& pruned, bool is_dry_run) {
  std::string text;
  for (const v1::DestinationPrune& destination : pruned.destinations()) {
    absl::StrAppend(&text, "destination ", destination.destination_name(), "\n");
    if (!destination.error().empty()) {
      absl::StrAppend(&text, "  can't be pruned: ", destination.error(), "\n");
      continue;
    }
    for (const v1::RetentionDecision& decision : destination.decisions()) {
      std::vector<std::string> reasons(decision.reasons().begin(), decision.reasons().end());
      if (!decision.kept()) reasons.insert(reasons.begin(), "no rule keeps it");
      absl::StrAppend(&text, "  ", decision.kept() ? "keep    " : "delete  ", decision.backup_id(),
                      "  ", absl::StrJoin(reasons, ", "), "\n");
    }
    if (!is_dry_run) {
      absl::StrAppend(
          &text, "  ", FormatCount(destination.backups_deleted(), "backup"),
          " deleted; removed for good: ", FormatCount(destination.backups_removed(), "backup"),
          ", ", FormatCount(destination.objects_removed(), "object"), ", ",
          FormatBytes(destination.removed_bytes()), "\n");
    }
    if (!destination.removal_refusal().empty()) {
      absl::StrAppend(&text, "  nothing ", is_dry_run ? "would be" : "was",
                      " removed for good: ", destination.removal_refusal(), "\n");
    }
  }
  return text;
}

std::string FormatSettings(const v1::Settings& settings) {
  std::string text;
  AddLine(&text, "store", settings.store_name());
  const v1::Schedule& schedule = settings.schedule();
  AddLine(&text, "automatic",
          schedule.automatic()
              ? absl::StrCat("every ", DescribeDuration(FromProto(schedule.interval())), " from ",
                             schedule.start_time_of_day(), " ", schedule.time_zone())
              : "off");
  if (settings.has_next_due_time()) {
    AddLine(&text, "next backup", DescribeTime(FromProto(settings.next_due_time())));
  }
  for (const v1::Destination& destination : settings.destinations()) {
    AddLine(&text, "destination", absl::StrCat(destination.name(), "  ", destination.url()));
  }
  AddLine(&text, "required",
          settings.required_destinations() == 0
              ? "all destinations"
              : FormatCount(settings.required_destinations(), "destination"));
  AddLine(&text, "keep", DescribeRetention(settings.retention()));
  AddLine(&text, "prove", DescribeProving(settings.proving()));
  AddLine(&text, "master key",
          absl::StrCat(settings.key_fingerprint().empty()
                           ? ""
                           : absl::StrCat("fingerprint ", settings.key_fingerprint(), ", "),
                       settings.key_confirmed_fingerprint().empty()
                           ? "not confirmed as kept elsewhere (holdfast key verify --confirm)"
                           : "confirmed as kept elsewhere"));
  AddLine(&text, "revision", absl::StrCat(settings.settings_revision()));
  return text;
}

}  // namespace holdfast
