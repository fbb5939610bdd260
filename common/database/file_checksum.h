#ifndef HOLDFAST_COMMON_DATABASE_FILE_CHECKSUM_H_
#define HOLDFAST_COMMON_DATABASE_FILE_CHECKSUM_H_

#include <memory>

#include "rocksdb/file_checksum.h"

namespace holdfast {

// The name under which the MANIFEST keeps our checksums: RocksDB stores the generator's name, not
// the factory's. Part of the database's format; do not change.
inline constexpr char kFileChecksumName[] = "XXH3-128";

// Makes RocksDB take XXH3-128 (16 bytes, canonical) over the plaintext of every table and blob file
// while it writes it, and keep it in the MANIFEST. A file whose checksum has another name than
// kFileChecksumName gets no generator.
//
// Thread-safe.
std::shared_ptr<rocksdb::FileChecksumGenFactory> NewFileChecksumFactory();

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_DATABASE_FILE_CHECKSUM_H_
