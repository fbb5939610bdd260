#ifndef HOLDFAST_COMMON_REPOSITORY_OBJECT_WRITER_H_
#define HOLDFAST_COMMON_REPOSITORY_OBJECT_WRITER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/random.h"
#include "common/crypto/sealed_file.h"
#include "common/repository/layout.h"
#include "common/repository/zstd_stream.h"
#include "holdfast/repository/v1/repository.pb.h"

namespace holdfast {

// An ObjectSealer turns content that comes in pieces into the bytes of one object's file,
// compressed where the codec says so. The bytes are the same for every destination: seal once, then
// write them to all.
//
//   ObjectSealer sealer(store_id, name, content_key, ObjectEntry::CODEC_NONE, file.size_bytes());
//   for each piece: HOLDFAST_RETURN_IF_ERROR(sealer.Update(piece, sealed)); send and clear `sealed`
//   HOLDFAST_RETURN_IF_ERROR(sealer.Finish(sealed)); send `sealed`
//   *manifest.add_objects() = sealer.entry();
//
// Needs less than 200 KiB, with a codec 5 MiB, whatever the content. What a call appends to
// `sealed` is little more than the piece, which callers therefore keep small.
//
// Not thread-safe. Does not keep references. After an error the object must not be used: where
// content was cut it is read afresh, and sealed under a new name.
class ObjectSealer {
 public:
  // `name` as of MakeObjectName; `content_size_bytes` is what will come.
  // REQUIRES: `codec` is one that FORMAT.md knows.
  ObjectSealer(const StoreId& store_id, absl::string_view name, const SealingKey& content_key,
               repository::v1::ObjectEntry::Codec codec, uint64_t content_size_bytes,
               RandomSource& random = SystemRandom());

  // Appends to `sealed` what is complete with `piece`.
  absl::Status Update(absl::Span<const uint8_t> piece, std::string& sealed);

  // Appends the rest. INTERNAL where the content was not as long as announced.
  // REQUIRES: called once, last.
  absl::Status Finish(std::string& sealed);

  // What a manifest says of the object. Complete after Finish.
  const repository::v1::ObjectEntry& entry() const { return entry_; }

 private:
  void BeginIfNew(std::string& sealed);

  repository::v1::ObjectEntry entry_;
  const uint64_t content_size_announced_;
  uint64_t content_size_bytes_ = 0;
  bool is_begun_ = false;
  Sealer sealer_;
  std::unique_ptr<ZstdCompressor> compressor_;  // null without a codec
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_REPOSITORY_OBJECT_WRITER_H_
