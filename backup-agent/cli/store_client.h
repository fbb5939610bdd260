#ifndef HOLDFAST_BACKUP_AGENT_CLI_STORE_CLIENT_H_
#define HOLDFAST_BACKUP_AGENT_CLI_STORE_CLIENT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "holdfast/v1/checkpoints.pb.h"
#include "holdfast/v1/document_store.pb.h"

namespace holdfast {

// StoreClient speaks to a store: to its DocumentStore, and asks it how it is.
//
// Thread-safe. Methods block; each ends soon after `cancellation` is cancelled, with its reason.
//
// Errors: those of document_store.proto and checkpoints.proto. UNAVAILABLE where the store can't be
// reached; DEADLINE_EXCEEDED where it does not answer.
class StoreClient {
 public:
  StoreClient(std::string socket, Cancellation cancellation);
  ~StoreClient();
  StoreClient(const StoreClient&) = delete;
  StoreClient& operator=(const StoreClient&) = delete;

  absl::StatusOr<v1::GetDocumentResponse> Get(const v1::GetDocumentRequest& request);
  absl::StatusOr<v1::PutDocumentResponse> Put(const v1::PutDocumentRequest& request);
  absl::StatusOr<v1::DeleteDocumentResponse> Delete(const v1::DeleteDocumentRequest& request);
  absl::StatusOr<v1::WriteDocumentsResponse> Write(const v1::WriteDocumentsRequest& request);
  absl::StatusOr<v1::ListDocumentsResponse> List(const v1::ListDocumentsRequest& request);
  absl::StatusOr<v1::ListCollectionsResponse> ListCollections(
      const v1::ListCollectionsRequest& request);
  absl::StatusOr<v1::StoreStatus> GetStatus();

 private:
  struct Connection;
  const std::unique_ptr<Connection> connection_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_CLI_STORE_CLIENT_H_
