#ifndef HOLDFAST_BACKUP_AGENT_SCHEDULE_RUN_RECORD_H_
#define HOLDFAST_BACKUP_AGENT_SCHEDULE_RUN_RECORD_H_

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "holdfast/v1/backup_agent.pb.h"

// What is done to the record of a run, and the words for it in logs and errors.

namespace holdfast {

// Ends a run with `state`, because of `error`. Of its destinations, those that are still shown as
// running have failed. Errors are cut to what is remembered.
void CloseRun(v1::Run& run, v1::Run::State state, absl::string_view error, absl::Time now);

// "succeeded", "cancelled", "failed". REQUIRES: `state` is one of a run that has ended.
const char* StateWord(v1::Run::State state);

// "scheduled", "caught up", "retried", "triggered".
const char* CauseWord(v1::Run::Cause cause);

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SCHEDULE_RUN_RECORD_H_
