#include "common/repository/object_remains.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/id128.h"
#include "common/base/status_macros.h"
#include "common/crypto/sealed_file.h"
#include "common/repository/layout.h"

namespace holdfast {

namespace {

// How much is read at once.
constexpr uint64_t kSegmentsAtOnce = 16;

// Reads one sealed file, segment by segment, past what is damaged.
class RemainsReader {
 public:
  using Visit = absl::FunctionRef<absl::Status(uint64_t, absl::Span<const uint8_t>)>;

  RemainsReader(const StoreRepository& store, std::string path, uint64_t sealed_size_bytes)
      : store_(store), path_(std::move(path)), sealed_size_bytes_(sealed_size_bytes) {}

  absl::StatusOr<ObjectRemains> Read(const SealingKey& content_key, Visit visit) {
    const uint64_t body_size_bytes =
        sealed_size_bytes_ - std::min<uint64_t>(sealed_size_bytes_, kSealedHeaderSizeBytes);
    const uint64_t segment_count =
        (body_size_bytes + kSealedSegmentSizeBytes - 1) / kSealedSegmentSizeBytes;
    content_size_bytes_ =
        body_size_bytes - std::min(body_size_bytes, segment_count * kSegmentTagSizeBytes);

    HOLDFAST_ASSIGN_OR_RETURN(const std::string header, ReadRange(0, kSealedHeaderSizeBytes));
    absl::StatusOr<SegmentOpener> opener =
        remains_.fault.ok() ? SegmentOpener::Create({.kind = SealedKind::kObject, .path = path_},
                                                    content_key, AsBytes(header))
                            : absl::StatusOr<SegmentOpener>(remains_.fault);
    if (!opener.ok()) {
      // Without its header no segment opens.
      NoteFault(opener.status());
      AddLost(0, content_size_bytes_);
      return std::move(remains_);
    }
    for (uint64_t first = 0; first < segment_count; first += kSegmentsAtOnce) {
      const uint64_t count = std::min(kSegmentsAtOnce, segment_count - first);
      HOLDFAST_RETURN_IF_ERROR(ReadSegments(*opener, first, count, segment_count, visit));
    }
    HOLDFAST_RETURN_IF_ERROR(CheckLength());
    return std::move(remains_);
  }

 private:
  absl::Status ReadSegments(const SegmentOpener& opener, uint64_t first, uint64_t count,
                            uint64_t segment_count, Visit visit) {
    const uint64_t begin = OffsetOf(first);
    const uint64_t end = std::min(sealed_size_bytes_, OffsetOf(first + count));
    HOLDFAST_ASSIGN_OR_RETURN(const std::string sealed, ReadRange(begin, end - begin));
    // A sector that can't be read takes nothing along but its own segment.
    if (sealed.size() < end - begin && count > 1) {
      for (uint64_t number = first; number < first + count; ++number) {
        HOLDFAST_RETURN_IF_ERROR(ReadSegments(opener, number, 1, segment_count, visit));
      }
      return absl::OkStatus();
    }
    const absl::Span<const uint8_t> bytes = AsBytes(sealed);
    for (uint64_t number = first; number < first + count; ++number) {
      const uint64_t at = OffsetOf(number) - begin;
      const uint64_t size =
          std::min<uint64_t>(kSealedSegmentSizeBytes, sealed_size_bytes_ - OffsetOf(number));
      const uint64_t content_offset = number * kSegmentSizeBytes;
      content_.clear();
      const absl::Status opened =
          at + size > bytes.size()
              ? absl::DataLossError(absl::StrCat("segment ", number, " can't be read"))
              : opener.Open(number, number + 1 == segment_count, bytes.subspan(at, size), content_);
      if (opened.ok()) {
        HOLDFAST_RETURN_IF_ERROR(visit(content_offset, AsBytes(content_)));
      } else {
        NoteFault(opened);
        AddLost(content_offset,
                std::min<uint64_t>(kSegmentSizeBytes, content_size_bytes_ - content_offset));
      }
    }
    return absl::OkStatus();
  }

  static uint64_t OffsetOf(uint64_t segment) {
    return kSealedHeaderSizeBytes + segment * kSealedSegmentSizeBytes;
  }

  // At most `size_bytes`; less where the file ends, or can't be read.
  absl::StatusOr<std::string> ReadRange(uint64_t offset, uint64_t size_bytes) {
    std::string bytes;
    const absl::Status read = TryReadRange(offset, size_bytes, bytes);
    if (read.ok() || absl::IsOutOfRange(read)) return bytes;
    HOLDFAST_RETURN_IF_ERROR(store_.CheckThatOnlyTheFileFailed(read));
    NoteFault(absl::IsNotFound(read) ? absl::DataLossError("missing") : read);
    return bytes;
  }

  absl::Status TryReadRange(uint64_t offset, uint64_t size_bytes, std::string& bytes) {
    HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source,
                              store_.blobs().Get(path_, offset, size_bytes));
    for (;;) {
      HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, source->Next());
      if (piece.empty()) return absl::OkStatus();
      absl::StrAppend(&bytes, AsText(piece));
    }
  }

  // Says of a cut what it is.
  absl::Status CheckLength() {
    const absl::StatusOr<BlobInfo> info = store_.blobs().Stat(path_);
    if (!info.ok()) return store_.CheckThatOnlyTheFileFailed(info.status());
    if (info->size_bytes == sealed_size_bytes_) return absl::OkStatus();
    const bool is_cut = info->size_bytes < sealed_size_bytes_;
    remains_.fault = absl::DataLossError(
        absl::StrCat(path_, is_cut ? ": cut short: " : ": too long: ", info->size_bytes, " of ",
                     sealed_size_bytes_, " bytes"));
    return absl::OkStatus();
  }

  void NoteFault(const absl::Status& fault) {
    if (remains_.fault.ok()) remains_.fault = Annotate(fault, path_);
  }

  void AddLost(uint64_t offset, uint64_t size_bytes) {
    if (size_bytes == 0) return;
    std::vector<ByteRange>& lost = remains_.lost;
    if (!lost.empty() && lost.back().end() == offset) {
      lost.back().size_bytes += size_bytes;
    } else {
      lost.push_back({.offset = offset, .size_bytes = size_bytes});
    }
  }

  const StoreRepository& store_;
  const std::string path_;
  const uint64_t sealed_size_bytes_;
  uint64_t content_size_bytes_ = 0;
  std::string content_;  // of one segment
  ObjectRemains remains_;
};

}  // namespace

absl::StatusOr<ObjectRemains> ReadObjectRemains(
    const StoreRepository& store, const repository::v1::ObjectEntry& entry,
    absl::FunctionRef<absl::Status(uint64_t offset, absl::Span<const uint8_t> piece)> visit) {
  const std::string path = ObjectPath(store.store_id(), entry.name());
  HOLDFAST_ASSIGN_OR_RETURN(const Id128 key_id, Id128::FromBytes(entry.key_id()), path);
  const absl::StatusOr<const SealingKey*> content_key = store.ContentKey(key_id.bytes());
  if (!content_key.ok()) {
    // Its key file is damaged or missing: all of it is lost.
    const uint64_t size_bytes = std::max<uint64_t>(entry.sealed_size_bytes(), 1);
    return ObjectRemains{.lost = {{.offset = 0, .size_bytes = size_bytes}},
                         .fault = Annotate(content_key.status(), path)};
  }
  return RemainsReader(store, path, entry.sealed_size_bytes()).Read(**content_key, visit);
}

}  // namespace holdfast
