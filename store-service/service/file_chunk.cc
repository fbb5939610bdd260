#include "store-service/service/file_chunk.h"

#include <utility>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "grpcpp/support/slice.h"
#include "holdfast/v1/checkpoints.pb.h"

namespace holdfast {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedOutputStream;

// Enough for a tag and a length, and keeps the bytes aligned.
constexpr size_t kRoomBeforeBytes = 64;

constexpr uint32_t kDataTag = WireFormatLite::MakeTag(
    v1::ReadCheckpointFileResponse::kDataFieldNumber, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);

}  // namespace

FileChunk::FileChunk(size_t size_max_bytes)
    : size_max_bytes_(size_max_bytes),
      memory_(std::make_shared_for_overwrite<uint8_t[]>(kRoomBeforeBytes + size_max_bytes)) {}

absl::Span<uint8_t> FileChunk::bytes() const {
  return absl::MakeSpan(memory_.get() + kRoomBeforeBytes, size_max_bytes_);
}

grpc::ByteBuffer FileChunk::ToMessage(size_t size_bytes) {
  const auto length = static_cast<uint32_t>(size_bytes);
  const size_t header_size_bytes =
      CodedOutputStream::VarintSize32(kDataTag) + CodedOutputStream::VarintSize32(length);
  uint8_t* const begin = memory_.get() + kRoomBeforeBytes - header_size_bytes;
  CodedOutputStream::WriteVarint32ToArray(length,
                                          CodedOutputStream::WriteVarint32ToArray(kDataTag, begin));
  const grpc::Slice message(
      begin, header_size_bytes + size_bytes,
      [](void* memory) { delete static_cast<std::shared_ptr<uint8_t[]>*>(memory); },
      new std::shared_ptr<uint8_t[]>(std::move(memory_)));
  return grpc::ByteBuffer(&message, 1);
}

}  // namespace holdfast
