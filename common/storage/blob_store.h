#ifndef HOLDFAST_COMMON_STORAGE_BLOB_STORE_H_
#define HOLDFAST_COMMON_STORAGE_BLOB_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace holdfast {

// Yields the bytes of a blob, in order, piece by piece.
//
// Not thread-safe; used by one thread at a time.
class ByteSource {
 public:
  virtual ~ByteSource() = default;

  // The next piece; empty at the end. The bytes stay valid until the next call. An error ends the
  // source: whoever consumes it passes the error on.
  virtual absl::StatusOr<absl::Span<const uint8_t>> Next() = 0;

  // Makes Next begin again with the first piece, so that what consumed only a part of it can be
  // tried again. UNIMPLEMENTED where the bytes come from where they can be had only once.
  virtual absl::Status Rewind();
};

// Yields bytes that are in memory. Does not take ownership; they must outlive it.
class MemorySource : public ByteSource {
 public:
  explicit MemorySource(absl::Span<const uint8_t> bytes) : bytes_(bytes), rest_(bytes) {}
  explicit MemorySource(absl::string_view bytes)
      : MemorySource(absl::Span<const uint8_t>(reinterpret_cast<const uint8_t*>(bytes.data()),
                                               bytes.size())) {}

  absl::StatusOr<absl::Span<const uint8_t>> Next() override;
  absl::Status Rewind() override;

 private:
  const absl::Span<const uint8_t> bytes_;
  absl::Span<const uint8_t> rest_;
};

// What a listing tells about a blob.
struct BlobInfo {
  std::string name;
  uint64_t size_bytes = 0;
  // When it was written there, by the clock of the place; InfinitePast where the place does not
  // tell. Prune goes by what Stat says (FORMAT.md, "Deleting"): a place that can tell does. A
  // listing leaves it out where it would cost a call for each blob.
  absl::Time write_time = absl::InfinitePast();
};

// What somebody should know of the place where blobs are kept, although it works.
struct PlaceWarning {
  // What it is and what to do; empty where nothing is known against the place.
  std::string text;
  // Whether the place is known to break the promise of Put; else that can't be told.
  bool is_unsafe = false;
};

// A BlobStore keeps immutable blobs under slash-separated names. It is the only thing the
// repository knows about where bytes live.
//
// A name has 1 to 1,024 bytes of a-z A-Z 0-9 . _ - in parts of at most 255 bytes joined by '/'; no
// part is empty, "." or "..", or begins with ".tmp-". Names that others put there and that are none
// of these are not seen. A name is never both a blob and the folder of others.
//
// A blob becomes visible whole or not at all, and is never modified afterwards.
//
// Thread-safe. Methods may block for as long as the medium does; never call one from a gRPC
// reaction.
//
// Errors, unless a method says otherwise:
//   NOT_FOUND            no blob of that name
//   INVALID_ARGUMENT     not a name as above
//   RESOURCE_EXHAUSTED   no space or quota left; trying again will not help soon
//   PERMISSION_DENIED    not allowed, or read-only
//   UNAVAILABLE          transient, or the whole place is gone (a share that is not mounted); the
//                        retrying decorator retries exactly this code
//   DATA_LOSS            something that can be no blob is in its place, such as a link
//   FAILED_PRECONDITION  a folder has that name, or something that is no folder one of a folder
//   above CANCELLED            the caller gave up; nothing further is modified
class BlobStore {
 public:
  virtual ~BlobStore() = default;

  // Stores all that `source` yields as `name`, durably: once this returns OK the blob survives a
  // power loss. On an error no blob of that name is visible. ALREADY_EXISTS where there is one,
  // which stays as it is. An error of `source` is returned as it is.
  virtual absl::Status Put(absl::string_view name, ByteSource& source) = 0;

  // The same, in the place of a blob of that name, if there is one: for who repairs (FORMAT.md,
  // "Copying and repairing"), and nobody else, as no blob is ever modified. Where the place can do
  // it, whoever reads meanwhile finds the old blob or the new one; where it can't, and unless this
  // is overridden, the old one is deleted first: cut in between, there is none. On an error of
  // `source`, where it can, the old one is still there.
  virtual absl::Status Replace(absl::string_view name, ByteSource& source);

  // Yields the blob from `offset` to its end, or at most `length_max` bytes of it. OUT_OF_RANGE
  // where `offset` lies beyond the end. The source must not outlive the store.
  virtual absl::StatusOr<std::unique_ptr<ByteSource>> Get(absl::string_view name, uint64_t offset,
                                                          uint64_t length_max) = 0;
  // All of it.
  absl::StatusOr<std::unique_ptr<ByteSource>> Get(absl::string_view name) {
    return Get(name, 0, UINT64_MAX);
  }

  // What is known of one blob.
  virtual absl::StatusOr<BlobInfo> Stat(absl::string_view name) = 0;

  // Calls `visit` for every blob below the folder `prefix` ("" for all; "stores/<id>/objects"), at
  // any depth, in no particular order. Blobs written or deleted meanwhile may or may not be among
  // them. A folder that isn't there is an empty one. Stops at, and returns, the first error of
  // `visit`.
  virtual absl::Status List(absl::string_view prefix,
                            const std::function<absl::Status(const BlobInfo&)>& visit) = 0;

  // The names of the folders directly in `prefix`, sorted.
  virtual absl::StatusOr<std::vector<std::string>> ListFolders(absl::string_view prefix) = 0;

  // Removes the blob, durably.
  virtual absl::Status Delete(absl::string_view name) = 0;

  // Removes what writers that were killed left behind below a folder and nobody has touched since
  // `before`, by the clock of the place: files of exactly the names that they give. Returns how
  // many; none where a place has no such things.
  virtual absl::StatusOr<uint64_t> RemoveLeftovers(absl::string_view prefix, absl::Time before);

  // Where this is, for messages: "file:///mnt/backup".
  virtual std::string Describe() const = 0;

  // What is known against it. Never blocks.
  virtual PlaceWarning Warning() const { return {}; }
};

// Reads a blob of at most `size_max_bytes` whole. DATA_LOSS where it is larger.
absl::StatusOr<std::string> ReadBlob(BlobStore& store, absl::string_view name,
                                     uint64_t size_max_bytes);

// INVALID_ARGUMENT unless `name` is one that a BlobStore takes.
absl::Status CheckBlobName(absl::string_view name);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_STORAGE_BLOB_STORE_H_
