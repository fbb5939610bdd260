#include "common/database/log_format.h"

#include <memory>
#include <string>

#include "common/database/little_endian.h"
#include "rocksdb/file_checksum.h"

namespace holdfast::internal {

namespace {

constexpr size_t kLengthOffset = 4;
constexpr size_t kTypeOffset = 6;
constexpr uint32_t kCrcMaskDelta = 0xa282ead8;

// Of type and payload, which lie together.
uint32_t MaskedCrc(absl::string_view bytes) {
  static const auto* const kFactory = new std::shared_ptr<rocksdb::FileChecksumGenFactory>(
      rocksdb::GetFileChecksumGenCrc32cFactory());
  const auto generator = (*kFactory)->CreateFileChecksumGenerator({});
  generator->Update(bytes.data(), bytes.size());
  generator->Finalize();
  const std::string big_endian = generator->GetChecksum();
  uint32_t crc = 0;
  for (const char byte : big_endian) crc = crc << 8 | static_cast<uint8_t>(byte);
  return ((crc >> 15) | (crc << 17)) + kCrcMaskDelta;
}

}  // namespace

std::optional<LogFragment> ParseLogFragment(absl::string_view bytes) {
  if (bytes.size() < kLogHeaderSizeBytes) return std::nullopt;
  const auto type = static_cast<uint8_t>(bytes[kTypeOffset]);
  const size_t size = ReadLittleEndian(bytes.substr(kLengthOffset, 2));
  if (type < LogFragment::kFull || type > LogFragment::kLast ||
      kLogHeaderSizeBytes + size > bytes.size()) {
    return std::nullopt;
  }
  if (ReadLittleEndian(bytes.substr(0, kLengthOffset)) !=
      MaskedCrc(bytes.substr(kTypeOffset, size + 1))) {
    return std::nullopt;
  }
  return LogFragment{.type = static_cast<LogFragment::Type>(type),
                     .payload = bytes.substr(kLogHeaderSizeBytes, size)};
}

}  // namespace holdfast::internal
