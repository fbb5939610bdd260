#ifndef HOLDFAST_COMMON_DATABASE_DATABASE_OPTIONS_H_
#define HOLDFAST_COMMON_DATABASE_DATABASE_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "rocksdb/env.h"
#include "rocksdb/options.h"

namespace holdfast {

// What a database may use. Memory in all: the block cache, the write buffers, and about 100 KiB for
// each of `open_files_max`.
struct DatabaseLimits {
  size_t block_cache_size_bytes = size_t{64} << 20;    // also holds indexes and filters
  size_t write_buffers_size_bytes = size_t{48} << 20;  // of all column families
  int open_files_max = 512;
};

// The log is flushed away once it is this long.
inline constexpr uint64_t kLogSizeMaxBytes = uint64_t{64} << 20;

// How long, and up to which size in all, logs are kept in archive/ that the database itself no
// longer needs, so that a log reader can come later.
inline constexpr uint64_t kLogArchiveSeconds = 3600;
inline constexpr uint64_t kLogArchiveSizeMaxMebibytes = 256;

// The options of every database of ours, over `env` (NewAtRestEnv). database.h opens with them.
// Does not take ownership; *env must outlive every database that is opened with the result.
rocksdb::DBOptions MakeDatabaseOptions(rocksdb::Env* env, const DatabaseLimits& limits);

// Of both column families, which share the block cache.
rocksdb::ColumnFamilyOptions MakeColumnFamilyOptions(const DatabaseLimits& limits);

// RocksDB's own log as ours: warnings and errors only, at most kRocksDbLogLinesMax lines a minute
// (then their number), each cut at kRocksDbLogLineSizeMaxBytes. Thread-safe.
inline constexpr int kRocksDbLogLinesMax = 60;
inline constexpr size_t kRocksDbLogLineSizeMaxBytes = 512;
std::shared_ptr<rocksdb::Logger> NewRocksDbLogger();

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_DATABASE_DATABASE_OPTIONS_H_
