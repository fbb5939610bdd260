#include "tests/testing/hooked_blob_store.h"

#include <utility>

#include "common/base/status_macros.h"

namespace holdfast {

HookedBlobStore::HookedBlobStore(std::unique_ptr<BlobStore> inner, BlobHook hook)
    : inner_(std::move(inner)), hook_(std::move(hook)) {}

absl::Status HookedBlobStore::Call(BlobCall call, absl::string_view name) {
  return hook_ ? hook_(call, std::string(name)) : absl::OkStatus();
}

absl::Status HookedBlobStore::Put(absl::string_view name, ByteSource& source) {
  HOLDFAST_RETURN_IF_ERROR(Call(BlobCall::kPut, name));
  return inner_->Put(name, source);
}

absl::Status HookedBlobStore::Replace(absl::string_view name, ByteSource& source) {
  HOLDFAST_RETURN_IF_ERROR(Call(BlobCall::kPut, name));
  return inner_->Replace(name, source);
}

absl::StatusOr<std::unique_ptr<ByteSource>> HookedBlobStore::Get(absl::string_view name,
                                                                 uint64_t offset,
                                                                 uint64_t length_max) {
  HOLDFAST_RETURN_IF_ERROR(Call(BlobCall::kGet, name));
  return inner_->Get(name, offset, length_max);
}

absl::StatusOr<BlobInfo> HookedBlobStore::Stat(absl::string_view name) {
  HOLDFAST_RETURN_IF_ERROR(Call(BlobCall::kStat, name));
  return inner_->Stat(name);
}

absl::Status HookedBlobStore::List(absl::string_view prefix,
                                   const std::function<absl::Status(const BlobInfo&)>& visit) {
  HOLDFAST_RETURN_IF_ERROR(Call(BlobCall::kList, prefix));
  return inner_->List(prefix, visit);
}

absl::StatusOr<std::vector<std::string>> HookedBlobStore::ListFolders(absl::string_view prefix) {
  HOLDFAST_RETURN_IF_ERROR(Call(BlobCall::kList, prefix));
  return inner_->ListFolders(prefix);
}

absl::Status HookedBlobStore::Delete(absl::string_view name) {
  HOLDFAST_RETURN_IF_ERROR(Call(BlobCall::kDelete, name));
  return inner_->Delete(name);
}

absl::StatusOr<uint64_t> HookedBlobStore::RemoveLeftovers(absl::string_view prefix,
                                                          absl::Time before) {
  return inner_->RemoveLeftovers(prefix, before);
}

std::string HookedBlobStore::Describe() const { return inner_->Describe(); }

}  // namespace holdfast
