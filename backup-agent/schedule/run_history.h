#ifndef HOLDFAST_BACKUP_AGENT_SCHEDULE_RUN_HISTORY_H_
#define HOLDFAST_BACKUP_AGENT_SCHEDULE_RUN_HISTORY_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "absl/strings/string_view.h"
#include "holdfast/agent/v1/state.pb.h"
#include "holdfast/v1/backup_agent.pb.h"

namespace holdfast {

// A RunHistory is the ended runs of a store, at most 1,000 of them (the newest stay), and how many
// have failed since one succeeded.
//
//   history.Load(state);
//   …
//   CloseRun(run, v1::Run::STATE_FAILED, error, now);
//   history.Add(run);
//
// Not thread-safe.
class RunHistory {
 public:
  static constexpr size_t kRunsMax = 1000;

  // What an earlier process remembered, in place of what there is; and the same to be saved.
  void Load(const agent::v1::StoreState& state);
  void AddToState(agent::v1::StoreState& state) const;

  // Adds a run that has just ended. One that was cancelled is neither a failure nor a success.
  void Add(v1::Run run);

  // Newest first.
  const std::deque<v1::Run>& runs() const { return runs_; }
  // nullptr where there is none.
  const v1::Run* Last() const { return runs_.empty() ? nullptr : &runs_.front(); }
  const v1::Run* Find(absl::string_view run_id) const;

  // The id of the run that made a backup; empty where it is not remembered.
  std::string RunThatMade(absl::string_view backup_id) const;
  // What the last run warned of at a destination; empty where it did not.
  std::string LastWarningAt(absl::string_view destination_name) const;

  uint32_t consecutive_failures() const { return consecutive_failures_; }
  // Of the last run that failed; empty once one has succeeded.
  const std::string& last_error() const { return last_error_; }

 private:
  std::deque<v1::Run> runs_;
  uint32_t consecutive_failures_ = 0;
  std::string last_error_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_SCHEDULE_RUN_HISTORY_H_
