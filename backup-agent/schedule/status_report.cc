#include "backup-agent/schedule/status_report.h"

#include <algorithm>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "backup-agent/schedule/schedule_times.h"
#include "backup-agent/schedule/store_settings.h"
#include "common/messages/proto_time.h"

namespace holdfast {

namespace {

// Adds what the last listing and the last run have against a destination.
void AddWarnings(const StoreKnowledge& known, v1::DestinationStatus& shown, VerdictInput& verdict) {
  const std::string& name = shown.destination_name();
  const PlaceWarning* const place_warning = known.destinations.WarningOf(name);
  if (place_warning != nullptr) {
    shown.set_warning(place_warning->text);
    if (place_warning->is_unsafe) {
      verdict.unsafe_destinations.push_back({name, place_warning->text});
    }
  }
  const std::string run_warning = known.runs.LastWarningAt(name);
  if (absl::StrContains(shown.warning(), run_warning)) return;
  // It has what is known against the place as well, where that was known at its time.
  shown.set_warning(absl::StrContains(run_warning, shown.warning())
                        ? run_warning
                        : absl::StrCat(shown.warning(), "; ", run_warning));
  verdict.run_warnings.push_back({name, run_warning});
}

// Adds one destination of the settings.
void AddDestination(const StoreKnowledge& known, const v1::Destination& destination, Clock& clock,
                    v1::BackupStatus& status, VerdictInput& verdict) {
  const std::string& name = destination.name();
  v1::DestinationStatus& shown = *status.add_destinations();
  shown.set_destination_name(name);
  shown.set_url(destination.url());
  const v1::Backup* const newest = known.catalog.NewestHeldAt(name);
  std::optional<absl::Time> success_time;
  if (newest != nullptr) {
    shown.set_last_backup_id(newest->backup_id());
    success_time = FromProto(newest->checkpoint_time());
  }
  const auto remembered = known.memory.destinations().find(name);
  if (remembered != known.memory.destinations().end()) {
    const agent::v1::DestinationMemory& memory = remembered->second;
    shown.set_repository_id(memory.repository_id());
    shown.set_consecutive_failures(memory.consecutive_failures());
    shown.set_last_error(memory.last_error());
    if (!memory.last_backup_id().empty()) {
      shown.set_last_backup_id(memory.last_backup_id());
      success_time = absl::FromUnixMicros(memory.last_success_time_us());
    }
  }
  AddWarnings(known, shown, verdict);
  shown.set_listing_error(known.destinations.ListingError(name));
  if (success_time.has_value()) {
    *shown.mutable_last_success_time() = ToProto(*success_time);
    const std::optional<MonotonicTime> seen = known.destinations.SuccessTime(name);
    *shown.mutable_last_success_age() =
        ToProto(seen.has_value() ? clock.MonotonicNow() - *seen
                                 : std::max(absl::ZeroDuration(), clock.Now() - *success_time));
  }
  const bool lacks_newest =
      !known.catalog.backups().empty() && newest != &known.catalog.backups().front();
  if (lacks_newest || shown.consecutive_failures() > 0) {
    const bool is_damaged = lacks_newest && IsDamagedAt(known.catalog.backups().front(), name);
    verdict.destinations_behind.push_back(
        {name, !shown.last_error().empty()      ? shown.last_error()
               : !shown.listing_error().empty() ? shown.listing_error()
               : is_damaged ? "it is damaged there; the next run writes anew what it lacks"
                            : ""});
  } else if (!shown.listing_error().empty()) {
    verdict.unreadable_destinations.push_back({name, shown.listing_error()});
  }
}

}  // namespace

StatusReport ReportStatus(const StoreKnowledge& known, absl::string_view key_fingerprint,
                          std::optional<absl::Time> next_start, Clock& clock) {
  StatusReport report;
  v1::BackupStatus& status = report.status;
  VerdictInput& verdict = report.verdict;
  const v1::Settings& settings = known.settings;
  const absl::Duration running_for = clock.MonotonicNow() - known.start_time;

  status.set_store_name(settings.store_name());
  status.set_store_id(!known.memory.store_id().empty() ? known.memory.store_id()
                      : known.store_status.has_value() ? known.store_status->store_id()
                                                       : "");
  status.set_store_error(known.store_error);
  status.set_consecutive_failures(known.runs.consecutive_failures());
  status.set_last_error(known.runs.last_error());
  if (known.current.has_value()) *status.mutable_current_run() = known.current->run;
  if (known.runs.Last() != nullptr) *status.mutable_last_run() = *known.runs.Last();
  if (next_start.has_value()) *status.mutable_next_due_time() = ToProto(*next_start);

  verdict.known_for = known.known_before_start + running_for;
  verdict.interval = FromProto(WithDefaults(settings.schedule()).interval());
  verdict.is_automatic = settings.schedule().automatic();
  verdict.consecutive_failures = known.runs.consecutive_failures();
  verdict.last_error = known.runs.last_error();
  verdict.is_key_confirmed = settings.key_confirmed_fingerprint() == key_fingerprint;
  verdict.store_error = known.store_error;
  verdict.state_error = known.state_error;

  const v1::Backup* const last_backup = known.catalog.NewestAt(RequiredDestinations(settings));
  if (last_backup != nullptr) {
    absl::Duration age = known.catalog.Age(*last_backup);
    // The wall clock was set back: it is older than this process at least.
    if (age == absl::InfiniteDuration()) age = running_for;
    verdict.last_backup_age = age;
    *status.mutable_last_backup() = *last_backup;
    *status.mutable_last_backup_age() = ToProto(age);
  }
  verdict.has_backup_at_too_few = last_backup == nullptr && !known.catalog.backups().empty();
  for (const v1::Destination& destination : settings.destinations()) {
    AddDestination(known, destination, clock, status, verdict);
  }
  return report;
}

}  // namespace holdfast
