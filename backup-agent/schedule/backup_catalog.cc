#include "backup-agent/schedule/backup_catalog.h"

#include <algorithm>
#include <functional>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "backup-agent/schedule/paging.h"
#include "common/base/status_macros.h"
#include "common/messages/proto_time.h"

namespace holdfast {

namespace {

// Adds to the destinations of `backup` those of `names` that it does not have yet.
void AddDestinations(v1::Backup& backup, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const auto& known = backup.destination_names();
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      backup.add_destination_names(name);
    }
  }
}

// The order of backups by lineage, never by a clock.
auto LineageOf(const v1::Backup& backup) {
  return std::make_tuple(backup.ordinal(), backup.revision(), std::cref(backup.backup_id()));
}

}  // namespace

bool IsHeldAt(const v1::Backup& backup, absl::string_view destination_name) {
  const auto& names = backup.destination_names();
  return std::find(names.begin(), names.end(), destination_name) != names.end() &&
         !IsDamagedAt(backup, destination_name);
}

bool IsDamagedAt(const v1::Backup& backup, absl::string_view destination_name) {
  const auto& names = backup.damaged_destination_names();
  return std::find(names.begin(), names.end(), destination_name) != names.end();
}

bool IsHeldBy(const v1::Backup& backup, uint32_t destination_count_min) {
  uint32_t count = 0;
  for (const std::string& name : backup.destination_names())
    count += IsHeldAt(backup, name) ? 1 : 0;
  return count >= destination_count_min;
}

void BackupCatalog::Sort() {
  std::sort(backups_.begin(), backups_.end(),
            [](const v1::Backup& a, const v1::Backup& b) { return LineageOf(a) > LineageOf(b); });
  if (backups_.size() > kBackupsMax) backups_.resize(kBackupsMax);
}

void BackupCatalog::Add(v1::Backup backup, MonotonicTime checkpoint_request) {
  taken_[backup.backup_id()] = {++additions_, checkpoint_request};
  for (v1::Backup& known : backups_) {
    if (known.backup_id() != backup.backup_id()) continue;
    AddDestinations(backup, {known.destination_names().begin(), known.destination_names().end()});
    known = std::move(backup);
    return;
  }
  backups_.push_back(std::move(backup));
  Sort();
}

void BackupCatalog::FinishListing(uint64_t begin, const BackupRunner::Listing& listing) {
  std::map<std::string, v1::Backup> merged;
  for (const v1::Backup& backup : listing.backups) merged.emplace(backup.backup_id(), backup);
  for (v1::Backup& known : backups_) {
    const auto taken = taken_.find(known.backup_id());
    const bool is_newer_than_listing = taken != taken_.end() && taken->second.addition > begin;
    std::vector<std::string> kept;
    for (const std::string& name : known.destination_names()) {
      if (is_newer_than_listing || listing.errors.count(name) > 0) kept.push_back(name);
    }
    if (kept.empty()) continue;
    std::vector<std::string> damaged;
    for (const std::string& name : kept) {
      if (!IsHeldAt(known, name)) damaged.push_back(name);
    }
    const auto [entry, is_new] = merged.try_emplace(known.backup_id());
    if (is_new) {
      known.clear_destination_names();
      known.clear_damaged_destination_names();
      entry->second = std::move(known);
    }
    AddDestinations(entry->second, kept);
    for (std::string& name : damaged) {
      entry->second.add_damaged_destination_names(std::move(name));
    }
  }
  backups_.clear();
  for (auto& [id, backup] : merged) backups_.push_back(std::move(backup));
  Sort();
  for (auto taken = taken_.begin(); taken != taken_.end();) {
    taken = Find(taken->first) == nullptr ? taken_.erase(taken) : std::next(taken);
  }
}

void BackupCatalog::KeepDestinations(const std::set<std::string>& names) {
  std::vector<v1::Backup> kept;
  for (v1::Backup& backup : backups_) {
    std::vector<std::string> held_by;
    for (const std::string& name : backup.destination_names()) {
      if (names.count(name) > 0) held_by.push_back(name);
    }
    if (held_by.empty()) continue;
    backup.clear_destination_names();
    AddDestinations(backup, held_by);
    kept.push_back(std::move(backup));
  }
  backups_ = std::move(kept);
}

const v1::Backup* BackupCatalog::Find(absl::string_view backup_id) const {
  for (const v1::Backup& backup : backups_) {
    if (backup.backup_id() == backup_id) return &backup;
  }
  return nullptr;
}

const v1::Backup* BackupCatalog::NewestAt(uint32_t destination_count_min) const {
  for (const v1::Backup& backup : backups_) {
    if (IsHeldBy(backup, destination_count_min)) return &backup;
  }
  return nullptr;
}

const v1::Backup* BackupCatalog::NewestWith(absl::string_view incarnation, uint64_t revision,
                                            uint32_t destination_count_min,
                                            uint64_t after_ordinal) const {
  for (const v1::Backup& backup : backups_) {
    if (backup.incarnation() == incarnation && backup.ordinal() > after_ordinal &&
        backup.revision() >= revision && IsHeldBy(backup, destination_count_min)) {
      return &backup;
    }
  }
  return nullptr;
}

const v1::Backup* BackupCatalog::NewestHeldAt(absl::string_view destination_name) const {
  for (const v1::Backup& backup : backups_) {
    if (IsHeldAt(backup, destination_name)) return &backup;
  }
  return nullptr;
}

absl::StatusOr<v1::Backup> BackupCatalog::Get(absl::string_view backup_id) const {
  if (backup_id.empty()) {
    if (backups_.empty()) return absl::NotFoundError("there is no backup yet");
    return backups_.front();
  }
  const v1::Backup* const backup = Find(backup_id);
  if (backup == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("there is no backup ", absl::Utf8SafeCHexEscape(backup_id)));
  }
  return *backup;
}

absl::StatusOr<v1::ListBackupsResponse> BackupCatalog::List(
    const v1::ListBackupsRequest& request) const {
  HOLDFAST_ASSIGN_OR_RETURN(const PageRange page,
                            FindPage(
                                backups_,
                                [](const v1::Backup& backup) {
                                  return PageItem{backup.backup_id(), backup.ByteSizeLong()};
                                },
                                request.page_size(), request.page_token()));
  v1::ListBackupsResponse response;
  for (size_t i = page.begin; i < page.end; ++i) *response.add_backups() = backups_[i];
  response.set_next_page_token(page.next_page_token);
  return response;
}

absl::Duration BackupCatalog::Age(const v1::Backup& backup) const {
  const auto taken = taken_.find(backup.backup_id());
  if (taken != taken_.end()) return clock_.MonotonicNow() - taken->second.checkpoint_request;
  const absl::Duration age = clock_.Now() - FromProto(backup.checkpoint_time());
  return age < absl::ZeroDuration() ? absl::InfiniteDuration() : age;
}

}  // namespace holdfast
