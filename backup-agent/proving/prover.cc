#include "backup-agent/proving/prover.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "backup-agent/restore/restorer.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/io/files.h"
#include "common/repository/layout.h"

namespace holdfast {
namespace {

using repository::v1::Mark;

// Bounds of a mark (FORMAT.md, "Marks").
constexpr size_t kDamagedObjectsMax = 500;
constexpr size_t kNoteSizeMaxBytes = 4096;

Mark MakeMark(Mark::Kind kind, const std::string& backup_id, absl::string_view note) {
  size_t size = std::min(note.size(), kNoteSizeMaxBytes);
  while (size < note.size() && size > 0 && (static_cast<uint8_t>(note[size]) & 0xc0) == 0x80) {
    --size;  // not in the middle of a character
  }
  Mark mark;
  mark.set_kind(kind);
  mark.set_backup_id(backup_id);
  mark.set_note(std::string(note.substr(0, size)));
  return mark;
}

// The backups that can't be restored because of these.
std::set<std::string> BrokenBackups(const std::vector<CheckFinding>& findings) {
  std::set<std::string> broken;
  for (const CheckFinding& finding : findings) {
    broken.insert(finding.backup_ids.begin(), finding.backup_ids.end());
  }
  return broken;
}

// What a restore that failed says about the backup: that it can't be restored, rather than that the
// place to restore to, or the destination, is not as it should be.
bool IsDamage(const absl::Status& status) {
  return absl::IsDataLoss(status) || GetSealedFault(status).has_value();
}

}  // namespace

std::string ObjectNameOf(const StoreId& store_id, absl::string_view path) {
  const std::string folder = absl::StrCat(StorePath(store_id), "/objects/");
  if (!absl::ConsumePrefix(&path, folder) || !ParseObjectName(path).ok()) return "";
  return std::string(path);
}

absl::StatusOr<ProofFindings> Prover::Check(uint32_t share, uint32_t shares,
                                            ProofProgress& progress, const OnStep& on_step,
                                            const Cancellation& cancellation) {
  CheckOptions options;
  options.read_data = shares > 0;
  options.share = share;
  options.shares = std::max<uint32_t>(shares, 1);
  options.also_read_marked = options.read_data;
  ProofFindings found;
  found.has_read_all = shares == 1;
  found.has_read_damaged = options.read_data;
  HOLDFAST_RETURN_IF_ERROR(FindDamage(options, progress, on_step, cancellation, found));
  return found;
}

absl::StatusOr<ProofFindings> Prover::Drill(const std::string& backup_id,
                                            const std::string& scratch_directory,
                                            ProofProgress& progress, const OnStep& on_step,
                                            const Cancellation& cancellation) {
  HOLDFAST_RETURN_IF_ERROR(RemoveTree(scratch_directory), "empty the scratch place");
  const absl::Cleanup remove_scratch = [&scratch_directory] {
    const absl::Status removed = RemoveTree(scratch_directory);
    if (!removed.ok()) {
      LogWarning("what a drill restored can't be removed",
                 {{"directory", scratch_directory}, {"error", removed}});
    }
  };
  HOLDFAST_RETURN_IF_ERROR(MakeDirectories(scratch_directory), "make the scratch place");
  HOLDFAST_ASSIGN_OR_RETURN(ProofFindings found,
                            Restore(backup_id, scratch_directory, progress, on_step, cancellation));
  if (found.restore_status.ok()) return found;

  // A restore ends at the first fault; whoever mends wants all of them.
  CheckOptions options;
  options.read_data = !found.backup_id.empty();
  options.only_backup_id = found.backup_id;
  HOLDFAST_RETURN_IF_ERROR(FindDamage(options, progress, on_step, cancellation, found));
  const bool is_explained = found.backup_id.empty()
                                ? !found.findings.empty()
                                : BrokenBackups(found.findings).contains(found.backup_id);
  if (is_explained) return found;
  // Every byte is what was written, and yet it is not the store that was backed up.
  CheckFinding& finding = found.findings.emplace_back();
  finding.is_sealed_so = true;
  finding.status = found.restore_status;
  if (found.backup_id.empty()) {
    finding.path = BackupsPath(store_.store_id());
  } else {
    finding.path = BackupPath(store_.store_id(), found.backup_id);
    finding.backup_ids.push_back(found.backup_id);
  }
  return found;
}

absl::Status Prover::FindDamage(CheckOptions options, ProofProgress& progress,
                                const OnStep& on_step, const Cancellation& cancellation,
                                ProofFindings& found) {
  options.on_progress = [&](const CheckProgress& done) {
    progress.bytes_done = done.bytes_done;
    progress.bytes_total = done.bytes_total;
    if (on_step) on_step();
  };
  HOLDFAST_ASSIGN_OR_RETURN(found.report, CheckStore(store_, options, cancellation));
  found.findings = found.report.findings;
  return absl::OkStatus();
}

absl::StatusOr<ProofFindings> Prover::Restore(const std::string& backup_id,
                                              const std::string& scratch_directory,
                                              ProofProgress& progress, const OnStep& on_step,
                                              const Cancellation& cancellation) {
  ProofFindings found;
  found.backup_id = backup_id;
  const absl::StatusOr<std::unique_ptr<Restorer>> opened =
      Restorer::Open(store_.blobs(), master_key_,
                     {.store_id = store_.store_id(), .backup_id = backup_id}, clock_, random_);
  if (!opened.ok()) {
    if (!IsDamage(opened.status())) return opened.status();
    found.restore_status = opened.status();
    return found;
  }
  Restorer& restorer = **opened;
  found.backup_id = restorer.summary().backup_id();
  RestoreOptions options;
  options.on_progress = [&](const RestoreProgress& done) {
    progress.bytes_done = done.bytes_done;
    progress.bytes_total = done.bytes_total;
    progress.documents_done = done.documents_done;
    progress.documents_total = done.documents_total;
    if (on_step) on_step();
  };
  const absl::StatusOr<RestoreResult> restored =
      restorer.RestoreTo(scratch_directory, options, cancellation);
  if (restored.ok()) {
    found.restore_duration = restored->duration;
    return found;
  }
  if (!IsDamage(restored.status())) return restored.status();
  found.restore_status = restored.status();
  return found;
}

absl::Status Prover::Remember(ProofFindings& found, const OnStep& on_step,
                              const Cancellation& cancellation) {
  HOLDFAST_ASSIGN_OR_RETURN(const BackupListing listing, store_.ListBackups(), "list the backups");
  HOLDFAST_RETURN_IF_ERROR(MarkDamaged(listing, found.findings));
  std::set<std::string> settled = BrokenBackups(found.findings);
  if (!found.backup_id.empty() && found.restore_status.ok()) {
    settled.insert(found.backup_id);
    const absl::Status marked = store_.AddMark(
        MakeMark(Mark::KIND_DRILLED, found.backup_id,
                 absl::StrCat("restored in ", absl::FormatDuration(found.restore_duration))),
        clock_.Now());
    if (!absl::IsNotFound(marked)) HOLDFAST_RETURN_IF_ERROR(marked, "remember the drill");
  }
  std::set<std::string> mended;
  for (const MendedFile& file : found.mended) {
    mended.insert(file.finding.backup_ids.begin(), file.finding.backup_ids.end());
  }
  for (const ListedBackup& backup : listing.backups) {
    const std::string& backup_id = backup.summary.backup_id();
    if (settled.contains(backup_id) || (backup.is_damaged && backup.needs_drill)) continue;
    const bool is_newest = &backup == listing.Latest();
    // Not one that came since, or was deleted at the time.
    const bool was_read = found.has_read_all && found.report.checked_backup_ids.contains(backup_id);
    if (was_read && (backup.is_damaged || is_newest)) {
      HOLDFAST_RETURN_IF_ERROR(MarkChecked(backup_id, "all data read"));
    } else if (backup.is_damaged &&
               (found.has_read_all || found.has_read_damaged || mended.contains(backup_id))) {
      HOLDFAST_RETURN_IF_ERROR(ReadWhole(backup_id, on_step, cancellation, found));
    }
  }
  return absl::OkStatus();
}

absl::Status Prover::ReadWhole(const std::string& backup_id, const OnStep& on_step,
                               const Cancellation& cancellation, ProofFindings& found) {
  CheckOptions options;
  options.read_data = true;
  options.only_backup_id = backup_id;
  options.on_progress = [&on_step](const CheckProgress&) {
    if (on_step) on_step();
  };
  HOLDFAST_ASSIGN_OR_RETURN(const CheckReport report, CheckStore(store_, options, cancellation),
                            absl::StrCat("read backup ", backup_id, " whole"));
  if (!BrokenBackups(report.findings).contains(backup_id)) {
    if (!report.checked_backup_ids.contains(backup_id)) return absl::OkStatus();  // deleted since
    return MarkChecked(backup_id, "what was damaged is whole, and all data read");
  }
  std::vector<CheckFinding> added;
  for (const CheckFinding& finding : report.findings) {
    const bool is_known =
        std::any_of(found.findings.begin(), found.findings.end(),
                    [&finding](const CheckFinding& known) { return known.path == finding.path; });
    if (!is_known) added.push_back(finding);
  }
  found.findings.insert(found.findings.end(), added.begin(), added.end());
  found.report.findings.insert(found.report.findings.end(), added.begin(), added.end());
  HOLDFAST_ASSIGN_OR_RETURN(const BackupListing listing, store_.ListBackups(), "list the backups");
  return MarkDamaged(listing, added);
}

absl::Status Prover::MarkChecked(const std::string& backup_id, absl::string_view note) {
  const absl::Status marked =
      store_.AddMark(MakeMark(Mark::KIND_CHECKED, backup_id, note), clock_.Now());
  return absl::IsNotFound(marked) ? absl::OkStatus() : Annotate(marked, "remember the check");
}

absl::Status Prover::MarkDamaged(const BackupListing& listing,
                                 const std::vector<CheckFinding>& findings) {
  struct Harm {
    std::string note;
    std::vector<std::string> objects;
    bool needs_drill = false;
  };
  std::map<std::string, Harm> harms;  // by backup id
  for (const CheckFinding& finding : findings) {
    const std::string object = ObjectNameOf(store_.store_id(), finding.path);
    for (const std::string& backup_id : finding.backup_ids) {
      Harm& harm = harms[backup_id];
      absl::StrAppend(&harm.note, harm.note.empty() ? "" : "; ", finding.path, ": ",
                      finding.status.message());
      if (!object.empty()) {
        harm.objects.push_back(object);
      } else if (finding.is_sealed_so) {
        harm.needs_drill = true;
      }
    }
  }
  for (auto& [backup_id, harm] : harms) {
    const ListedBackup* const listed = listing.Find(backup_id);
    if (listed == nullptr) continue;  // its manifest can't be read, and that shows by itself
    // The newest mark alone counts: it says what the one before said, too, which this proof may not
    // have looked at.
    Mark mark = MakeMark(Mark::KIND_DAMAGED, backup_id, harm.note);
    mark.set_needs_drill(harm.needs_drill || listed->needs_drill);
    std::set<std::string> named(listed->damaged_objects.begin(), listed->damaged_objects.end());
    for (std::string& object : harm.objects) {
      if (named.size() < kDamagedObjectsMax) named.insert(std::move(object));
    }
    const bool is_known = listed->is_damaged && named.size() == listed->damaged_objects.size() &&
                          mark.needs_drill() == listed->needs_drill;
    if (is_known) continue;
    mark.mutable_damaged_objects()->Assign(named.begin(), named.end());
    const absl::Status marked = store_.AddMark(mark, clock_.Now());
    if (!absl::IsNotFound(marked)) {
      HOLDFAST_RETURN_IF_ERROR(marked, absl::StrCat("mark backup ", backup_id, " as damaged"));
    }
  }
  return absl::OkStatus();
}

}  // namespace holdfast
