#include "common/database/at_rest_file_system.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/database/rocksdb_status.h"

namespace holdfast {

namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

absl::Span<uint8_t> MutableBytes(char* data, size_t size) {
  return {reinterpret_cast<uint8_t*>(data), size};
}

absl::Span<const uint8_t> BytesOf(const Slice& slice) {
  return {reinterpret_cast<const uint8_t*>(slice.data()), slice.size()};
}

class AtRestProvider : public rocksdb::EncryptionProvider {
 public:
  AtRestProvider(std::shared_ptr<const AtRestKeyring> keyring, RandomSource& random)
      : keyring_(std::move(keyring)), random_(random) {}

  const char* Name() const override { return "HoldfastAtRest"; }
  size_t GetPrefixLength() const override { return kAtRestPrefixSizeBytes; }

  rocksdb::Status CreateNewPrefix(const std::string& path, char* prefix,
                                  size_t size) const override {
    if (size != kAtRestPrefixSizeBytes) {
      return rocksdb::Status::InvalidArgument(path, "prefix of another length");
    }
    const auto bytes = keyring_->MakePrefix(random_);
    std::memcpy(prefix, bytes.data(), bytes.size());
    return rocksdb::Status::OK();
  }

  rocksdb::Status AddCipher(const std::string&, const char*, size_t, bool) override {
    return rocksdb::Status::NotSupported("keys come from the data directory only");
  }

  rocksdb::Status CreateCipherStream(
      const std::string& path, const rocksdb::EnvOptions&, Slice& prefix,
      std::unique_ptr<rocksdb::BlockAccessCipherStream>* result) override {
    absl::StatusOr<AtRestStream> stream = keyring_->OpenPrefix(BytesOf(prefix));
    if (!stream.ok()) return ToRocksDbStatus(Annotate(stream.status(), path));
    *result = std::make_unique<AtRestCipherStream>(*std::move(stream));
    return rocksdb::Status::OK();
  }

 private:
  const std::shared_ptr<const AtRestKeyring> keyring_;
  RandomSource& random_;
};

// A log of which nothing can be read: every read says why. Empty where that is OK.
class UnreadableSequentialFile : public rocksdb::FSSequentialFile {
 public:
  explicit UnreadableSequentialFile(IOStatus why) : why_(std::move(why)) {}

  IOStatus Read(size_t, const IOOptions&, Slice* result, char* scratch, IODebugContext*) override {
    *result = Slice(scratch, 0);
    return why_;
  }
  IOStatus Skip(uint64_t) override { return why_; }

 private:
  const IOStatus why_;
};

bool IsLog(absl::string_view path) { return absl::EndsWith(path, ".log"); }

IOStatus Refuse(const std::string& path, absl::string_view what) {
  return IOStatus::NotSupported(path,
                                absl::StrCat(what, " is not possible with encryption at rest"));
}

class GuardFileSystem : public rocksdb::FileSystemWrapper {
 public:
  explicit GuardFileSystem(const std::shared_ptr<rocksdb::FileSystem>& base)
      : FileSystemWrapper(base) {}

  const char* Name() const override { return "HoldfastAtRestGuard"; }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions& options,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result,
                             IODebugContext* context) override {
    uint64_t size_bytes = 0;
    IOStatus status = target()->GetFileSize(path, options.io_options, &size_bytes, context);
    if (!status.ok()) return status;
    bool is_blank = false;
    status = FindBlankLog(path, size_bytes, options.io_options, context, &is_blank);
    if (!status.ok()) return status;
    if (is_blank) {
      IOStatus why;
      if (size_bytes > kAtRestPrefixSizeBytes) {
        why = IOStatus::Corruption(
            path, absl::StrCat("its at-rest prefix is gone, and with it the ",
                               size_bytes - kAtRestPrefixSizeBytes, " bytes behind it"));
      } else if (size_bytes > 0) {
        LogWarning("a log that has no content yet is taken as empty",
                   {{"path", path}, {"size_bytes", size_bytes}});
      }
      *result = std::make_unique<UnreadableSequentialFile>(std::move(why));
      return IOStatus::OK();
    }
    return target()->NewSequentialFile(path, options, result, context);
  }

  IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* result,
                           IODebugContext* context) override {
    if (options.use_direct_writes) return Refuse(path, "direct I/O for writing");
    if (options.use_mmap_writes) return Refuse(path, "writing by mmap");
    return target()->NewWritableFile(path, options, result, context);
  }

  IOStatus GetFileSize(const std::string& path, const IOOptions& options, uint64_t* size_bytes,
                       IODebugContext* context) override {
    IOStatus status = target()->GetFileSize(path, options, size_bytes, context);
    if (!status.ok()) return status;
    bool is_blank = false;
    status = FindBlankLog(path, *size_bytes, options, context, &is_blank);
    if (status.ok() && is_blank) *size_bytes = 0;
    return status;
  }

  // The layer above subtracts the prefix from every size without looking.
  IOStatus GetChildrenFileAttributes(const std::string& folder, const IOOptions& options,
                                     std::vector<rocksdb::Env::FileAttributes>* result,
                                     IODebugContext* context) override {
    IOStatus status = target()->GetChildrenFileAttributes(folder, options, result, context);
    if (!status.ok()) return status;
    for (rocksdb::Env::FileAttributes& file : *result) {
      file.size_bytes = std::max<uint64_t>(file.size_bytes, kAtRestPrefixSizeBytes);
    }
    return status;
  }

  IOStatus ReopenWritableFile(const std::string& path, const FileOptions&,
                              std::unique_ptr<rocksdb::FSWritableFile>*, IODebugContext*) override {
    return Refuse(path, "reopening for writing");
  }
  IOStatus ReuseWritableFile(const std::string& path, const std::string&, const FileOptions&,
                             std::unique_ptr<rocksdb::FSWritableFile>*, IODebugContext*) override {
    return Refuse(path, "reuse of a file");
  }
  IOStatus NewRandomRWFile(const std::string& path, const FileOptions&,
                           std::unique_ptr<rocksdb::FSRandomRWFile>*, IODebugContext*) override {
    return Refuse(path, "random writing");
  }
  IOStatus NewMemoryMappedFileBuffer(const std::string& path,
                                     std::unique_ptr<rocksdb::MemoryMappedFileBuffer>*) override {
    return Refuse(path, "mmap");
  }
  IOStatus NewLogger(const std::string& path, const IOOptions&, std::shared_ptr<rocksdb::Logger>*,
                     IODebugContext*) override {
    return Refuse(path, "a log of RocksDB's own, in the clear,");
  }

 private:
  // Sets whether `path` is a log without a prefix: short of one, or with zeros in its place.
  IOStatus FindBlankLog(const std::string& path, uint64_t size_bytes, const IOOptions& options,
                        IODebugContext* context, bool* is_blank) {
    const bool is_short = size_bytes < kAtRestPrefixSizeBytes;
    *is_blank = false;
    if (!IsLog(path)) {
      if (is_short && size_bytes > 0) {
        return IOStatus::Corruption(
            path, absl::StrCat("cut short: only ", size_bytes, " bytes of its at-rest prefix"));
      }
      return IOStatus::OK();
    }
    if (is_short) {
      *is_blank = true;
      return IOStatus::OK();
    }
    std::unique_ptr<rocksdb::FSSequentialFile> file;
    IOStatus status = target()->NewSequentialFile(path, FileOptions(), &file, context);
    if (!status.ok()) return status;
    std::array<char, kAtRestPrefixSizeBytes> buffer;
    Slice prefix;
    status = file->Read(buffer.size(), options, &prefix, buffer.data(), context);
    if (!status.ok()) return status;
    *is_blank = prefix.size() < kAtRestPrefixSizeBytes ||
                std::all_of(prefix.data(), prefix.data() + prefix.size(),
                            [](char byte) { return byte == 0; });
    return IOStatus::OK();
  }
};

// Above the encryption: makes the prefix of a log durable before anything is written behind it.
class SyncedPrefixFileSystem : public rocksdb::FileSystemWrapper {
 public:
  explicit SyncedPrefixFileSystem(const std::shared_ptr<rocksdb::FileSystem>& base)
      : FileSystemWrapper(base) {}

  const char* Name() const override { return "HoldfastSyncedPrefix"; }

  IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* result,
                           IODebugContext* context) override {
    IOStatus status = target()->NewWritableFile(path, options, result, context);
    if (!status.ok() || !IsLog(path)) return status;
    status = (*result)->Sync(options.io_options, context);
    if (!status.ok()) result->reset();
    return status;
  }
};

}  // namespace

rocksdb::Status AtRestCipherStream::Encrypt(uint64_t file_offset, char* data, size_t size) {
  if (file_offset < encrypted_until_) {
    return rocksdb::Status::IOError(absl::StrCat("refused to encrypt offset ", file_offset,
                                                 " a second time; encrypted until ",
                                                 encrypted_until_));
  }
  stream_.Apply(file_offset - kAtRestPrefixSizeBytes, MutableBytes(data, size));
  encrypted_until_ = file_offset + size;
  return rocksdb::Status::OK();
}

rocksdb::Status AtRestCipherStream::Decrypt(uint64_t file_offset, char* data, size_t size) {
  if (file_offset < kAtRestPrefixSizeBytes) {
    return rocksdb::Status::InvalidArgument("a read inside the at-rest prefix");
  }
  stream_.Apply(file_offset - kAtRestPrefixSizeBytes, MutableBytes(data, size));
  return rocksdb::Status::OK();
}

void AtRestCipherStream::AllocateScratch(std::string&) {}

rocksdb::Status AtRestCipherStream::EncryptBlock(uint64_t, char*, char*) {
  return rocksdb::Status::NotSupported("this cipher has no blocks");
}

rocksdb::Status AtRestCipherStream::DecryptBlock(uint64_t, char*, char*) {
  return rocksdb::Status::NotSupported("this cipher has no blocks");
}

std::shared_ptr<rocksdb::FileSystem> NewAtRestFileSystem(
    const std::shared_ptr<rocksdb::FileSystem>& base, std::shared_ptr<const AtRestKeyring> keyring,
    RandomSource& random) {
  return std::make_shared<SyncedPrefixFileSystem>(
      rocksdb::NewEncryptedFS(std::make_shared<GuardFileSystem>(base),
                              std::make_shared<AtRestProvider>(std::move(keyring), random)));
}

std::unique_ptr<rocksdb::Env> NewAtRestEnv(std::shared_ptr<const AtRestKeyring> keyring,
                                           RandomSource& random) {
  return rocksdb::NewCompositeEnv(
      NewAtRestFileSystem(rocksdb::FileSystem::Default(), std::move(keyring), random));
}

}  // namespace holdfast
