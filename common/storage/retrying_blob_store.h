#ifndef HOLDFAST_COMMON_STORAGE_RETRYING_BLOB_STORE_H_
#define HOLDFAST_COMMON_STORAGE_RETRYING_BLOB_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/storage/blob_store.h"

namespace holdfast {

// A RetryingBlobStore tries again what failed with UNAVAILABLE, and nothing else, a bounded number
// of times. It is the only layer that does.
//
// What is particular:
//   Put     is tried again where nothing was consumed of the source, or the source can Rewind. An
//           error of the source itself is returned at once.
//   Replace the same.
//   Get     a source that breaks off goes on, by a new Get, at the byte that it had reached.
//   List    goes on with the blobs that were not visited yet: the names of those that were are held
//           in memory. An error of the visitor ends it at once.
//   Delete  a blob that is gone after a try that failed was deleted by that try.
//
// Thread-safe. Owns the store that it stands on; `clock` and `random` must outlive this.
class RetryingBlobStore : public BlobStore {
 public:
  struct Options {
    int attempts_max = 5;  // of each call, the first included; at least 1
    Backoff::Options backoff = {.initial = absl::Milliseconds(200), .max = absl::Seconds(2)};
  };

  RetryingBlobStore(std::unique_ptr<BlobStore> inner, const Options& options, Clock& clock,
                    RandomSource& random);

  absl::Status Put(absl::string_view name, ByteSource& source) override;
  absl::Status Replace(absl::string_view name, ByteSource& source) override;
  absl::StatusOr<std::unique_ptr<ByteSource>> Get(absl::string_view name, uint64_t offset,
                                                  uint64_t length_max) override;
  absl::StatusOr<BlobInfo> Stat(absl::string_view name) override;
  absl::Status List(absl::string_view prefix,
                    const std::function<absl::Status(const BlobInfo&)>& visit) override;
  absl::StatusOr<std::vector<std::string>> ListFolders(absl::string_view prefix) override;
  absl::Status Delete(absl::string_view name) override;
  absl::StatusOr<uint64_t> RemoveLeftovers(absl::string_view prefix, absl::Time before) override;
  std::string Describe() const override;
  PlaceWarning Warning() const override { return inner_->Warning(); }

 private:
  class Source;

  // Calls `attempt` until it returns something else than UNAVAILABLE, or attempts_max times.
  absl::Status Retry(absl::string_view operation, absl::FunctionRef<absl::Status()> attempt);

  const std::unique_ptr<BlobStore> inner_;
  const Options options_;
  Clock& clock_;
  RandomSource& random_;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_STORAGE_RETRYING_BLOB_STORE_H_
