#ifndef HOLDFAST_TESTS_UNIT_COMMON_REPOSITORY_TEST_BACKUPS_H_
#define HOLDFAST_TESTS_UNIT_COMMON_REPOSITORY_TEST_BACKUPS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/repository/repository.h"
#include "tests/testing/memory_blob_store.h"
#include "tests/testing/seeded_random.h"

namespace holdfast {

// A repository in memory with one store, and a writer of backups that does what an agent does.
class TestBackups {
 public:
  TestBackups();

  // The files of a store, by name.
  using Files = std::map<std::string, std::string>;

  // Writes a backup of these files, which follows the one written before; table files that a backup
  // held already are not written again. Returns its id.
  std::string Write(const Files& files);

  // The manifest that Write would write, with its objects written already.
  Manifest Prepare(const Files& files);
  // Seals a manifest with the current key and puts it at its place, whatever is in it.
  void Commit(const Manifest& manifest);
  // Seals any bytes as the manifest of that backup.
  void CommitContent(absl::string_view backup_id, absl::string_view content);

  // Writes one object; returns its entry.
  repository::v1::ObjectEntry WriteObject(absl::string_view content,
                                          repository::v1::ObjectEntry::Codec codec);

  // Opens the store again, without what the first one remembers.
  std::unique_ptr<StoreRepository> Reopen() const;

  std::string PathOf(const repository::v1::ObjectEntry& object) const {
    return ObjectPath(store_id, object.name());
  }
  // The paths of the objects of a backup, by the file that they hold; bundles as "bundle".
  std::map<std::string, std::string> ObjectPaths(absl::string_view backup_id) const;

  SeededRandom random{1};
  MemoryBlobStore blobs;
  const StoreId store_id = StoreId::Generate(random);
  const MasterKey master_key = MasterKey::Generate();
  absl::Time now = absl::FromUnixMillis(1'795'372'500'123);  // 2026-11-22 18:35:00.123
  std::unique_ptr<StoreRepository> store;

 private:
  repository::v1::BackupSummary last_;
  std::string last_manifest_hash_;
  std::map<std::string, repository::v1::ObjectEntry> tables_;  // by name and content
};

// Files of a small store, with table files of about `table_size_bytes`.
TestBackups::Files SmallStoreFiles(RandomSource& random, size_t table_size_bytes = 200'000);

// All that a source yields.
absl::StatusOr<std::string> ReadSource(ByteSource& source);

}  // namespace holdfast

#endif  // HOLDFAST_TESTS_UNIT_COMMON_REPOSITORY_TEST_BACKUPS_H_
