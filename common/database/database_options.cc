#include "common/database/database_options.h"

#include <cstdarg>
#include <cstdio>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/database/file_checksum.h"
#include "rocksdb/cache.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/table.h"

namespace holdfast {

namespace {

// The MANIFEST travels in every backup.
constexpr size_t kManifestSizeMaxBytes = size_t{16} << 20;
constexpr size_t kWriteBufferSizeBytes = size_t{16} << 20;  // of one column family
constexpr int kBackgroundJobsMax = 4;
constexpr uint64_t kTableSyncStepBytes = uint64_t{1} << 20;
constexpr size_t kBlockSizeBytes = size_t{16} << 10;
constexpr double kBloomBitsPerKey = 10;
constexpr size_t kLogMemoryBudgetBytes = 64 << 10;  // of RocksDB's LOG, which we do not have

class RocksDbLogger : public rocksdb::Logger {
 public:
  RocksDbLogger() : Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}

  using Logger::Logv;
  void Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    if (level < rocksdb::InfoLogLevel::WARN_LEVEL || level >= rocksdb::InfoLogLevel::HEADER_LEVEL) {
      return;
    }
    const LogLevel our_level =
        level == rocksdb::InfoLogLevel::WARN_LEVEL ? LogLevel::kWarning : LogLevel::kError;
    char line[kRocksDbLogLineSizeMaxBytes];
    // RocksDB's format, NOLINTNEXTLINE(clang-diagnostic-format-nonliteral)
    if (std::vsnprintf(line, sizeof(line), format, arguments) < 0) return;
    // Every checkpoint counts disabled deletions up and down again; RocksDB warns each time.
    if (absl::StrContains(line, "File Deletions ")) return;
    int left_out = 0;
    if (!MayLog(&left_out)) return;
    if (left_out > 0) {
      LogWarning("left out lines of the database's log", {{"line_count", left_out}});
    }
    Log(our_level, "the database's log",
        {{"text", absl::StripTrailingAsciiWhitespace(absl::string_view(line))}});
  }

 private:
  // Sets how many lines were left out in the minute before, when a new one begins.
  bool MayLog(int* left_out) {
    const MonotonicTime now = SystemClock().MonotonicNow();
    MutexLock lock(&mutex_);
    if (now - minute_start_ >= absl::Minutes(1)) {
      *left_out = lines_ > kRocksDbLogLinesMax ? lines_ - kRocksDbLogLinesMax : 0;
      minute_start_ = now;
      lines_ = 0;
    }
    return ++lines_ <= kRocksDbLogLinesMax;
  }

  Mutex mutex_;
  MonotonicTime minute_start_ ABSL_GUARDED_BY(mutex_);
  int lines_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace

std::shared_ptr<rocksdb::Logger> NewRocksDbLogger() { return std::make_shared<RocksDbLogger>(); }

rocksdb::DBOptions MakeDatabaseOptions(rocksdb::Env* env, const DatabaseLimits& limits) {
  rocksdb::DBOptions options;
  options.env = env;
  options.info_log = NewRocksDbLogger();
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options.max_log_file_size = kLogMemoryBudgetBytes;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;

  options.paranoid_checks = true;
  options.file_checksum_gen_factory = NewFileChecksumFactory();
  options.track_and_verify_wals_in_manifest = true;
  options.write_dbid_to_manifest = false;
  options.max_manifest_file_size = kManifestSizeMaxBytes;

  // Both column families are flushed together: after a damaged log no one of them is ahead.
  options.atomic_flush = true;
  options.max_total_wal_size = kLogSizeMaxBytes;
  options.WAL_ttl_seconds = kLogArchiveSeconds;
  options.WAL_size_limit_MB = kLogArchiveSizeMaxMebibytes;

  // No file is ever written twice, and none past the encryption.
  options.recycle_log_file_num = 0;
  options.allow_mmap_reads = false;
  options.allow_mmap_writes = false;
  options.use_direct_reads = false;
  options.use_direct_io_for_flush_and_compaction = false;

  options.db_write_buffer_size = limits.write_buffers_size_bytes;
  options.max_open_files = limits.open_files_max;
  options.max_background_jobs = kBackgroundJobsMax;
  options.bytes_per_sync = kTableSyncStepBytes;
  options.avoid_unnecessary_blocking_io = true;
  return options;
}

rocksdb::ColumnFamilyOptions MakeColumnFamilyOptions(const DatabaseLimits& limits) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(limits.block_cache_size_bytes);
  table.block_size = kBlockSizeBytes;
  table.checksum = rocksdb::kXXH3;
  table.format_version = 5;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;

  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.compression = rocksdb::kLZ4Compression;
  options.bottommost_compression = rocksdb::kZSTD;
  options.write_buffer_size = kWriteBufferSizeBytes;
  options.level_compaction_dynamic_level_bytes = true;
  options.paranoid_file_checks = false;  // the file checksum finds more, and is read in any case
  options.force_consistency_checks = true;
  return options;
}

}  // namespace holdfast
