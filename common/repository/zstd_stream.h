#ifndef HOLDFAST_COMMON_REPOSITORY_ZSTD_STREAM_H_
#define HOLDFAST_COMMON_REPOSITORY_ZSTD_STREAM_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

// Zstandard frames as FORMAT.md allows them: one frame, no dictionary, a window of at most 8 MiB,
// nothing behind it.

namespace holdfast {

// Called with pieces of what comes out. An error stops whatever makes them, and is returned by it.
using ByteSink = absl::FunctionRef<absl::Status(absl::Span<const uint8_t>)>;

// ZstdCompressor makes one frame of content that comes in pieces.
//
// Not thread-safe. Needs about 4 MiB, whatever the content.
class ZstdCompressor {
 public:
  // `content_size_bytes` is what will come; Finish fails where it was not.
  explicit ZstdCompressor(uint64_t content_size_bytes);
  ~ZstdCompressor();
  ZstdCompressor(const ZstdCompressor&) = delete;
  ZstdCompressor& operator=(const ZstdCompressor&) = delete;

  absl::Status Update(absl::Span<const uint8_t> piece, ByteSink sink);
  // INTERNAL where the content was not as long as announced. REQUIRES: called once, last.
  absl::Status Finish(ByteSink sink);

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

// ZstdDecompressor turns one frame that comes in pieces back into content, however hostile it is:
// it yields never more than `content_size_max_bytes`.
//
// Not thread-safe. Needs at most 9 MiB, whatever the frame says.
//
// Errors: DATA_LOSS where it is no such frame, or more comes out, or more comes behind it.
class ZstdDecompressor {
 public:
  explicit ZstdDecompressor(uint64_t content_size_max_bytes);
  ~ZstdDecompressor();
  ZstdDecompressor(const ZstdDecompressor&) = delete;
  ZstdDecompressor& operator=(const ZstdDecompressor&) = delete;

  // Decompresses some of `input`, takes that away from its front, and returns what came out: empty
  // only where all of `input` is taken. Valid until the next call.
  absl::StatusOr<absl::Span<const uint8_t>> Next(absl::Span<const uint8_t>& input);

  // There is no more input. DATA_LOSS where the frame is not complete.
  absl::Status Finish() const;

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

// For content that is in memory.
absl::StatusOr<std::string> ZstdCompress(absl::string_view content);
absl::StatusOr<std::string> ZstdDecompress(absl::Span<const uint8_t> frame,
                                           uint64_t content_size_max_bytes);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_REPOSITORY_ZSTD_STREAM_H_
