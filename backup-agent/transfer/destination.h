#ifndef HOLDFAST_BACKUP_AGENT_TRANSFER_DESTINATION_H_
#define HOLDFAST_BACKUP_AGENT_TRANSFER_DESTINATION_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "backup-agent/transfer/backup_runner.h"
#include "backup-agent/transfer/pending.h"
#include "backup-agent/transfer/worker_pool.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/crypto/master_key.h"
#include "common/repository/layout.h"
#include "common/repository/repository.h"
#include "common/storage/blob_store.h"
#include "holdfast/v1/backup_agent.pb.h"

namespace holdfast {

// Opens a destination for a run or a listing: its repository, and the backups of `store_id` in it.
// Never makes anything.
struct OpenRequest {
  BlobStoreOpener open_blob_store;
  std::string url;
  // The repository that was there before; empty where none was.
  std::string pinned_repository_id;
  StoreId store_id;
  std::shared_ptr<const MasterKey> master_key;
  // Ends every later call into the place, as far as the place lets it.
  Cancellation cancellation;
};
absl::StatusOr<std::shared_ptr<struct OpenDestination>> OpenRepositoryAt(
    const OpenRequest& request);

// A destination whose repository is open. Shared with the threads that work on it, which may
// outlive the run: nothing in here belongs to the run.
struct OpenDestination {
  std::unique_ptr<BlobStore> place;
  std::unique_ptr<BlobStore> blobs;  // the same, cancellable
  std::optional<Repository> repository;
  // nullptr where the store has no backups there yet, or its key files are missing.
  std::unique_ptr<StoreRepository> store;
  // Why there is no `store`: NOT_FOUND or DATA_LOSS.
  absl::Status store_status;
};

// Destination is one destination in one run: threads of its own, and whether it is still part of
// the run. All that touches the place itself runs on those threads, for any call into it may never
// return.
//
// A destination that fails leaves the run: what is under way for it ends, and the run goes on
// without it.
//
// Thread-safe.
class Destination {
 public:
  // `on_left` is called once, when the destination fails, by the thread that found it out; not when
  // `run` is cancelled. `clock` must outlive this.
  Destination(const v1::Destination& config, int index, const Cancellation& run, Clock& clock,
              std::function<void(Destination&)> on_left);
  // Waits for nothing; see Shutdown.
  ~Destination();
  Destination(const Destination&) = delete;
  Destination& operator=(const Destination&) = delete;

  const std::string& name() const { return config_.name(); }
  const std::string& url() const { return config_.url(); }
  int index() const { return index_; }
  Clock& clock() const { return clock_; }

  // Cancelled when the destination leaves the run, or the run is cancelled.
  Cancellation cancellation() const { return gone_.token(); }
  bool IsActive() const { return !gone_.token().IsCancelled(); }

  // Why it left by its own fault; OK where it did not.
  absl::Status failure() const;

  // Takes the destination out of the run. The first reason stays. Does nothing once the run was
  // cancelled.
  void Leave(const absl::Status& reason);

  // Why it is no longer part of the run; never OK after Leave, whoever else called that at the same
  // moment, nor once it is not active.
  absl::Status WhyGone() const;

  // Runs `work` on a thread of the destination.
  template <typename R>
  Pending<R> Start(absl::AnyInvocable<R()> work) {
    return pool_.Start<R>(std::move(work));
  }

  // Waits for the result of work that was started, until it gives no sign of progress for
  // `stall_max`, or has stalled by `watch`. Where the work failed or is stuck, the destination
  // leaves the run.
  template <typename R>
  R Await(Pending<R> pending, absl::string_view what, absl::Duration stall_max,
          const ProgressCounter& progress = nullptr) {
    return Await(std::move(pending), what, StallWatch(clock_, stall_max, progress));
  }
  template <typename R>
  R Await(Pending<R> pending, absl::string_view what, StallWatch watch) {
    const absl::Status ended = AwaitEnd(pending, what, std::move(watch));
    if (!ended.ok()) return R(ended);
    R result = pending.Take();
    if (!IsOk(result)) Leave(Annotate(StatusOf(result), what));
    return result;
  }

  // Only waits until there is a result to take: OK, whatever that is. Why it is gone where it is,
  // or leaves the run now, for the work is stuck.
  template <typename R>
  absl::Status AwaitEnd(const Pending<R>& pending, absl::string_view what, StallWatch watch) {
    const absl::Status waited = pending.Await(clock_, cancellation(), watch);
    if (absl::IsDeadlineExceeded(waited) && IsActive()) {
      SetStuck();
      Leave(absl::UnavailableError(
          absl::StrCat(what, ": it is unresponsive, it ", waited.message())));
    }
    return waited.ok() ? waited : WhyGone();
  }

  // Marks it as stuck: the end of the run doesn't wait for its threads.
  void SetStuck() { is_stuck_ = true; }

  // Ends its threads; those that are busy may be until the deadline, but not if the destination is
  // stuck. Those that are still busy then are left behind.
  void Shutdown(MonotonicTime deadline);

  // What was found at the place; set by the run's own thread between two steps.
  std::shared_ptr<OpenDestination> open;

 private:
  static bool IsOk(const absl::Status& status) { return status.ok(); }
  template <typename T>
  static bool IsOk(const absl::StatusOr<T>& result) {
    return result.ok();
  }
  static const absl::Status& StatusOf(const absl::Status& status) { return status; }
  template <typename T>
  static const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
    return result.status();
  }

  const v1::Destination config_;
  const int index_;
  Clock& clock_;
  const std::function<void(Destination&)> on_left_;
  const Cancellation run_;
  CancellationSource gone_;
  std::atomic<bool> is_stuck_ = false;
  WorkerPool pool_;

  mutable Mutex mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_TRANSFER_DESTINATION_H_
