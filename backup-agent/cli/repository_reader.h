#ifndef HOLDFAST_BACKUP_AGENT_CLI_REPOSITORY_READER_H_
#define HOLDFAST_BACKUP_AGENT_CLI_REPOSITORY_READER_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "backup-agent/cli/command.h"
#include "common/crypto/master_key.h"
#include "common/repository/repository.h"
#include "common/storage/blob_store.h"
#include "common/storage/cancellable_blob_store.h"

namespace holdfast {

// A place that blobs are at, opened for one command: once it is cancelled, nothing more is read.
struct OpenedPlace {
  std::unique_ptr<BlobStore> inner;
  std::unique_ptr<CancellableBlobStore> blobs;
};
absl::StatusOr<OpenedPlace> OpenPlace(const std::string& url, const CommandContext& context);

// The backups of one store at one destination, read without any service.
//
// Thread-safe.
class RepositoryReader {
 public:
  // `store_id` may be absent where the repository has one store. Errors: those of OpenPlace,
  // Repository::Open, SelectStore and Repository::OpenStore.
  static absl::StatusOr<std::unique_ptr<RepositoryReader>> Open(
      const std::string& url, const std::optional<StoreId>& store_id, const MasterKey& master_key,
      const CommandContext& context);

  StoreRepository& store() { return *store_; }

 private:
  RepositoryReader(OpenedPlace place, std::unique_ptr<StoreRepository> store)
      : place_(std::move(place)), store_(std::move(store)) {}

  const OpenedPlace place_;
  const std::unique_ptr<StoreRepository> store_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_CLI_REPOSITORY_READER_H_
