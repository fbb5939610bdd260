#include "backup-agent/cli/store_client.h"

#include <utility>

#include "absl/time/time.h"
#include "backup-agent/cli/rpc_call.h"
#include "common/rpc/channel.h"
#include "holdfast/v1/checkpoints.grpc.pb.h"
#include "holdfast/v1/document_store.grpc.pb.h"

namespace holdfast {

namespace {

// A write waits for the disk, and for those before it.
constexpr absl::Duration kTimeout = absl::Minutes(2);

// It comes from memory, and whoever asks wants to know now.
constexpr absl::Duration kStatusTimeout = absl::Seconds(15);

}  // namespace

struct StoreClient::Connection {
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::DocumentStore::Stub::*method)(
                                    grpc::ClientContext*, const Request&, Response*),
                                const Request& request) {
    return MakeCall(*stub, method, request, peer, kTimeout, cancellation);
  }

  RpcPeer peer;
  Cancellation cancellation;
  std::unique_ptr<v1::DocumentStore::Stub> stub;
  std::unique_ptr<v1::Checkpoints::Stub> checkpoints;
};

StoreClient::StoreClient(std::string socket, Cancellation cancellation)
    : connection_(std::make_unique<Connection>()) {
  connection_->peer = {.program = "holdfast-store", .socket = std::move(socket)};
  connection_->cancellation = std::move(cancellation);
  const std::shared_ptr<grpc::Channel> channel = CreateUnixChannel(connection_->peer);
  connection_->stub = v1::DocumentStore::NewStub(channel);
  connection_->checkpoints = v1::Checkpoints::NewStub(channel);
}

StoreClient::~StoreClient() = default;

absl::StatusOr<v1::GetDocumentResponse> StoreClient::Get(const v1::GetDocumentRequest& request) {
  return connection_->Call(&v1::DocumentStore::Stub::GetDocument, request);
}

absl::StatusOr<v1::PutDocumentResponse> StoreClient::Put(const v1::PutDocumentRequest& request) {
  return connection_->Call(&v1::DocumentStore::Stub::PutDocument, request);
}

absl::StatusOr<v1::DeleteDocumentResponse> StoreClient::Delete(
    const v1::DeleteDocumentRequest& request) {
  return connection_->Call(&v1::DocumentStore::Stub::DeleteDocument, request);
}

absl::StatusOr<v1::WriteDocumentsResponse> StoreClient::Write(
    const v1::WriteDocumentsRequest& request) {
  return connection_->Call(&v1::DocumentStore::Stub::WriteDocuments, request);
}

absl::StatusOr<v1::ListDocumentsResponse> StoreClient::List(
    const v1::ListDocumentsRequest& request) {
  return connection_->Call(&v1::DocumentStore::Stub::ListDocuments, request);
}

absl::StatusOr<v1::ListCollectionsResponse> StoreClient::ListCollections(
    const v1::ListCollectionsRequest& request) {
  return connection_->Call(&v1::DocumentStore::Stub::ListCollections, request);
}

absl::StatusOr<v1::StoreStatus> StoreClient::GetStatus() {
  return MakeCall(*connection_->checkpoints, &v1::Checkpoints::Stub::GetStoreStatus,
                  v1::GetStoreStatusRequest(), connection_->peer, kStatusTimeout,
                  connection_->cancellation);
}

}  // namespace holdfast
