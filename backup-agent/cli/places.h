#ifndef HOLDFAST_BACKUP_AGENT_CLI_PLACES_H_
#define HOLDFAST_BACKUP_AGENT_CLI_PLACES_H_

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/storage/blob_store.h"
#include "common/storage/open_blob_store.h"

namespace holdfast {

// How long a command waits for a place that says nothing: longer than the agent does for anything
// (transfer_limits.h), as nobody else waits for the command, and whoever does can end it.
inline constexpr absl::Duration kPlaceSilenceMax = absl::Minutes(3);

// How commands get at the places that URLs name; unless set, in this process, which a place that
// never answers holds up for ever.
struct Places {
  // As OpenBlobStore.
  std::function<absl::StatusOr<std::unique_ptr<BlobStore>>(absl::string_view url,
                                                           const Cancellation& cancellation)>
      open = OpenBlobStore;
  // As MakeBlobStoreFolder.
  std::function<absl::StatusOr<bool>(absl::string_view url, const Cancellation& cancellation)>
      make_folder = MakeBlobStoreFolder;
};

// Directories are worked on by processes of their own (host_process.h). A call that such a place
// does not answer for kPlaceSilenceMax ends with DEADLINE_EXCEEDED; a cancellation ends it at once.
Places PlacesInHosts();

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_CLI_PLACES_H_
