#ifndef HOLDFAST_BACKUP_AGENT_SCHEDULE_REQUEST_MEMORY_H_
#define HOLDFAST_BACKUP_AGENT_SCHEDULE_REQUEST_MEMORY_H_

#include <deque>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/base/clock.h"
#include "holdfast/agent/v1/state.pb.h"

namespace holdfast {

// A RequestMemory remembers the request ids of TriggerBackup for 24 hours, at most 1,000 of them:
// the newest stay.
//
// Not thread-safe. Does not take ownership of the clock.
class RequestMemory {
 public:
  static constexpr size_t kRequestsMax = 1000;
  static constexpr absl::Duration kRememberFor = absl::Hours(24);

  explicit RequestMemory(Clock& clock) : clock_(clock) {}

  // What an earlier process remembered. Requests that were not satisfied then are forgotten: their
  // runs are gone.
  void Load(const google::protobuf::RepeatedPtrField<agent::v1::RememberedRequest>& requests);

  // nullptr where it is not remembered.
  const agent::v1::RememberedRequest* Find(absl::string_view request_id);

  // A new one, in place of one with the same id.
  void Add(absl::string_view request_id);
  void SetRun(absl::string_view request_id, absl::string_view run_id);
  void SetBackup(absl::string_view request_id, absl::string_view backup_id);
  void Forget(absl::string_view request_id);

  // Newest first.
  const std::deque<agent::v1::RememberedRequest>& requests();

 private:
  void DropOld();
  agent::v1::RememberedRequest* FindMutable(absl::string_view request_id);

  Clock& clock_;
  std::deque<agent::v1::RememberedRequest> requests_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SCHEDULE_REQUEST_MEMORY_H_
