#ifndef HOLDFAST_COMMON_REPOSITORY_SEALED_OBJECT_H_
#define HOLDFAST_COMMON_REPOSITORY_SEALED_OBJECT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/cancellation.h"
#include "common/crypto/sealed_file.h"
#include "common/repository/repository.h"
#include "common/storage/blob_store.h"
#include "holdfast/repository/v1/repository.pb.h"

// Objects as they lie at a destination: whether one is there, whether it is whole, and its bytes
// for who takes them elsewhere. Who wants the content reads it with StoreRepository::ReadObject.

namespace holdfast {

// DATA_LOSS, with the two lengths, unless they are the same.
absl::Status CheckSealedSize(uint64_t size_bytes, uint64_t expected_size_bytes);

// The first bytes of a sealed file, as of ParseSealedHeader; fewer where it has fewer.
absl::StatusOr<std::string> ReadSealedHeader(BlobStore& blobs, absl::string_view path);

// Whether the object is there, with the right length and the right header; reads nothing else.
// NOT_FOUND where it is missing; the errors of sealed files, and DATA_LOSS where it is not what
// `entry` says. None names the object.
absl::Status CheckObjectBeginning(const StoreRepository& store,
                                  const repository::v1::ObjectEntry& entry);

// Reads the object from its first byte to its last: it authenticates, can be decoded, and is as
// long as `entry` says. The errors of StoreRepository::ReadObject. `on_bytes`, which may be empty,
// is told of every piece.
absl::Status ProveObject(const StoreRepository& store, const repository::v1::ObjectEntry& entry,
                         const Cancellation& cancellation,
                         const std::function<void(uint64_t)>& on_bytes = nullptr);

// A SealedObjectSource yields the bytes of an object exactly as they lie there, and authenticates
// them as they go by: it ends well only if every byte did, and if the object is as long as its
// entry says. So what is put from it is put only if it is whole.
//
// Not thread-safe. Does not take ownership; `store` must outlive it. Opens the object with the
// first Next. Needs less than 500 KiB.
//
// Errors: those of StoreRepository::ReadObject, each naming the object.
class SealedObjectSource : public ByteSource {
 public:
  // `on_bytes`, which may be empty, is told how many bytes were yielded, and, negative, how many of
  // them will be yielded again after Rewind.
  SealedObjectSource(const StoreRepository& store, repository::v1::ObjectEntry entry,
                     Cancellation cancellation, std::function<void(int64_t)> on_bytes = nullptr);

  absl::StatusOr<absl::Span<const uint8_t>> Next() override;
  absl::Status Rewind() override;

  // Why the last Next failed, for who has to tell it from a failure of the place that it is put to;
  // OK where it did not.
  const absl::Status& failure() const { return failure_; }

 private:
  absl::StatusOr<absl::Span<const uint8_t>> NextUnexplained();
  absl::Status Open();

  const StoreRepository& store_;
  const repository::v1::ObjectEntry entry_;
  const std::string path_;
  const Cancellation cancellation_;
  const std::function<void(int64_t)> on_bytes_;

  std::unique_ptr<ByteSource> sealed_;  // null until it is opened
  std::optional<Opener> opener_;
  std::string content_;
  uint64_t sealed_bytes_ = 0;
  uint64_t content_bytes_ = 0;
  bool is_at_end_ = false;
  absl::Status failure_;
};

// How it went to write an object of one place at another.
struct ObjectTransfer {
  absl::Status source;  // not OK where it can't be read whole from where it was to come
  absl::Status target;  // not OK where it could not be written there
  // When it was written, by the clock of the target; InfinitePast where that does not tell.
  absl::Time write_time = absl::InfinitePast();
  bool ok() const { return source.ok() && target.ok(); }
};

// Writes the object of `from` at `to`, byte for byte, where there must be none of its name:
// ALREADY_EXISTS of the target otherwise. Nothing is there unless all of it authenticated. Does not
// take ownership. `on_bytes` as in SealedObjectSource.
ObjectTransfer CopyObject(const StoreRepository& from, StoreRepository& to,
                          const repository::v1::ObjectEntry& entry,
                          const Cancellation& cancellation,
                          const std::function<void(int64_t)>& on_bytes = nullptr);

// The same in the place of what has its name at `to`, if anything: that of `from` is read whole and
// proven before anything is touched, and what was written is read whole and proven, too. An object
// has the same bytes everywhere, so this never changes one that was whole (FORMAT.md, "Copying and
// repairing").
ObjectTransfer ReplaceObject(const StoreRepository& from, StoreRepository& to,
                             const repository::v1::ObjectEntry& entry,
                             const Cancellation& cancellation,
                             const std::function<void(int64_t)>& on_bytes = nullptr);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_REPOSITORY_SEALED_OBJECT_H_
