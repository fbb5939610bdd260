#ifndef HOLDFAST_COMMON_STORAGE_RCLONE_BLOB_STORE_H_
#define HOLDFAST_COMMON_STORAGE_RCLONE_BLOB_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/storage/blob_store.h"
#include "common/storage/rclone_client.h"
#include "common/storage/rclone_daemon.h"
#include "common/storage/rclone_place.h"

namespace holdfast {

// An RcloneBlobStore keeps blobs at a place that rclone reaches: a folder of an SFTP or SMB server,
// of a WebDAV server, a bucket, and whatever else it knows, without a mount.
//
//   HOLDFAST_ASSIGN_OR_RETURN(const RclonePlace place, RclonePlace::Parse("rclone:nas:backups"));
//   HOLDFAST_ASSIGN_OR_RETURN(auto store, RcloneBlobStore::Open(place));
//
// Open it for a job, not for months.
//
// Thread-safe. Any number of processes may use one place. Of several in this process that put the
// same name one wins; of several processes the last may (names are chosen at random).
//
// Errors beyond those of BlobStore: those of StatusFromRclone, with the place. FAILED_PRECONDITION
// where rclone is not installed or knows no such remote. Every call ends: where a call is not
// answered for 20 s (2 minutes if it lists all below a folder), or a transfer stands still for
// 30 s, with UNAVAILABLE; once `cancellation` is cancelled, at once.
//
// What rclone cannot do, and so this cannot: make a server sync. What is put survives a power loss
// of this machine, and one of the server as far as that syncs by itself. And a place that has no
// folders (a bucket) lets one name be both a blob and the folder of others.
//
// How: commands of an `rclone rcd`, which all stores of the process share (RcloneDaemon). Where the
// place can rename, a blob is uploaded as `.tmp-<random>` beside its name, its length is compared,
// and then it is renamed. Where it can't (S3 and alike) an upload appears whole or not at all by
// itself; there it goes to its name, and what has not the right length is removed.
//
// A place that vanished (a disk of the server is no longer mounted) looks like an empty one, and
// rclone makes every folder that is missing. So this remembers a blob that lies at its top
// (holdfast.json), its *witness*: when a blob is put, and whenever something is not found, the
// witness must have been there in the last second; while there is none, the folder itself.
class RcloneBlobStore : public BlobStore {
 public:
  struct Options {
    // The one that all share, unless set.
    std::shared_ptr<RcloneDaemon> daemon = nullptr;
    // Ends every call.
    Cancellation cancellation = {};
    // How long it counts that the place was seen to be there.
    absl::Duration place_seen_max_age = absl::Seconds(1);
  };

  // NOT_FOUND where there is no such folder or bucket: it is never made here.
  static absl::StatusOr<std::unique_ptr<RcloneBlobStore>> Open(const RclonePlace& place,
                                                               const Options& options);
  static absl::StatusOr<std::unique_ptr<RcloneBlobStore>> Open(const RclonePlace& place) {
    return Open(place, Options());
  }

  // Makes the folder (or bucket) if it is not there, but the one that it lies in is. Returns
  // whether it did. NOT_FOUND where that is not there either.
  static absl::StatusOr<bool> MakeFolder(const RclonePlace& place, const Options& options);

  absl::Status Put(absl::string_view name, ByteSource& source) override;
  absl::StatusOr<std::unique_ptr<ByteSource>> Get(absl::string_view name, uint64_t offset,
                                                  uint64_t length_max) override;
  absl::StatusOr<BlobInfo> Stat(absl::string_view name) override;
  absl::Status List(absl::string_view prefix,
                    const std::function<absl::Status(const BlobInfo&)>& visit) override;
  absl::StatusOr<std::vector<std::string>> ListFolders(absl::string_view prefix) override;
  absl::Status Delete(absl::string_view name) override;
  std::string Describe() const override { return place_.ToUrl(); }

 private:
  class Source;

  // What the backend can do.
  struct Features {
    bool can_rename = false;
    bool can_stream = false;
    bool tells_free_space = false;
    bool has_folders = false;  // also empty ones
    bool tells_times = false;  // when a file was changed
  };

  RcloneBlobStore(const RclonePlace& place, const Options& options);

  absl::Status ReadFeatures();

  // Whether the place is there; and the name of a blob at its top, empty if there is none.
  struct TopView {
    bool exists = false;
    std::string blob_name;
  };
  absl::StatusOr<TopView> LookAtTop() const;

  // UNAVAILABLE unless the place is there, or was seen to be less than place_seen_max_age ago.
  absl::Status CheckPlace();
  // That of CheckPlace, or that the blob is not there.
  absl::Status NotFound(absl::string_view name);

  // Of a blob or a folder, for messages.
  std::string UrlOf(absl::string_view name) const;

  // As Stat and Delete, without CheckPlace and context.
  absl::StatusOr<BlobInfo> StatOnly(absl::string_view name) const;
  absl::Status Remove(absl::string_view name) const;

  // The entries of a folder, or the files at any depth below it. NOT_FOUND where there is no such
  // folder.
  struct Entry {
    std::string name;  // below `fs`
    uint64_t size_bytes = 0;
    bool is_folder = false;
  };
  enum class Depth { kOne, kAll };
  absl::StatusOr<std::vector<Entry>> ListEntries(absl::string_view fs, absl::string_view folder,
                                                 Depth depth) const;
  // What became of a listing that failed: OK where there is no such folder.
  absl::Status ExplainListing(absl::string_view folder, const absl::Status& failure);

  // Uploads under this name, and compares the length. Where that fails nothing of that name is
  // left, as far as the place lets it. `size_bytes`: what the source yielded.
  absl::Status UploadAs(absl::string_view name, ByteSource& source, uint64_t& size_bytes);
  // Finds out why an upload failed where the place says no more than that.
  absl::Status ExplainUpload(absl::string_view name, const absl::Status& failure,
                             uint64_t size_bytes);
  absl::Status Rename(absl::string_view from, absl::string_view to, uint64_t size_bytes);

  const RclonePlace place_;
  const std::string fs_;
  const absl::Duration place_seen_max_age_;
  const RcloneClient client_;
  Clock& clock_ = SystemClock();

  Features features_;  // constant once opened

  Mutex mutex_;
  std::string witness_ ABSL_GUARDED_BY(mutex_);
  MonotonicTime place_seen_time_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_STORAGE_RCLONE_BLOB_STORE_H_
