#ifndef HOLDFAST_BACKUP_AGENT_TRANSFER_AWAITED_BLOB_STORE_H_
#define HOLDFAST_BACKUP_AGENT_TRANSFER_AWAITED_BLOB_STORE_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backup-agent/transfer/destination.h"
#include "backup-agent/transfer/pending.h"
#include "common/storage/blob_store.h"

namespace holdfast {

// An AwaitedBlobStore reads a place for a thread that is not of that place's destination, such as
// one that mends another destination: each call runs on a thread of the destination's own. Where
// that does not answer, the destination leaves, and this call and all later ones fail with why; the
// thread that called is free, and its own place is not blamed.
//
//   HOLDFAST_ASSIGN_OR_RETURN(auto blobs, AwaitedBlobStore::Open(destination, opener, calls));
//
// Thread-safe. Shares the destination, whose threads share the place.
//
// Errors: UNAVAILABLE where the place is unresponsive; UNIMPLEMENTED of what writes.
class AwaitedBlobStore : public BlobStore {
 public:
  // Opens the place of the destination. `calls` goes up whenever a call begins or ends.
  static absl::StatusOr<std::unique_ptr<BlobStore>> Open(std::shared_ptr<Destination> destination,
                                                         const BlobStoreOpener& open_blob_store,
                                                         ProgressCounter calls);

  ~AwaitedBlobStore() override;

  absl::Status Put(absl::string_view name, ByteSource& source) override;
  absl::StatusOr<std::unique_ptr<ByteSource>> Get(absl::string_view name, uint64_t offset,
                                                  uint64_t length_max) override;
  absl::StatusOr<BlobInfo> Stat(absl::string_view name) override;
  absl::Status List(absl::string_view prefix,
                    const std::function<absl::Status(const BlobInfo&)>& visit) override;
  absl::StatusOr<std::vector<std::string>> ListFolders(absl::string_view prefix) override;
  absl::Status Delete(absl::string_view name) override;
  std::string Describe() const override { return description_; }

 private:
  class Source;

  AwaitedBlobStore(std::shared_ptr<Destination> destination, std::shared_ptr<BlobStore> place,
                   ProgressCounter calls)
      : destination_(std::move(destination)),
        place_(std::move(place)),
        calls_(std::move(calls)),
        description_(place_->Describe()) {}

  const std::shared_ptr<Destination> destination_;
  std::shared_ptr<BlobStore> place_;
  const ProgressCounter calls_;
  const std::string description_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_TRANSFER_AWAITED_BLOB_STORE_H_
