#include "backup-agent/source/grpc_checkpoint_source.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/crypto/hash.h"
#include "common/messages/proto_time.h"
#include "common/rpc/channel.h"
#include "grpcpp/grpcpp.h"
#include "holdfast/v1/checkpoints.grpc.pb.h"

namespace holdfast {
namespace {

constexpr int kListPageSize = 1000;
constexpr size_t kPieceSizeMaxBytes = size_t{1} << 20;

// A lease that is longer is taken for this long.
constexpr absl::Duration kLeaseMax = absl::Hours(24);

// One call that ends when its Cancellation does.
class Call {
 public:
  explicit Call(const Cancellation& cancellation)
      : cancellation_(cancellation), end_(cancellation, [this] { context.TryCancel(); }) {}

  // What the call ended with; the reason of the cancellation where it was that.
  absl::Status Status(const grpc::Status& status, const RpcPeer& peer) const {
    if (status.ok()) return absl::OkStatus();
    if (cancellation_.IsCancelled()) return cancellation_.status();
    return CallStatus(status, peer);
  }

  grpc::ClientContext context;

 private:
  const Cancellation cancellation_;
  CancellationCallback end_;  // last: calls into the context
};

// A file that is being streamed.
class FileStream : public ByteSource {
 public:
  FileStream(v1::Checkpoints::Stub& stub, RpcPeer peer,
             const v1::ReadCheckpointFileRequest& request, const Cancellation& cancellation,
             Clock& clock, absl::Duration stall_max)
      : peer_(std::move(peer)),
        clock_(clock),
        stall_max_(stall_max),
        call_(cancellation),
        reader_(stub.ReadCheckpointFile(&call_.context, request)) {}

  ~FileStream() override {
    if (has_ended_) return;
    // A reader must be finished before it goes.
    call_.context.TryCancel();
    while (reader_->Read(&response_)) {
    }
    static_cast<void>(reader_->Finish());
  }

  absl::StatusOr<absl::Span<const uint8_t>> Next() override {
    if (has_ended_) return end_;
    bool has_piece = false;
    {
      const std::unique_ptr<Alarm> alarm =
          clock_.CallAt(clock_.MonotonicNow() + stall_max_, [this] {
            is_stalled_ = true;
            call_.context.TryCancel();
          });
      has_piece = reader_->Read(&response_);
    }
    if (!has_piece) return End();
    const std::string& piece = response_.data();
    if (piece.empty() || piece.size() > kPieceSizeMaxBytes) {
      return absl::InternalError(absl::StrCat("the store sent a piece of ", piece.size(),
                                              " bytes; 1 to ", kPieceSizeMaxBytes, " are allowed"));
    }
    return AsBytes(piece);
  }

 private:
  absl::StatusOr<absl::Span<const uint8_t>> End() {
    has_ended_ = true;
    const grpc::Status status = reader_->Finish();
    absl::Status ended = call_.Status(status, peer_);
    if (absl::IsCancelled(ended) && is_stalled_) {
      ended = absl::DeadlineExceededError(
          absl::StrCat("the store sent nothing for ", absl::FormatDuration(stall_max_)));
    }
    if (!ended.ok()) end_ = ended;
    return end_;
  }

  const RpcPeer peer_;
  Clock& clock_;
  const absl::Duration stall_max_;

  Call call_;
  std::atomic<bool> is_stalled_ = false;
  std::unique_ptr<grpc::ClientReader<v1::ReadCheckpointFileResponse>> reader_;
  v1::ReadCheckpointFileResponse response_;
  bool has_ended_ = false;
  absl::StatusOr<absl::Span<const uint8_t>> end_ = absl::Span<const uint8_t>();
};

class GrpcCheckpointSource : public CheckpointSource {
 public:
  GrpcCheckpointSource(absl::string_view socket_path, Clock& clock,
                       const GrpcCheckpointSourceOptions& options)
      : peer_{"holdfast-store", std::string(socket_path)},
        options_(options),
        clock_(clock),
        stub_(v1::Checkpoints::NewStub(CreateUnixChannel(peer_))) {}

  absl::StatusOr<v1::StoreStatus> GetStatus(const Cancellation& cancellation) override {
    v1::StoreStatus response;
    HOLDFAST_RETURN_IF_ERROR(
        Unary(&v1::Checkpoints::Stub::GetStoreStatus, v1::GetStoreStatusRequest(),
              options_.call_timeout, cancellation, response),
        "ask the store for its status");
    return response;
  }

  absl::StatusOr<v1::Checkpoint> CreateCheckpoint(absl::string_view holder,
                                                  const Cancellation& cancellation) override {
    v1::CreateCheckpointRequest request;
    request.set_holder(std::string(holder));
    v1::CreateCheckpointResponse response;
    HOLDFAST_RETURN_IF_ERROR(Unary(&v1::Checkpoints::Stub::CreateCheckpoint, request,
                                   options_.create_timeout, cancellation, response),
                             "ask the store for a checkpoint");
    return std::move(*response.mutable_checkpoint());
  }

  absl::StatusOr<std::vector<v1::CheckpointFile>> ListFiles(
      absl::string_view checkpoint_id, uint64_t file_count_max,
      const Cancellation& cancellation) override {
    std::vector<v1::CheckpointFile> files;
    v1::ListCheckpointFilesRequest request;
    request.set_checkpoint_id(std::string(checkpoint_id));
    request.set_page_size(kListPageSize);
    do {
      v1::ListCheckpointFilesResponse response;
      HOLDFAST_RETURN_IF_ERROR(Unary(&v1::Checkpoints::Stub::ListCheckpointFiles, request,
                                     options_.call_timeout, cancellation, response),
                               "list the files of the checkpoint");
      if (files.size() + response.files_size() > file_count_max) {
        return absl::ResourceExhaustedError(
            absl::StrCat("list the files of the checkpoint: there are more than ", file_count_max));
      }
      if (response.files().empty() && !response.next_page_token().empty()) {
        return absl::InternalError(
            "list the files of the checkpoint: the store sent an empty page that is not the last");
      }
      for (v1::CheckpointFile& file : *response.mutable_files()) files.push_back(std::move(file));
      request.set_page_token(response.next_page_token());
    } while (!request.page_token().empty());
    return files;
  }

  absl::StatusOr<std::unique_ptr<ByteSource>> ReadFile(absl::string_view checkpoint_id,
                                                       absl::string_view name, uint64_t offset,
                                                       const Cancellation& cancellation) override {
    HOLDFAST_RETURN_IF_ERROR(cancellation.status());
    v1::ReadCheckpointFileRequest request;
    request.set_checkpoint_id(std::string(checkpoint_id));
    request.set_name(std::string(name));
    request.set_offset(offset);
    return std::make_unique<FileStream>(*stub_, peer_, request, cancellation, clock_,
                                        options_.stream_stall_max);
  }

  absl::StatusOr<absl::Duration> Renew(absl::string_view checkpoint_id,
                                       const Cancellation& cancellation) override {
    v1::RenewCheckpointRequest request;
    request.set_checkpoint_id(std::string(checkpoint_id));
    v1::RenewCheckpointResponse response;
    HOLDFAST_RETURN_IF_ERROR(Unary(&v1::Checkpoints::Stub::RenewCheckpoint, request,
                                   options_.call_timeout, cancellation, response),
                             "renew the lease of the checkpoint");
    const absl::Duration lease = FromProto(response.lease_duration());
    return std::clamp(lease, absl::ZeroDuration(), kLeaseMax);
  }

  absl::Status Release(absl::string_view checkpoint_id) override {
    v1::ReleaseCheckpointRequest request;
    request.set_checkpoint_id(std::string(checkpoint_id));
    v1::ReleaseCheckpointResponse response;
    return Annotate(Unary(&v1::Checkpoints::Stub::ReleaseCheckpoint, request,
                          options_.release_timeout, Cancellation(), response),
                    "release the checkpoint");
  }

  absl::Status ReportBackup(const v1::BackupReport& report,
                            const Cancellation& cancellation) override {
    v1::ReportBackupRequest request;
    *request.mutable_backup() = report;
    v1::ReportBackupResponse response;
    return Annotate(Unary(&v1::Checkpoints::Stub::ReportBackup, request, options_.call_timeout,
                          cancellation, response),
                    "report the backup to the store");
  }

 private:
  template <typename Request, typename Response>
  absl::Status Unary(grpc::Status (v1::Checkpoints::Stub::*method)(grpc::ClientContext*,
                                                                   const Request&, Response*),
                     const Request& request, absl::Duration timeout,
                     const Cancellation& cancellation, Response& response) {
    HOLDFAST_RETURN_IF_ERROR(cancellation.status());
    Call call(cancellation);
    SetTimeout(call.context, timeout);
    return call.Status(((*stub_).*method)(&call.context, request, &response), peer_);
  }

  const RpcPeer peer_;
  const GrpcCheckpointSourceOptions options_;
  Clock& clock_;
  const std::unique_ptr<v1::Checkpoints::Stub> stub_;
};

}  // namespace

std::unique_ptr<CheckpointSource> MakeGrpcCheckpointSource(
    absl::string_view socket_path, Clock& clock, const GrpcCheckpointSourceOptions& options) {
  return std::make_unique<GrpcCheckpointSource>(socket_path, clock, options);
}

}  // namespace holdfast
