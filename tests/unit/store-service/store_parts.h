#ifndef HOLDFAST_TESTS_UNIT_STORE_SERVICE_STORE_PARTS_H_
#define HOLDFAST_TESTS_UNIT_STORE_SERVICE_STORE_PARTS_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/check.h"
#include "common/base/mutex.h"
#include "common/crypto/master_key.h"
#include "common/database/data_directory.h"
#include "common/database/database.h"
#include "common/database/database_metadata.h"
#include "common/database/database_options.h"
#include "store-service/documents/committer.h"
#include "store-service/documents/document.h"
#include "store-service/documents/document_engine.h"
#include "store-service/documents/sickness.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {

inline DocumentWrite PutOf(absl::string_view collection, absl::string_view id,
                           absl::string_view content, Precondition precondition = {}) {
  return {.kind = DocumentWrite::Kind::kPut,
          .collection = std::string(collection),
          .id = std::string(id),
          .content = std::string(content),
          .media_type = "text/plain",
          .precondition = precondition};
}

inline DocumentWrite DeletionOf(absl::string_view collection, absl::string_view id,
                                Precondition precondition = {}) {
  return {.kind = DocumentWrite::Kind::kDelete,
          .collection = std::string(collection),
          .id = std::string(id),
          .precondition = precondition};
}

inline Precondition MustNotExist() { return {.kind = Precondition::Kind::kMustNotExist}; }
inline Precondition MustBeAt(uint64_t revision) {
  return {.kind = Precondition::Kind::kMustBeAtRevision, .revision = revision};
}

// The parts of a store below its services, over a real data directory with a real database.
//
// Thread-safe but for Open and Close.
class StoreParts {
 public:
  StoreParts() {
    const absl::Status created = DataDirectory::Create(path(), master_key_, clock_.Now());
    HOLDFAST_CHECK(created.ok(), created.ToString());
    Open();
  }
  ~StoreParts() { Close(); }

  // Opens (again).
  void Open(const DatabaseLimits& limits = {}) {
    absl::StatusOr<std::unique_ptr<DataDirectory>> opened_directory =
        DataDirectory::Open(path(), master_key_);
    HOLDFAST_CHECK(opened_directory.ok(), opened_directory.status().ToString());
    directory = *std::move(opened_directory);
    sickness = std::make_unique<SicknessRecord>(&clock_);
    absl::StatusOr<std::unique_ptr<OpenedDatabase>> opened_database =
        OpenDatabase(directory->env(), directory->database_path(), OpenMode::kServe, limits,
                     sickness->MakeListener());
    HOLDFAST_CHECK(opened_database.ok(), opened_database.status().ToString());
    database = *std::move(opened_database);
    const absl::StatusOr<DatabaseMetadata> metadata = ReadMetadata(database->db());
    HOLDFAST_CHECK(metadata.ok(), metadata.status().ToString());
    committer = std::make_unique<Committer>(*metadata, database.get(), sickness.get(), &clock_,
                                            FreeSpace());
    engine =
        std::make_unique<DocumentEngine>(database.get(), committer.get(), sickness.get(), &clock_);
  }

  void Close() {
    engine.reset();
    committer.reset();
    database.reset();
    sickness.reset();
    directory.reset();
  }

  // Writes, and waits for the answer.
  absl::StatusOr<CommitResult> Write(std::vector<DocumentWrite> writes) {
    Mutex mutex;
    CondVar answered;
    bool is_answered = false;
    absl::StatusOr<CommitResult> result = CommitResult{};
    engine->Write(std::move(writes), [&](absl::StatusOr<CommitResult> answer) {
      MutexLock lock(&mutex);
      result = std::move(answer);
      is_answered = true;
      answered.Signal();
    });
    MutexLock lock(&mutex);
    while (!is_answered) answered.Wait(&mutex);
    return result;
  }

  Committer::FreeSpace FreeSpace() {
    return [this]() -> absl::StatusOr<int64_t> { return free_space_bytes.load(); };
  }

  std::string path() const { return dir_.Path("store"); }
  FakeClock& clock() { return clock_; }
  const MasterKey& master_key() const { return master_key_; }

  std::atomic<int64_t> free_space_bytes = int64_t{1} << 40;

  std::unique_ptr<DataDirectory> directory;
  std::unique_ptr<SicknessRecord> sickness;
  std::unique_ptr<OpenedDatabase> database;
  std::unique_ptr<Committer> committer;
  std::unique_ptr<DocumentEngine> engine;

 private:
  TempDir dir_;
  FakeClock clock_;
  const MasterKey master_key_ = MasterKey::Generate();
};

}  // namespace holdfast

#endif  // HOLDFAST_TESTS_UNIT_STORE_SERVICE_STORE_PARTS_H_
