#include "store-service/checkpoints/backup_memory.h"

#include <cstdint>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/messages/proto_time.h"

namespace holdfast {
namespace {

constexpr size_t kBackupIdSizeMaxBytes = 64;
constexpr size_t kStateDigestSizeBytes = 64;  // hexadecimal
constexpr size_t kManifestHashSizeBytes = 32;

std::tuple<uint64_t, int64_t, int32_t> AgeOf(const v1::BackupReport& report) {
  return {report.revision(), report.checkpoint_time().seconds(), report.checkpoint_time().nanos()};
}

}  // namespace

BackupMemory::BackupMemory(const DataDirectory* directory, std::string incarnation, Clock* clock)
    : directory_(*directory), incarnation_(std::move(incarnation)), clock_(*clock) {
  const absl::StatusOr<store::v1::LastBackup> remembered = directory_.ReadLastBackup();
  if (!remembered.ok()) {
    if (remembered.status().code() != absl::StatusCode::kNotFound) {
      LogError("the store forgot when it was last backed up", {{"error", remembered.status()}});
    }
    return;
  }
  v1::BackupReport report;
  if (!report.ParseFromString(remembered->backup_report())) {
    LogError("the store forgot when it was last backed up: the record makes no sense");
    return;
  }
  // One of an earlier incarnation is of another history.
  if (report.incarnation() == incarnation_) newest_ = std::move(report);
}

absl::Status BackupMemory::Remember(const v1::BackupReport& report, uint64_t store_revision) {
  if (report.store_id() != directory_.store_id().ToText()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the backup is of another store; this is ", directory_.store_id().ToText()));
  }
  if (report.incarnation() != incarnation_) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the backup is of another incarnation of this store, which is in ", incarnation_));
  }
  if (report.revision() > store_revision) {
    return absl::InvalidArgumentError(absl::StrCat("the backup is of revision ", report.revision(),
                                                   ", but the store is only at ", store_revision));
  }
  if (report.backup_id().empty() || report.backup_id().size() > kBackupIdSizeMaxBytes ||
      report.state_digest().size() != kStateDigestSizeBytes ||
      report.manifest_hash().size() != kManifestHashSizeBytes || !report.has_checkpoint_time()) {
    return absl::InvalidArgumentError(
        "the report is not complete: it needs backup_id, state_digest, manifest_hash (32 bytes) "
        "and "
        "checkpoint_time");
  }
  MutexLock lock(&mutex_);
  if (newest_.has_value() && AgeOf(report) < AgeOf(*newest_)) return absl::OkStatus();
  v1::BackupReport kept = report;
  *kept.mutable_report_time() = ToProto(CutToMicros(clock_.Now()));
  store::v1::LastBackup last;
  if (!kept.SerializeToString(last.mutable_backup_report())) {
    return absl::InternalError("cannot serialise the report");
  }
  HOLDFAST_RETURN_IF_ERROR(directory_.WriteLastBackup(last), "remember the backup");
  newest_ = std::move(kept);
  return absl::OkStatus();
}

std::optional<v1::BackupReport> BackupMemory::newest() const {
  MutexLock lock(&mutex_);
  return newest_;
}

}  // namespace holdfast
