#ifndef HOLDFAST_COMMON_BASE_PROCESS_H_
#define HOLDFAST_COMMON_BASE_PROCESS_H_

#include <csignal>
#include <optional>

#include "absl/status/status.h"
#include "common/base/cancellation.h"

// What a main() does before anything else: HardenProcess, then TerminationSignals, then the rest.

namespace holdfast {

// Protects what is in this process's memory and what it will write: no core dumps, no tracing by
// other processes of the user (PR_SET_DUMPABLE 0), files that only the user can read (umask 077),
// SIGPIPE ignored, so that a closed connection is an error and not the end, and /dev/null in the
// place of standard streams that are closed, so that no log line lands in a file.
//
// REQUIRES: no other threads yet.
absl::Status HardenProcess();

// A TerminationSignals receives SIGTERM and SIGINT in place of their default effect, so that main()
// can wait for them and then shut down in order.
//
//   TerminationSignals signals;
//   … start everything …
//   std::optional<int> signal = signals.Wait(stop_requested);
//   … stop everything …
//
// REQUIRES: one a process, made before any other thread is started (they inherit what is blocked).
class TerminationSignals {
 public:
  TerminationSignals();
  // Gives the signals their default effect again.
  ~TerminationSignals();
  TerminationSignals(const TerminationSignals&) = delete;
  TerminationSignals& operator=(const TerminationSignals&) = delete;

  // Waits for a signal and returns it; or nullopt when `cancellation` is cancelled. After a signal
  // both have their default effect again, so that a second one ends a shutdown that hangs.
  // REQUIRES: called by the thread that made this.
  std::optional<int> Wait(const Cancellation& cancellation);

 private:
  void Restore();

  sigset_t previous_mask_;
  int signal_fd_ = -1;
  int wake_fd_ = -1;
  bool is_restored_ = false;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_BASE_PROCESS_H_
