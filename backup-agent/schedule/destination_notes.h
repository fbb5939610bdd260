#ifndef HOLDFAST_BACKUP_AGENT_SCHEDULE_DESTINATION_NOTES_H_
#define HOLDFAST_BACKUP_AGENT_SCHEDULE_DESTINATION_NOTES_H_

#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "backup-agent/transfer/backup_runner.h"
#include "common/base/clock.h"
#include "holdfast/v1/backup_agent.pb.h"

namespace holdfast {

// DestinationNotes are what this process has found out about the destinations of a store, their
// backups apart: when each last got one, why it could not be listed, what is against its place.
// Nothing of it outlives the process.
//
// Not thread-safe.
class DestinationNotes {
 public:
  // A run of this process has left a backup at a destination.
  void OnSuccess(const std::string& destination_name, MonotonicTime now);

  // The destinations of `settings` were listed, or could not be. Of a place that does not answer
  // nothing new is known.
  void OnListed(const v1::Settings& settings, const absl::StatusOr<BackupRunner::Listing>& listing);

  // What has this name now is another destination.
  void Forget(const std::string& destination_name);
  // What was left at the destinations so far is of another store.
  void ForgetSuccesses() { success_times_.clear(); }

  // nullopt where it got none.
  std::optional<MonotonicTime> SuccessTime(const std::string& destination_name) const;
  // Why the destination could not be listed when that was last tried; empty where it could.
  std::string ListingError(const std::string& destination_name) const;
  // nullptr where nothing is known against its place.
  const PlaceWarning* WarningOf(const std::string& destination_name) const;

 private:
  // By the names of the destinations.
  std::map<std::string, MonotonicTime> success_times_;
  std::map<std::string, std::string> listing_errors_;
  std::map<std::string, PlaceWarning> place_warnings_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SCHEDULE_DESTINATION_NOTES_H_
