#ifndef HOLDFAST_TESTS_TESTING_HOOKED_BLOB_STORE_H_
#define HOLDFAST_TESTS_TESTING_HOOKED_BLOB_STORE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/storage/blob_store.h"

namespace holdfast {

// What a call does to a place, for the hooks of HookedBlobStore.
enum class BlobCall { kPut, kGet, kStat, kList, kDelete };

// Called before every call into a place; an error is returned in place of it. It may block.
using BlobHook = std::function<absl::Status(BlobCall call, const std::string& name)>;

// A BlobStore with a hook before every call. Owns what it stands on.
//
// Thread-safe if the hook is.
class HookedBlobStore : public BlobStore {
 public:
  HookedBlobStore(std::unique_ptr<BlobStore> inner, BlobHook hook);

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

 private:
  absl::Status Call(BlobCall call, absl::string_view name);

  const std::unique_ptr<BlobStore> inner_;
  const BlobHook hook_;
};

}  // namespace holdfast

#endif  // HOLDFAST_TESTS_TESTING_HOOKED_BLOB_STORE_H_
