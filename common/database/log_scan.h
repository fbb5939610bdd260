#ifndef HOLDFAST_COMMON_DATABASE_LOG_SCAN_H_
#define HOLDFAST_COMMON_DATABASE_LOG_SCAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "rocksdb/env.h"

namespace holdfast {

// What the write-ahead logs of a closed database look like.
//
// Every commit of ours is one batch that is synced before the next one begins. So at most the last
// batch may be torn by a crash, and it was never acknowledged; but where a batch lies *behind*
// bytes that cannot be read, those bytes had been synced: that is damage, and acknowledged writes
// are gone.
struct LogScan {
  // A later batch lies behind bytes that are no log, or a batch between two others is missing.
  bool is_damaged = false;
  // Where: the log's name and the offset from which on it cannot be read.
  std::string damaged_log;
  uint64_t damage_offset = 0;
  // The sequence number of the batch that lies behind. A database that holds it all the same, in
  // its tables, has lost nothing: the log was only waiting for its removal.
  uint64_t sequence_behind = 0;

  // A log whose prefix is gone while content lies behind it; the first one. Whether it was needed
  // is for RocksDB to say, which reads only what it needs.
  std::string lost_log;
  // That one, and all whose prefix is damaged in another way: no byte of them can be read.
  std::vector<std::string> unreadable_logs;
  // How many logs there are.
  size_t log_count = 0;

  // A last batch that a crash tore (or that was damaged: at the end the two look the same). Of the
  // newest log that has one.
  std::string torn_log;
  uint64_t torn_size_bytes = 0;
};

// Reads all logs in `database_path` (not archive/) through `env`. RocksDB itself does not tell the
// two cases apart: it takes a flipped length in the last 32 KiB for a torn tail, and noise in a
// torn tail for damage. A batch that is missing at the very end is no different from one never
// written.
// A log whose at-rest prefix is damaged in another way than by being gone cannot be judged: RocksDB
// will refuse it if it needs it.
//
// Errors: those of reading.
absl::StatusOr<LogScan> ScanLogs(rocksdb::Env& env, const std::string& database_path);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_DATABASE_LOG_SCAN_H_
