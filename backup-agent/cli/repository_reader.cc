#include "backup-agent/cli/repository_reader.h"

#include "backup-agent/restore/restorer.h"
#include "common/base/status_macros.h"

namespace holdfast {

absl::StatusOr<OpenedPlace> OpenPlace(const std::string& url, const CommandContext& context) {
  OpenedPlace place;
  HOLDFAST_ASSIGN_OR_RETURN(place.inner, context.places.open(url, context.cancellation));
  place.blobs = std::make_unique<CancellableBlobStore>(*place.inner, context.cancellation);
  return place;
}

absl::StatusOr<std::unique_ptr<RepositoryReader>> RepositoryReader::Open(
    const std::string& url, const std::optional<StoreId>& store_id, const MasterKey& master_key,
    const CommandContext& context) {
  HOLDFAST_ASSIGN_OR_RETURN(OpenedPlace place, OpenPlace(url, context));
  HOLDFAST_ASSIGN_OR_RETURN(const Repository repository, Repository::Open(*place.blobs));
  HOLDFAST_ASSIGN_OR_RETURN(const StoreId selected, SelectStore(repository, store_id));
  HOLDFAST_ASSIGN_OR_RETURN(std::unique_ptr<StoreRepository> store,
                            repository.OpenStore(selected, master_key));
  return std::unique_ptr<RepositoryReader>(
      new RepositoryReader(std::move(place), std::move(store)));
}

}  // namespace holdfast
