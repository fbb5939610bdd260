#include "common/database/log_reader.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/database/little_endian.h"
#include "common/database/log_format.h"
#include "rocksdb/write_batch.h"

namespace holdfast {

namespace {

using internal::kBatchHeaderSizeBytes;
using internal::kBatchSequenceSizeBytes;
using internal::kLogBlockSizeBytes;
using internal::kLogHeaderSizeBytes;
using internal::LogFragment;
using internal::ParseLogFragment;
using internal::ReadLittleEndian;

// Adds the entries of one batch. What else a batch may do is refused by the base class.
class EntryCollector : public rocksdb::WriteBatch::Handler {
 public:
  EntryCollector(uint64_t sequence, std::vector<LogContent::Entry>& entries)
      : sequence_(sequence), entries_(entries) {}

  rocksdb::Status PutCF(uint32_t column_family_id, const rocksdb::Slice& key,
                        const rocksdb::Slice& value) override {
    Add(column_family_id, key, DatabaseEntry::Kind::kPut, value);
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteCF(uint32_t column_family_id, const rocksdb::Slice& key) override {
    Add(column_family_id, key, DatabaseEntry::Kind::kDelete, {});
    return rocksdb::Status::OK();
  }
  void LogData(const rocksdb::Slice& /*data*/) override {}  // the commit's time
  rocksdb::Status MarkNoop(bool /*empty_batch*/) override { return rocksdb::Status::OK(); }

 private:
  void Add(uint32_t column_family_id, const rocksdb::Slice& key, DatabaseEntry::Kind kind,
           const rocksdb::Slice& value) {
    entries_.push_back({.column_family_id = column_family_id,
                        .key = key.ToString(),
                        .sequence = sequence_++,
                        .kind = kind,
                        .value = value.ToString()});
  }

  uint64_t sequence_;
  std::vector<LogContent::Entry>& entries_;
};

absl::Status AddBatch(const std::string& batch, LogContent& content) {
  if (batch.size() < kBatchHeaderSizeBytes) {
    return absl::DataLossError("a record of a log is no batch");
  }
  EntryCollector collector(
      ReadLittleEndian(absl::string_view(batch).substr(0, kBatchSequenceSizeBytes)),
      content.entries);
  const rocksdb::Status iterated = rocksdb::WriteBatch(batch).Iterate(&collector);
  if (iterated.ok()) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat("a batch in a log does what is not known here: ", iterated.ToString()));
}

}  // namespace

absl::StatusOr<LogContent> ReadLog(absl::string_view bytes) {
  LogContent content;
  std::optional<std::string> batch;  // begun, and not ended
  for (absl::string_view rest = bytes; !rest.empty();) {
    absl::string_view block = rest.substr(0, kLogBlockSizeBytes);
    rest.remove_prefix(block.size());
    // What is shorter than a header at the end of a block fills it up.
    while (block.size() >= kLogHeaderSizeBytes) {
      const std::optional<LogFragment> fragment = ParseLogFragment(block);
      const bool begins = fragment.has_value() && (fragment->type == LogFragment::kFull ||
                                                   fragment->type == LogFragment::kFirst);
      if (!fragment.has_value() || begins == batch.has_value()) {
        content.is_complete = false;
        return content;
      }
      if (begins) batch.emplace();
      batch->append(fragment->payload.data(), fragment->payload.size());
      block.remove_prefix(kLogHeaderSizeBytes + fragment->payload.size());
      if (fragment->type == LogFragment::kFull || fragment->type == LogFragment::kLast) {
        HOLDFAST_RETURN_IF_ERROR(AddBatch(*batch, content));
        batch.reset();
      }
    }
    if (rest.empty() && !block.empty() && bytes.size() % kLogBlockSizeBytes != 0) {
      content.is_complete = false;  // it ends within a header
    }
  }
  if (batch.has_value()) content.is_complete = false;
  return content;
}

}  // namespace holdfast
