#ifndef HOLDFAST_BACKUP_AGENT_TRANSFER_FAN_OUT_H_
#define HOLDFAST_BACKUP_AGENT_TRANSFER_FAN_OUT_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backup-agent/transfer/destination.h"
#include "backup-agent/transfer/pending.h"
#include "backup-agent/transfer/pipe.h"
#include "common/base/clock.h"

namespace holdfast {

// ObjectFanOut writes one object to several destinations at once: the same bytes to each, as fast
// as the slowest that keeps up. One that takes nothing for kStallMax, or fails, leaves the run.
//
//   ObjectFanOut fan_out(clock, path, ObjectFanOut::Mode::kPut, destinations);
//   for each chunk: HOLDFAST_RETURN_IF_ERROR(fan_out.Write(chunk));
//   holders = fan_out.Finish();
// Destroyed without Finish it leaves nothing at any destination.
//
// Not thread-safe.
class ObjectFanOut {
 public:
  enum class Mode {
    kPut,      // a blob of that name that is there stays as it is
    kReplace,  // the object takes its place (BlobStore::Replace)
  };

  // Does not take ownership; all must outlive this.
  ObjectFanOut(Clock& clock, const std::string& path, Mode mode,
               const std::vector<Destination*>& destinations);
  ~ObjectFanOut();
  ObjectFanOut(const ObjectFanOut&) = delete;
  ObjectFanOut& operator=(const ObjectFanOut&) = delete;

  // Hands the next bytes to all destinations that are left. UNAVAILABLE once none takes them any
  // more.
  absl::Status Write(const Chunk& chunk);

  // The object must not appear anywhere. Waits until nobody writes it any more.
  void Fail(const absl::Status& reason);

  struct Result {
    std::vector<Destination*> holders;
    // Those where there was a blob of that name already, which stays as it is; none with kReplace.
    std::vector<Destination*> already_there;
  };
  // The object is complete. Waits until it is durable, or failed, at each destination.
  Result Finish();

  uint64_t size_bytes() const { return size_bytes_; }

 private:
  enum class Found { kNothing, kBlobOfThatName };
  struct Leg {
    Destination* destination;
    std::shared_ptr<Pipe> pipe;
    ProgressCounter progress;
    Pending<absl::StatusOr<Found>> put;
    std::unique_ptr<CancellationCallback> give_up;
    // Set once the destination takes no more of the object: how it ended there.
    std::optional<absl::StatusOr<Found>> result;
  };

  void CloseAll(const absl::Status& status);

  Clock& clock_;
  const std::string path_;
  std::vector<Leg> legs_;
  uint64_t size_bytes_ = 0;
  bool is_ended_ = false;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_TRANSFER_FAN_OUT_H_
