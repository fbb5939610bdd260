#ifndef HOLDFAST_BACKUP_AGENT_SCHEDULE_BACKUP_CATALOG_H_
#define HOLDFAST_BACKUP_AGENT_SCHEDULE_BACKUP_CATALOG_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "backup-agent/transfer/backup_runner.h"
#include "common/base/clock.h"
#include "holdfast/v1/backup_agent.pb.h"

namespace holdfast {

// A BackupCatalog is what the agent knows of a store's backups: what it last saw at the
// destinations, and what it did itself since.
//
// Not thread-safe. Does not take ownership of the clock.
class BackupCatalog {
 public:
  // Older ones are left out; bounds the memory.
  static constexpr size_t kBackupsMax = 100'000;

  explicit BackupCatalog(Clock& clock) : clock_(clock) {}

  // Adds a backup of a run of this process. Its checkpoint was asked for at `checkpoint_request`:
  // it is at most as old as that.
  void Add(v1::Backup backup, MonotonicTime checkpoint_request);

  // A listing takes time, and runs go on meanwhile:
  //   const uint64_t listing_begin = catalog.BeginListing();
  //   … list, without a lock …
  //   catalog.FinishListing(listing_begin, listing);
  // What was added in between stays, and so does what was known of destinations that can't be read.
  uint64_t BeginListing() const { return additions_; }
  void FinishListing(uint64_t begin, const BackupRunner::Listing& listing);

  // Destinations that are no longer the store's hold nothing that counts.
  void KeepDestinations(const std::set<std::string>& names);

  // Newest first.
  const std::vector<v1::Backup>& backups() const { return backups_; }
  // nullptr where there is none.
  const v1::Backup* Find(absl::string_view backup_id) const;
  const v1::Backup* NewestAt(uint32_t destination_count_min) const;
  const v1::Backup* NewestHeldAt(absl::string_view destination_name) const;
  // The newest of an incarnation that holds `revision`, of those whose ordinal is above
  // `after_ordinal`. The revisions of other incarnations may be those of other writes.
  const v1::Backup* NewestWith(absl::string_view incarnation, uint64_t revision,
                               uint32_t destination_count_min, uint64_t after_ordinal = 0) const;

  // As BackupAgent.GetBackup and ListBackups.
  absl::StatusOr<v1::Backup> Get(absl::string_view backup_id) const;
  absl::StatusOr<v1::ListBackupsResponse> List(const v1::ListBackupsRequest& request) const;

  // How old a backup's checkpoint is, never too little: by the clock that never jumps where it was
  // taken by this process; else by the wall clock, and infinitely old where that lies before it.
  absl::Duration Age(const v1::Backup& backup) const;

 private:
  void Sort();

  Clock& clock_;
  uint64_t additions_ = 0;
  std::vector<v1::Backup> backups_;

  // Of the backups that this process took, by id.
  struct Taken {
    uint64_t addition;
    MonotonicTime checkpoint_request;
  };
  std::map<std::string, Taken, std::less<>> taken_;
};

// Whether a backup is at a destination, and not known to be damaged there.
bool IsHeldAt(const v1::Backup& backup, absl::string_view destination_name);

// Whether it is at a destination, and known to be damaged there.
bool IsDamagedAt(const v1::Backup& backup, absl::string_view destination_name);

// Whether it is held so at so many destinations.
bool IsHeldBy(const v1::Backup& backup, uint32_t destination_count_min);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SCHEDULE_BACKUP_CATALOG_H_
