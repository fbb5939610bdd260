#ifndef HOLDFAST_TESTS_TESTING_TEST_STORE_H_
#define HOLDFAST_TESTS_TESTING_TEST_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/crypto/master_key.h"
#include "common/database/data_directory.h"
#include "common/database/database.h"
#include "common/database/database_metadata.h"

namespace holdfast {

inline constexpr absl::Time kTestTime = absl::FromUnixSeconds(1'795'372'500);

// A store reduced to what the database's tests need: one synced batch for each write, with head and
// collection digest in it, as the real committer does.
//
// Not thread-safe.
class TestStore {
 public:
  // Makes the data directory if there is none at `path`, and opens it.
  static absl::StatusOr<std::unique_ptr<TestStore>> Open(const std::string& path,
                                                         const MasterKey& master_key);

  absl::Status Put(absl::string_view collection, absl::string_view id, absl::string_view content);
  absl::Status Delete(absl::string_view collection, absl::string_view id);

  // "collection/id" and content of every document; an error where one cannot be read.
  absl::StatusOr<std::map<std::string, std::string>> ReadAll() const;
  // What VerifyDocuments says, with metadata that is read from the database.
  absl::Status Verify() const;
  absl::Status Flush();
  // The database's files that a backup would take, by name, in the clear.
  absl::StatusOr<std::map<std::string, std::string>> ReadLiveFiles() const;

  const DataDirectory& directory() const { return *directory_; }
  const OpenedDatabase& database() const { return *database_; }
  const DatabaseMetadata& metadata() const { return metadata_; }
  uint64_t revision() const { return metadata_.head.revision(); }
  Hash256 Digest() const { return metadata_.digest.Digest(metadata_.DigestKey()); }

 private:
  absl::Status Commit(rocksdb::WriteBatch& batch, absl::string_view collection);
  absl::StatusOr<bool> SubtractOld(absl::string_view collection, absl::string_view id);

  std::unique_ptr<DataDirectory> directory_;
  std::unique_ptr<OpenedDatabase> database_;
  DatabaseMetadata metadata_;
};

// TestStore::ReadLiveFiles of a store that is closed.
absl::StatusOr<std::map<std::string, std::string>> ReadDatabaseFiles(const std::string& path,
                                                                     const MasterKey& master_key);

// The name of the only (or newest) file in `folder` with this suffix.
std::string FindFile(const std::string& folder, absl::string_view suffix);

// Plain reading and writing of files, encrypted bytes as they are.
std::string ReadRaw(const std::string& path);
void WriteRaw(const std::string& path, absl::string_view bytes);
void FlipByte(const std::string& path, int64_t offset);
// Copies a tree of directories and regular files.
void CopyTree(const std::string& from, const std::string& to);
// Every regular file below `folder`, sorted.
std::vector<std::string> ListFiles(const std::string& folder);

}  // namespace holdfast

#endif  // HOLDFAST_TESTS_TESTING_TEST_STORE_H_
