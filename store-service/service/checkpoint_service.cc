#include "store-service/service/checkpoint_service.h"

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/crypto/hash.h"
#include "common/messages/proto_time.h"
#include "common/rpc/status_mapping.h"
#include "store-service/service/file_chunk.h"
#include "store-service/service/proto_conversion.h"
#include "store-service/service/unary_call.h"

namespace holdfast {
namespace {

constexpr size_t kChunkSizeBytes = 1024 * 1024;

std::string ToHex(const Hash256& hash) { return absl::BytesToHexString(AsText(hash)); }

}  // namespace

class FileStream;

class FileStreams {
 public:
  explicit FileStreams(Clock* clock) : clock_(*clock) {}

  // All that is public is for the streams themselves.

  // False where there are too many.
  bool Add(FileStream& stream);
  // The stream's chunk waits for its reader from now on; until NoteTaken nobody else may touch what
  // `reader` points to.
  void NoteWaiting(FileStream& stream, const CheckpointFileReader* reader);
  void NoteTaken(FileStream& stream);
  // Takes the stream out, so that it can be finished. False where EndStuck is at it: then that
  // finishes it, with `status`.
  bool Remove(FileStream& stream, const grpc::Status& status);

  void EndStuck();

 private:
  struct State {
    const CheckpointFileReader* waiting_reader = nullptr;
    MonotonicTime wait_begin;
    bool is_being_cancelled = false;
    std::optional<grpc::Status> end{};
  };

  bool IsStuck(const State& state, MonotonicTime now) const;

  Clock& clock_;
  Mutex mutex_;
  std::map<FileStream*, State> streams_ ABSL_GUARDED_BY(mutex_);
};

// One stream of a file: read a chunk on the executor, write it, read the next when it is gone. So
// one thing is under way at a time; what FileStreams looks at meanwhile is behind its lock. Deletes
// itself when all is done, which is after Finish: until then its context lives too.
class FileStream : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  FileStream(CheckpointManager* checkpoints, Executor* executor, FileStreams* streams,
             grpc::CallbackServerContext* context, const grpc::ByteBuffer& request)
      : checkpoints_(*checkpoints), executor_(*executor), streams_(*streams), context_(*context) {
    grpc::ByteBuffer request_bytes(request);
    if (!grpc::SerializationTraits<v1::ReadCheckpointFileRequest>::Deserialize(&request_bytes,
                                                                               &request_)
             .ok()) {
      Finish(ToGrpcStatus(absl::InvalidArgumentError("that is no request to read a file")));
    } else if (streams_.Add(*this)) {
      ScheduleNext();
    } else {
      Finish(ToGrpcStatus(absl::ResourceExhaustedError(
          absl::StrCat("files are read by ", CheckpointService::kFileStreamsMax,
                       " streams already, the most that there may be: try again when one has "
                       "ended"))));
    }
  }

  void OnWriteDone(bool ok) override {
    streams_.NoteTaken(*this);
    if (ok) {
      ScheduleNext();
    } else {
      End(grpc::Status(grpc::StatusCode::CANCELLED, "the caller is gone"));
    }
  }
  void OnCancel() override { is_cancelled_ = true; }
  void OnDone() override { delete this; }

  // For FileStreams, which keeps the stream from being finished meanwhile.
  void Cancel() { context_.TryCancel(); }

 private:
  void ScheduleNext() {
    if (!executor_.TrySchedule([this] { ReadNext(); })) {
      End(ToGrpcStatus(absl::ResourceExhaustedError(
          "too many files are read at once: go on with this one later")));
    }
  }

  void ReadNext() {
    if (is_cancelled_) return End(grpc::Status(grpc::StatusCode::CANCELLED, "the caller gave up"));
    FileChunk chunk(kChunkSizeBytes);
    const absl::StatusOr<size_t> got = TryRead(chunk.bytes());
    if (!got.ok() || *got == 0) return End(ToGrpcStatus(got.status()));
    streams_.NoteWaiting(*this, reader_.get());
    response_ = chunk.ToMessage(*got);
    StartWrite(&response_);
  }

  absl::StatusOr<size_t> TryRead(absl::Span<uint8_t> buffer) {
    if (reader_ == nullptr) {
      HOLDFAST_ASSIGN_OR_RETURN(reader_, checkpoints_.OpenFile(request_.checkpoint_id(),
                                                               request_.name(), request_.offset()));
    }
    return reader_->Read(buffer);
  }

  void End(const grpc::Status& status) {
    reader_.reset();
    if (streams_.Remove(*this, status)) Finish(status);
  }

  CheckpointManager& checkpoints_;
  Executor& executor_;
  FileStreams& streams_;
  grpc::CallbackServerContext& context_;
  v1::ReadCheckpointFileRequest request_;
  std::atomic<bool> is_cancelled_ = false;
  std::unique_ptr<CheckpointFileReader> reader_;
  grpc::ByteBuffer response_;
};

bool FileStreams::Add(FileStream& stream) {
  MutexLock lock(&mutex_);
  return streams_.size() < CheckpointService::kFileStreamsMax &&
         streams_.try_emplace(&stream).second;
}

void FileStreams::NoteWaiting(FileStream& stream, const CheckpointFileReader* reader) {
  const MonotonicTime now = clock_.MonotonicNow();
  MutexLock lock(&mutex_);
  State& state = streams_.at(&stream);
  state.waiting_reader = reader;
  state.wait_begin = now;
}

void FileStreams::NoteTaken(FileStream& stream) {
  MutexLock lock(&mutex_);
  streams_.at(&stream).waiting_reader = nullptr;
}

bool FileStreams::Remove(FileStream& stream, const grpc::Status& status) {
  MutexLock lock(&mutex_);
  const auto found = streams_.find(&stream);
  if (found->second.is_being_cancelled) {
    found->second.end = status;
    return false;
  }
  streams_.erase(found);
  return true;
}

bool FileStreams::IsStuck(const State& state, MonotonicTime now) const {
  return state.waiting_reader != nullptr &&
         (now - state.wait_begin >= CheckpointService::kReaderPauseMax ||
          state.waiting_reader->is_dropped());
}

void FileStreams::EndStuck() {
  const MonotonicTime now = clock_.MonotonicNow();
  std::vector<FileStream*> stuck;
  {
    MutexLock lock(&mutex_);
    for (auto& [stream, state] : streams_) {
      if (!IsStuck(state, now)) continue;
      state.is_being_cancelled = true;
      stuck.push_back(stream);
    }
  }
  // Without the lock: gRPC may react to it on this thread.
  for (FileStream* const stream : stuck) {
    stream->Cancel();
    std::optional<grpc::Status> end;
    {
      MutexLock lock(&mutex_);
      const auto found = streams_.find(stream);
      found->second.is_being_cancelled = false;
      end = found->second.end;
      if (end.has_value()) streams_.erase(found);
    }
    if (end.has_value()) stream->Finish(*end);
  }
  if (!stuck.empty()) {
    LogWarning("ended streams of checkpoint files that nobody reads", {{"count", stuck.size()}});
  }
}

CheckpointService::CheckpointService(Options options)
    : options_(std::move(options)), streams_(std::make_unique<FileStreams>(options_.clock)) {}

CheckpointService::~CheckpointService() = default;

void CheckpointService::EndStuckStreams() { streams_->EndStuck(); }

grpc::ServerUnaryReactor* CheckpointService::CreateCheckpoint(
    grpc::CallbackServerContext* context, const v1::CreateCheckpointRequest* request,
    v1::CreateCheckpointResponse* response) {
  return AnswerCall(*options_.executor, context, [=, this]() -> absl::Status {
    if (!request->store_id().empty() && request->store_id() != options_.store_id) {
      return absl::FailedPreconditionError(
          absl::StrCat("this is store ", options_.store_id, ", not the one that was meant"));
    }
    HOLDFAST_ASSIGN_OR_RETURN(const CheckpointInfo info,
                              options_.checkpoints->Create(request->holder()));
    if (context->IsCancelled()) {
      // Nobody will hear of it; held, it would only be in the way of the next one.
      options_.checkpoints->Release(info.checkpoint_id).IgnoreError();
      return absl::CancelledError("the caller gave up");
    }
    *response->mutable_checkpoint() = Describe(info);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* CheckpointService::ListCheckpointFiles(
    grpc::CallbackServerContext* context, const v1::ListCheckpointFilesRequest* request,
    v1::ListCheckpointFilesResponse* response) {
  return AnswerCall(*options_.executor, context, [this, request, response]() -> absl::Status {
    HOLDFAST_ASSIGN_OR_RETURN(
        CheckpointManager::FilePage page,
        options_.checkpoints->ListFiles(request->checkpoint_id(), request->page_size(),
                                        request->page_token()));
    for (const CheckpointFile& file : page.files) *response->add_files() = ToProto(file);
    response->set_next_page_token(std::move(page.next_page_token));
    return absl::OkStatus();
  });
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* CheckpointService::ReadCheckpointFile(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request) {
  return new FileStream(options_.checkpoints, options_.read_executor, streams_.get(), context,
                        *request);
}

grpc::ServerUnaryReactor* CheckpointService::RenewCheckpoint(
    grpc::CallbackServerContext* context, const v1::RenewCheckpointRequest* request,
    v1::RenewCheckpointResponse* response) {
  return AnswerCall(*options_.executor, context, [this, request, response]() -> absl::Status {
    HOLDFAST_ASSIGN_OR_RETURN(const absl::Duration lease_duration,
                              options_.checkpoints->Renew(request->checkpoint_id()));
    *response->mutable_lease_duration() = ToProto(lease_duration);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* CheckpointService::ReleaseCheckpoint(
    grpc::CallbackServerContext* context, const v1::ReleaseCheckpointRequest* request,
    v1::ReleaseCheckpointResponse* /*response*/) {
  return AnswerCall(*options_.executor, context, [this, request]() -> absl::Status {
    return options_.checkpoints->Release(request->checkpoint_id());
  });
}

grpc::ServerUnaryReactor* CheckpointService::ReportBackup(grpc::CallbackServerContext* context,
                                                          const v1::ReportBackupRequest* request,
                                                          v1::ReportBackupResponse* /*response*/) {
  return AnswerCall(*options_.executor, context, [this, request]() -> absl::Status {
    return options_.backups->Remember(request->backup(), options_.committer->state().revision);
  });
}

grpc::ServerUnaryReactor* CheckpointService::GetStoreStatus(
    grpc::CallbackServerContext* context, const v1::GetStoreStatusRequest* /*request*/,
    v1::StoreStatus* response) {
  return AnswerCall(*options_.executor, context, [this, response] {
    FillStatus(*response);
    return absl::OkStatus();
  });
}

v1::Checkpoint CheckpointService::Describe(const CheckpointInfo& info) const {
  v1::Checkpoint checkpoint;
  checkpoint.set_checkpoint_id(info.checkpoint_id);
  checkpoint.set_store_id(options_.store_id);
  checkpoint.set_incarnation(options_.incarnation);
  checkpoint.mutable_earlier_incarnations()->Assign(options_.earlier_incarnations.begin(),
                                                    options_.earlier_incarnations.end());
  checkpoint.set_revision(info.state.revision);
  *checkpoint.mutable_commit_time() = ToProto(info.state.commit_time);
  *checkpoint.mutable_create_time() = ToProto(CutToMicros(info.create_time));
  checkpoint.set_document_count(info.state.document_count);
  checkpoint.set_state_digest(ToHex(info.state.state_digest));
  checkpoint.set_file_count(info.file_count);
  checkpoint.set_size_bytes(info.size_bytes);
  *checkpoint.mutable_lease_duration() = ToProto(info.lease_duration);
  return checkpoint;
}

void CheckpointService::FillStatus(v1::StoreStatus& status) const {
  const StoreState state = options_.committer->state();
  status.set_store_id(options_.store_id);
  status.set_incarnation(options_.incarnation);
  status.set_revision(state.revision);
  *status.mutable_commit_time() = ToProto(state.commit_time);
  status.set_document_count(state.document_count);
  status.set_collection_count(state.collection_count);
  status.set_state_digest(ToHex(state.state_digest));
  if (const auto newest = options_.backups->newest(); newest.has_value()) {
    *status.mutable_last_backup() = *newest;
  }
  for (const CheckpointInfo& info : options_.checkpoints->List()) {
    *status.add_checkpoints() = Describe(info);
  }
  status.set_database_size_bytes(options_.checkpoints->DatabaseSizeBytes());
  // A disk that cannot be asked is no reason to say nothing.
  status.set_free_space_bytes(static_cast<uint64_t>(options_.free_space().value_or(0)));
  if (const auto sickness = options_.sickness->Get(); sickness.has_value()) {
    *status.mutable_sickness() = ToProto(*sickness);
  }
  *status.mutable_open_time() = ToProto(CutToMicros(options_.open_time));
  status.set_version(options_.version);
  status.mutable_revision_gaps()->Assign(options_.revision_gaps.begin(),
                                         options_.revision_gaps.end());
}

}  // namespace holdfast
