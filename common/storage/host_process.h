#ifndef HOLDFAST_COMMON_STORAGE_HOST_PROCESS_H_
#define HOLDFAST_COMMON_STORAGE_HOST_PROCESS_H_

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/storage/blob_store.h"
#include "common/storage/host_protocol.h"

namespace holdfast {

// As OpenBlobStore, but works on a directory in a process of its own (HostedBlobStore says why),
// which is this program once more: its main calls RunHostIfAsked before anything else. The process
// ends with the store, or with this process; where it is stuck in a call then, after that.
// Its calls end when `patience` does.
absl::StatusOr<std::unique_ptr<BlobStore>> OpenBlobStoreInHost(
    absl::string_view url, const host::Patience& patience = host::Patience());

// As MakeBlobStoreFolder, in the same way.
absl::StatusOr<bool> MakeBlobStoreFolderInHost(absl::string_view url,
                                               const host::Patience& patience = host::Patience());

// Whether this process was started to be a host; then it has been one, and this is its exit code.
// REQUIRES: no other threads yet.
std::optional<int> RunHostIfAsked(int argc, const char* const* argv);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_STORAGE_HOST_PROCESS_H_
