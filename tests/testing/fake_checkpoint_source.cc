#include "tests/testing/fake_checkpoint_source.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/crypto/hash.h"
#include "common/io/xxh3_stream.h"
#include "common/repository/layout.h"

namespace holdfast {
namespace {

constexpr size_t kPieceSizeBytes = size_t{1} << 20;
constexpr uint64_t kFirstDocuments = 1000;

std::string Digits(uint64_t number, size_t count) {
  const std::string text = absl::StrCat(number);
  return std::string(count - std::min(count, text.size()), '0') + text;
}

}  // namespace

class FakeCheckpointSource::Stream : public ByteSource {
 public:
  Stream(FakeCheckpointSource& source, std::string name, Content content, uint64_t offset,
         const Cancellation& cancellation)
      : source_(source),
        name_(std::move(name)),
        content_(std::move(content)),
        offset_(offset),
        cancellation_(cancellation),
        wake_(cancellation, [&source] {
          MutexLock lock(&source.mutex_);
          source.changed_.SignalAll();
        }) {}

  absl::StatusOr<absl::Span<const uint8_t>> Next() override {
    if (cancellation_.IsCancelled()) return cancellation_.status();
    MutexLock lock(&source_.mutex_);
    uint64_t end = std::min<uint64_t>(content_->size(), offset_ + kPieceSizeBytes);
    std::vector<Break>& breaks = source_.breaks_[name_];
    if (!breaks.empty()) {
      if (offset_ >= breaks.front().after_bytes) {
        const absl::Status error = breaks.front().error;
        breaks.erase(breaks.begin());
        return error;
      }
      end = std::min(end, breaks.front().after_bytes);
    }
    const auto blocked = source_.blocked_.find(name_);
    if (blocked != source_.blocked_.end()) {
      if (offset_ >= blocked->second) {
        ++source_.streams_blocked_;
        source_.changed_.SignalAll();
        while (source_.blocked_.count(name_) > 0 && !cancellation_.IsCancelled()) {
          source_.changed_.Wait(&source_.mutex_);
        }
        --source_.streams_blocked_;
        if (cancellation_.IsCancelled()) return cancellation_.status();
      } else {
        end = std::min(end, blocked->second);
      }
    }
    if (offset_ >= content_->size() && source_.endless_[name_]) {
      return AsBytes(*content_).subspan(0, kPieceSizeBytes);
    }
    const absl::Span<const uint8_t> piece =
        AsBytes(*content_).subspan(offset_, end - std::min(end, offset_));
    offset_ += piece.size();
    source_.bytes_served_[name_] += piece.size();
    return piece;
  }

 private:
  FakeCheckpointSource& source_;
  const std::string name_;
  const Content content_;
  uint64_t offset_;
  const Cancellation cancellation_;
  const CancellationCallback wake_;
};

FakeCheckpointSource::FakeCheckpointSource() {
  {
    MutexLock lock(&mutex_);
    state_.set_store_id("00112233445566778899aabbccddeeff");
    state_.set_incarnation("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf");
    state_.mutable_commit_time()->set_seconds(1'795'372'000);
    state_.mutable_create_time()->set_seconds(1'795'372'500);
  }
  SetFile("CURRENT", "MANIFEST-000005\n");
  SetFile("MANIFEST-000005", std::string(3000, 'm'));
  SetFile("OPTIONS-000007", "[Version]\n");
  SetFile("000004.log", std::string(10'000, 'l'));
  SetFile("000008.log", "");
  SetFile("instance/server.toml", "name = \"test\"\n");
  Write(kFirstDocuments);
}

void FakeCheckpointSource::SetFile(const std::string& name, std::string content) {
  SetFiles({name}, std::move(content));
}

void FakeCheckpointSource::SetFiles(const std::vector<std::string>& names, std::string content) {
  const auto shared = std::make_shared<const std::string>(std::move(content));
  MutexLock lock(&mutex_);
  for (const std::string& name : names) files_[name] = shared;
}

void FakeCheckpointSource::RemoveFile(const std::string& name) {
  MutexLock lock(&mutex_);
  files_.erase(name);
}

std::map<std::string, std::string> FakeCheckpointSource::files() const {
  MutexLock lock(&mutex_);
  std::map<std::string, std::string> files;
  for (const auto& [name, content] : files_) files[name] = *content;
  return files;
}

void FakeCheckpointSource::Write(uint64_t documents) {
  MutexLock lock(&mutex_);
  state_.set_revision(state_.revision() + documents);
  state_.set_document_count(state_.document_count() + documents);
  state_.set_state_digest(Digits(state_.revision(), 64));
}

void FakeCheckpointSource::EditState(const std::function<void(v1::Checkpoint&)>& edit) {
  MutexLock lock(&mutex_);
  edit(state_);
}

v1::Checkpoint FakeCheckpointSource::state() const {
  MutexLock lock(&mutex_);
  return state_;
}

void FakeCheckpointSource::set_edit_checkpoint(std::function<void(v1::Checkpoint&)> edit) {
  MutexLock lock(&mutex_);
  edit_checkpoint_ = std::move(edit);
}

void FakeCheckpointSource::set_edit_listing(
    std::function<void(std::vector<v1::CheckpointFile>&)> edit) {
  MutexLock lock(&mutex_);
  edit_listing_ = std::move(edit);
}

void FakeCheckpointSource::BreakStream(const std::string& name, uint64_t after_bytes,
                                       absl::Status error) {
  MutexLock lock(&mutex_);
  breaks_[name].push_back({after_bytes, std::move(error)});
}

void FakeCheckpointSource::ServeOther(const std::string& name, std::string content) {
  MutexLock lock(&mutex_);
  served_instead_[name] = std::make_shared<const std::string>(std::move(content));
}

void FakeCheckpointSource::ServeEndlessly(const std::string& name) {
  MutexLock lock(&mutex_);
  endless_[name] = true;
}

void FakeCheckpointSource::BlockStream(const std::string& name, uint64_t after_bytes) {
  MutexLock lock(&mutex_);
  blocked_[name] = after_bytes;
}

void FakeCheckpointSource::UnblockStreams() {
  MutexLock lock(&mutex_);
  blocked_.clear();
  changed_.SignalAll();
}

void FakeCheckpointSource::AwaitBlockedStream() {
  MutexLock lock(&mutex_);
  while (streams_blocked_ == 0) changed_.Wait(&mutex_);
}

void FakeCheckpointSource::set_create_status(absl::Status status) {
  MutexLock lock(&mutex_);
  create_status_ = std::move(status);
}

void FakeCheckpointSource::set_renew_status(absl::Status status) {
  MutexLock lock(&mutex_);
  renew_status_ = std::move(status);
}

void FakeCheckpointSource::set_report_status(absl::Status status) {
  MutexLock lock(&mutex_);
  report_status_ = std::move(status);
}

void FakeCheckpointSource::set_lease_duration(absl::Duration duration) {
  MutexLock lock(&mutex_);
  lease_duration_ = duration;
}

uint64_t FakeCheckpointSource::bytes_served(const std::string& name) const {
  MutexLock lock(&mutex_);
  const auto served = bytes_served_.find(name);
  return served == bytes_served_.end() ? 0 : served->second;
}

uint64_t FakeCheckpointSource::bytes_served() const {
  MutexLock lock(&mutex_);
  uint64_t sum = 0;
  for (const auto& [name, bytes] : bytes_served_) sum += bytes;
  return sum;
}

int FakeCheckpointSource::checkpoints_open() const {
  MutexLock lock(&mutex_);
  return static_cast<int>(checkpoints_.size());
}

std::vector<std::string> FakeCheckpointSource::holders() const {
  MutexLock lock(&mutex_);
  return holders_;
}

int FakeCheckpointSource::checkpoints_made() const {
  MutexLock lock(&mutex_);
  return checkpoints_made_;
}

std::vector<v1::BackupReport> FakeCheckpointSource::reports() const {
  MutexLock lock(&mutex_);
  return reports_;
}

void FakeCheckpointSource::set_last_backup(v1::BackupReport report) {
  MutexLock lock(&mutex_);
  last_backup_ = std::move(report);
}

absl::StatusOr<v1::StoreStatus> FakeCheckpointSource::GetStatus(const Cancellation& cancellation) {
  if (cancellation.IsCancelled()) return cancellation.status();
  MutexLock lock(&mutex_);
  v1::StoreStatus status;
  status.set_store_id(state_.store_id());
  status.set_incarnation(state_.incarnation());
  status.set_revision(state_.revision());
  status.set_document_count(state_.document_count());
  status.set_state_digest(state_.state_digest());
  status.set_version("1.2.3");
  if (!last_backup_.backup_id().empty()) *status.mutable_last_backup() = last_backup_;
  return status;
}

absl::StatusOr<v1::Checkpoint> FakeCheckpointSource::CreateCheckpoint(
    absl::string_view holder, const Cancellation& cancellation) {
  if (cancellation.IsCancelled()) return cancellation.status();
  MutexLock lock(&mutex_);
  if (!create_status_.ok()) return create_status_;
  holders_.emplace_back(holder);
  v1::Checkpoint checkpoint = state_;
  checkpoint.set_checkpoint_id(absl::StrCat("checkpoint-", ++checkpoints_made_));
  uint64_t size_bytes = 0;
  for (const auto& [name, content] : files_) size_bytes += content->size();
  checkpoint.set_file_count(files_.size());
  checkpoint.set_size_bytes(size_bytes);
  checkpoint.mutable_lease_duration()->set_seconds(absl::ToInt64Seconds(lease_duration_));
  checkpoints_[checkpoint.checkpoint_id()] = files_;
  if (edit_checkpoint_) edit_checkpoint_(checkpoint);
  return checkpoint;
}

absl::StatusOr<std::vector<v1::CheckpointFile>> FakeCheckpointSource::ListFiles(
    absl::string_view checkpoint_id, uint64_t file_count_max, const Cancellation& cancellation) {
  if (cancellation.IsCancelled()) return cancellation.status();
  MutexLock lock(&mutex_);
  const auto checkpoint = checkpoints_.find(std::string(checkpoint_id));
  if (checkpoint == checkpoints_.end()) return absl::NotFoundError("no such checkpoint");
  std::vector<v1::CheckpointFile> files;
  for (const auto& [name, content] : checkpoint->second) {
    v1::CheckpointFile& file = files.emplace_back();
    file.set_name(name);
    const absl::StatusOr<repository::v1::FileEntry::Kind> kind = KindOfFileName(name);
    HOLDFAST_CHECK(kind.ok());
    file.set_kind(static_cast<v1::CheckpointFile::Kind>(*kind));
    file.set_size_bytes(content->size());
    file.set_xxh3_128(Xxh3Of(*content));
    uint64_t number = 0;
    if (absl::SimpleAtoi(name.substr(0, name.find('.')), &number)) file.set_file_number(number);
    if (file.kind() == v1::CheckpointFile::KIND_INSTANCE) file.set_mode(0640);
  }
  if (edit_listing_) edit_listing_(files);
  if (files.size() > file_count_max) return absl::ResourceExhaustedError("too many files");
  return files;
}

absl::StatusOr<std::unique_ptr<ByteSource>> FakeCheckpointSource::ReadFile(
    absl::string_view checkpoint_id, absl::string_view name, uint64_t offset,
    const Cancellation& cancellation) {
  if (cancellation.IsCancelled()) return cancellation.status();
  Content content;
  {
    MutexLock lock(&mutex_);
    const auto checkpoint = checkpoints_.find(std::string(checkpoint_id));
    if (checkpoint == checkpoints_.end()) return absl::NotFoundError("no such checkpoint");
    const auto file = checkpoint->second.find(std::string(name));
    if (file == checkpoint->second.end()) return absl::NotFoundError("no such file");
    const auto other = served_instead_.find(std::string(name));
    content = other == served_instead_.end() ? file->second : other->second;
  }
  if (offset > content->size()) return absl::OutOfRangeError("beyond the end");
  return std::make_unique<Stream>(*this, std::string(name), std::move(content), offset,
                                  cancellation);
}

absl::StatusOr<absl::Duration> FakeCheckpointSource::Renew(absl::string_view checkpoint_id,
                                                           const Cancellation& cancellation) {
  if (cancellation.IsCancelled()) return cancellation.status();
  MutexLock lock(&mutex_);
  if (!renew_status_.ok()) return renew_status_;
  if (checkpoints_.count(std::string(checkpoint_id)) == 0) {
    return absl::NotFoundError("no such checkpoint");
  }
  return lease_duration_;
}

absl::Status FakeCheckpointSource::Release(absl::string_view checkpoint_id) {
  MutexLock lock(&mutex_);
  if (checkpoints_.erase(std::string(checkpoint_id)) == 0) {
    return absl::NotFoundError("no such checkpoint");
  }
  return absl::OkStatus();
}

absl::Status FakeCheckpointSource::ReportBackup(const v1::BackupReport& report,
                                                const Cancellation& cancellation) {
  if (cancellation.IsCancelled()) return cancellation.status();
  MutexLock lock(&mutex_);
  if (!report_status_.ok()) return report_status_;
  reports_.push_back(report);
  last_backup_ = report;
  return absl::OkStatus();
}

}  // namespace holdfast
