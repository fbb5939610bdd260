#include "backup-agent/cli/places.h"

#include "common/storage/host_process.h"

namespace holdfast {

Places PlacesInHosts() {
  return {.open =
              [](absl::string_view url, const Cancellation& cancellation) {
                return OpenBlobStoreInHost(
                    url, {.silence_max = kPlaceSilenceMax, .cancellation = cancellation});
              },
          .make_folder =
              [](absl::string_view url, const Cancellation& cancellation) {
                return MakeBlobStoreFolderInHost(
                    url, {.silence_max = kPlaceSilenceMax, .cancellation = cancellation});
              }};
}

}  // namespace holdfast
