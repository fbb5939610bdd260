#ifndef HOLDFAST_TESTS_UNIT_BACKUP_AGENT_TRANSFER_BACKUP_RUNNER_FIXTURE_H_
#define HOLDFAST_TESTS_UNIT_BACKUP_AGENT_TRANSFER_BACKUP_RUNNER_FIXTURE_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "backup-agent/transfer/backup_runner.h"
#include "common/base/mutex.h"
#include "common/crypto/master_key.h"
#include "common/repository/repository.h"
#include "common/storage/blob_store.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_checkpoint_source.h"
#include "tests/testing/hooked_blob_store.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {

// Something that calls wait at until it is opened.
class Gate {
 public:
  void Open();
  // Returns when the gate is open.
  void Pass();
  // Returns when somebody waits at the gate.
  void AwaitArrival(int count = 1);

 private:
  Mutex mutex_;
  CondVar changed_;
  bool is_open_ ABSL_GUARDED_BY(mutex_) = false;
  int arrivals_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Keeps a run as the world sees it.
class RecordingObserver : public RunObserver {
 public:
  void Update(const std::function<void(v1::Run&)>& change) override;
  v1::Run run() const;
  // Waits until the run is as wanted.
  void Await(const std::function<bool(const v1::Run&)>& wanted);

 private:
  mutable Mutex mutex_;
  CondVar changed_;
  v1::Run run_ ABSL_GUARDED_BY(mutex_);
};

// A store in memory, two destinations in directories, and what is remembered between runs.
class BackupRunnerTest : public testing::Test {
 protected:
  BackupRunnerTest();
  ~BackupRunnerTest() override;

  // What a run uses from then on.
  void UseClock(Clock& clock);
  // The hook of a destination; set before a run.
  void Hook(const std::string& destination, BlobHook hook);
  // Makes the destinations' directories and repositories, and names them in the settings.
  void AddDestination(const std::string& name);

  BackupRunner& runner();
  // Runs once, with what is remembered; remembers what the run left.
  BackupRunOutcome Run(const Cancellation& cancellation = {});
  // As Run; the run must succeed.
  v1::Backup Backup();

  std::string PathOf(const std::string& destination) const;
  // Opens the backups at a destination, without any hook.
  struct Opened {
    std::unique_ptr<BlobStore> blobs;
    std::unique_ptr<StoreRepository> store;
  };
  Opened Open(const std::string& destination);
  // All files of a destination below stores/, by their paths there, but key files.
  std::map<std::string, std::string> Blobs(const std::string& destination);
  std::vector<std::string> Names(const std::string& destination, absl::string_view folder);
  int TemporaryFiles(const std::string& destination);
  // Reads every file of a backup out of a destination, verifying all of it.
  std::map<std::string, std::string> Restore(const std::string& destination,
                                             const std::string& backup_id);
  // Changes a byte in the middle of a file at a destination.
  void Damage(const std::string& destination, const std::string& path);

  TempDir dir_;
  FakeCheckpointSource source_;
  MasterKey master_key_;
  Clock* clock_;
  v1::Settings settings_;
  agent::v1::StoreMemory memory_;
  std::unique_ptr<RecordingObserver> observer_;

 private:
  std::map<std::string, BlobHook> hooks_;  // by URL
  std::unique_ptr<BackupRunner> runner_;
};

}  // namespace holdfast

#endif  // HOLDFAST_TESTS_UNIT_BACKUP_AGENT_TRANSFER_BACKUP_RUNNER_FIXTURE_H_
