#ifndef HOLDFAST_STORE_SERVICE_DOCUMENTS_SICKNESS_H_
#define HOLDFAST_STORE_SERVICE_DOCUMENTS_SICKNESS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace rocksdb {
class EventListener;
}

namespace holdfast {

// Something that is wrong with a database and that somebody should know of.
struct Sickness {
  // From the lightest to the worst.
  enum class Kind {
    kLogDamaged,       // the log was damaged when the store opened: acknowledged writes are missing
    kBackgroundError,  // RocksDB could not write a file; it may recover
    kTableDamaged,     // a table file does not have the bytes that were written
    kWritesStopped,    // a write or sync failed; nothing is written until the store is reopened
  };

  Kind kind = Kind::kBackgroundError;
  std::string message;
  uint64_t lost_from_revision = 0;  // for kLogDamaged
  absl::Time notice_time;
};

// A SicknessRecord remembers the worst that was noticed of a database while this process has it
// open, and logs each new sickness once, as an error.
//
// Thread-safe. Does not take ownership; *clock must outlive this.
class SicknessRecord {
 public:
  explicit SicknessRecord(Clock* clock) : clock_(*clock) {}

  // Of the same kind the first one stays.
  void Report(Sickness::Kind kind, absl::string_view message, uint64_t lost_from_revision = 0);

  // What an error of reading means: DATA_LOSS is reported as kTableDamaged, all else is not.
  void ReportReadError(const absl::Status& status);

  // RocksDB has recovered from its background error.
  void Recovered();

  // The worst.
  std::optional<Sickness> Get() const;

  // OK unless a copy of the database must not be trusted: DATA_LOSS for all but kLogDamaged.
  absl::Status CheckFitForCheckpoint() const;

  // Hears of RocksDB's background errors. The record must outlive the database.
  std::shared_ptr<rocksdb::EventListener> MakeListener();

 private:
  Clock& clock_;

  mutable Mutex mutex_;
  std::map<Sickness::Kind, Sickness> sicknesses_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast

#endif  // HOLDFAST_STORE_SERVICE_DOCUMENTS_SICKNESS_H_
