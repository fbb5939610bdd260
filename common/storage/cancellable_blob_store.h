#ifndef HOLDFAST_COMMON_STORAGE_CANCELLABLE_BLOB_STORE_H_
#define HOLDFAST_COMMON_STORAGE_CANCELLABLE_BLOB_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/cancellation.h"
#include "common/storage/blob_store.h"

namespace holdfast {

// A CancellableBlobStore is a store for one job: once the job is cancelled, every call, and every
// source that it gave or was given, fails with the reason. A call that the medium does not answer
// still blocks: it is between pieces that a cancellation is seen.
//
// Thread-safe. Does not take ownership; `inner` must outlive this and the sources that it gave.
class CancellableBlobStore : public BlobStore {
 public:
  CancellableBlobStore(BlobStore& inner, Cancellation cancellation)
      : inner_(inner), cancellation_(std::move(cancellation)) {}

  absl::Status Put(absl::string_view name, ByteSource& source) override;
  absl::Status Replace(absl::string_view name, ByteSource& source) override;
  absl::StatusOr<std::unique_ptr<ByteSource>> Get(absl::string_view name, uint64_t offset,
                                                  uint64_t length_max) override;
  absl::StatusOr<BlobInfo> Stat(absl::string_view name) override;
  absl::Status List(absl::string_view prefix,
                    const std::function<absl::Status(const BlobInfo&)>& visit) override;
  absl::StatusOr<std::vector<std::string>> ListFolders(absl::string_view prefix) override;
  absl::Status Delete(absl::string_view name) override;
  absl::StatusOr<uint64_t> RemoveLeftovers(absl::string_view prefix, absl::Time before) override;
  std::string Describe() const override { return inner_.Describe(); }
  PlaceWarning Warning() const override { return inner_.Warning(); }

 private:
  BlobStore& inner_;
  const Cancellation cancellation_;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_STORAGE_CANCELLABLE_BLOB_STORE_H_
