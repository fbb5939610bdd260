#include "backup-agent/schedule/verdict.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace holdfast {

namespace {

constexpr absl::Duration kOverdueGraceMin = absl::Minutes(15);

// "2d3h", "4h5m", "6m": as exact as people want to know an age.
std::string AgeText(absl::Duration age) {
  const int64_t minutes = std::max<int64_t>(0, absl::ToInt64Minutes(age));
  const int64_t hours = minutes / 60;
  if (hours >= 48) return absl::StrCat(hours / 24, "d", hours % 24, "h");
  if (hours > 0) return absl::StrCat(hours, "h", minutes % 60, "m");
  return absl::StrCat(minutes, "m");
}

// "because" only where there is something to say.
std::string WithCause(absl::string_view what, absl::string_view cause) {
  return cause.empty() ? std::string(what) : absl::StrCat(what, ": ", cause);
}

}  // namespace

absl::Duration OverdueAge(absl::Duration interval) {
  return interval + std::max(interval / 2, kOverdueGraceMin);
}

VerdictOutput ReachVerdict(const VerdictInput& input) {
  VerdictOutput output;
  // To be called in the order from the worst to the best.
  const auto add = [&output](v1::BackupStatus::Verdict verdict, absl::string_view reason) {
    output.verdict = std::max(output.verdict, verdict);
    absl::StrAppend(&output.reason, output.reason.empty() ? "" : "; ", reason);
  };

  if (input.consecutive_failures > 0) {
    add(v1::BackupStatus::VERDICT_FAILING,
        WithCause(input.consecutive_failures == 1
                      ? std::string("the last run failed")
                      : absl::StrCat("the last ", input.consecutive_failures, " runs failed"),
                  input.last_error));
  }
  const absl::Duration age = input.last_backup_age.value_or(input.known_for);
  if (age > OverdueAge(input.interval)) {
    add(v1::BackupStatus::VERDICT_OVERDUE,
        absl::StrCat(input.last_backup_age.has_value()
                         ? absl::StrCat("the newest backup is ", AgeText(age), " old")
                         : absl::StrCat("there is no backup after ", AgeText(age)),
                     ", and one is wanted every ", AgeText(input.interval),
                     input.is_automatic ? ""
                                        : "; automatic backups are off: turn them on, or trigger "
                                          "one"));
  }
  for (const VerdictInput::Behind& behind : input.destinations_behind) {
    // Where a run failed for it, that was told with the run.
    const bool is_told = absl::StrContains(output.reason, behind.error);
    add(v1::BackupStatus::VERDICT_DEGRADED,
        WithCause(absl::StrCat("destination ", behind.destination_name,
                               " does not hold the newest backup"),
                  is_told ? "" : behind.error));
  }
  for (const VerdictInput::Behind& unsafe : input.unsafe_destinations) {
    add(v1::BackupStatus::VERDICT_DEGRADED,
        WithCause(absl::StrCat("destination ", unsafe.destination_name, " can't be relied on"),
                  unsafe.error));
  }
  for (const VerdictInput::Behind& behind : input.unreadable_destinations) {
    add(v1::BackupStatus::VERDICT_DEGRADED,
        WithCause(
            absl::StrCat("the backups at destination ", behind.destination_name, " can't be read"),
            behind.error));
  }
  for (const VerdictInput::Behind& behind : input.run_warnings) {
    add(v1::BackupStatus::VERDICT_DEGRADED,
        absl::StrCat("destination ", behind.destination_name, ": ", behind.error));
  }
  for (const VerdictInput::Behind& behind : input.proof_errors) {
    add(v1::BackupStatus::VERDICT_DEGRADED,
        absl::StrCat("destination ", behind.destination_name, ": ", behind.error));
  }
  for (const VerdictInput::Behind& behind : input.unproven) {
    add(v1::BackupStatus::VERDICT_DEGRADED,
        absl::StrCat("destination ", behind.destination_name, " is not proven: ", behind.error));
  }
  for (const VerdictInput::Behind& behind : input.prune_errors) {
    add(v1::BackupStatus::VERDICT_DEGRADED,
        WithCause(absl::StrCat("old backups at destination ", behind.destination_name,
                               " are not deleted"),
                  behind.error));
  }
  if (!input.store_error.empty()) {
    add(v1::BackupStatus::VERDICT_DEGRADED, absl::StrCat("the store: ", input.store_error));
  }
  if (!input.state_error.empty()) {
    add(v1::BackupStatus::VERDICT_DEGRADED,
        absl::StrCat("the agent can't save its state: ", input.state_error));
  }
  if (!input.is_key_confirmed) {
    add(v1::BackupStatus::VERDICT_DEGRADED,
        "nobody confirmed that the master key is kept elsewhere than on this machine, and without "
        "it no backup can be opened: prove your copy with `holdfast key verify --confirm`");
  }
  if (!input.last_backup_age.has_value()) {
    add(v1::BackupStatus::VERDICT_NO_BACKUP,
        input.has_backup_at_too_few
            ? "no backup is yet at as many destinations as the settings require"
        : input.is_automatic
            ? "there is no backup yet; the first one will be taken at its time"
            : "there is no backup yet, and automatic backups are off: trigger one");
  }
  return output;
}

}  // namespace holdfast
