#include "store-service/checkpoints/checkpoint_manager.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/id128.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/database/file_checksum.h"
#include "common/database/rocksdb_status.h"
#include "common/io/files.h"
#include "common/io/path.h"
#include "rocksdb/db.h"
#include "rocksdb/transaction_log.h"

namespace holdfast {
namespace {

constexpr size_t kFilesPageMax = 5'000;
constexpr size_t kFilesPageDefault = 1'000;
constexpr size_t kChecksumStepBytes = 1024 * 1024;

// RocksDB's value for "never flush".
constexpr uint64_t kNeverFlush = std::numeric_limits<uint64_t>::max();

absl::StatusOr<CheckpointFile::Kind> KindOf(const rocksdb::LiveFileStorageInfo& info) {
  switch (info.file_type) {
    case rocksdb::kTableFile:
      return CheckpointFile::Kind::kTable;
    case rocksdb::kBlobFile:
      return CheckpointFile::Kind::kBlob;
    case rocksdb::kWalFile:
      return CheckpointFile::Kind::kLog;
    case rocksdb::kDescriptorFile:
      return CheckpointFile::Kind::kManifest;
    case rocksdb::kCurrentFile:
      return CheckpointFile::Kind::kCurrent;
    case rocksdb::kOptionsFile:
      return CheckpointFile::Kind::kOptions;
    default:
      return absl::InternalError(absl::StrCat("the database lists ", info.relative_filename,
                                              ", a file of an unknown kind"));
  }
}

absl::Status NoCheckpoint(absl::string_view checkpoint_id) {
  return absl::NotFoundError(absl::StrCat("there is no checkpoint ", checkpoint_id.substr(0, 64),
                                          ": it was released or dropped; create a new one"));
}

// RocksDB says no more than "NotFound" where it cannot read the folder.
absl::Status ExplainListing(const absl::Status& status, const std::string& folder) {
  const absl::Status looked = ListDirectory(folder).status();
  return absl::UnavailableError(absl::StrCat("list the logs in ", folder, ": ",
                                             looked.ok() ? status.message() : looked.message()));
}

}  // namespace

// While it lives, RocksDB removes no file.
class CheckpointManager::FileDeletionsDisabled {
 public:
  explicit FileDeletionsDisabled(rocksdb::DB& db) : db_(db) {}
  ~FileDeletionsDisabled() {
    if (!is_disabled_) return;
    const rocksdb::Status status = db_.EnableFileDeletions(/*force=*/false);
    if (!status.ok()) {
      LogError("the database cannot remove old files any more; restart the store",
               {{"error", StatusFromRocksDb(status, "enable file deletions")}});
    }
  }
  FileDeletionsDisabled(const FileDeletionsDisabled&) = delete;
  FileDeletionsDisabled& operator=(const FileDeletionsDisabled&) = delete;

  absl::Status Begin() {
    HOLDFAST_RETURN_IF_ERROR(
        StatusFromRocksDb(db_.DisableFileDeletions(), "disable file deletions"));
    is_disabled_ = true;
    return absl::OkStatus();
  }

 private:
  rocksdb::DB& db_;
  bool is_disabled_ = false;
};

absl::StatusOr<size_t> CheckpointFileReader::Read(absl::Span<uint8_t> buffer) {
  absl::StatusOr<size_t> got = TryRead(buffer);
  if (!got.ok()) sickness_->ReportReadError(got.status());
  return got;
}

absl::StatusOr<size_t> CheckpointFileReader::TryRead(absl::Span<uint8_t> buffer) {
  if (checkpoint_->is_dropped) return NoCheckpoint(checkpoint_->checkpoint_id);
  const uint64_t left = file_->size_bytes - offset_;
  const absl::Span<uint8_t> bytes =
      buffer.first(static_cast<size_t>(std::min<uint64_t>(left, buffer.size())));
  if (!bytes.empty()) {
    HOLDFAST_RETURN_IF_ERROR(ReadBytes(bytes));
    offset_ += bytes.size();
    if (is_whole_) checksum_.Update(bytes);
  }
  // Before the last chunk is given away: what is wrong must not look complete.
  if (is_whole_ && offset_ == file_->size_bytes && checksum_.Digest() != file_->xxh3_128) {
    return absl::DataLossError(
        absl::StrCat(file_->name, " does not have the bytes that were written: checksum mismatch"));
  }
  return bytes.size();
}

absl::Status CheckpointFileReader::ReadBytes(absl::Span<uint8_t> bytes) {
  if (on_disk_ == nullptr) {
    std::memcpy(bytes.data(), file_->contents.data() + offset_, bytes.size());
    return absl::OkStatus();
  }
  rocksdb::Slice slice;
  const absl::Status read = StatusFromRocksDb(
      on_disk_->Read(offset_, bytes.size(), &slice, reinterpret_cast<char*>(bytes.data())),
      absl::StrCat("read ", file_->name));
  if (!read.ok()) {
    return checkpoint_->is_dropped ? NoCheckpoint(checkpoint_->checkpoint_id) : read;
  }
  if (slice.size() != bytes.size()) {
    return absl::DataLossError(
        absl::StrCat(file_->name, " is shorter than when it was listed: ", offset_ + slice.size(),
                     " bytes, not ", file_->size_bytes));
  }
  const auto* const read_bytes = reinterpret_cast<const uint8_t*>(slice.data());
  if (read_bytes != bytes.data()) std::memcpy(bytes.data(), read_bytes, bytes.size());
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<CheckpointManager>> CheckpointManager::Open(Options options) {
  HOLDFAST_RETURN_IF_ERROR(MakeDirectories(options.folder));
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> leftovers,
                            ListDirectory(options.folder));
  for (const DirectoryEntry& entry : leftovers) {
    HOLDFAST_RETURN_IF_ERROR(RemoveTree(JoinPath(options.folder, entry.name)),
                             "remove an earlier checkpoint");
  }
  return std::unique_ptr<CheckpointManager>(new CheckpointManager(std::move(options)));
}

CheckpointManager::~CheckpointManager() {
  std::vector<std::shared_ptr<Held>> held;
  {
    MutexLock lock(&mutex_);
    for (const auto& [id, lease] : leases_) held.push_back(lease.checkpoint);
    leases_.clear();
  }
  Drop(held, "the store is closing");
}

absl::StatusOr<CheckpointInfo> CheckpointManager::Create(absl::string_view holder) {
  if (holder.size() > kHolderSizeMaxBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("holder has at most ", kHolderSizeMaxBytes, " bytes"));
  }
  MutexLock create_lock(&create_mutex_);
  DropWhatMustGo();
  if (!holder.empty()) ReleaseAllOf(holder);
  size_t held = 0;
  {
    MutexLock lock(&mutex_);
    held = leases_.size();
  }
  HOLDFAST_RETURN_IF_ERROR(options_.sickness->CheckFitForCheckpoint());
  HOLDFAST_RETURN_IF_ERROR(CheckRoomFor(held));

  const auto checkpoint = std::make_shared<Held>();
  checkpoint->checkpoint_id = Id128::Generate().ToText();
  checkpoint->holder = std::string(holder);
  checkpoint->folder = JoinPath(options_.folder, checkpoint->checkpoint_id);
  const absl::Status filled = Fill(*checkpoint);
  if (!filled.ok()) {
    const absl::Status removed = RemoveTree(checkpoint->folder);
    if (!removed.ok()) {
      LogWarning("what is left of a checkpoint stays until the store is restarted",
                 {{"error", removed}});
    }
    if (options_.sickness->CheckFitForCheckpoint().ok()) options_.sickness->ReportReadError(filled);
    return Annotate(filled, "make a checkpoint");
  }
  checkpoint->end_of_life = options_.clock->MonotonicNow() + kLifetimeMax;
  checkpoint->create_time = options_.clock->Now();
  LogInfo("made a checkpoint", {{"checkpoint_id", checkpoint->checkpoint_id},
                                {"revision", checkpoint->state.revision},
                                {"file_count", checkpoint->files.size()},
                                {"size_bytes", checkpoint->size_bytes}});
  const MonotonicTime lease_end = LeaseEnd(*checkpoint);
  MutexLock lock(&mutex_);
  leases_.emplace(checkpoint->checkpoint_id, Lease{.checkpoint = checkpoint, .end = lease_end});
  return InfoOf(*checkpoint, lease_end);
}

void CheckpointManager::ReleaseAllOf(absl::string_view holder) {
  std::vector<std::shared_ptr<Held>> released;
  {
    MutexLock lock(&mutex_);
    for (auto lease = leases_.begin(); lease != leases_.end();) {
      if (lease->second.checkpoint->holder == holder) {
        released.push_back(std::move(lease->second.checkpoint));
        lease = leases_.erase(lease);
      } else {
        ++lease;
      }
    }
  }
  Drop(released, "its holder asks for a new one");
}

absl::Status CheckpointManager::CheckRoomFor(size_t held) {
  if (held >= kCheckpointsMax) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the store holds ", held, " checkpoints already: release one, or wait until a lease ends"));
  }
  HOLDFAST_ASSIGN_OR_RETURN(const int64_t free_bytes, options_.free_space(), "look at the disk");
  if (free_bytes < kFreeSpaceToCreateBytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "only ", free_bytes, " bytes are free on the store's disk, and a checkpoint needs ",
        kFreeSpaceToCreateBytes, ": make room"));
  }
  return absl::OkStatus();
}

absl::Status CheckpointManager::Fill(Held& checkpoint) {
  HOLDFAST_RETURN_IF_ERROR(FlushLongLog());
  HOLDFAST_RETURN_IF_ERROR(LinkDatabaseFiles(checkpoint));
  HOLDFAST_RETURN_IF_ERROR(CopyInstanceFiles(checkpoint));
  HOLDFAST_RETURN_IF_ERROR(TakeChecksums(checkpoint));
  std::sort(checkpoint.files.begin(), checkpoint.files.end(),
            [](const CheckpointFile& a, const CheckpointFile& b) { return a.name < b.name; });
  for (const CheckpointFile& file : checkpoint.files) checkpoint.size_bytes += file.size_bytes;
  return absl::OkStatus();
}

absl::Status CheckpointManager::FlushLongLog() {
  rocksdb::DB& db = options_.database->db();
  rocksdb::VectorLogPtr logs;
  const rocksdb::Status listed = db.GetSortedWalFiles(logs);
  if (!listed.ok()) {
    const absl::Status status = StatusFromRocksDb(listed, "list the logs");
    return absl::IsNotFound(status) ? ExplainListing(status, db.GetName()) : status;
  }
  uint64_t size_bytes = 0;
  for (const auto& log : logs) {
    if (log->Type() == rocksdb::kAliveLogFile) size_bytes += log->SizeFileBytes();
  }
  if (size_bytes <= kLogSizeMaxBytes) return absl::OkStatus();
  rocksdb::FlushOptions flush;
  flush.wait = true;
  return StatusFromRocksDb(
      db.Flush(flush, {options_.database->metadata(), options_.database->documents()}),
      "flush the log");
}

absl::StatusOr<CheckpointManager::Listing> CheckpointManager::ListDatabase() {
  Listing listing;
  HOLDFAST_RETURN_IF_ERROR(
      options_.committer->RunBetweenGroups([this, &listing](const StoreState& state) {
        rocksdb::LiveFilesStorageInfoOptions options;
        options.include_checksum_info = true;
        options.wal_size_for_flush = kNeverFlush;
        listing.status = StatusFromRocksDb(
            options_.database->db().GetLiveFilesStorageInfo(options, &listing.files),
            "list the database's files");
        listing.state = state;
      }));
  HOLDFAST_RETURN_IF_ERROR(listing.status);
  // A write that failed since Create looked may have left something behind the state's revision.
  HOLDFAST_RETURN_IF_ERROR(options_.sickness->CheckFitForCheckpoint());
  return listing;
}

absl::Status CheckpointManager::LinkDatabaseFiles(Held& checkpoint) {
  FileDeletionsDisabled disabled(options_.database->db());
  HOLDFAST_RETURN_IF_ERROR(disabled.Begin());
  HOLDFAST_ASSIGN_OR_RETURN(const Listing listing, ListDatabase());
  checkpoint.state = listing.state;
  HOLDFAST_RETURN_IF_ERROR(MakeDirectories(checkpoint.folder));
  for (const rocksdb::LiveFileStorageInfo& info : listing.files) {
    CheckpointFile file;
    file.name = info.relative_filename;
    HOLDFAST_ASSIGN_OR_RETURN(file.kind, KindOf(info));
    file.size_bytes = info.size;
    file.file_number = info.file_number;
    if (info.file_checksum_func_name == kFileChecksumName) file.xxh3_128 = info.file_checksum;
    if (!info.replacement_contents.empty()) {
      file.contents = info.replacement_contents;
      file.size_bytes = file.contents.size();
    } else {
      const std::string source = JoinPath(info.directory, file.name);
      const std::string target = JoinPath(checkpoint.folder, file.name);
      HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(options_.env->LinkFile(source, target), "link"));
      uint64_t size_on_disk = 0;
      HOLDFAST_RETURN_IF_ERROR(
          StatusFromRocksDb(options_.env->GetFileSize(target, &size_on_disk), "look at a file"));
      if (size_on_disk < info.size || (!info.trim_to_size && size_on_disk != info.size)) {
        return absl::DataLossError(absl::StrCat(file.name, " has ", size_on_disk,
                                                " bytes, but the database wrote ", info.size));
      }
      file.name_on_disk = file.name;
    }
    checkpoint.files.push_back(std::move(file));
  }
  return absl::OkStatus();
}

absl::Status CheckpointManager::CopyInstanceFiles(Held& checkpoint) {
  size_t number = 0;
  const auto copy_file = [&](const InstanceFiles::File& source) -> absl::Status {
    CheckpointFile file{.name = source.name,
                        .kind = CheckpointFile::Kind::kInstance,
                        .size_bytes = source.bytes.size(),
                        .xxh3_128 = Xxh3Of(source.bytes),
                        .mode = source.mode};
    // Encrypted as the database's files are: a certificate's key is a secret.
    if (!source.bytes.empty()) {
      file.name_on_disk = absl::StrCat("instance-", ++number);
      std::unique_ptr<rocksdb::WritableFile> copy;
      rocksdb::Status status =
          options_.env->NewWritableFile(JoinPath(checkpoint.folder, file.name_on_disk), &copy, {});
      if (status.ok()) status = copy->Append(source.bytes);
      if (status.ok()) status = copy->Close();
      HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(status, absl::StrCat("copy ", source.name)));
    }
    checkpoint.files.push_back(std::move(file));
    return absl::OkStatus();
  };
  absl::Status copied;
  const absl::Status read = options_.instance_files->ReadAll(
      [&](const InstanceFiles::File& source) { return copied = copy_file(source); });
  // What cannot be read, whatever the reason, somebody must put right before the next attempt.
  return read.ok() || !copied.ok() ? read : WithCode(read, absl::StatusCode::kFailedPrecondition);
}

absl::Status CheckpointManager::TakeChecksums(Held& checkpoint) {
  std::map<uint64_t, LogChecksum> log_checksums;
  for (CheckpointFile& file : checkpoint.files) {
    if (file.xxh3_128.size() == kXxh3SizeBytes) continue;
    const bool is_log = file.kind == CheckpointFile::Kind::kLog;
    const auto known = is_log ? log_checksums_.find(file.file_number) : log_checksums_.end();
    if (known != log_checksums_.end() && known->second.size_bytes == file.size_bytes) {
      file.xxh3_128 = known->second.xxh3_128;
    } else {
      HOLDFAST_ASSIGN_OR_RETURN(file.xxh3_128, ChecksumOf(checkpoint, file));
    }
    if (is_log) {
      log_checksums[file.file_number] = {.size_bytes = file.size_bytes, .xxh3_128 = file.xxh3_128};
    }
  }
  log_checksums_ = std::move(log_checksums);
  return absl::OkStatus();
}

absl::StatusOr<std::string> CheckpointManager::ChecksumOf(const Held& checkpoint,
                                                          const CheckpointFile& file) {
  if (file.name_on_disk.empty()) return Xxh3Of(file.contents);
  std::unique_ptr<rocksdb::SequentialFile> on_disk;
  HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(
      options_.env->NewSequentialFile(JoinPath(checkpoint.folder, file.name_on_disk), &on_disk, {}),
      absl::StrCat("open ", file.name)));
  Xxh3Stream checksum;
  std::string buffer(kChecksumStepBytes, '\0');
  for (uint64_t left = file.size_bytes; left > 0;) {
    rocksdb::Slice slice;
    const auto wanted = static_cast<size_t>(std::min<uint64_t>(left, buffer.size()));
    HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(on_disk->Read(wanted, &slice, buffer.data()),
                                               absl::StrCat("read ", file.name)));
    if (slice.empty()) {
      return absl::DataLossError(absl::StrCat(file.name, " is shorter than the database says"));
    }
    checksum.Update(absl::string_view(slice.data(), slice.size()));
    left -= slice.size();
  }
  return checksum.Digest();
}

std::vector<CheckpointInfo> CheckpointManager::List() {
  DropWhatMustGo();
  std::vector<CheckpointInfo> infos;
  MutexLock lock(&mutex_);
  for (const auto& [id, lease] : leases_) infos.push_back(InfoOf(*lease.checkpoint, lease.end));
  return infos;
}

absl::StatusOr<CheckpointManager::FilePage> CheckpointManager::ListFiles(
    absl::string_view checkpoint_id, int32_t page_size, absl::string_view page_token) {
  if (page_size < 0) return absl::InvalidArgumentError("page_size is negative");
  HOLDFAST_ASSIGN_OR_RETURN(const std::shared_ptr<Held> checkpoint, Find(checkpoint_id));
  // The token is the index of the first file: the list never changes.
  size_t begin = 0;
  if (!page_token.empty() &&
      (!absl::SimpleAtoi(page_token, &begin) || begin >= checkpoint->files.size())) {
    return absl::InvalidArgumentError("page_token is not one that this store gave");
  }
  const size_t files_max =
      page_size == 0 ? kFilesPageDefault : std::min(static_cast<size_t>(page_size), kFilesPageMax);
  const size_t end = std::min(checkpoint->files.size(), begin + files_max);
  FilePage page;
  page.files.assign(checkpoint->files.begin() + static_cast<ptrdiff_t>(begin),
                    checkpoint->files.begin() + static_cast<ptrdiff_t>(end));
  if (end < checkpoint->files.size()) page.next_page_token = absl::StrCat(end);
  return page;
}

absl::StatusOr<std::unique_ptr<CheckpointFileReader>> CheckpointManager::OpenFile(
    absl::string_view checkpoint_id, absl::string_view name, uint64_t offset) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::shared_ptr<Held> checkpoint, Find(checkpoint_id));
  const auto file = std::lower_bound(
      checkpoint->files.begin(), checkpoint->files.end(), name,
      [](const CheckpointFile& a, absl::string_view wanted) { return a.name < wanted; });
  if (file == checkpoint->files.end() || file->name != name) {
    return absl::NotFoundError("the checkpoint has no such file");
  }
  if (offset > file->size_bytes) {
    return absl::OutOfRangeError(absl::StrCat("offset ", offset, " lies beyond the end of ",
                                              file->name, ", which has ", file->size_bytes,
                                              " bytes"));
  }
  auto reader = std::unique_ptr<CheckpointFileReader>(new CheckpointFileReader());
  if (!file->name_on_disk.empty()) {
    const absl::Status opened = StatusFromRocksDb(
        options_.env->NewRandomAccessFile(JoinPath(checkpoint->folder, file->name_on_disk),
                                          &reader->on_disk_, {}),
        absl::StrCat("open ", file->name));
    if (!opened.ok()) return checkpoint->is_dropped ? NoCheckpoint(checkpoint_id) : opened;
  }
  reader->sickness_ = options_.sickness;
  reader->file_ = &*file;
  reader->offset_ = offset;
  reader->is_whole_ = offset == 0;
  reader->checkpoint_ = checkpoint;
  return reader;
}

absl::StatusOr<absl::Duration> CheckpointManager::Renew(absl::string_view checkpoint_id) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::shared_ptr<Held> checkpoint, Find(checkpoint_id));
  const MonotonicTime end = LeaseEnd(*checkpoint);
  MutexLock lock(&mutex_);
  const auto lease = leases_.find(checkpoint_id);
  if (lease == leases_.end()) return NoCheckpoint(checkpoint_id);
  lease->second.end = end;
  return end - options_.clock->MonotonicNow();
}

absl::Status CheckpointManager::Release(absl::string_view checkpoint_id) {
  std::shared_ptr<Held> released;
  {
    MutexLock lock(&mutex_);
    const auto lease = leases_.find(checkpoint_id);
    if (lease == leases_.end()) return NoCheckpoint(checkpoint_id);
    released = std::move(lease->second.checkpoint);
    leases_.erase(lease);
  }
  Drop({released}, "it was released");
  return absl::OkStatus();
}

uint64_t CheckpointManager::DatabaseSizeBytes() {
  rocksdb::DB& db = options_.database->db();
  uint64_t size_bytes = 0;
  db.GetAggregatedIntProperty(rocksdb::DB::Properties::kTotalSstFilesSize, &size_bytes);
  rocksdb::VectorLogPtr logs;
  if (db.GetSortedWalFiles(logs).ok()) {
    for (const auto& log : logs) size_bytes += log->SizeFileBytes();
  }
  return size_bytes;
}

void CheckpointManager::DropWhatMustGo() {
  const absl::StatusOr<int64_t> free_bytes = options_.free_space();
  const bool is_disk_low = free_bytes.ok() && *free_bytes < kFreeSpaceToKeepBytes;
  const MonotonicTime now = options_.clock->MonotonicNow();
  std::vector<std::shared_ptr<Held>> dropped;
  {
    MutexLock lock(&mutex_);
    for (auto lease = leases_.begin(); lease != leases_.end();) {
      if (is_disk_low || now >= lease->second.end) {
        dropped.push_back(std::move(lease->second.checkpoint));
        lease = leases_.erase(lease);
      } else {
        ++lease;
      }
    }
  }
  Drop(dropped, is_disk_low ? "the disk runs low" : "its lease has ended");
}

absl::StatusOr<std::shared_ptr<CheckpointManager::Held>> CheckpointManager::Find(
    absl::string_view checkpoint_id) {
  const MonotonicTime now = options_.clock->MonotonicNow();
  MutexLock lock(&mutex_);
  const auto lease = leases_.find(checkpoint_id);
  if (lease == leases_.end() || now >= lease->second.end) return NoCheckpoint(checkpoint_id);
  return lease->second.checkpoint;
}

CheckpointInfo CheckpointManager::InfoOf(const Held& checkpoint, MonotonicTime lease_end) {
  return {.checkpoint_id = checkpoint.checkpoint_id,
          .state = checkpoint.state,
          .create_time = checkpoint.create_time,
          .file_count = checkpoint.files.size(),
          .size_bytes = checkpoint.size_bytes,
          .lease_duration = lease_end - options_.clock->MonotonicNow()};
}

MonotonicTime CheckpointManager::LeaseEnd(const Held& checkpoint) {
  return std::min(options_.clock->MonotonicNow() + kLeaseDuration, checkpoint.end_of_life);
}

void CheckpointManager::Drop(const std::vector<std::shared_ptr<Held>>& checkpoints,
                             absl::string_view why) {
  for (const std::shared_ptr<Held>& checkpoint : checkpoints) {
    checkpoint->is_dropped = true;
    LogInfo("dropping a checkpoint", {{"checkpoint_id", checkpoint->checkpoint_id}, {"why", why}});
    const absl::Status removed = RemoveTree(checkpoint->folder);
    if (!removed.ok()) {
      LogWarning("what is left of a checkpoint stays until the store is restarted",
                 {{"error", removed}});
    }
  }
}

}  // namespace holdfast
