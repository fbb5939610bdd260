#include "common/database/database_verifier.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/base/thread.h"
#include "common/database/document_record.h"
#include "common/database/rocksdb_status.h"
#include "common/database/state_digest.h"

namespace holdfast {

namespace {

constexpr uint64_t kProgressStep = 1024;
constexpr size_t kReadaheadSizeBytes = size_t{2} << 20;

// Enough to keep a disk and the processors of a small machine busy; the time goes into deciphering,
// decompressing and hashing.
constexpr size_t kThreadsMax = 4;
// More than threads, as some take longer than others.
constexpr size_t kRangesMax = 8 * kThreadsMax;

// Adds the document to `found`, after comparing it with its own hash.
absl::Status VerifyDocument(absl::string_view key, absl::string_view value, const Key& digest_key,
                            StateDigest& found) {
  HOLDFAST_ASSIGN_OR_RETURN(const DocumentKey name, DecodeDocumentKey(key));
  const auto context = [&name] {
    return absl::StrCat("document ", absl::Utf8SafeCHexEscape(name.collection), "/",
                        absl::Utf8SafeCHexEscape(name.id));
  };
  HOLDFAST_ASSIGN_OR_RETURN(const DocumentRecord record, DecodeDocumentRecord(value), context());
  const Hash256 hash = HashDocument(digest_key, name.collection, name.id, record);
  if (hash != record.hash) {
    return absl::DataLossError(
        absl::StrCat(context(), ": it is not what was written: its hash differs"));
  }
  found.Add(name.collection, hash);
  return absl::OkStatus();
}

absl::Status CompareCollections(const StateDigest& found, const StateDigest& expected) {
  std::set<std::string> names;
  for (const auto& [name, digest] : found.collections()) names.insert(name);
  for (const auto& [name, digest] : expected.collections()) names.insert(name);
  for (const std::string& name : names) {
    const auto get = [&name](const StateDigest& digest) {
      const auto at = digest.collections().find(name);
      return at == digest.collections().end() ? CollectionDigest() : at->second;
    };
    const CollectionDigest is = get(found);
    const CollectionDigest should = get(expected);
    if (is.document_count() != should.document_count()) {
      return absl::DataLossError(absl::StrCat("collection ", name, " has ", is.document_count(),
                                              " documents, and should have ",
                                              should.document_count()));
    }
    if (is != should) {
      return absl::DataLossError(
          absl::StrCat("collection ", name, " has other documents than it should have"));
    }
  }
  return absl::OkStatus();
}

// Keys at which the documents can be split into ranges that take about as long to read: where table
// files begin.
std::vector<std::string> RangeBoundaries(const OpenedDatabase& database) {
  rocksdb::ColumnFamilyMetaData tables;
  database.db().GetColumnFamilyMetaData(database.documents(), &tables);
  std::vector<std::pair<std::string, uint64_t>> begins;
  for (const rocksdb::LevelMetaData& level : tables.levels) {
    for (const rocksdb::SstFileMetaData& file : level.files) {
      begins.emplace_back(file.smallestkey, file.size);
    }
  }
  std::sort(begins.begin(), begins.end());
  std::vector<std::string> boundaries;
  uint64_t size_bytes = 0;  // of what begins before
  for (const auto& [key, file_size_bytes] : begins) {
    if (size_bytes >= tables.size / kRangesMax * (boundaries.size() + 1) && !key.empty() &&
        (boundaries.empty() || boundaries.back() < key)) {
      boundaries.push_back(key);
    }
    size_bytes += file_size_bytes;
  }
  return boundaries;
}

// Verifies the documents of a database, some ranges at a time. Thread-safe inside; Run is called
// once.
class Verification {
 public:
  Verification(const OpenedDatabase& database, const Key& digest_key,
               const std::function<absl::Status(uint64_t documents_done)>& on_progress)
      : database_(database),
        digest_key_(digest_key),
        boundaries_(RangeBoundaries(database)),
        on_progress_(on_progress) {}

  // What the documents add up to, or the first error that a thread met.
  absl::StatusOr<StateDigest> Run() {
    {
      std::vector<Thread> threads;
      for (size_t i = 0; i < std::min(kThreadsMax, boundaries_.size() + 1); ++i) {
        threads.emplace_back("verify", [this] { Work(); });
      }
    }
    MutexLock lock(&mutex_);
    HOLDFAST_RETURN_IF_ERROR(error_);
    return found_;
  }

 private:
  void Work() {
    StateDigest found;
    absl::Status status;
    while (const std::optional<size_t> range = NextRange()) {
      status = VerifyRange(*range, found);
      if (!status.ok()) break;
    }
    MutexLock lock(&mutex_);
    error_.Update(status);
    found_.Merge(found);
  }

  std::optional<size_t> NextRange() {
    MutexLock lock(&mutex_);
    if (!error_.ok() || next_range_ > boundaries_.size()) return std::nullopt;
    return next_range_++;
  }

  absl::Status VerifyRange(size_t range, StateDigest& found) {
    rocksdb::ReadOptions options;
    options.verify_checksums = true;
    options.fill_cache = false;
    options.readahead_size = kReadaheadSizeBytes;
    rocksdb::Slice end;
    if (range < boundaries_.size()) {
      end = boundaries_[range];
      options.iterate_upper_bound = &end;
    }
    const std::unique_ptr<rocksdb::Iterator> entries(
        database_.db().NewIterator(options, database_.documents()));
    if (range == 0) {
      entries->SeekToFirst();
    } else {
      entries->Seek(boundaries_[range - 1]);
    }
    uint64_t documents = 0;  // since the last progress
    for (; entries->Valid(); entries->Next()) {
      const rocksdb::Slice key = entries->key();
      const rocksdb::Slice value = entries->value();
      HOLDFAST_RETURN_IF_ERROR(VerifyDocument({key.data(), key.size()},
                                              {value.data(), value.size()}, digest_key_, found));
      if (++documents == kProgressStep) {
        HOLDFAST_RETURN_IF_ERROR(AddProgress(std::exchange(documents, 0)));
      }
    }
    HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(entries->status(), "read the documents"));
    return AddProgress(documents);
  }

  // Also tells of an error of another thread.
  absl::Status AddProgress(uint64_t documents) {
    MutexLock lock(&mutex_);
    HOLDFAST_RETURN_IF_ERROR(error_);
    documents_done_ += documents;
    return documents == 0 ? absl::OkStatus() : on_progress_(documents_done_);
  }

  const OpenedDatabase& database_;
  const Key& digest_key_;
  const std::vector<std::string> boundaries_;

  Mutex mutex_;
  const std::function<absl::Status(uint64_t documents_done)>& on_progress_ ABSL_GUARDED_BY(mutex_);
  size_t next_range_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t documents_done_ ABSL_GUARDED_BY(mutex_) = 0;
  StateDigest found_ ABSL_GUARDED_BY(mutex_);
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::Status VerifyDocuments(
    const OpenedDatabase& database, const DatabaseMetadata& metadata,
    const std::function<absl::Status(uint64_t documents_done)>& on_progress) {
  const Key digest_key = metadata.DigestKey();
  HOLDFAST_ASSIGN_OR_RETURN(const StateDigest found,
                            Verification(database, digest_key, on_progress).Run());
  HOLDFAST_RETURN_IF_ERROR(CompareCollections(found, metadata.digest));
  return on_progress(found.document_count());
}

}  // namespace holdfast
