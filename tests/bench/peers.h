#ifndef HOLDFAST_TESTS_BENCH_PEERS_H_
#define HOLDFAST_TESTS_BENCH_PEERS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace holdfast::bench {

// Bytes a second that libsodium seals with XChaCha20-Poly1305 on one core, in segments of 64 KiB.
double MeasureCipher(absl::Duration duration);

// Makes a plain RocksDB with documents as Fill writes them; closes it with all in table files.
absl::Status FillRocksDb(const std::string& directory, uint64_t count, size_t size_bytes);

// Backs that up with RocksDB's BackupEngine: synced, tables shared between backups, as it comes but
// for the number of threads. Returns how long the backup took, without opening the database.
absl::Status BackUpRocksDb(const std::string& directory, const std::string& backup_directory,
                           int threads, absl::Duration& duration);

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_PEERS_H_
