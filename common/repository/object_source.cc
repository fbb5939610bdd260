#include "common/repository/object_source.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"

namespace holdfast {

using repository::v1::ObjectEntry;

ObjectSource::ObjectSource(BlobStore& blobs, std::string path, const ObjectEntry& entry,
                           const SealingKey& content_key, std::unique_ptr<ByteSource> sealed)
    : blobs_(blobs),
      path_(std::move(path)),
      sealed_size_bytes_(entry.sealed_size_bytes()),
      content_size_bytes_(entry.content_size_bytes()),
      sealed_(std::move(sealed)),
      opener_({.kind = SealedKind::kObject, .path = path_}, content_key) {
  if (entry.codec() == ObjectEntry::CODEC_ZSTD) {
    decompressor_ = std::make_unique<ZstdDecompressor>(content_size_bytes_);
  }
}

absl::StatusOr<absl::Span<const uint8_t>> ObjectSource::Next() {
  if (!failure_.ok()) return failure_;
  absl::StatusOr<absl::Span<const uint8_t>> piece = NextUnexplained();
  if (!piece.ok()) {
    failure_ = Explain(piece.status());
    return failure_;
  }
  return piece;
}

absl::StatusOr<absl::Span<const uint8_t>> ObjectSource::NextUnexplained() {
  for (;;) {
    HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, Decode());
    if (!piece.empty()) {
      if (piece.size() > content_size_bytes_ - yielded_bytes_) {
        return absl::DataLossError(absl::StrCat("its content is longer than the ",
                                                content_size_bytes_,
                                                " bytes that the manifest tells"));
      }
      yielded_bytes_ += piece.size();
      return piece;
    }
    if (is_read_) {
      HOLDFAST_RETURN_IF_ERROR(CheckEnd());
      return absl::Span<const uint8_t>();
    }
    HOLDFAST_RETURN_IF_ERROR(Read());
  }
}

absl::StatusOr<absl::Span<const uint8_t>> ObjectSource::Decode() {
  if (decompressor_ != nullptr) return decompressor_->Next(opened_rest_);
  return std::exchange(opened_rest_, {});
}

absl::Status ObjectSource::Read() {
  opened_.clear();
  HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, sealed_->Next());
  read_bytes_ += piece.size();
  if (piece.empty()) {
    is_read_ = true;
    HOLDFAST_RETURN_IF_ERROR(opener_.Finish(opened_));
  } else {
    HOLDFAST_RETURN_IF_ERROR(opener_.Update(piece, opened_));
  }
  opened_rest_ = AsBytes(opened_);
  return absl::OkStatus();
}

absl::Status ObjectSource::CheckEnd() const {
  if (decompressor_ != nullptr) HOLDFAST_RETURN_IF_ERROR(decompressor_->Finish());
  if (yielded_bytes_ != content_size_bytes_ || read_bytes_ != sealed_size_bytes_) {
    return absl::DataLossError(absl::StrCat(
        "it is not as long as the manifest tells: ", yielded_bytes_, " bytes in a file of ",
        read_bytes_, ", not ", content_size_bytes_, " in one of ", sealed_size_bytes_));
  }
  return absl::OkStatus();
}

absl::Status ObjectSource::Explain(const absl::Status& failure) const {
  std::string context = path_;
  const std::optional<SealedFault> fault = GetSealedFault(failure);
  const bool is_of_content = !fault.has_value() || fault == SealedFault::kCutShort ||
                             fault == SealedFault::kBytesAppended ||
                             fault == SealedFault::kSegmentDamaged;
  if (absl::IsDataLoss(failure) && is_of_content) {
    const absl::StatusOr<BlobInfo> info = blobs_.Stat(path_);
    if (info.ok() && info->size_bytes != sealed_size_bytes_) {
      absl::StrAppend(&context,
                      info->size_bytes < sealed_size_bytes_ ? ": cut short: " : ": too long: ",
                      info->size_bytes, " of ", sealed_size_bytes_, " bytes");
    }
  }
  return Annotate(failure, context);
}

}  // namespace holdfast
