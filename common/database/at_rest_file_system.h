#ifndef HOLDFAST_COMMON_DATABASE_AT_REST_FILE_SYSTEM_H_
#define HOLDFAST_COMMON_DATABASE_AT_REST_FILE_SYSTEM_H_

#include <cstdint>
#include <memory>
#include <string>

#include "common/base/random.h"
#include "common/crypto/at_rest_cipher.h"
#include "rocksdb/env.h"
#include "rocksdb/env_encryption.h"
#include "rocksdb/file_system.h"

namespace holdfast {

// The file system through which RocksDB keeps its files encrypted (at_rest_cipher.h has the bytes).
// Four layers, top to bottom: one that syncs the prefix of a log (*.log) as soon as there is one;
// RocksDB's EncryptedFS with our EncryptionProvider; a guard; `base`.
//
// The guard exists because a file of 1 to 4,095 bytes ends the process above it (an assert), and
// because some calls would write a second prefix or around the encryption:
//   * a log without a prefix (short of one, or with zeros in its place) that has nothing behind it
//     reads as empty: it was cut off while it was made. It is logged. Where there is something
//     behind, the prefix was durable before that was written, so it is damage: the log can be
//     opened, has size 0, and every read of it is Corruption. Any other file like that is
//     Corruption when it is opened.
//   * NotSupported: ReopenWritableFile, ReuseWritableFile, NewRandomRWFile,
//     NewMemoryMappedFileBuffer, NewLogger, and direct I/O or mmap for writing.
//
// Thread-safe. Shares ownership of its arguments; `random` must outlive it.
std::shared_ptr<rocksdb::FileSystem> NewAtRestFileSystem(
    const std::shared_ptr<rocksdb::FileSystem>& base, std::shared_ptr<const AtRestKeyring> keyring,
    RandomSource& random = SystemRandom());

// An Env of NewAtRestFileSystem over the machine's files.
std::unique_ptr<rocksdb::Env> NewAtRestEnv(std::shared_ptr<const AtRestKeyring> keyring,
                                           RandomSource& random = SystemRandom());

// The cipher of one open file, as RocksDB drives it: offsets count the prefix.
//
// Not thread-safe for encrypting, which one writer does in order; decrypting is free.
class AtRestCipherStream : public rocksdb::BlockAccessCipherStream {
 public:
  explicit AtRestCipherStream(AtRestStream stream) : stream_(std::move(stream)) {}

  // IOError, without touching `data`, where any of these offsets was encrypted before: the stream's
  // bytes must never cover two contents.
  rocksdb::Status Encrypt(uint64_t file_offset, char* data, size_t size) override;
  rocksdb::Status Decrypt(uint64_t file_offset, char* data, size_t size) override;

  size_t BlockSize() override { return 1; }

 protected:
  void AllocateScratch(std::string& scratch) override;
  rocksdb::Status EncryptBlock(uint64_t index, char* data, char* scratch) override;
  rocksdb::Status DecryptBlock(uint64_t index, char* data, char* scratch) override;

 private:
  const AtRestStream stream_;
  uint64_t encrypted_until_ = kAtRestPrefixSizeBytes;  // offsets below it are used up
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_DATABASE_AT_REST_FILE_SYSTEM_H_
