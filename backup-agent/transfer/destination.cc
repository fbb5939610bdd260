#include "backup-agent/transfer/destination.h"

#include "absl/strings/str_cat.h"
#include "backup-agent/transfer/transfer_limits.h"
#include "common/base/status_macros.h"
#include "common/storage/cancellable_blob_store.h"

namespace holdfast {

namespace {

// How a destination begins anew, or is another one from now on. Under its old name it would be
// taken for the one that it was.
std::string HowToBeginAnew(absl::string_view url) {
  return absl::StrCat(
      "`holdfast settings set --remove-destination NAME --add-destination NEW_NAME=", url, "`");
}

}  // namespace

absl::StatusOr<std::shared_ptr<OpenDestination>> OpenRepositoryAt(const OpenRequest& request) {
  auto open = std::make_shared<OpenDestination>();
  absl::StatusOr<std::unique_ptr<BlobStore>> blobs = request.open_blob_store(request.url);
  if (absl::IsNotFound(blobs.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat(request.url,
                     " does not exist: the share seems not to be mounted. Mount it; or, if it is "
                     "to begin anew, make "
                     "the directory, and say ",
                     HowToBeginAnew(request.url)));
  }
  HOLDFAST_RETURN_IF_ERROR(blobs.status());
  open->place = *std::move(blobs);
  open->blobs = std::make_unique<CancellableBlobStore>(*open->place, request.cancellation);
  absl::StatusOr<Repository> repository = Repository::Open(*open->blobs);
  if (absl::IsNotFound(repository.status())) {
    return absl::FailedPreconditionError(absl::StrCat(
        "there is no ", kRepositoryFileName, " at ", open->blobs->Describe(),
        ": the share seems not to be mounted. Mount it; or, if it is to begin anew, say ",
        HowToBeginAnew(request.url)));
  }
  HOLDFAST_RETURN_IF_ERROR(repository.status());
  const std::string repository_id = repository->repository_id().ToText();
  if (!request.pinned_repository_id.empty() && request.pinned_repository_id != repository_id) {
    return absl::FailedPreconditionError(
        absl::StrCat("another repository is at ", open->blobs->Describe(), ": ", repository_id,
                     " in place of ", request.pinned_repository_id,
                     ". Mount the right share; or, if this one is to be used from now on, say ",
                     HowToBeginAnew(request.url)));
  }
  open->repository.emplace(*std::move(repository));
  absl::StatusOr<std::unique_ptr<StoreRepository>> store =
      open->repository->OpenStore(request.store_id, *request.master_key);
  open->store_status = store.status();
  if (store.ok()) {
    open->store = *std::move(store);
  } else if (!absl::IsNotFound(store.status()) && !absl::IsDataLoss(store.status())) {
    return store.status();
  }
  return open;
}

Destination::Destination(const v1::Destination& config, int index, const Cancellation& run,
                         Clock& clock, std::function<void(Destination&)> on_left)
    : config_(config),
      index_(index),
      clock_(clock),
      on_left_(std::move(on_left)),
      run_(run),
      gone_(run),
      pool_(config.url(), kFilesAtOnce) {}

Destination::~Destination() = default;

absl::Status Destination::failure() const {
  MutexLock lock(&mutex_);
  return failure_;
}

void Destination::Leave(const absl::Status& reason) {
  {
    MutexLock lock(&mutex_);
    if (!failure_.ok() || run_.IsCancelled()) return;
    failure_ = reason;
  }
  gone_.Cancel(reason);
  if (on_left_) on_left_(*this);
}

absl::Status Destination::WhyGone() const {
  // Those who come second know it before the cancellation does.
  const absl::Status left = failure();
  if (!left.ok()) return left;
  const absl::Status gone = gone_.token().status();
  return gone.ok() ? run_.status() : gone;
}

void Destination::Shutdown(MonotonicTime deadline) {
  pool_.Shutdown(clock_, is_stuck_ ? MonotonicTime() : deadline);
}

}  // namespace holdfast
