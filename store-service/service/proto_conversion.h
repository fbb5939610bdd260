#ifndef HOLDFAST_STORE_SERVICE_SERVICE_PROTO_CONVERSION_H_
#define HOLDFAST_STORE_SERVICE_SERVICE_PROTO_CONVERSION_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "holdfast/v1/checkpoints.pb.h"
#include "holdfast/v1/document_store.pb.h"
#include "store-service/checkpoints/checkpoint_manager.h"
#include "store-service/documents/document.h"
#include "store-service/documents/sickness.h"

// Between the messages of the store's services and what the store works with. Nothing is checked
// here but what a message can say and the store's own types cannot.

namespace holdfast {

v1::Document ToProto(Document document);
v1::CheckpointFile ToProto(const CheckpointFile& file);
v1::Sickness ToProto(const Sickness& sickness);

// INVALID_ARGUMENT for must_not_exist = false.
absl::StatusOr<DocumentWrite> FromProto(const v1::PutDocumentRequest& request);
absl::StatusOr<DocumentWrite> FromProto(const v1::DeleteDocumentRequest& request);
// INVALID_ARGUMENT where there is no operation.
absl::StatusOr<DocumentWrite> FromProto(const v1::DocumentWrite& write);

}  // namespace holdfast

#endif  // HOLDFAST_STORE_SERVICE_SERVICE_PROTO_CONVERSION_H_
