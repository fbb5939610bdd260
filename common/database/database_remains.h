#ifndef HOLDFAST_COMMON_DATABASE_DATABASE_REMAINS_H_
#define HOLDFAST_COMMON_DATABASE_DATABASE_REMAINS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/byte_range.h"
#include "common/database/database_entry.h"
#include "common/database/log_reader.h"
#include "common/database/table_reader.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"

namespace holdfast {

// A file of a database, as far as it could be brought back. What there is of it is authentic.
struct RemainingFile {
  std::string name;
  enum class State {
    kWhole,
    kPartly,  // of a table: without `lost`; of a log: its beginning. Of no use for other files
    kLost,
  };
  State state = State::kWhole;
  std::vector<ByteRange> lost;
};

// A gap is what a file that is lost, in whole or in part, may have held: entries that nobody can
// know any more.
struct Gap {
  static constexpr uint64_t kAnySequence = UINT64_MAX;

  // The file.
  std::string file_name;
  // Whose entries; absent where that is not known: of any.
  std::optional<std::string> column_family;
  // The least and the greatest key that they may have; absent where there is no bound.
  std::optional<std::string> smallest;
  std::optional<std::string> largest;
  // The greatest sequence number that they may have.
  uint64_t sequence_max = kAnySequence;
  // The level of a table; absent for a log, and where it is not known.
  std::optional<int> level;
  // Whether it is a part of a table that is left but for such parts.
  bool is_part = false;

  bool Covers(absl::string_view key) const;
};

// DatabaseRemains are the files that are left of a database of which others are lost. It yields of
// every key the newest entry that is left, and tells whether a newer one may have been lost. It
// proves that by what RocksDB guarantees: an entry that is newer has a greater sequence number, and
// does not lie in a deeper level; and the MANIFEST, where it is left, tells of each lost table its
// level, its keys and its sequence numbers. Without it any lost file may have held anything. Of a
// table that is left in part RocksDB itself can often tell, by the table's filter, that it never
// held a key.
//
//   HOLDFAST_ASSIGN_OR_RETURN(auto remains, DatabaseRemains::Open(env, path, files));
//   remains->Visit(kDocumentsFamily, [](const DatabaseRemains::Found& found) { … });
//
// Not thread-safe. *env must outlive it. Writes nothing but a copy of the MANIFEST in a folder
// below `path`.
//
// Errors: those of reading; UNIMPLEMENTED where a file has what is not known here.
class DatabaseRemains {
 public:
  // `files`: all that the database had, also those of which nothing is left; those that are left
  // lie in `path`.
  static absl::StatusOr<std::unique_ptr<DatabaseRemains>> Open(rocksdb::Env* env,
                                                               const std::string& path,
                                                               std::vector<RemainingFile> files);
  ~DatabaseRemains();

  // What is lost.
  const std::vector<Gap>& gaps() const { return gaps_; }
  // Whether the MANIFEST is left.
  bool has_manifest() const { return has_manifest_; }

  // The newest entry of a key that is left.
  struct Found {
    DatabaseEntry entry;
    // A gap in which a newer one may be lost; nullptr where it is certain that there was none.
    const Gap* gap = nullptr;
  };
  // Calls `visit` for each key of a column family, in the order of the keys. Its views are good
  // only until it returns. May be called more than once. Returns the first error of `visit`.
  absl::Status Visit(absl::string_view column_family,
                     absl::FunctionRef<absl::Status(const Found&)> visit) const;

 private:
  // What the MANIFEST tells of a table.
  struct TableFacts {
    std::string column_family;
    int level = 0;
    std::string smallest;
    std::string largest;
    uint64_t sequence_max = 0;
  };
  struct Table {
    std::string name;
    std::string column_family;
    std::string smallest;  // empty where it is not known
    std::optional<int> level;
    std::vector<ByteRange> lost;
  };

  DatabaseRemains(rocksdb::Env* env, std::string path) : env_(env), path_(std::move(path)) {}

  absl::Status ReadManifest(const std::vector<RemainingFile>& files);
  // Opens the tables that are left as the MANIFEST has them, for reading alone.
  absl::Status OpenTables(const std::string& manifest_name,
                          const std::vector<RemainingFile>& files);
  // Whether RocksDB finds this entry where it looks up the key in the tables, from the newest on:
  // it gives up where it comes to what is lost, but not where a filter says that nothing was there.
  bool IsNewestInTables(absl::string_view column_family, const DatabaseEntry& entry) const;
  absl::Status AddTables(const std::vector<RemainingFile>& files);
  absl::Status AddTable(const RemainingFile& file, const TableFacts* facts);
  void AddTableGap(const std::string& name, const TableFacts* facts);
  absl::Status AddLogs(const std::vector<RemainingFile>& files);

  rocksdb::Env* const env_;
  const std::string path_;
  bool has_manifest_ = false;
  std::map<std::string, TableFacts> facts_;            // by name
  std::map<std::string, uint32_t> column_family_ids_;  // by name
  std::vector<Table> tables_;
  std::map<uint32_t, std::vector<LogContent::Entry>> log_entries_;  // by family: key, newest first
  std::vector<Gap> gaps_;

  // With the MANIFEST only.
  std::unique_ptr<rocksdb::DB> tables_db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_DATABASE_DATABASE_REMAINS_H_
