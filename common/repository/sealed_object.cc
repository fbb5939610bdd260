#include "common/repository/sealed_object.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/repository/layout.h"

namespace holdfast {

using repository::v1::ObjectEntry;

absl::Status CheckSealedSize(uint64_t size_bytes, uint64_t expected_size_bytes) {
  if (size_bytes < expected_size_bytes) {
    return absl::DataLossError(
        absl::StrCat("cut short: ", size_bytes, " of ", expected_size_bytes, " bytes"));
  }
  if (size_bytes > expected_size_bytes) {
    return absl::DataLossError(absl::StrCat("bytes appended: ", size_bytes, " bytes, where ",
                                            expected_size_bytes, " were written"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadSealedHeader(BlobStore& blobs, absl::string_view path) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source,
                            blobs.Get(path, 0, kSealedHeaderSizeBytes));
  std::string header;
  for (;;) {
    HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, source->Next());
    if (piece.empty()) return header;
    absl::StrAppend(&header, AsText(piece));
  }
}

absl::Status CheckObjectBeginning(const StoreRepository& store, const ObjectEntry& entry) {
  const std::string path = ObjectPath(store.store_id(), entry.name());
  const absl::StatusOr<BlobInfo> info = store.blobs().Stat(path);
  if (absl::IsNotFound(info.status())) return absl::NotFoundError("missing");
  HOLDFAST_RETURN_IF_ERROR(info.status());
  HOLDFAST_ASSIGN_OR_RETURN(const Id128 key_id, Id128::FromBytes(entry.key_id()));
  HOLDFAST_ASSIGN_OR_RETURN(const SealingKey* const key, store.ContentKey(key_id.bytes()));
  HOLDFAST_ASSIGN_OR_RETURN(const std::string header, ReadSealedHeader(store.blobs(), path));
  Opener opener({.kind = SealedKind::kObject, .path = path}, *key);
  std::string content;
  HOLDFAST_RETURN_IF_ERROR(opener.Update(AsBytes(header), content));
  if (header.size() < kSealedHeaderSizeBytes) return opener.Finish(content);
  HOLDFAST_RETURN_IF_ERROR(CheckSealedSize(info->size_bytes, entry.sealed_size_bytes()));
  HOLDFAST_ASSIGN_OR_RETURN(const SealedHeader parsed, ParseSealedHeader(AsBytes(header)));
  const uint64_t expected_content_size_bytes =
      entry.codec() == ObjectEntry::CODEC_NONE ? entry.content_size_bytes() : kUnknownContentSize;
  if (parsed.content_size_bytes != expected_content_size_bytes) {
    return absl::DataLossError("its header tells another length than the manifest");
  }
  return absl::OkStatus();
}

absl::Status ProveObject(const StoreRepository& store, const ObjectEntry& entry,
                         const Cancellation& cancellation,
                         const std::function<void(uint64_t)>& on_bytes) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, store.ReadObject(entry));
  for (;;) {
    HOLDFAST_RETURN_IF_ERROR(cancellation.status());
    HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, source->Next());
    if (piece.empty()) return absl::OkStatus();
    if (on_bytes) on_bytes(piece.size());
  }
}

SealedObjectSource::SealedObjectSource(const StoreRepository& store, ObjectEntry entry,
                                       Cancellation cancellation,
                                       std::function<void(int64_t)> on_bytes)
    : store_(store),
      entry_(std::move(entry)),
      path_(ObjectPath(store.store_id(), entry_.name())),
      cancellation_(std::move(cancellation)),
      on_bytes_(std::move(on_bytes)) {}

absl::StatusOr<absl::Span<const uint8_t>> SealedObjectSource::Next() {
  if (!failure_.ok()) return failure_;
  absl::StatusOr<absl::Span<const uint8_t>> piece = NextUnexplained();
  if (!piece.ok()) {
    failure_ = Annotate(piece.status(), path_);
    return failure_;
  }
  return piece;
}

absl::Status SealedObjectSource::Rewind() {
  if (on_bytes_ && sealed_bytes_ > 0) on_bytes_(-static_cast<int64_t>(sealed_bytes_));
  sealed_ = nullptr;
  opener_.reset();
  sealed_bytes_ = 0;
  content_bytes_ = 0;
  is_at_end_ = false;
  failure_ = absl::OkStatus();
  return absl::OkStatus();
}

absl::Status SealedObjectSource::Open() {
  HOLDFAST_ASSIGN_OR_RETURN(const Id128 key_id, Id128::FromBytes(entry_.key_id()));
  HOLDFAST_ASSIGN_OR_RETURN(const SealingKey* const key, store_.ContentKey(key_id.bytes()));
  absl::StatusOr<std::unique_ptr<ByteSource>> sealed = store_.blobs().Get(path_);
  if (absl::IsNotFound(sealed.status())) return absl::NotFoundError("missing");
  HOLDFAST_RETURN_IF_ERROR(sealed.status());
  sealed_ = *std::move(sealed);
  opener_.emplace(SealedExpectation{.kind = SealedKind::kObject, .path = path_}, *key);
  return absl::OkStatus();
}

absl::StatusOr<absl::Span<const uint8_t>> SealedObjectSource::NextUnexplained() {
  HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
  if (is_at_end_) return absl::Span<const uint8_t>();
  if (sealed_ == nullptr) HOLDFAST_RETURN_IF_ERROR(Open());
  HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, sealed_->Next());
  content_.clear();
  HOLDFAST_RETURN_IF_ERROR(piece.empty() ? opener_->Finish(content_)
                                         : opener_->Update(piece, content_));
  sealed_bytes_ += piece.size();
  content_bytes_ += content_.size();
  if (!piece.empty()) {
    if (sealed_bytes_ > entry_.sealed_size_bytes()) {
      return CheckSealedSize(sealed_bytes_, entry_.sealed_size_bytes());
    }
    if (on_bytes_) on_bytes_(static_cast<int64_t>(piece.size()));
    return piece;
  }
  HOLDFAST_RETURN_IF_ERROR(CheckSealedSize(sealed_bytes_, entry_.sealed_size_bytes()));
  if (entry_.codec() == ObjectEntry::CODEC_NONE && content_bytes_ != entry_.content_size_bytes()) {
    return absl::DataLossError(
        absl::StrCat("it holds ", content_bytes_, " bytes, not ", entry_.content_size_bytes()));
  }
  is_at_end_ = true;
  return absl::Span<const uint8_t>();
}

namespace {

ObjectTransfer WriteObject(const StoreRepository& from, StoreRepository& to,
                           const ObjectEntry& entry, bool replaces,
                           const Cancellation& cancellation,
                           const std::function<void(int64_t)>& on_bytes) {
  const std::string path = ObjectPath(to.store_id(), entry.name());
  SealedObjectSource source(from, entry, cancellation, on_bytes);
  const absl::Status written =
      replaces ? to.blobs().Replace(path, source) : to.blobs().Put(path, source);
  ObjectTransfer transfer;
  transfer.source = source.failure();
  if (!transfer.source.ok()) return transfer;
  transfer.target = Annotate(written, path);
  if (!transfer.target.ok()) return transfer;
  const absl::StatusOr<BlobInfo> info = to.blobs().Stat(path);
  transfer.target = Annotate(info.status(), path);
  if (!info.ok()) return transfer;
  transfer.write_time = info->write_time;
  if (info->size_bytes != entry.sealed_size_bytes()) {
    transfer.target = absl::DataLossError(absl::StrCat(
        path, ": it has ", info->size_bytes, " bytes, where ", entry.sealed_size_bytes(),
        " were written: do not trust this destination before it was examined"));
  }
  return transfer;
}

}  // namespace

ObjectTransfer CopyObject(const StoreRepository& from, StoreRepository& to,
                          const ObjectEntry& entry, const Cancellation& cancellation,
                          const std::function<void(int64_t)>& on_bytes) {
  return WriteObject(from, to, entry, /*replaces=*/false, cancellation, on_bytes);
}

ObjectTransfer ReplaceObject(const StoreRepository& from, StoreRepository& to,
                             const ObjectEntry& entry, const Cancellation& cancellation,
                             const std::function<void(int64_t)>& on_bytes) {
  ObjectTransfer transfer;
  transfer.source = ProveObject(from, entry, cancellation);
  if (!transfer.source.ok()) return transfer;
  transfer = WriteObject(from, to, entry, /*replaces=*/true, cancellation, on_bytes);
  if (transfer.ok()) transfer.target = ProveObject(to, entry, cancellation);
  return transfer;
}

}  // namespace holdfast
