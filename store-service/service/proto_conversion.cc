#include "store-service/service/proto_conversion.h"

#include <utility>

#include "common/base/status_macros.h"
#include "common/messages/proto_time.h"

namespace holdfast {
namespace {

absl::StatusOr<Precondition> FromProto(const v1::Precondition& precondition) {
  switch (precondition.condition_case()) {
    case v1::Precondition::kMustNotExist:
      if (!precondition.must_not_exist()) {
        return absl::InvalidArgumentError(
            "precondition: must_not_exist can only be true; leave the precondition out to ask for "
            "nothing");
      }
      return Precondition{.kind = Precondition::Kind::kMustNotExist};
    case v1::Precondition::kMustBeAtRevision:
      return Precondition{.kind = Precondition::Kind::kMustBeAtRevision,
                          .revision = precondition.must_be_at_revision()};
    case v1::Precondition::CONDITION_NOT_SET:
      return Precondition{};
  }
  return Precondition{};
}

v1::CheckpointFile::Kind ToProto(CheckpointFile::Kind kind) {
  switch (kind) {
    case CheckpointFile::Kind::kTable:
      return v1::CheckpointFile::KIND_TABLE;
    case CheckpointFile::Kind::kBlob:
      return v1::CheckpointFile::KIND_BLOB;
    case CheckpointFile::Kind::kLog:
      return v1::CheckpointFile::KIND_LOG;
    case CheckpointFile::Kind::kManifest:
      return v1::CheckpointFile::KIND_MANIFEST;
    case CheckpointFile::Kind::kCurrent:
      return v1::CheckpointFile::KIND_CURRENT;
    case CheckpointFile::Kind::kOptions:
      return v1::CheckpointFile::KIND_OPTIONS;
    case CheckpointFile::Kind::kInstance:
      return v1::CheckpointFile::KIND_INSTANCE;
  }
  return v1::CheckpointFile::KIND_UNSPECIFIED;
}

v1::Sickness::Kind ToProto(Sickness::Kind kind) {
  switch (kind) {
    case Sickness::Kind::kLogDamaged:
      return v1::Sickness::KIND_LOG_DAMAGED;
    case Sickness::Kind::kBackgroundError:
      return v1::Sickness::KIND_BACKGROUND_ERROR;
    case Sickness::Kind::kTableDamaged:
      return v1::Sickness::KIND_TABLE_DAMAGED;
    case Sickness::Kind::kWritesStopped:
      return v1::Sickness::KIND_WRITES_STOPPED;
  }
  return v1::Sickness::KIND_UNSPECIFIED;
}

}  // namespace

v1::Document ToProto(Document document) {
  v1::Document message;
  message.set_collection(std::move(document.collection));
  message.set_id(std::move(document.id));
  message.set_content(std::move(document.content));
  message.set_media_type(std::move(document.media_type));
  message.set_revision(document.revision);
  *message.mutable_create_time() = ToProto(document.create_time);
  *message.mutable_change_time() = ToProto(document.change_time);
  return message;
}

v1::CheckpointFile ToProto(const CheckpointFile& file) {
  v1::CheckpointFile message;
  message.set_name(file.name);
  message.set_kind(ToProto(file.kind));
  message.set_size_bytes(file.size_bytes);
  message.set_xxh3_128(file.xxh3_128);
  message.set_file_number(file.file_number);
  message.set_mode(file.mode);
  return message;
}

v1::Sickness ToProto(const Sickness& sickness) {
  v1::Sickness message;
  message.set_kind(ToProto(sickness.kind));
  message.set_message(sickness.message);
  message.set_lost_from_revision(sickness.lost_from_revision);
  *message.mutable_notice_time() = ToProto(CutToMicros(sickness.notice_time));
  return message;
}

absl::StatusOr<DocumentWrite> FromProto(const v1::PutDocumentRequest& request) {
  DocumentWrite write{.kind = DocumentWrite::Kind::kPut,
                      .collection = request.collection(),
                      .id = request.id(),
                      .content = request.content(),
                      .media_type = request.media_type()};
  HOLDFAST_ASSIGN_OR_RETURN(write.precondition, FromProto(request.precondition()));
  return write;
}

absl::StatusOr<DocumentWrite> FromProto(const v1::DeleteDocumentRequest& request) {
  DocumentWrite write{
      .kind = DocumentWrite::Kind::kDelete, .collection = request.collection(), .id = request.id()};
  HOLDFAST_ASSIGN_OR_RETURN(write.precondition, FromProto(request.precondition()));
  return write;
}

absl::StatusOr<DocumentWrite> FromProto(const v1::DocumentWrite& write) {
  switch (write.operation_case()) {
    case v1::DocumentWrite::kPut:
      return FromProto(write.put());
    case v1::DocumentWrite::kDelete:
      return FromProto(write.delete_());
    case v1::DocumentWrite::OPERATION_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("it is neither a put nor a delete");
}

}  // namespace holdfast
