#ifndef HOLDFAST_COMMON_REPOSITORY_OBJECT_SOURCE_H_
#define HOLDFAST_COMMON_REPOSITORY_OBJECT_SOURCE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/crypto/sealed_file.h"
#include "common/repository/zstd_stream.h"
#include "common/storage/blob_store.h"
#include "holdfast/repository/v1/repository.pb.h"

namespace holdfast {

// An ObjectSource yields the content of an object while its file is read: authenticated,
// decompressed, and as long as its entry says. The reading side of ObjectSealer.
//
// Not thread-safe. Does not take ownership of the BlobStore and the key, which must outlive it.
//
// Errors are those of sealed files, DATA_LOSS where the length is another, and those of the
// BlobStore; each names the object. It ends with the first.
class ObjectSource : public ByteSource {
 public:
  // `sealed` yields the bytes of the file `path` of `blobs`.
  ObjectSource(BlobStore& blobs, std::string path, const repository::v1::ObjectEntry& entry,
               const SealingKey& content_key, std::unique_ptr<ByteSource> sealed);

  absl::StatusOr<absl::Span<const uint8_t>> Next() override;

 private:
  absl::StatusOr<absl::Span<const uint8_t>> NextUnexplained();
  // The next piece of what was opened; empty where more must be read.
  absl::StatusOr<absl::Span<const uint8_t>> Decode();
  absl::Status Read();
  absl::Status CheckEnd() const;
  // Names the object, and says so where its file has another length than it should.
  absl::Status Explain(const absl::Status& failure) const;

  BlobStore& blobs_;
  const std::string path_;
  const uint64_t sealed_size_bytes_;
  const uint64_t content_size_bytes_;
  const std::unique_ptr<ByteSource> sealed_;
  Opener opener_;
  std::unique_ptr<ZstdDecompressor> decompressor_;  // null without a codec
  std::string opened_;
  absl::Span<const uint8_t> opened_rest_;  // of opened_, what was not yielded or decompressed
  uint64_t read_bytes_ = 0;
  uint64_t yielded_bytes_ = 0;
  bool is_read_ = false;
  absl::Status failure_;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_REPOSITORY_OBJECT_SOURCE_H_
