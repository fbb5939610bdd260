#include "store-service/documents/sickness.h"

#include <rocksdb/listener.h>
#include <rocksdb/status.h>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"

namespace holdfast {
namespace {

class BackgroundErrorListener : public rocksdb::EventListener {
 public:
  explicit BackgroundErrorListener(SicknessRecord* record) : record_(*record) {}

  void OnBackgroundError(rocksdb::BackgroundErrorReason /*reason*/,
                         rocksdb::Status* error) override {
    if (error == nullptr || error->ok()) return;
    if (error->IsCorruption()) {
      record_.Report(Sickness::Kind::kTableDamaged,
                     absl::StrCat("the database is damaged: ", error->ToString(),
                                  "; restore a backup, and have the disk checked"));
    } else {
      record_.Report(Sickness::Kind::kBackgroundError,
                     absl::StrCat("the database cannot write its files: ", error->ToString(),
                                  "; make room or have the disk checked, then restart the store"));
    }
  }

  void OnErrorRecoveryEnd(const rocksdb::BackgroundErrorRecoveryInfo& info) override {
    if (info.new_bg_error.ok()) record_.Recovered();
  }

 private:
  SicknessRecord& record_;
};

}  // namespace

void SicknessRecord::Report(Sickness::Kind kind, absl::string_view message,
                            uint64_t lost_from_revision) {
  {
    MutexLock lock(&mutex_);
    const bool is_new = sicknesses_
                            .emplace(kind, Sickness{.kind = kind,
                                                    .message = std::string(message),
                                                    .lost_from_revision = lost_from_revision,
                                                    .notice_time = clock_.Now()})
                            .second;
    if (!is_new) return;
  }
  LogError("the database is sick", {{"what", message}});
}

void SicknessRecord::ReportReadError(const absl::Status& status) {
  if (status.code() != absl::StatusCode::kDataLoss) return;
  Report(Sickness::Kind::kTableDamaged,
         absl::StrCat("a file of the database is damaged: ", status.message(),
                      "; restore a backup, and have the disk checked"));
}

void SicknessRecord::Recovered() {
  MutexLock lock(&mutex_);
  sicknesses_.erase(Sickness::Kind::kBackgroundError);
}

std::optional<Sickness> SicknessRecord::Get() const {
  MutexLock lock(&mutex_);
  if (sicknesses_.empty()) return std::nullopt;
  return sicknesses_.rbegin()->second;
}

absl::Status SicknessRecord::CheckFitForCheckpoint() const {
  const std::optional<Sickness> sickness = Get();
  if (!sickness.has_value() || sickness->kind == Sickness::Kind::kLogDamaged) {
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat("no checkpoint of a sick database: ", sickness->message));
}

std::shared_ptr<rocksdb::EventListener> SicknessRecord::MakeListener() {
  return std::make_shared<BackgroundErrorListener>(this);
}

}  // namespace holdfast
