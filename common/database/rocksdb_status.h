#ifndef HOLDFAST_COMMON_DATABASE_ROCKSDB_STATUS_H_
#define HOLDFAST_COMMON_DATABASE_ROCKSDB_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "rocksdb/io_status.h"
#include "rocksdb/status.h"

namespace holdfast {

// The border between RocksDB's Status and ours: every answer of RocksDB goes through here. The
// message is "<context>: <RocksDB's words>"; the code says what the caller should do:
//   DATA_LOSS           Corruption: bytes are not what was written; somebody has to look
//   RESOURCE_EXHAUSTED  no space, no memory, or a limit of RocksDB's: make room first
//   NOT_FOUND           NotFound, or a file that is not there
//   UNAVAILABLE         Busy, TryAgain, Incomplete, a shutdown, a stale file, and an I/O error that
//                       says no more
//   DEADLINE_EXCEEDED   TimedOut, Expired
//   ABORTED             Aborted: retry the whole
//   UNIMPLEMENTED       NotSupported: made by another version
//   INVALID_ARGUMENT    InvalidArgument: a mistake of the caller
//   INTERNAL            all else: a mistake of ours
absl::Status StatusFromRocksDb(const rocksdb::Status& status, absl::string_view context);

// The other direction, for the file system that we put below RocksDB. What RocksDB cannot tell
// apart becomes what it treats as most serious: a file of another data key is Corruption to it.
rocksdb::Status ToRocksDbStatus(const absl::Status& status);
rocksdb::IOStatus ToRocksDbIoStatus(const absl::Status& status);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_DATABASE_ROCKSDB_STATUS_H_
