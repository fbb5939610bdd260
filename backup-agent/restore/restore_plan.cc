#include "backup-agent/restore/restore_plan.h"

#include <algorithm>
#include <map>
#include <utility>

#include "common/base/status_macros.h"
#include "common/crypto/at_rest_cipher.h"

namespace holdfast {

namespace {

using repository::v1::FileEntry;
using repository::v1::FileList;

// What an empty database writes besides the files that it was given: a new log, manifest and
// options.
constexpr uint64_t kDatabaseReserveBytes = uint64_t{32} << 20;

}  // namespace

std::vector<RestoreUnit> PlanRestore(const FileList& files) {
  std::map<uint32_t, RestoreUnit> by_object;
  RestoreUnit empty_files;
  for (const FileEntry& file : files.files()) {
    RestoreUnit& unit =
        file.extents().empty() ? empty_files : by_object[file.extents(0).object_index()];
    unit.files.push_back(&file);
    unit.size_bytes += file.size_bytes();
  }
  std::vector<RestoreUnit> units;
  units.reserve(by_object.size() + 1);
  if (!empty_files.files.empty()) units.push_back(std::move(empty_files));
  for (auto& [object_index, unit] : by_object) {
    std::stable_sort(unit.files.begin(), unit.files.end(),
                     [](const FileEntry* a, const FileEntry* b) {
                       return a->extents(0).offset() < b->extents(0).offset();
                     });
    units.push_back(std::move(unit));
  }
  std::stable_sort(units.begin(), units.end(), [](const RestoreUnit& a, const RestoreUnit& b) {
    return a.size_bytes > b.size_bytes;
  });
  return units;
}

uint64_t RestoreSpaceNeededBytes(const FileList& files) {
  uint64_t needed = kDatabaseReserveBytes;
  for (const FileEntry& file : files.files()) {
    needed += file.size_bytes() + kAtRestPrefixSizeBytes;
    if (file.kind() == FileEntry::KIND_LOG) needed += file.size_bytes();
  }
  return needed;
}

absl::StatusOr<uint64_t> HighestListedRevision(StoreRepository& store) {
  HOLDFAST_ASSIGN_OR_RETURN(const BackupListing listing, store.ListBackups(), "list the backups");
  uint64_t highest = 0;
  for (const ListedBackup& backup : listing.backups) {
    highest = std::max(highest, backup.summary.revision());
  }
  return highest;
}

}  // namespace holdfast
