#include "common/database/rocksdb_status.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace holdfast {

namespace {

using RocksStatus = rocksdb::Status;

absl::StatusCode CodeOfIoError(RocksStatus::SubCode subcode) {
  switch (subcode) {
    case RocksStatus::kNoSpace:
    case RocksStatus::kSpaceLimit:
    case RocksStatus::kMemoryLimit:
      return absl::StatusCode::kResourceExhausted;
    case RocksStatus::kPathNotFound:
      return absl::StatusCode::kNotFound;
    default:
      return absl::StatusCode::kUnavailable;
  }
}

absl::StatusCode CodeOf(const RocksStatus& status) {
  switch (status.code()) {
    case RocksStatus::kOk:
      return absl::StatusCode::kOk;
    case RocksStatus::kNotFound:
      return absl::StatusCode::kNotFound;
    case RocksStatus::kCorruption:
      return absl::StatusCode::kDataLoss;
    case RocksStatus::kNotSupported:
      return absl::StatusCode::kUnimplemented;
    case RocksStatus::kInvalidArgument:
      return absl::StatusCode::kInvalidArgument;
    case RocksStatus::kIOError:
      return CodeOfIoError(status.subcode());
    case RocksStatus::kAborted:
      return status.subcode() == RocksStatus::kMemoryLimit ? absl::StatusCode::kResourceExhausted
                                                           : absl::StatusCode::kAborted;
    case RocksStatus::kTimedOut:
    case RocksStatus::kExpired:
      return absl::StatusCode::kDeadlineExceeded;
    case RocksStatus::kBusy:
    case RocksStatus::kTryAgain:
    case RocksStatus::kIncomplete:
    case RocksStatus::kShutdownInProgress:
      return absl::StatusCode::kUnavailable;
    case RocksStatus::kCompactionTooLarge:
      return absl::StatusCode::kResourceExhausted;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

absl::Status StatusFromRocksDb(const rocksdb::Status& status, absl::string_view context) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(CodeOf(status), absl::StrCat(context, ": ", status.ToString()));
}

rocksdb::Status ToRocksDbStatus(const absl::Status& status) {
  const std::string message(status.message());
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return RocksStatus::OK();
    case absl::StatusCode::kNotFound:
      return RocksStatus::PathNotFound(message);
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kPermissionDenied:
      return RocksStatus::Corruption(message);
    case absl::StatusCode::kUnimplemented:
      return RocksStatus::NotSupported(message);
    case absl::StatusCode::kInvalidArgument:
      return RocksStatus::InvalidArgument(message);
    case absl::StatusCode::kResourceExhausted:
      return RocksStatus::NoSpace(message);
    case absl::StatusCode::kAborted:
      return RocksStatus::Aborted(message);
    case absl::StatusCode::kDeadlineExceeded:
      return RocksStatus::TimedOut(message);
    default:
      return RocksStatus::IOError(message);
  }
}

rocksdb::IOStatus ToRocksDbIoStatus(const absl::Status& status) {
  return rocksdb::status_to_io_status(ToRocksDbStatus(status));
}

}  // namespace holdfast
