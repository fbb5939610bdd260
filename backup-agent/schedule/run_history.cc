#include "backup-agent/schedule/run_history.h"

#include <utility>

namespace holdfast {

void RunHistory::Load(const agent::v1::StoreState& state) {
  runs_.assign(state.runs().begin(), state.runs().end());
  consecutive_failures_ = state.consecutive_failures();
  last_error_ = state.last_error();
}

void RunHistory::AddToState(agent::v1::StoreState& state) const {
  for (const v1::Run& run : runs_) *state.add_runs() = run;
  state.set_consecutive_failures(consecutive_failures_);
  state.set_last_error(last_error_);
}

void RunHistory::Add(v1::Run run) {
  if (run.state() == v1::Run::STATE_SUCCEEDED) {
    consecutive_failures_ = 0;
    last_error_.clear();
  } else if (run.state() == v1::Run::STATE_FAILED) {
    ++consecutive_failures_;
    last_error_ = run.error();
  }
  runs_.push_front(std::move(run));
  while (runs_.size() > kRunsMax) runs_.pop_back();
}

const v1::Run* RunHistory::Find(absl::string_view run_id) const {
  for (const v1::Run& run : runs_) {
    if (run.run_id() == run_id) return &run;
  }
  return nullptr;
}

std::string RunHistory::RunThatMade(absl::string_view backup_id) const {
  for (const v1::Run& run : runs_) {
    if (run.backup_id() == backup_id) return run.run_id();
  }
  return "";
}

std::string RunHistory::LastWarningAt(absl::string_view destination_name) const {
  if (runs_.empty()) return "";
  for (const v1::DestinationResult& result : runs_.front().destinations()) {
    if (result.destination_name() == destination_name) return result.warning();
  }
  return "";
}

}  // namespace holdfast
