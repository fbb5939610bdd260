#include "tests/bench/many_tables.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/crypto/key_source.h"
#include "common/crypto/master_key.h"
#include "common/database/data_directory.h"
#include "common/database/database.h"
#include "common/database/rocksdb_status.h"
#include "rocksdb/db.h"
#include "rocksdb/metadata.h"
#include "rocksdb/options.h"

namespace holdfast::bench {

absl::StatusOr<uint64_t> SplitIntoTables(const std::string& data_directory,
                                         const std::string& key_source, uint64_t table_size_bytes) {
  HOLDFAST_ASSIGN_OR_RETURN(const MasterKey master_key, ReadMasterKey(key_source));
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<DataDirectory> directory,
                            DataDirectory::Open(data_directory, master_key));
  HOLDFAST_ASSIGN_OR_RETURN(
      const std::unique_ptr<OpenedDatabase> database,
      OpenDatabase(directory->env(), directory->database_path(), OpenMode::kServe));
  rocksdb::DB& db = database->db();
  const auto compact = [&](rocksdb::BottommostLevelCompaction bottommost) {
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = bottommost;
    return StatusFromRocksDb(db.CompactRange(options, database->documents(), nullptr, nullptr),
                             "compact");
  };
  // First all goes to the bottommost level, in few tables: what is there is split only once then.
  HOLDFAST_RETURN_IF_ERROR(compact(rocksdb::BottommostLevelCompaction::kSkip));
  // A table ends with a block.
  HOLDFAST_RETURN_IF_ERROR(
      StatusFromRocksDb(db.SetOptions(database->documents(),
                                      {{"target_file_size_base", absl::StrCat(table_size_bytes)},
                                       {"block_based_table_factory", "{block_size=1024;}"}}),
                        "choose the size of tables"));
  HOLDFAST_RETURN_IF_ERROR(compact(rocksdb::BottommostLevelCompaction::kForce));
  std::vector<rocksdb::LiveFileMetaData> tables;
  db.GetLiveFilesMetaData(&tables);
  HOLDFAST_RETURN_IF_ERROR(database->Close());
  return tables.size();
}

}  // namespace holdfast::bench
