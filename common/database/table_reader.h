#ifndef HOLDFAST_COMMON_DATABASE_TABLE_READER_H_
#define HOLDFAST_COMMON_DATABASE_TABLE_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/byte_range.h"
#include "common/database/database_entry.h"
#include "rocksdb/env.h"

namespace holdfast {

// TableReader reads a table file of ours that may have lost some of its bytes, block by block, and
// every entry in it: RocksDB's own readers end at the first bad block, and show neither deletions
// nor sequence numbers, without which nobody can tell what of it is still current.
//
//   HOLDFAST_ASSIGN_OR_RETURN(auto table, TableReader::Open(env, path, lost));
//   TableReader::Cursor cursor(*table);
//   HOLDFAST_RETURN_IF_ERROR(cursor.Begin());
//   for (; cursor.valid(); …Next()) … cursor.entry() …
//
// It knows the tables that MakeColumnFamilyOptions writes (block-based, format version 5, XXH3
// block checksums, LZ4 or ZSTD, an index of one level) and no others.
//
// Not thread-safe. *env must outlive it.
//
// Errors: DATA_LOSS where bytes are not what RocksDB wrote, UNIMPLEMENTED where the table has what
// is not known here.
class TableReader {
 public:
  // `lost`: the ranges of the file, of its plaintext, that are not what was written; in order.
  // DATA_LOSS where the end of the table, by which all else is found, is among them.
  static absl::StatusOr<std::unique_ptr<TableReader>> Open(rocksdb::Env* env,
                                                           const std::string& path,
                                                           std::vector<ByteRange> lost);
  // The same, of a table of which all bytes are in memory; `name` stands in messages.
  static absl::StatusOr<std::unique_ptr<TableReader>> OpenBytes(std::string bytes,
                                                                const std::string& name);

  // Whose entries it holds.
  const std::string& column_family() const { return column_family_; }
  // How many entries were written to it.
  uint64_t entry_count() const { return entry_count_; }

  // The keys that may be in blocks that are lost: each is above `after` (from the first on, where
  // that is absent) and at most `up_to`.
  struct LostKeys {
    bool has_after = false;
    std::string after;
    // Whether `after` itself may be among them.
    bool includes_after = false;
    std::string up_to;
  };
  const std::vector<LostKeys>& lost_keys() const { return lost_keys_; }

  // Walks over the entries of all blocks that are there: keys ascend, of one key the newest comes
  // first. After an error it must not be used any more.
  class Cursor {
   public:
    // Does not take ownership; `table` must outlive it.
    explicit Cursor(TableReader& table) : table_(table) {}

    // Moves to the first entry. Called once, first.
    absl::Status Begin();
    absl::Status Next();
    bool valid() const { return is_valid_; }
    // REQUIRES: valid(). Its views are good until the next move.
    const DatabaseEntry& entry() const { return entry_; }

   private:
    absl::Status ReadNextBlock();
    // Where the table is whole it must have had all of its entries.
    absl::Status CheckEnd() const;

    TableReader& table_;
    size_t next_block_ = 0;
    std::string block_;
    absl::string_view rest_;  // of block_, entries that were not read
    std::string internal_key_;
    DatabaseEntry entry_;
    uint64_t entries_read_ = 0;
    bool is_valid_ = false;
  };

 private:
  struct Handle {
    uint64_t offset = 0;
    uint64_t size_bytes = 0;  // without the trailer
  };
  struct Block {
    Handle handle;
    bool is_lost = false;
  };

  TableReader(std::unique_ptr<rocksdb::RandomAccessFile> file, std::string path,
              uint64_t size_bytes, std::vector<ByteRange> lost)
      : file_(std::move(file)),
        path_(std::move(path)),
        size_bytes_(size_bytes),
        lost_(std::move(lost)) {}

  absl::Status ReadFooterAndIndex();
  absl::Status ReadProperties(absl::string_view metaindex);
  absl::Status ReadIndex(const Handle& handle);

  bool IsLost(uint64_t offset, uint64_t size_bytes) const;
  absl::StatusOr<std::string> ReadBytes(uint64_t offset, uint64_t size_bytes) const;
  // Decompressed, its checksum verified. DATA_LOSS where some of it is lost.
  absl::StatusOr<std::string> ReadBlock(const Handle& handle) const;
  absl::Status Damaged(absl::string_view what) const;
  absl::Status Unknown(absl::string_view what) const;

  static bool ParseHandle(absl::string_view& bytes, Handle* handle);
  // Splits a block into what lies before its restart points; empty optional where it has none.
  static bool StripRestarts(absl::string_view& block);

  const std::unique_ptr<rocksdb::RandomAccessFile> file_;
  const std::string path_;
  const uint64_t size_bytes_;
  const std::vector<ByteRange> lost_;

  std::string column_family_;
  uint64_t entry_count_ = 0;
  bool index_keys_are_user_keys_ = false;
  bool index_values_are_deltas_ = false;
  std::vector<Block> blocks_;
  std::vector<LostKeys> lost_keys_;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_DATABASE_TABLE_READER_H_
