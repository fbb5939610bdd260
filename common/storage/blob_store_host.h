#ifndef HOLDFAST_COMMON_STORAGE_BLOB_STORE_HOST_H_
#define HOLDFAST_COMMON_STORAGE_BLOB_STORE_HOST_H_

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/io/fd.h"
#include "common/storage/blob_store.h"

namespace holdfast {

// Serves the store that `open` opens to the HostedBlobStore at the other end of `control`, each of
// its channels on a thread. Returns when that end is closed, or its process gone, and what was
// under way has ended; a call that the medium does not answer holds that up. By `clock` a listing
// shows that it goes on.
void ServeBlobStore(UniqueFd control,
                    const std::function<absl::StatusOr<std::unique_ptr<BlobStore>>()>& open,
                    Clock& clock = SystemClock());

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_STORAGE_BLOB_STORE_HOST_H_
