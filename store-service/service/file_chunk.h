#ifndef HOLDFAST_STORE_SERVICE_SERVICE_FILE_CHUNK_H_
#define HOLDFAST_STORE_SERVICE_SERVICE_FILE_CHUNK_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/types/span.h"
#include "grpcpp/support/byte_buffer.h"

namespace holdfast {

// A FileChunk is a holdfast.v1.ReadCheckpointFileResponse that is made around bytes which were read
// to where they are sent from: the class that protoc makes would clear and copy each of them.
//
//   FileChunk chunk(size_max_bytes);
//   size_t size_bytes = read into chunk.bytes();
//   StartWrite(chunk.ToMessage(size_bytes));
//
// Not thread-safe. The message shares the memory, and may outlive this.
class FileChunk {
 public:
  // REQUIRES: 0 < size_max_bytes < 2^31.
  explicit FileChunk(size_t size_max_bytes);

  // Where the bytes of the file belong. What is there at first is not defined.
  absl::Span<uint8_t> bytes() const;

  // Of the first `size_bytes` of them. REQUIRES: called once.
  grpc::ByteBuffer ToMessage(size_t size_bytes);

 private:
  const size_t size_max_bytes_;
  std::shared_ptr<uint8_t[]> memory_;  // room for what stands before the bytes, and these
};

}  // namespace holdfast

#endif  // HOLDFAST_STORE_SERVICE_SERVICE_FILE_CHUNK_H_
