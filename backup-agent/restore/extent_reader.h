#ifndef HOLDFAST_BACKUP_AGENT_RESTORE_EXTENT_READER_H_
#define HOLDFAST_BACKUP_AGENT_RESTORE_EXTENT_READER_H_

#include <cstdint>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/repository/repository.h"
#include "common/storage/blob_store.h"
#include "holdfast/repository/v1/repository.pb.h"

namespace holdfast {

// ExtentReader reads ranges of objects. Ranges of one object that are asked for in ascending order
// cost one pass over it, from its beginning; any other order is right too, but reads again.
//
// Not thread-safe. Does not take ownership; `store` and `files` must outlive it.
//
// Errors: those of StoreRepository::ReadObject.
class ExtentReader {
 public:
  ExtentReader(const StoreRepository& store, const repository::v1::FileList& files)
      : store_(store), files_(files) {}
  ExtentReader(const ExtentReader&) = delete;
  ExtentReader& operator=(const ExtentReader&) = delete;

  // Calls `consume` with the bytes of the range, piece by piece. Returns its first error.
  // REQUIRES: the range lies within its object (OpenManifest checks it).
  absl::Status Read(const repository::v1::Extent& extent,
                    absl::FunctionRef<absl::Status(absl::Span<const uint8_t>)> consume);

  // Ends with the object that is being read: where all of its content was read, what its file holds
  // behind it is proven too.
  absl::Status Finish();

 private:
  absl::Status Open(uint32_t object_index);
  // Makes rest_ not empty. DATA_LOSS where the object has ended.
  absl::Status FillRest();

  const StoreRepository& store_;
  const repository::v1::FileList& files_;
  std::unique_ptr<ByteSource> source_;  // null: none is being read
  uint32_t object_index_ = 0;
  uint64_t position_ = 0;           // in the content of the object, of rest_'s first byte
  absl::Span<const uint8_t> rest_;  // read, but not yet asked for
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_RESTORE_EXTENT_READER_H_
