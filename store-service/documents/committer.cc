#include "store-service/documents/committer.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/database/document_record.h"
#include "common/database/rocksdb_status.h"
#include "rocksdb/db.h"
#include "rocksdb/write_batch.h"
#include "store-service/documents/limits.h"

namespace holdfast {
namespace {

// Groups whose callbacks are still to be made.
constexpr size_t kUnansweredGroupsMax = 64;

// What a submission costs in memory beyond its contents.
constexpr size_t kSubmissionOverheadBytes = 512;

size_t SizeOf(const std::vector<DocumentWrite>& writes) {
  size_t size_bytes = kSubmissionOverheadBytes;
  for (const DocumentWrite& write : writes) {
    size_bytes += kSubmissionOverheadBytes + write.collection.size() + write.id.size() +
                  write.content.size() + write.media_type.size();
  }
  return size_bytes;
}

bool OnlyDeletes(const std::vector<DocumentWrite>& writes) {
  return std::all_of(writes.begin(), writes.end(), [](const DocumentWrite& write) {
    return write.kind == DocumentWrite::Kind::kDelete;
  });
}

absl::string_view ViewOf(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

// The commit's time in the log, where a log reader finds it: 8 bytes, little-endian.
std::string EncodeLogData(int64_t commit_time_us) {
  std::string data;
  for (size_t i = 0; i < sizeof(commit_time_us); ++i) {
    data.push_back(static_cast<char>(static_cast<uint64_t>(commit_time_us) >> (8 * i)));
  }
  return data;
}

}  // namespace

// The writes that one batch is made of. Used by the committer's thread alone.
class Committer::Group {
 public:
  Group(Committer& committer, uint64_t revision, int64_t commit_time_us, size_t collection_count)
      : committer_(committer),
        commit_time_us_(commit_time_us),
        revision_(revision),
        collection_count_(collection_count) {}

  // Adds all writes of the submission, or none.
  absl::Status Add(Submission& submission) {
    batch_.SetSavePoint();
    absl::Status status = TryAdd(submission);
    if (status.ok()) {
      status = StatusFromRocksDb(batch_.PopSavePoint(), "keep a write");
    } else {
      const absl::Status rolled_back =
          StatusFromRocksDb(batch_.RollbackToSavePoint(), "take back a write");
      HOLDFAST_CHECK(rolled_back.ok(), rolled_back.message());
    }
    return status;
  }

  // Adds what the database says about itself. Called once, last.
  absl::Status Finish() {
    for (const auto& [collection, digest] : collections_) {
      HOLDFAST_RETURN_IF_ERROR(
          PutCollection(collection, digest.document_count() == 0 ? nullptr : &digest, batch_));
    }
    store::v1::DatabaseHead head;
    head.set_revision(revision_);
    head.set_commit_time_us(commit_time_us_);
    HOLDFAST_RETURN_IF_ERROR(PutHead(head, batch_));
    return StatusFromRocksDb(batch_.PutLogData(EncodeLogData(commit_time_us_)), "put log data");
  }

  bool is_empty() const { return changes_.empty(); }
  uint64_t revision() const { return revision_; }
  int64_t commit_time_us() const { return commit_time_us_; }
  rocksdb::WriteBatch& batch() { return batch_; }
  const std::vector<DigestChange>& changes() const { return changes_; }

 private:
  // What there is of a document, in the database or by an earlier write.
  struct Found {
    bool exists = false;
    uint64_t revision = 0;
    int64_t create_time_us = 0;
    Hash256 hash{};
  };
  using Documents = std::unordered_map<std::string, Found>;
  // What one submission does, before it is known whether all of it can be done.
  struct Attempt {
    Documents documents;
    std::map<std::string, CollectionDigest> collections;
    std::vector<DigestChange> changes;
  };

  absl::Status TryAdd(Submission& submission) {
    Attempt attempt;
    uint64_t revision = revision_;
    for (size_t i = 0; i < submission.writes.size(); ++i) {
      absl::Status status =
          AddWrite(submission.writes[i], submission.content_hashes[i], ++revision, attempt);
      if (!status.ok()) {
        return submission.writes.size() == 1 ? status : Annotate(status, absl::StrCat("write ", i));
      }
    }
    HOLDFAST_RETURN_IF_ERROR(CountCollections(attempt));
    submission.result = CommitResult{.first_revision = revision_ + 1,
                                     .commit_time = absl::FromUnixMicros(commit_time_us_)};
    revision_ = revision;
    for (auto& [key, found] : attempt.documents) documents_[key] = found;
    for (auto& [collection, digest] : attempt.collections) collections_[collection] = digest;
    std::move(attempt.changes.begin(), attempt.changes.end(), std::back_inserter(changes_));
    return absl::OkStatus();
  }

  absl::Status AddWrite(const DocumentWrite& write, const Hash256& content_hash, uint64_t revision,
                        Attempt& attempt) {
    const std::string key = EncodeDocumentKey(write.collection, write.id);
    HOLDFAST_ASSIGN_OR_RETURN(const Found before, Find(key, attempt));
    HOLDFAST_RETURN_IF_ERROR(CheckPrecondition(write, before));

    DigestChange change{.collection = write.collection};
    Found after;
    absl::Status status;
    if (write.kind == DocumentWrite::Kind::kPut) {
      DocumentRecord record{
          .hash = {},
          .revision = revision,
          .create_time_us = before.exists ? before.create_time_us : commit_time_us_,
          .change_time_us = commit_time_us_,
          .media_type = write.media_type,
          .content = write.content};
      record.hash =
          HashDocument(committer_.digest_key_, write.collection, write.id, record, content_hash);
      value_.clear();
      AppendDocumentRecord(record, value_);
      status = StatusFromRocksDb(batch_.Put(committer_.database_.documents(), key, value_), "put");
      after = {.exists = true,
               .revision = revision,
               .create_time_us = record.create_time_us,
               .hash = record.hash};
      change.added = record.hash;
    } else {
      status = StatusFromRocksDb(batch_.Delete(committer_.database_.documents(), key), "delete");
    }
    HOLDFAST_RETURN_IF_ERROR(status);

    CollectionDigest& digest = DigestOf(write.collection, attempt);
    if (before.exists) {
      change.removed = before.hash;
      const absl::Status subtracted = digest.Subtract(before.hash);
      committer_.sickness_.ReportReadError(subtracted);
      HOLDFAST_RETURN_IF_ERROR(subtracted, absl::StrCat("collection ", write.collection));
    }
    if (after.exists) digest.Add(after.hash);
    attempt.documents[key] = after;
    attempt.changes.push_back(std::move(change));
    return absl::OkStatus();
  }

  absl::StatusOr<Found> Find(const std::string& key, const Attempt& attempt) {
    for (const Documents* documents :
         std::initializer_list<const Documents*>{&attempt.documents, &documents_}) {
      if (const auto found = documents->find(key); found != documents->end()) return found->second;
    }
    rocksdb::PinnableSlice value;
    const rocksdb::Status status = committer_.database_.db().Get(
        rocksdb::ReadOptions(), committer_.database_.documents(), key, &value);
    if (status.IsNotFound()) return Found{};
    const absl::Status read = StatusFromRocksDb(status, "read what is there");
    committer_.sickness_.ReportReadError(read);
    HOLDFAST_RETURN_IF_ERROR(read);
    const absl::StatusOr<DocumentRecord> record = DecodeDocumentRecord(ViewOf(value));
    committer_.sickness_.ReportReadError(record.status());
    HOLDFAST_RETURN_IF_ERROR(record.status(), "read what is there");
    return Found{.exists = true,
                 .revision = record->revision,
                 .create_time_us = record->create_time_us,
                 .hash = record->hash};
  }

  static absl::Status CheckPrecondition(const DocumentWrite& write, const Found& found) {
    switch (write.precondition.kind) {
      case Precondition::Kind::kNone:
        if (write.kind == DocumentWrite::Kind::kDelete && !found.exists) {
          return absl::NotFoundError("there is no such document");
        }
        return absl::OkStatus();
      case Precondition::Kind::kMustNotExist:
        if (!found.exists) return absl::OkStatus();
        return absl::AbortedError(
            absl::StrCat("the document exists, at revision ", found.revision));
      case Precondition::Kind::kMustBeAtRevision:
        if (found.exists && found.revision == write.precondition.revision) return absl::OkStatus();
        if (!found.exists) {
          return absl::AbortedError(
              absl::StrCat("the document does not exist, it should be at revision ",
                           write.precondition.revision));
        }
        return absl::AbortedError(absl::StrCat("the document is at revision ", found.revision,
                                               ", not ", write.precondition.revision));
    }
    return absl::InternalError("unknown precondition");
  }

  CollectionDigest& DigestOf(const std::string& collection, Attempt& attempt) {
    const auto [entry, is_new] = attempt.collections.try_emplace(collection);
    if (is_new) {
      const auto known = collections_.find(collection);
      entry->second = known != collections_.end() ? known->second : committer_.DigestOf(collection);
    }
    return entry->second;
  }

  absl::Status CountCollections(const Attempt& attempt) {
    size_t count = collection_count_;
    for (const auto& [collection, digest] : attempt.collections) {
      const auto known = collections_.find(collection);
      const CollectionDigest before =
          known != collections_.end() ? known->second : committer_.DigestOf(collection);
      if (before.document_count() == 0 && digest.document_count() > 0) ++count;
      if (before.document_count() > 0 && digest.document_count() == 0) --count;
    }
    if (count > kCollectionsMax && count > collection_count_) {
      return absl::ResourceExhaustedError(
          absl::StrCat("a store has at most ", kCollectionsMax, " collections"));
    }
    collection_count_ = count;
    return absl::OkStatus();
  }

  Committer& committer_;
  const int64_t commit_time_us_;

  uint64_t revision_;
  size_t collection_count_;
  rocksdb::WriteBatch batch_;
  Documents documents_;                                  // those written so far
  std::map<std::string, CollectionDigest> collections_;  // those touched so far
  std::vector<DigestChange> changes_;
  std::string value_;  // scratch
};

Committer::Committer(const DatabaseMetadata& metadata, OpenedDatabase* database,
                     SicknessRecord* sickness, Clock* clock, FreeSpace free_space)
    : database_(*database),
      sickness_(*sickness),
      clock_(*clock),
      free_space_(std::move(free_space)),
      digest_key_(metadata.DigestKey()),
      answers_({.name = "commit-answers", .threads = 1, .queue_max = kUnansweredGroupsMax}),
      revision_(metadata.head.revision()),
      commit_time_us_(metadata.head.commit_time_us()),
      digest_(metadata.digest),
      thread_("committer", [this] { Run(); }) {}

Committer::~Committer() { Shutdown(); }

void Committer::Submit(std::vector<DocumentWrite> writes, Callback callback) {
  Submission submission{.size_bytes = SizeOf(writes), .callback = std::move(callback)};
  submission.content_hashes.reserve(writes.size());
  for (const DocumentWrite& write : writes) {
    submission.content_hashes.push_back(write.kind == DocumentWrite::Kind::kPut
                                            ? HashContent(digest_key_, write.content)
                                            : Hash256{});
  }
  submission.writes = std::move(writes);

  absl::Status refusal;
  {
    MutexLock lock(&mutex_);
    if (is_shut_down_) {
      refusal = absl::UnavailableError("the store is shutting down");
    } else if (is_stopped_) {
      refusal = StoppedError();
    } else if (queue_.size() >= kQueueSubmissionsMax ||
               queue_size_bytes_ + submission.size_bytes > kQueueSizeMaxBytes) {
      refusal = absl::ResourceExhaustedError("too many writes wait: try again more slowly");
    } else {
      queue_size_bytes_ += submission.size_bytes;
      queue_.push_back(std::move(submission));
      has_work_or_shut_down_.Signal();
      return;
    }
  }
  submission.callback(std::move(refusal));
}

absl::Status Committer::RunBetweenGroups(const std::function<void(const StoreState&)>& function) {
  Pause pause{.function = &function};
  MutexLock lock(&mutex_);
  if (is_shut_down_) return absl::UnavailableError("the store is shutting down");
  pauses_.push_back(&pause);
  has_work_or_shut_down_.Signal();
  while (!pause.is_done) pause_done_.Wait(&mutex_);
  return absl::OkStatus();
}

StoreState Committer::state() const {
  MutexLock lock(&mutex_);
  return StateLocked();
}

std::vector<std::pair<std::string, uint64_t>> Committer::CollectionsAfter(absl::string_view name,
                                                                          size_t max) const {
  std::vector<std::pair<std::string, uint64_t>> collections;
  MutexLock lock(&mutex_);
  for (auto entry = digest_.collections().upper_bound(name);
       entry != digest_.collections().end() && collections.size() < max; ++entry) {
    collections.emplace_back(entry->first, entry->second.document_count());
  }
  return collections;
}

void Committer::Shutdown() {
  {
    MutexLock lock(&mutex_);
    is_shut_down_ = true;
    has_work_or_shut_down_.Signal();
  }
  thread_.Join();
  answers_.Shutdown();
}

void Committer::Run() {
  for (;;) {
    Pause* pause = nullptr;
    std::vector<Submission> submissions;
    {
      MutexLock lock(&mutex_);
      while (queue_.empty() && pauses_.empty() && !is_shut_down_) {
        has_work_or_shut_down_.Wait(&mutex_);
      }
      if (!pauses_.empty()) {
        pause = pauses_.front();
        pauses_.pop_front();
      } else if (queue_.empty()) {
        return;
      }
      size_t write_count = 0;
      size_t size_bytes = 0;
      while (pause == nullptr && !queue_.empty()) {
        Submission& next = queue_.front();
        write_count += next.writes.size();
        size_bytes += next.size_bytes;
        if (!submissions.empty() &&
            (write_count > kGroupWritesMax || size_bytes > kGroupSizeMaxBytes)) {
          break;
        }
        queue_size_bytes_ -= next.size_bytes;
        submissions.push_back(std::move(next));
        queue_.pop_front();
      }
    }
    if (pause != nullptr) {
      RunPause(*pause);
    } else {
      CommitGroup(std::move(submissions));
    }
  }
}

void Committer::RunPause(Pause& pause) {
  (*pause.function)(state());
  MutexLock lock(&mutex_);
  pause.is_done = true;
  pause_done_.SignalAll();
}

void Committer::CommitGroup(std::vector<Submission> submissions) {
  size_t size_bytes = 0;
  for (const Submission& submission : submissions) size_bytes += submission.size_bytes;
  // Where there is too little room for the group, what only deletes may still go on: that is how
  // room is made.
  const absl::Status refusal_of_puts = CheckDisk(kFreeSpaceMinBytes, size_bytes);
  absl::Status refusal =
      refusal_of_puts.ok() ? absl::OkStatus() : CheckDisk(kFreeSpaceToDeleteMinBytes, size_bytes);

  uint64_t revision = 0;
  int64_t commit_time_us = 0;
  size_t collection_count = 0;
  {
    MutexLock lock(&mutex_);
    if (is_stopped_) refusal = StoppedError();
    revision = revision_;
    commit_time_us = std::max(commit_time_us_, absl::ToUnixMicros(clock_.Now()));
    collection_count = digest_.collections().size();
  }
  Group group(*this, revision, commit_time_us, collection_count);
  for (Submission& submission : submissions) {
    absl::Status status = refusal;
    if (status.ok() && !OnlyDeletes(submission.writes)) status = refusal_of_puts;
    if (status.ok()) status = group.Add(submission);
    if (!status.ok()) submission.result = status;
  }
  if (!group.is_empty()) {
    const absl::Status written = WriteGroup(group);
    if (!written.ok()) {
      for (Submission& submission : submissions) submission.result = written;
    }
  }
  // Who was refused waited too: what it was told of an earlier write is durable now.
  const bool is_scheduled = answers_.Schedule([answered = std::move(submissions)]() mutable {
    for (Submission& submission : answered) submission.callback(std::move(submission.result));
  });
  HOLDFAST_CHECK(is_scheduled);
}

absl::Status Committer::CheckDisk(int64_t reserve_bytes, size_t group_size_bytes) const {
  HOLDFAST_ASSIGN_OR_RETURN(const int64_t free_bytes, free_space_(), "look at the disk");
  if (free_bytes < reserve_bytes + static_cast<int64_t>(group_size_bytes)) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the store's disk is full: ", free_bytes, " bytes are free, and the store keeps ",
        reserve_bytes, " for itself; make room on the disk",
        reserve_bytes > kFreeSpaceToDeleteMinBytes
            ? "; documents can still be deleted, which frees room some time later"
            : ""));
  }
  return absl::OkStatus();
}

absl::Status Committer::WriteGroup(Group& group) {
  HOLDFAST_RETURN_IF_ERROR(group.Finish());
  rocksdb::WriteOptions options;
  options.sync = true;
  const absl::Status written =
      StatusFromRocksDb(database_.db().Write(options, &group.batch()), "write to the log");
  MutexLock lock(&mutex_);
  if (!written.ok()) {
    is_stopped_ = true;
    sickness_.Report(
        Sickness::Kind::kWritesStopped,
        absl::StrCat("the store stopped writing: ", written.message(),
                     "; look at the disk, then restart the store (what was being written then may "
                     "be there afterwards, or not)"));
    return absl::UnavailableError(absl::StrCat(
        "it is unknown whether this was written, for the disk failed: ", written.message()));
  }
  revision_ = group.revision();
  commit_time_us_ = group.commit_time_us();
  for (const DigestChange& change : group.changes()) {
    if (change.removed.has_value()) {
      // The group subtracted the same from the same.
      const absl::Status subtracted = digest_.Subtract(change.collection, *change.removed);
      HOLDFAST_CHECK(subtracted.ok(), subtracted.message());
    }
    if (change.added.has_value()) digest_.Add(change.collection, *change.added);
  }
  return absl::OkStatus();
}

absl::Status Committer::StoppedError() const {
  return absl::FailedPreconditionError(
      "the store stopped writing because its disk failed; retrying does not help: look at its "
      "status "
      "and its disk, then restart it");
}

CollectionDigest Committer::DigestOf(const std::string& collection) const {
  MutexLock lock(&mutex_);
  const auto found = digest_.collections().find(collection);
  return found == digest_.collections().end() ? CollectionDigest() : found->second;
}

StoreState Committer::StateLocked() const {
  return {.revision = revision_,
          .commit_time = absl::FromUnixMicros(commit_time_us_),
          .document_count = digest_.document_count(),
          .collection_count = digest_.collections().size(),
          .state_digest = digest_.Digest(digest_key_)};
}

}  // namespace holdfast
