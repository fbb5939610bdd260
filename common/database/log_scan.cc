#include "common/database/log_scan.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/database/little_endian.h"
#include "common/database/log_format.h"
#include "common/database/rocksdb_status.h"
#include "common/io/path.h"

namespace holdfast {

namespace {

using internal::kBatchHeaderSizeBytes;
using internal::kBatchSequenceSizeBytes;
using internal::kLogBlockSizeBytes;
using internal::kLogHeaderSizeBytes;
using internal::LogFragment;
using internal::ParseLogFragment;
using internal::ReadLittleEndian;

constexpr absl::string_view kLogSuffix = ".log";

class LogScanner {
 public:
  explicit LogScanner(size_t log_count) { scan_.log_count = log_count; }

  absl::Status ScanLog(rocksdb::Env& env, const std::string& path) {
    log_ = NameOf(path);
    offset_ = 0;
    batch_header_.reset();
    batch_offset_ = 0;
    bad_offset_.reset();
    std::unique_ptr<rocksdb::SequentialFile> file;
    const rocksdb::Status opened = env.NewSequentialFile(path, &file, rocksdb::EnvOptions());
    if (opened.IsCorruption()) {
      PassOver();
      return absl::OkStatus();
    }
    HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(opened, absl::StrCat("read ", log_)));
    std::vector<char> buffer(kLogBlockSizeBytes);
    for (;;) {
      const absl::StatusOr<absl::string_view> read = ReadBlock(*file, buffer);
      if (absl::IsDataLoss(read.status())) {
        if (scan_.lost_log.empty()) scan_.lost_log = log_;
        PassOver();
        return absl::OkStatus();
      }
      HOLDFAST_RETURN_IF_ERROR(read.status());
      const absl::string_view block = *read;
      if (block.empty()) break;
      ScanBlock(block);
      offset_ += block.size();
      if (block.size() < kLogBlockSizeBytes || scan_.is_damaged) break;
    }
    if (scan_.is_damaged) return absl::OkStatus();
    if (batch_header_.has_value()) MarkBad(batch_offset_);  // its end is missing
    if (bad_offset_.has_value()) {
      scan_.torn_log = log_;
      scan_.torn_size_bytes = offset_ - *bad_offset_;
    }
    return absl::OkStatus();
  }

  const LogScan& result() const { return scan_; }

 private:
  // Of this log nothing can be read.
  void PassOver() {
    scan_.unreadable_logs.push_back(log_);
    next_sequence_.reset();
  }

  absl::StatusOr<absl::string_view> ReadBlock(rocksdb::SequentialFile& file,
                                              std::vector<char>& buffer) {
    size_t size = 0;
    while (size < buffer.size()) {
      rocksdb::Slice piece;
      HOLDFAST_RETURN_IF_ERROR(
          StatusFromRocksDb(file.Read(buffer.size() - size, &piece, buffer.data() + size),
                            absl::StrCat("read ", log_)));
      if (piece.empty()) break;
      if (piece.data() != buffer.data() + size) {
        std::copy_n(piece.data(), piece.size(), buffer.data() + size);
      }
      size += piece.size();
    }
    return absl::string_view(buffer.data(), size);
  }

  void ScanBlock(absl::string_view block) {
    // Where the first bad fragment is, the rest of its block is searched byte by byte, for its
    // length cannot be trusted. A later block begins with a fragment again, so it needs no search.
    bool may_search = !bad_offset_.has_value();
    size_t position = 0;
    while (block.size() - position >= kLogHeaderSizeBytes && !scan_.is_damaged) {
      const std::optional<LogFragment> fragment = ParseLogFragment(block.substr(position));
      if (fragment.has_value()) {
        Add(*fragment, offset_ + position);
        position += kLogHeaderSizeBytes + fragment->payload.size();
        continue;
      }
      MarkBad(batch_header_.has_value() ? batch_offset_ : offset_ + position);
      batch_header_.reset();
      if (!may_search) return;
      ++position;
      while (block.size() - position >= kLogHeaderSizeBytes &&
             !ParseLogFragment(block.substr(position)).has_value()) {
        ++position;
      }
      may_search = false;
    }
    const bool is_last_block = block.size() < kLogBlockSizeBytes;
    if (is_last_block && position < block.size() && !scan_.is_damaged) {
      MarkBad(batch_header_.has_value() ? batch_offset_ : offset_ + position);
    }
  }

  void Add(const LogFragment& fragment, uint64_t offset) {
    if (fragment.type == LogFragment::kFull || fragment.type == LogFragment::kFirst) {
      if (batch_header_.has_value()) MarkBad(batch_offset_);
      batch_header_ = "";
      batch_offset_ = offset;
    } else if (!batch_header_.has_value()) {
      MarkBad(offset);  // the rest of a batch whose beginning is bad
      return;
    }
    const bool was_whole = batch_header_->size() == kBatchHeaderSizeBytes;
    const absl::string_view wanted =
        fragment.payload.substr(0, kBatchHeaderSizeBytes - batch_header_->size());
    batch_header_->append(wanted.data(), wanted.size());
    if (!was_whole && batch_header_->size() == kBatchHeaderSizeBytes) BeginBatch();
    if (fragment.type == LogFragment::kFull || fragment.type == LogFragment::kLast) {
      if (batch_header_->size() == kBatchHeaderSizeBytes) EndBatch();
      batch_header_.reset();
    }
  }

  // A batch was begun: all before it was synced.
  void BeginBatch() {
    const absl::string_view header = *batch_header_;
    sequence_ = ReadLittleEndian(header.substr(0, kBatchSequenceSizeBytes));
    count_ = ReadLittleEndian(header.substr(kBatchSequenceSizeBytes));
    if (count_ == 0) return;  // RocksDB's own, at the beginning of a new log
    const bool is_gap = next_sequence_.has_value() && sequence_ > *next_sequence_;
    const bool is_behind_bad = !next_sequence_.has_value() && bad_offset_.has_value();
    if (!is_gap && !is_behind_bad) return;
    scan_.is_damaged = true;
    scan_.sequence_behind = sequence_;
    if (bad_offset_.has_value() || scan_.torn_log.empty()) {
      scan_.damaged_log = log_;
      scan_.damage_offset = bad_offset_.value_or(batch_offset_);
    } else {
      scan_.damaged_log = scan_.torn_log;
      scan_.damage_offset = torn_offset_;
    }
  }

  void EndBatch() {
    if (count_ > 0) next_sequence_ = std::max(next_sequence_.value_or(0), sequence_ + count_);
  }

  void MarkBad(uint64_t offset) {
    if (bad_offset_.has_value()) return;
    bad_offset_ = offset;
    torn_offset_ = offset;
  }

  LogScan scan_;
  // The sequence number that the next batch must have; unknown before the first one.
  std::optional<uint64_t> next_sequence_;
  uint64_t torn_offset_ = 0;  // in scan_.torn_log

  std::string log_;
  uint64_t offset_ = 0;  // of the block
  // What is known of the header of the batch that was begun and not ended.
  std::optional<std::string> batch_header_;
  uint64_t batch_offset_ = 0;
  uint64_t sequence_ = 0;
  uint64_t count_ = 0;
  // From where on this log cannot be read.
  std::optional<uint64_t> bad_offset_;
};

}  // namespace

absl::StatusOr<LogScan> ScanLogs(rocksdb::Env& env, const std::string& database_path) {
  std::vector<std::string> names;
  const rocksdb::Status listed = env.GetChildren(database_path, &names);
  if (listed.IsNotFound() || listed.IsPathNotFound()) return LogScan();
  HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(listed, absl::StrCat("list ", database_path)));
  std::map<uint64_t, std::string> logs;
  for (const std::string& name : names) {
    uint64_t number = 0;
    if (absl::EndsWith(name, kLogSuffix) &&
        absl::SimpleAtoi(absl::StripSuffix(name, kLogSuffix), &number)) {
      logs.emplace(number, name);
    }
  }
  LogScanner scanner(logs.size());
  for (const auto& [number, name] : logs) {
    HOLDFAST_RETURN_IF_ERROR(scanner.ScanLog(env, JoinPath(database_path, name)));
    if (scanner.result().is_damaged) break;
  }
  return scanner.result();
}

}  // namespace holdfast
