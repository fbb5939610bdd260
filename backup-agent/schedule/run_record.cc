#include "backup-agent/schedule/run_record.h"

#include "backup-agent/schedule/agent_errors.h"
#include "common/messages/proto_time.h"

namespace holdfast {

void CloseRun(v1::Run& run, v1::Run::State state, absl::string_view error, absl::Time now) {
  run.set_state(state);
  run.set_phase(v1::Run::PHASE_UNSPECIFIED);
  *run.mutable_end_time() = ToProto(now);
  run.set_error(CutError(error));
  for (v1::DestinationResult& result : *run.mutable_destinations()) {
    if (result.state() != v1::DestinationResult::STATE_SUCCEEDED &&
        result.state() != v1::DestinationResult::STATE_FAILED) {
      result.set_state(v1::DestinationResult::STATE_FAILED);
      if (result.error().empty()) result.set_error("the run ended before");
    }
    result.set_error(CutError(result.error()));
  }
}

const char* StateWord(v1::Run::State state) {
  switch (state) {
    case v1::Run::STATE_SUCCEEDED:
      return "succeeded";
    case v1::Run::STATE_CANCELLED:
      return "cancelled";
    default:
      return "failed";
  }
}

const char* CauseWord(v1::Run::Cause cause) {
  switch (cause) {
    case v1::Run::CAUSE_SCHEDULED:
      return "scheduled";
    case v1::Run::CAUSE_CAUGHT_UP:
      return "caught up";
    case v1::Run::CAUSE_RETRIED:
      return "retried";
    default:
      return "triggered";
  }
}

}  // namespace holdfast
