#ifndef HOLDFAST_BACKUP_AGENT_TRANSFER_BACKUP_RUN_H_
#define HOLDFAST_BACKUP_AGENT_TRANSFER_BACKUP_RUN_H_

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backup-agent/transfer/backup_runner.h"
#include "backup-agent/transfer/checkpoint_reader.h"
#include "backup-agent/transfer/destination.h"
#include "backup-agent/transfer/fan_out.h"
#include "backup-agent/transfer/held_objects.h"
#include "backup-agent/transfer/lease_keeper.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/crypto/master_key.h"
#include "common/repository/copied_objects.h"
#include "common/repository/layout.h"
#include "common/repository/manifest.h"

namespace holdfast {

// BackupRun is one run: made, run once, and thrown away. BackupRunner's comment tells what it does;
// backup-agent/README.md draws its steps and threads.
//
// Not thread-safe from outside; inside, a few threads work on a file each (ProcessItems), and
// destinations leave from any of them.
class BackupRun {
 public:
  // Does not take ownership; all but `master_key` must outlive this.
  BackupRun(const BackupRunner::Dependencies& dependencies,
            std::shared_ptr<const MasterKey> master_key, const BackupRunInput& input,
            RunObserver& observer, const Cancellation& cancellation);
  ~BackupRun();
  BackupRun(const BackupRun&) = delete;
  BackupRun& operator=(const BackupRun&) = delete;

  BackupRunOutcome Run();

 private:
  // An object that the backup needs: a file of its own, or the bundle.
  struct Item {
    std::vector<const v1::CheckpointFile*> files;  // in the order of the list; one unless bundle
    bool is_bundle = false;
    ObjectIdentity identity{};
    WantedObject wanted;

    // What this run wrote or proved itself, and where; null where there is nothing, as of most of
    // many files.
    std::unique_ptr<repository::v1::ObjectEntry> produced;
    std::vector<Destination*> produced_at;

    // The object that the backup names; set once every destination that is left holds it.
    std::optional<repository::v1::ObjectEntry> object;

    // Whether it is counted as reused, or as to be sent.
    bool is_reused = false;
  };

  // The steps, in this order.
  absl::Status Steps();
  absl::Status TakeCheckpoint();
  absl::Status OpenDestinations();
  absl::Status AgreeOnBackupKey();
  void PlanItems();
  absl::Status Compare();
  absl::Status Transfer();
  // Whether no backup whose objects are used was deleted meanwhile.
  absl::StatusOr<bool> MarksStillHold();
  // Sees to it that what was copied to a place is there and that no prune there may remove it; a
  // destination where that is not so leaves.
  absl::Status SecureCopies();
  absl::Status Commit();
  BackupRunOutcome End(const absl::Status& status);

  // Parts of Compare, SecureCopies and Commit.
  // Objects that the backup names and that are at risk at the destination before, or even after,
  // the manifest is there.
  enum class When { kBeforeManifest, kAfterManifest };
  std::vector<std::string> ObjectsAtRisk(const Destination& destination, When when) const;
  // Writes those again that are gone. An error where that fails, or a prune may remove more.
  absl::Status LookOnceMore(Destination& destination, const std::vector<std::string>& at_risk);
  absl::Status CopyAgain(Destination& destination, Item& item);
  // After the manifest: where that is not so, takes the manifest back.
  absl::Status SecureCommitted(Destination& destination, const std::vector<std::string>& at_risk);
  void LookForSetBackDestinations();
  void CountItems();
  // The settings, with what is known of the repositories: the copy that travels with the backup.
  v1::Settings DescribeSettings() const;
  Manifest MakeManifest() const;

  // What the threads of Transfer do: takes one item after the other.
  void ProcessItems();
  // Sees to it that every destination that is left holds the item's object.
  absl::Status ProcessItem(Item& item);
  void ProveUnnamed(Item& item);
  // Copies the object to destinations that lack it, as far as that works.
  void CopyObject(Item& item, const repository::v1::ObjectEntry& entry, Destination& from,
                  const std::vector<Destination*>& to);
  // One pass of that. nullopt where the object can't be read at `from`, or nobody takes it.
  std::optional<ObjectFanOut::Result> PumpTo(const repository::v1::ObjectEntry& entry,
                                             Destination& from, ObjectFanOut::Mode mode,
                                             const std::vector<Destination*>& to);
  // When an object was written there, as far as the place tells.
  static absl::StatusOr<absl::Time> AwaitWriteTime(Destination& destination,
                                                   const repository::v1::ObjectEntry& entry,
                                                   absl::string_view what);
  // Whether an object that lies there already can be used as it is; else `is_old` says whether a
  // prune may have it on its list.
  bool CanUseUnnamed(const Item& item, const repository::v1::ObjectEntry& entry,
                     Destination& destination, bool& is_old);
  // Notes where a prune may not know that the object, which was just written, is new.
  void NoteCopied(const repository::v1::ObjectEntry& entry,
                  const std::vector<Destination*>& destinations);
  bool ProveAt(const Item& item, const repository::v1::ObjectEntry& entry,
               Destination& destination);
  absl::Status Send(Item& item);
  absl::Status SendContent(Item& item, uint64_t& bytes_sent);

  // The object that most destinations hold under the item's identity.
  std::optional<repository::v1::ObjectEntry> BestCandidate(const Item& item) const;
  bool Holds(const Destination& destination, const Item& item,
             const repository::v1::ObjectEntry& entry) const;
  std::vector<Destination*> Lacking(const Item& item,
                                    const repository::v1::ObjectEntry& entry) const;
  bool IsNamedAnywhere(const Item& item, const repository::v1::ObjectEntry& entry) const;
  static void Produced(Item& item, const repository::v1::ObjectEntry& entry,
                       const std::vector<Destination*>& at);

  std::vector<Destination*> ActiveDestinations() const;
  // OK while any destination is left: the run goes on for it, also where it can't succeed any more.
  absl::Status CheckAnyLeft() const;
  // OK while enough destinations are left for the run to succeed.
  absl::Status CheckEnoughLeft() const;
  void OnLeft(Destination& destination);
  void Warn(const Destination& destination, const std::string& warning);
  void CountWritten(const std::vector<Destination*>& destinations, uint64_t size_bytes);
  void SetPhase(v1::Run::Phase phase);
  v1::Backup DescribeBackup(const std::vector<const Destination*>& holders) const;

  const BackupRunner::Dependencies dependencies_;
  const std::shared_ptr<const MasterKey> master_key_;
  const BackupRunInput& input_;
  RunObserver& observer_;
  const Cancellation caller_;
  Clock& clock_;
  const MonotonicTime start_time_;
  int required_ = 0;

  CancellationSource run_;
  std::vector<std::unique_ptr<Destination>> destinations_;

  // Set by one step, constant in the next.
  agent::v1::StoreMemory memory_;
  std::string store_version_;
  std::optional<v1::BackupReport> last_report_;
  v1::Checkpoint checkpoint_;
  StoreId store_id_;
  std::unique_ptr<LeaseKeeper> lease_;
  CheckpointReadContext read_context_;
  std::vector<v1::CheckpointFile> files_;
  std::shared_ptr<OpenDestination> key_owner_;  // whose backup key seals
  std::vector<Item> items_;
  std::shared_ptr<const WantedObjects> wanted_;
  std::vector<HeldObjects> held_;  // by index of the destination

  // The commit.
  std::optional<Manifest> manifest_;
  Hash256 manifest_hash_{};
  // By index of the destination; also set by a commit that was no longer waited for.
  std::vector<std::shared_ptr<std::atomic<bool>>> has_committed_;

  mutable Mutex mutex_;
  std::vector<Item*> items_to_do_ ABSL_GUARDED_BY(mutex_);  // the next one last
  absl::Status first_error_ ABSL_GUARDED_BY(mutex_);
  // By index of the destination.
  std::vector<bool> has_written_ ABSL_GUARDED_BY(mutex_);
  // Objects that this run wrote there that a prune may remove all the same until the manifest is
  // there: in the place of what it may have on its list; and where the place does not tell that
  // they are new.
  struct AtRisk {
    absl::flat_hash_set<std::string> replaced;
    absl::flat_hash_set<std::string> undated;
  };
  std::vector<AtRisk> at_risk_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_TRANSFER_BACKUP_RUN_H_
