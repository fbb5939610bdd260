#ifndef HOLDFAST_COMMON_STORAGE_LOCAL_BLOB_STORE_H_
#define HOLDFAST_COMMON_STORAGE_LOCAL_BLOB_STORE_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/mutex.h"
#include "common/io/durable_file.h"
#include "common/io/fd.h"
#include "common/storage/blob_store.h"
#include "common/storage/write_cache.h"

namespace holdfast {

// A LocalBlobStore keeps blobs as files in a directory, or on a share that is mounted there.
//
//   HOLDFAST_ASSIGN_OR_RETURN(auto store, LocalBlobStore::Open("/mnt/backup"));
//
// Open it for a job, not for months: it holds on to the file system that it was opened on. When
// that is unmounted, or mounted anew, every call fails with UNAVAILABLE. What was under way ends on
// the file system that it began on: nothing is ever written to what shows at the mount point
// instead.
//
// Thread-safe. Any number of processes may use one directory; of several that put the same name one
// wins (on file systems that can neither rename without replacing nor link, the last may: names are
// chosen at random).
//
// Errors beyond those of BlobStore: those of StatusFromErrno, with the path.
//
// How: a name is the file's path below the directory. Files are written by DurableFile, folders are
// made when their first file comes, and each is durable in its parent before anything in it counts.
// Whatever changes something does so by a descriptor of the directory, which no mount can move.
// Links are never followed below the directory; files that are neither regular nor folders, names
// that are not a blob's, and temporary files are not seen.
class LocalBlobStore : public BlobStore {
 public:
  // `directory` is absolute. NOT_FOUND where it does not exist: it is never made, for a share that
  // is not mounted looks just like that. FAILED_PRECONDITION where it is no directory.
  static absl::StatusOr<std::unique_ptr<LocalBlobStore>> Open(const std::string& directory);

  // Makes the directory, but not what it lies in; whether it was not there yet. NOT_FOUND where
  // that is missing.
  static absl::StatusOr<bool> MakeDirectory(const std::string& directory);

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
  PlaceWarning Warning() const override { return warning_; }

 private:
  LocalBlobStore(std::string root, UniqueFd root_fd, dev_t device)
      : root_(std::move(root)),
        root_fd_(std::move(root_fd)),
        device_(device),
        warning_(WriteCacheWarning(device)) {}

  std::string PathOf(absl::string_view name) const;

  // Opens a folder of the file system that this was opened on; NOT_FOUND where there is none.
  absl::StatusOr<UniqueFd> OpenFolder(absl::string_view folder) const;

  // UNAVAILABLE unless root_ is there and on the file system that it was opened on.
  absl::Status CheckRoot() const;

  // CheckRoot, and whether `folder` and all that it lies in are folders and no links: NOT_FOUND or
  // FAILED_PRECONDITION otherwise.
  absl::Status CheckFolder(absl::string_view folder) const;

  // Calls `visit` for every regular file in and below a folder, blob or not, by its name from
  // root_. Folders that no blob can lie in are passed over.
  absl::Status WalkFiles(absl::string_view prefix,
                         absl::FunctionRef<absl::Status(const std::string& name)> visit) const;

  // Writes the file of a blob; `existing` as in DurableFile.
  absl::Status WriteBlob(absl::string_view name, ByteSource& source,
                         DurableFile::Existing existing);

  // Makes the folders that `name` lies in, durably.
  absl::Status MakeFolders(absl::string_view name);
  absl::Status MakeFolder(absl::string_view folder);

  void ForgetFolders();

  const std::string root_;
  const UniqueFd root_fd_;  // for use as a starting point only: O_PATH
  const dev_t device_;
  const PlaceWarning warning_;

  Mutex mutex_;
  // Folders that this has seen to be durable in their parents. Bounded: emptied when it is full.
  absl::flat_hash_set<std::string> durable_folders_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_STORAGE_LOCAL_BLOB_STORE_H_
