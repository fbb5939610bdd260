#include "backup-agent/retention/pruner.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/base/time_format.h"
#include "common/repository/copied_objects.h"
#include "common/repository/layout.h"

namespace holdfast {
namespace {

using repository::v1::Mark;

// What is of the future by more than this says nothing against the clock of now.
constexpr absl::Duration kFutureMax = absl::Hours(24 * 31);

Mark MakeMark(Mark::Kind kind, const std::string& backup_id, absl::string_view note) {
  Mark mark;
  mark.set_kind(kind);
  mark.set_backup_id(backup_id);
  mark.set_note(std::string(note));
  return mark;
}

// Fails unless everything that decides about deleting can be read.
absl::Status CheckAllIsReadable(const BackupListing& listing) {
  constexpr absl::string_view kAdvice =
      "; nothing is deleted until it can be read. Mend it from another destination with `holdfast "
      "check --repair`";
  for (const auto& [backup_id, status] : listing.damaged) {
    return absl::DataLossError(
        absl::StrCat("what backup ", backup_id, " needs can't be told: ", status.message(), kAdvice,
                     ", or give the backup up with `holdfast backup delete ", backup_id, "`"));
  }
  for (const auto& [path, status] : listing.damaged_marks) {
    return absl::DataLossError(
        absl::StrCat("mark ", path, " can't be read: ", status.message(), kAdvice));
  }
  return absl::OkStatus();
}

bool IsPin(const std::string& mark_name) {
  const absl::StatusOr<ParsedMarkName> parsed = ParseMarkName(mark_name);
  return parsed.ok() && parsed->kind == Mark::KIND_PINNED;
}

// What was said elsewhere, and later than anything here, of whether a backup is pinned; nullptr
// where nothing was. Whoever can't read what was said here last can't compare.
const std::string* FindLaterPin(const ListedBackup& backup, const PinDecisions& pins) {
  if (backup.pinned && backup.pin_mark.empty()) return nullptr;
  const auto found = pins.find(backup.summary.backup_id());
  return found != pins.end() && found->second > backup.pin_mark ? &found->second : nullptr;
}

std::vector<RetentionCandidate> ToCandidates(const BackupListing& listing,
                                             const Pruner::Options& options) {
  const std::vector<std::string>& kept_backup_ids = options.kept_backup_ids;
  std::vector<RetentionCandidate> candidates;
  for (const ListedBackup& backup : listing.backups) {
    const std::string& backup_id = backup.summary.backup_id();
    const std::string* const later_pin = FindLaterPin(backup, options.pins);
    candidates.push_back(
        {.backup_id = backup_id,
         .time = absl::FromUnixMicros(backup.summary.checkpoint_time_us()),
         .is_pinned = later_pin != nullptr ? IsPin(*later_pin) : backup.pinned,
         .is_damaged = backup.is_damaged,
         .is_proven = backup.drill_time > absl::InfinitePast(),
         .is_proven_elsewhere = std::find(kept_backup_ids.begin(), kept_backup_ids.end(),
                                          backup_id) != kept_backup_ids.end()});
  }
  return candidates;
}

// Why what is old by this clock may not be old: everything that is removed for good is, and a clock
// that jumped would make all of it so.
std::string WhyClockIsNotTrusted(const BackupListing& listing, absl::Time now) {
  if (listing.Latest() == nullptr) return "there is no backup";
  const absl::Time newest =
      absl::FromUnixMicros(listing.Latest()->summary.commit_at_agent_time_us());
  if (now - newest > kDeletedKeptFor) {
    return "the newest backup is more than a week old by this clock, or the clock is wrong";
  }
  return "";
}

// Why a deletion would be dated too early by this clock, so that nobody could take it back once the
// clock is put right: backups or deletions here are of the future. Those that are so by more than
// kFutureMax were made by a clock that was wrong then, unless the newest is one of them.
std::string WhyClockSeemsSetBack(const BackupListing& listing, absl::Time now,
                                 absl::string_view except_backup_id = "") {
  absl::Time newest = absl::InfinitePast();
  const auto add = [&](absl::Time time) {
    if (time - now <= kFutureMax) newest = std::max(newest, time);
  };
  for (const ListedBackup& backup : listing.backups) {
    if (backup.summary.backup_id() == except_backup_id) continue;
    const absl::Time time = absl::FromUnixMicros(backup.summary.commit_at_agent_time_us());
    add(time);
    if (&backup == listing.Latest()) newest = std::max(newest, time);
  }
  for (const auto& [backup_id, delete_time] : listing.deleted) add(delete_time);
  if (newest - now <= kClockDifferenceMax) return "";
  return absl::StrCat("there are backups or deletions of the future by this clock, until ",
                      FormatRfc3339Millis(newest),
                      ", so the clock is wrong, or was: nothing is deleted by it");
}

// Between any two pieces of work.
absl::Status Step(const Pruner::Options& options, const Cancellation& cancellation) {
  if (options.on_progress) options.on_progress();
  return cancellation.status();
}

}  // namespace

void AddPinDecisions(const BackupListing& listing, PinDecisions& pins) {
  for (const ListedBackup& backup : listing.backups) {
    if (backup.pin_mark.empty()) continue;
    std::string& newest = pins[backup.summary.backup_id()];
    newest = std::max(newest, backup.pin_mark);
  }
}

absl::StatusOr<PruneReport> Pruner::Prune(const RetentionPolicy& policy, const Options& options,
                                          const Cancellation& cancellation) {
  HOLDFAST_ASSIGN_OR_RETURN(BackupListing listing, store_.ListBackups(), "list the backups");
  HOLDFAST_RETURN_IF_ERROR(CheckAllIsReadable(listing));
  PruneReport report;
  report.decisions = policy.Decide(ToCandidates(listing, options));
  report.removal_refusal = WhyClockSeemsSetBack(listing, clock_.Now());
  if (options.is_dry_run) {
    if (report.removal_refusal.empty()) report.removal_refusal = options.removal_refusal;
    return report;
  }
  TakeOverPins(options.pins, listing);
  if (!report.removal_refusal.empty()) return report;
  // In this order: where there is no space left, that makes some for the marks.
  HOLDFAST_RETURN_IF_ERROR(RemoveForGood(options, report, cancellation));
  // That may have taken hours.
  HOLDFAST_ASSIGN_OR_RETURN(listing, store_.ListBackups(), "list the backups");
  HOLDFAST_RETURN_IF_ERROR(CheckAllIsReadable(listing));
  report.decisions = policy.Decide(ToCandidates(listing, options));
  HOLDFAST_RETURN_IF_ERROR(DeleteBackups(options, report, cancellation));
  return report;
}

void Pruner::TakeOverPins(const PinDecisions& pins, const BackupListing& listing) {
  for (const ListedBackup& backup : listing.backups) {
    const std::string* const later_pin = FindLaterPin(backup, pins);
    if (later_pin == nullptr || IsPin(*later_pin) == backup.pinned) continue;
    const std::string& backup_id = backup.summary.backup_id();
    const absl::Status taken_over =
        PinBackup(store_, backup_id, IsPin(*later_pin), ParseMarkName(*later_pin)->time);
    if (taken_over.ok() || absl::IsNotFound(taken_over)) continue;
    // The place may be full. This prune goes by it all the same, and the next tries again.
    LogWarning("whether a backup is pinned can't be said at a destination",
               {{"destination", store_.blobs().Describe()},
                {"backup_id", backup_id},
                {"error", taken_over}});
  }
}

absl::Status Pruner::DeleteBackups(const Options& options, PruneReport& report,
                                   const Cancellation& cancellation) {
  for (RetentionDecision& decision : report.decisions) {
    if (decision.is_kept) continue;
    HOLDFAST_RETURN_IF_ERROR(Step(options, cancellation));
    // Somebody may have pinned it since it was decided.
    HOLDFAST_ASSIGN_OR_RETURN(const bool is_pinned, store_.IsPinned(decision.backup_id),
                              absl::StrCat("read the marks of backup ", decision.backup_id));
    if (is_pinned) {
      decision.is_kept = true;
      decision.reasons.insert(decision.reasons.begin(), "pinned");
      continue;
    }
    const absl::Status marked =
        store_.AddMark(MakeMark(Mark::KIND_DELETED, decision.backup_id, "retention"), clock_.Now());
    if (absl::IsNotFound(marked)) continue;  // another prune was first
    HOLDFAST_RETURN_IF_ERROR(marked, absl::StrCat("delete backup ", decision.backup_id));
    ++report.backups_deleted;
  }
  return absl::OkStatus();
}

absl::Status Pruner::RemoveForGood(const Options& options, PruneReport& report,
                                   const Cancellation& cancellation) {
  const absl::Time now = clock_.Now();
  const absl::Time removed_before = now - std::max(options.deleted_kept_for, kDeletedKeptFor);
  HOLDFAST_ASSIGN_OR_RETURN(BackupListing listing, store_.ListBackups(), "list the backups");
  HOLDFAST_RETURN_IF_ERROR(CheckAllIsReadable(listing));
  report.removal_refusal = options.removal_refusal;
  if (report.removal_refusal.empty() && !options.is_clock_trusted) {
    report.removal_refusal = WhyClockIsNotTrusted(listing, now);
  }
  if (!report.removal_refusal.empty()) return absl::OkStatus();

  for (const auto& [backup_id, delete_time] : listing.deleted) {
    if (delete_time >= removed_before) continue;
    HOLDFAST_RETURN_IF_ERROR(Step(options, cancellation));
    const absl::Status removed = store_.RemoveBackup(backup_id, removed_before);
    if (absl::IsFailedPrecondition(removed)) continue;  // it was undeleted
    HOLDFAST_RETURN_IF_ERROR(removed, absl::StrCat("remove backup ", backup_id));
    ++report.backups_removed;
  }
  for (const std::string& mark : listing.orphaned_marks) {
    const absl::StatusOr<ParsedMarkName> parsed = ParseMarkName(mark);
    if (!parsed.ok() || parsed->time >= removed_before) continue;
    HOLDFAST_RETURN_IF_ERROR(store_.RemoveOrphanedMark(mark), "remove a mark");
  }

  // Only now: a backup that came since must not miss an object, and one that is gone needs none.
  Needed needed;
  HOLDFAST_RETURN_IF_ERROR(FindNeeded(options, needed, report, cancellation));
  if (!report.removal_refusal.empty()) return absl::OkStatus();
  std::vector<std::pair<std::string, uint64_t>> unnamed;
  HOLDFAST_RETURN_IF_ERROR(store_.ListObjects([&](absl::string_view name, uint64_t size_bytes) {
    const absl::StatusOr<ParsedObjectName> parsed = ParseObjectName(name);
    if (parsed.ok() && parsed->time < removed_before && !needed.objects.contains(name)) {
      unnamed.emplace_back(name, size_bytes);
    }
    return Step(options, cancellation);
  }),
                           "list the objects");
  HOLDFAST_RETURN_IF_ERROR(
      store_.blobs().RemoveLeftovers(StorePath(store_.store_id()), removed_before).status(),
      "remove what writers that were killed left behind");
  if (unnamed.empty()) return absl::OkStatus();
  return RemoveObjects(unnamed, std::move(needed), removed_before, options, report, cancellation);
}

absl::Status Pruner::FindNeeded(const Options& options, Needed& needed, PruneReport& report,
                                const Cancellation& cancellation) {
  HOLDFAST_ASSIGN_OR_RETURN(const BackupListing listing, store_.ListBackups(), "list the backups");
  HOLDFAST_RETURN_IF_ERROR(CheckAllIsReadable(listing));
  std::vector<std::string> backup_ids;
  for (const ListedBackup& backup : listing.backups) {
    backup_ids.push_back(backup.summary.backup_id());
  }
  for (const auto& [backup_id, delete_time] : listing.deleted) backup_ids.push_back(backup_id);
  for (const std::string& backup_id : backup_ids) {
    if (needed.backup_ids.contains(backup_id)) continue;
    HOLDFAST_RETURN_IF_ERROR(Step(options, cancellation));
    const absl::StatusOr<StoreRepository::LoadedManifest> loaded = store_.LoadManifest(backup_id);
    if (absl::IsNotFound(loaded.status())) continue;  // another prune removed it
    if (absl::IsDataLoss(loaded.status()) && listing.deleted.contains(backup_id)) {
      report.removal_refusal =
          absl::StrCat("backup ", backup_id,
                       ", which is deleted, can't be read: what it may need stays until it is "
                       "removed, 7 days after it was deleted");
      return absl::OkStatus();
    }
    HOLDFAST_RETURN_IF_ERROR(loaded.status(), absl::StrCat("read what backup ", backup_id,
                                                           " needs; nothing is removed"));
    for (const repository::v1::ObjectEntry& object : loaded->manifest.files.objects()) {
      needed.objects.insert(object.name());
    }
    needed.backup_ids.insert(backup_id);
  }
  return absl::OkStatus();
}

absl::Status Pruner::RemoveObjects(const std::vector<std::pair<std::string, uint64_t>>& objects,
                                   Needed needed, absl::Time removed_before, const Options& options,
                                   PruneReport& report, const Cancellation& cancellation) {
  // Those of prunes that were killed go on the way.
  HOLDFAST_RETURN_IF_ERROR(store_.ListPruneLeases(clock_.Now()).status(), "list the leases");
  const MonotonicTime lease_end = clock_.MonotonicNow() + kPruneLeaseHeldMax;
  HOLDFAST_ASSIGN_OR_RETURN(const std::string lease, store_.AddPruneLease(clock_.Now()),
                            "take the lease for removing objects");
  const absl::Status removed = [&]() -> absl::Status {
    // Who committed a backup and saw no lease relies on its being seen here.
    HOLDFAST_RETURN_IF_ERROR(FindNeeded(options, needed, report, cancellation));
    if (!report.removal_refusal.empty()) return absl::OkStatus();
    for (const auto& [name, size_bytes] : objects) {
      if (needed.objects.contains(name)) continue;
      HOLDFAST_RETURN_IF_ERROR(Step(options, cancellation));
      if (clock_.MonotonicNow() >= lease_end) {
        return absl::UnavailableError(
            "removing objects took so long that others may have come to need them: the next prune "
            "begins afresh");
      }
      HOLDFAST_ASSIGN_OR_RETURN(const bool is_removed, store_.RemoveObject(name, removed_before),
                                "remove an object that no backup needs");
      if (!is_removed) continue;
      ++report.objects_removed;
      report.removed_bytes += size_bytes;
    }
    return absl::OkStatus();
  }();
  const absl::Status released = store_.RemovePruneLease(lease);
  HOLDFAST_RETURN_IF_ERROR(removed);
  return Annotate(released, "give the lease back");
}

absl::Status DeleteBackup(StoreRepository& store, const std::string& backup_id, absl::Time now) {
  HOLDFAST_ASSIGN_OR_RETURN(const BackupListing listing, store.ListBackups(), "list the backups");
  const Mark deleted = MakeMark(Mark::KIND_DELETED, backup_id, "asked for");
  const std::string set_back = WhyClockSeemsSetBack(listing, now, backup_id);
  if (!set_back.empty()) return absl::FailedPreconditionError(set_back);
  // One that can't be read is given up, with its pin: nothing is known of it.
  if (listing.damaged.contains(backup_id)) {
    HOLDFAST_ASSIGN_OR_RETURN(const bool is_pinned, store.IsPinned(backup_id));
    if (is_pinned) {
      HOLDFAST_RETURN_IF_ERROR(
          store.AddMark(MakeMark(Mark::KIND_UNPINNED, backup_id, "given up"), now));
    }
    return store.AddMark(deleted, now);
  }
  const ListedBackup* const listed = listing.Find(backup_id);
  if (listed == nullptr) {
    return absl::NotFoundError(absl::StrCat("there is no backup ", backup_id));
  }
  const auto newest = std::find_if(listing.backups.rbegin(), listing.backups.rend(),
                                   [](const ListedBackup& backup) { return !backup.is_damaged; });
  if (newest != listing.backups.rend() && &*newest == listed) {
    return absl::FailedPreconditionError(
        absl::StrCat("backup ", backup_id, " is the newest that is whole: it is never deleted"));
  }
  if (listed->pinned) {
    return absl::FailedPreconditionError(
        absl::StrCat("backup ", backup_id, " is pinned: unpin it first"));
  }
  return store.AddMark(deleted, now);
}

absl::Status UndeleteBackup(StoreRepository& store, const std::string& backup_id, absl::Time now) {
  HOLDFAST_ASSIGN_OR_RETURN(const BackupListing listing, store.ListBackups(), "list the backups");
  const auto deleted = listing.deleted.find(backup_id);
  if (deleted == listing.deleted.end()) {
    if (listing.Find(backup_id) == nullptr) {
      return absl::NotFoundError(
          absl::StrCat("there is no backup ", backup_id, ", also none that was deleted"));
    }
    return absl::FailedPreconditionError(absl::StrCat("backup ", backup_id, " is not deleted"));
  }
  if (now - deleted->second > kUndeleteWindow) {
    return absl::FailedPreconditionError(
        absl::StrCat("backup ", backup_id,
                     " was deleted more than 6 days ago and may be being removed: restore it while "
                     "it is there, by its id"));
  }
  return store.AddMark(MakeMark(Mark::KIND_UNDELETED, backup_id, ""), now);
}

absl::Status PinBackup(StoreRepository& store, const std::string& backup_id, bool is_pinned,
                       absl::Time now) {
  // Whether the backup is there to be pinned; a deletion that a pin overrules must never count.
  const auto look = [&]() -> absl::Status {
    HOLDFAST_ASSIGN_OR_RETURN(const BackupListing listing, store.ListBackups(), "list the backups");
    const ListedBackup* const listed = listing.Find(backup_id);
    if (listed == nullptr) {
      return absl::NotFoundError(absl::StrCat("there is no backup ", backup_id));
    }
    if (!listed->is_deletion_overruled) return absl::OkStatus();
    return store.AddMark(MakeMark(Mark::KIND_UNDELETED, backup_id, "pinned"), now);
  };
  HOLDFAST_RETURN_IF_ERROR(look());
  HOLDFAST_RETURN_IF_ERROR(store.AddMark(
      MakeMark(is_pinned ? Mark::KIND_PINNED : Mark::KIND_UNPINNED, backup_id, ""), now));
  // A prune may have looked at its marks before this one was there.
  return is_pinned ? look() : absl::OkStatus();
}

}  // namespace holdfast
