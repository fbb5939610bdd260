#include "backup-agent/restore/extent_reader.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace holdfast {

absl::Status ExtentReader::Read(
    const repository::v1::Extent& extent,
    absl::FunctionRef<absl::Status(absl::Span<const uint8_t>)> consume) {
  if (source_ == nullptr || object_index_ != extent.object_index() || extent.offset() < position_) {
    HOLDFAST_RETURN_IF_ERROR(Finish());
    HOLDFAST_RETURN_IF_ERROR(Open(extent.object_index()));
  }
  const uint64_t end = extent.offset() + extent.length();
  while (position_ < end) {
    HOLDFAST_RETURN_IF_ERROR(FillRest());
    const bool is_wanted = position_ >= extent.offset();
    const uint64_t size_max = (is_wanted ? end : extent.offset()) - position_;
    const absl::Span<const uint8_t> piece = rest_.first(std::min<uint64_t>(rest_.size(), size_max));
    if (is_wanted) HOLDFAST_RETURN_IF_ERROR(consume(piece));
    rest_.remove_prefix(piece.size());
    position_ += piece.size();
  }
  return absl::OkStatus();
}

absl::Status ExtentReader::Finish() {
  if (source_ == nullptr) return absl::OkStatus();
  const std::unique_ptr<ByteSource> source = std::move(source_);
  const repository::v1::ObjectEntry& object = files_.objects(static_cast<int>(object_index_));
  if (position_ < object.content_size_bytes()) return absl::OkStatus();
  if (!rest_.empty()) {
    return absl::DataLossError(
        absl::StrCat("object ", object.name(), " holds more than it should"));
  }
  HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> behind, source->Next());
  if (!behind.empty()) {
    return absl::DataLossError(
        absl::StrCat("object ", object.name(), " holds more than it should"));
  }
  return absl::OkStatus();
}

absl::Status ExtentReader::Open(uint32_t object_index) {
  rest_ = {};
  position_ = 0;
  object_index_ = object_index;
  HOLDFAST_ASSIGN_OR_RETURN(source_,
                            store_.ReadObject(files_.objects(static_cast<int>(object_index))));
  return absl::OkStatus();
}

absl::Status ExtentReader::FillRest() {
  if (!rest_.empty()) return absl::OkStatus();
  HOLDFAST_ASSIGN_OR_RETURN(rest_, source_->Next());
  if (!rest_.empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("object ",
                                          files_.objects(static_cast<int>(object_index_)).name(),
                                          " ends after ", position_, " bytes of its content"));
}

}  // namespace holdfast
