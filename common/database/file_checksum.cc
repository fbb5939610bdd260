#include "common/database/file_checksum.h"

#include <string>

#include "absl/strings/string_view.h"
#include "common/io/xxh3_stream.h"

namespace holdfast {

namespace {

class Xxh3Generator : public rocksdb::FileChecksumGenerator {
 public:
  void Update(const char* data, size_t size) override {
    stream_.Update(absl::string_view(data, size));
  }
  void Finalize() override { checksum_ = stream_.Digest(); }
  std::string GetChecksum() const override { return checksum_; }
  const char* Name() const override { return kFileChecksumName; }

 private:
  Xxh3Stream stream_;
  std::string checksum_;
};

class Xxh3Factory : public rocksdb::FileChecksumGenFactory {
 public:
  std::unique_ptr<rocksdb::FileChecksumGenerator> CreateFileChecksumGenerator(
      const rocksdb::FileChecksumGenContext& context) override {
    const std::string& requested = context.requested_checksum_func_name;
    if (!requested.empty() && requested != kFileChecksumName) return nullptr;
    return std::make_unique<Xxh3Generator>();
  }
  const char* Name() const override { return "HoldfastXxh3"; }
};

}  // namespace

std::shared_ptr<rocksdb::FileChecksumGenFactory> NewFileChecksumFactory() {
  return std::make_shared<Xxh3Factory>();
}

}  // namespace holdfast
