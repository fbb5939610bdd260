#ifndef HOLDFAST_TESTS_TESTING_MEMORY_BLOB_STORE_H_
#define HOLDFAST_TESTS_TESTING_MEMORY_BLOB_STORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/storage/blob_store.h"

namespace holdfast {

// A MemoryBlobStore keeps blobs in memory, and lets a test do to them what no BlobStore does:
// change them, exchange them, take them away.
//
// Thread-safe. A source that it gave sees the blob as it was.
class MemoryBlobStore : public BlobStore {
 public:
  // Sources yield pieces of at most `piece_size_bytes`; an odd number, so that no boundary of
  // theirs is one of ours.
  explicit MemoryBlobStore(size_t piece_size_bytes = 100'003)
      : piece_size_bytes_(piece_size_bytes) {}

  absl::Status Put(absl::string_view name, ByteSource& source) override;
  absl::Status Replace(absl::string_view name, ByteSource& source) override;
  absl::StatusOr<std::unique_ptr<ByteSource>> Get(absl::string_view name, uint64_t offset,
                                                  uint64_t length_max) override;
  absl::StatusOr<BlobInfo> Stat(absl::string_view name) override;
  absl::Status List(absl::string_view prefix,
                    const std::function<absl::Status(const BlobInfo&)>& visit) override;
  absl::StatusOr<std::vector<std::string>> ListFolders(absl::string_view prefix) override;
  absl::Status Delete(absl::string_view name) override;
  std::string Describe() const override { return "memory:"; }

  // From now on blobs tell when they were written, by this clock, which must outlive this.
  void set_clock(Clock* clock);

  // All blobs, by name.
  std::map<std::string, std::string> Contents() const;
  // REQUIRES, of these: there is a blob of that name.
  std::string Read(absl::string_view name) const;
  void Remove(absl::string_view name);
  void Rename(absl::string_view from, absl::string_view to);
  void Swap(absl::string_view a, absl::string_view b);
  // Puts it there or in the place of what is there.
  void Write(absl::string_view name, std::string bytes);

 private:
  struct Blob {
    std::shared_ptr<const std::string> bytes;
    absl::Time write_time = absl::InfinitePast();
  };
  class Source;

  absl::StatusOr<Blob> Find(absl::string_view name) const;
  absl::Status Store(absl::string_view name, ByteSource& source, bool replaces);
  Blob MakeBlob(std::string bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t piece_size_bytes_;

  mutable Mutex mutex_;
  std::map<std::string, Blob, std::less<>> blobs_ ABSL_GUARDED_BY(mutex_);
  Clock* clock_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace holdfast

#endif  // HOLDFAST_TESTS_TESTING_MEMORY_BLOB_STORE_H_
