#ifndef HOLDFAST_TESTS_TESTING_TEST_BACKUP_H_
#define HOLDFAST_TESTS_TESTING_TEST_BACKUP_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "common/crypto/master_key.h"
#include "common/repository/repository.h"
#include "common/storage/blob_store.h"
#include "tests/testing/test_store.h"

namespace holdfast {

// What a backup is to be like.
struct TestBackupOptions {
  uint64_t ordinal = 1;
  // The backup before; empty for the first.
  std::string previous_backup_id = "";
  // By name, without "instance/".
  std::map<std::string, std::string> instance_files = {};
  // Whether the MANIFEST lies in two extents of two objects, which no writer does yet.
  bool splits_a_file = false;
  // Changes the manifest before it is sealed; may be empty.
  std::function<void(Manifest&)> edit_manifest = nullptr;
};

// Writes a backup of a store that nobody writes to meanwhile, as an agent would: every table and
// log an object, all else a bundle. Makes the repository where there is none. What the manifest
// says of the database is what the database says. Returns the manifest.
absl::StatusOr<Manifest> MakeTestBackup(BlobStore& blobs, const TestStore& store,
                                        const MasterKey& master_key,
                                        const TestBackupOptions& options = {});

}  // namespace holdfast

#endif  // HOLDFAST_TESTS_TESTING_TEST_BACKUP_H_
