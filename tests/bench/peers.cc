#include "tests/bench/peers.h"

#include <memory>
#include <vector>

#include "absl/time/clock.h"
#include "rocksdb/db.h"
#include "rocksdb/utilities/backup_engine.h"
#include "sodium.h"
#include "tests/bench/load.h"

namespace holdfast::bench {

namespace {

absl::Status ToAbsl(const rocksdb::Status& status) {
  return status.ok() ? absl::OkStatus() : absl::UnknownError(status.ToString());
}

absl::Status OpenRocksDb(const std::string& directory, std::unique_ptr<rocksdb::DB>& db) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.compression = rocksdb::kNoCompression;
  rocksdb::DB* opened = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(options, directory, &opened);
  db.reset(opened);
  return ToAbsl(status);
}

}  // namespace

double MeasureCipher(absl::Duration duration) {
  std::vector<unsigned char> segment(65'536);
  std::vector<unsigned char> sealed(segment.size() + crypto_aead_xchacha20poly1305_ietf_ABYTES);
  const unsigned char key[crypto_aead_xchacha20poly1305_ietf_KEYBYTES] = {};
  const unsigned char nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES] = {};
  double bytes = 0;
  const absl::Time start = absl::Now();
  while (absl::Now() - start < duration) {
    crypto_aead_xchacha20poly1305_ietf_encrypt(sealed.data(), nullptr, segment.data(),
                                               segment.size(), nullptr, 0, nullptr, nonce, key);
    bytes += static_cast<double>(segment.size());
  }
  return bytes / absl::ToDoubleSeconds(absl::Now() - start);
}

absl::Status FillRocksDb(const std::string& directory, uint64_t count, size_t size_bytes) {
  std::unique_ptr<rocksdb::DB> db;
  if (absl::Status status = OpenRocksDb(directory, db); !status.ok()) return status;
  for (uint64_t number = 0; number < count; ++number) {
    const rocksdb::Status status =
        db->Put(rocksdb::WriteOptions(), MakeDocumentId(number), MakeDocument(number, size_bytes));
    if (!status.ok()) return ToAbsl(status);
  }
  return ToAbsl(db->Flush(rocksdb::FlushOptions()));
}

absl::Status BackUpRocksDb(const std::string& directory, const std::string& backup_directory,
                           int threads, absl::Duration& duration) {
  std::unique_ptr<rocksdb::DB> db;
  absl::Status status = OpenRocksDb(directory, db);
  if (!status.ok()) return status;
  const absl::Time start = absl::Now();
  rocksdb::BackupEngineOptions options(backup_directory);
  options.max_background_operations = threads;
  rocksdb::BackupEngine* opened = nullptr;
  status = ToAbsl(rocksdb::BackupEngine::Open(options, rocksdb::Env::Default(), &opened));
  const std::unique_ptr<rocksdb::BackupEngine> engine(opened);
  if (!status.ok()) return status;
  status = ToAbsl(engine->CreateNewBackup(db.get()));
  duration = absl::Now() - start;
  return status;
}

}  // namespace holdfast::bench
