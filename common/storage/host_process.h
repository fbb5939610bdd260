#ifndef HOLDFAST_COMMON_STORAGE_HOST_PROCESS_H_
#define HOLDFAST_COMMON_STORAGE_HOST_PROCESS_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/storage/blob_store.h"
#include "common/storage/host_protocol.h"

namespace holdfast {

// As OpenBlobStore, but works on a directory in a process of its own (HostedBlobStore says why):
// the program holdfast-host, which lies beside this one. The process ends with the store, or with
// this process; where it is stuck in a call then, after that. Its calls end when `patience` does.
absl::StatusOr<std::unique_ptr<BlobStore>> OpenBlobStoreInHost(
    absl::string_view url, const host::Patience& patience = host::Patience());

// As MakeBlobStoreFolder, in the same way.
absl::StatusOr<bool> MakeBlobStoreFolderInHost(absl::string_view url,
                                               const host::Patience& patience = host::Patience());

// Finds the program of the hosts now, and not when the first is started: a service goes on with the
// one that it was installed with, whatever an update puts in its place. NOT_FOUND where there is
// none.
absl::Status FindHostProgram();

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_STORAGE_HOST_PROCESS_H_
