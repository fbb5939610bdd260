#include "common/repository/object_writer.h"

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace holdfast {

namespace {

using repository::v1::ObjectEntry;

}  // namespace

ObjectSealer::ObjectSealer(const StoreId& store_id, absl::string_view name,
                           const SealingKey& content_key, ObjectEntry::Codec codec,
                           uint64_t content_size_bytes, RandomSource& random)
    : content_size_announced_(content_size_bytes),
      sealer_(SealedKind::kObject, content_key, ObjectPath(store_id, name),
              codec == ObjectEntry::CODEC_NONE ? content_size_bytes : kUnknownContentSize, random) {
  HOLDFAST_CHECK(codec == ObjectEntry::CODEC_NONE || codec == ObjectEntry::CODEC_ZSTD);
  if (codec == ObjectEntry::CODEC_ZSTD) {
    compressor_ = std::make_unique<ZstdCompressor>(content_size_bytes);
  }
  entry_.set_name(std::string(name));
  entry_.set_codec(codec);
  entry_.set_content_size_bytes(content_size_bytes);
  entry_.set_key_id(content_key.key_id.data(), content_key.key_id.size());
}

void ObjectSealer::BeginIfNew(std::string& sealed) {
  if (is_begun_) return;
  is_begun_ = true;
  absl::StrAppend(&sealed, AsText(sealer_.Header()));
}

absl::Status ObjectSealer::Update(absl::Span<const uint8_t> piece, std::string& sealed) {
  const size_t size_before = sealed.size();
  BeginIfNew(sealed);
  content_size_bytes_ += piece.size();
  if (content_size_bytes_ > content_size_announced_) {
    return absl::InternalError(absl::StrCat("object ", entry_.name(),
                                            ": more content came than the ",
                                            content_size_announced_, " bytes that were announced"));
  }
  if (compressor_ == nullptr) {
    sealer_.Update(piece, sealed);
  } else {
    HOLDFAST_RETURN_IF_ERROR(compressor_->Update(piece, [&](absl::Span<const uint8_t> compressed) {
      sealer_.Update(compressed, sealed);
      return absl::OkStatus();
    }));
  }
  entry_.set_sealed_size_bytes(entry_.sealed_size_bytes() + sealed.size() - size_before);
  return absl::OkStatus();
}

absl::Status ObjectSealer::Finish(std::string& sealed) {
  const size_t size_before = sealed.size();
  BeginIfNew(sealed);
  if (content_size_bytes_ != content_size_announced_) {
    return absl::InternalError(absl::StrCat("object ", entry_.name(), ": ", content_size_bytes_,
                                            " bytes of content came where ",
                                            content_size_announced_, " were announced"));
  }
  if (compressor_ != nullptr) {
    HOLDFAST_RETURN_IF_ERROR(compressor_->Finish([&](absl::Span<const uint8_t> compressed) {
      sealer_.Update(compressed, sealed);
      return absl::OkStatus();
    }));
  }
  HOLDFAST_RETURN_IF_ERROR(sealer_.Finish(sealed));
  entry_.set_sealed_size_bytes(entry_.sealed_size_bytes() + sealed.size() - size_before);
  return absl::OkStatus();
}

}  // namespace holdfast
