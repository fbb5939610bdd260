#include "common/storage/cancellable_blob_store.h"

#include "common/base/status_macros.h"

namespace holdfast {

namespace {

// Fails once the job is cancelled. Owns its source where it is given one to
// own.
class CancellableSource : public ByteSource {
 public:
  CancellableSource(ByteSource& source, const Cancellation& cancellation)
      : source_(source), cancellation_(cancellation) {}
  CancellableSource(std::unique_ptr<ByteSource> source, const Cancellation& cancellation)
      : owned_(std::move(source)), source_(*owned_), cancellation_(cancellation) {}

  absl::StatusOr<absl::Span<const uint8_t>> Next() override {
    HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
    return source_.Next();
  }

  absl::Status Rewind() override { return source_.Rewind(); }

 private:
  const std::unique_ptr<ByteSource> owned_;
  ByteSource& source_;
  const Cancellation cancellation_;
};

}  // namespace

absl::Status CancellableBlobStore::Put(absl::string_view name, ByteSource& source) {
  HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
  CancellableSource cancellable(source, cancellation_);
  return inner_.Put(name, cancellable);
}

absl::Status CancellableBlobStore::Replace(absl::string_view name, ByteSource& source) {
  HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
  CancellableSource cancellable(source, cancellation_);
  return inner_.Replace(name, cancellable);
}

absl::StatusOr<std::unique_ptr<ByteSource>> CancellableBlobStore::Get(absl::string_view name,
                                                                      uint64_t offset,
                                                                      uint64_t length_max) {
  HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
  HOLDFAST_ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> source,
                            inner_.Get(name, offset, length_max));
  return std::make_unique<CancellableSource>(std::move(source), cancellation_);
}

absl::StatusOr<BlobInfo> CancellableBlobStore::Stat(absl::string_view name) {
  HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
  return inner_.Stat(name);
}

absl::Status CancellableBlobStore::List(absl::string_view prefix,
                                        const std::function<absl::Status(const BlobInfo&)>& visit) {
  HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
  return inner_.List(prefix, [&](const BlobInfo& info) -> absl::Status {
    HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
    return visit(info);
  });
}

absl::StatusOr<std::vector<std::string>> CancellableBlobStore::ListFolders(
    absl::string_view prefix) {
  HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
  return inner_.ListFolders(prefix);
}

absl::Status CancellableBlobStore::Delete(absl::string_view name) {
  HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
  return inner_.Delete(name);
}

absl::StatusOr<uint64_t> CancellableBlobStore::RemoveLeftovers(absl::string_view prefix,
                                                               absl::Time before) {
  HOLDFAST_RETURN_IF_ERROR(cancellation_.status());
  return inner_.RemoveLeftovers(prefix, before);
}

}  // namespace holdfast
